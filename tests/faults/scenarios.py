"""The commands that are swept: a first run, a forced one, an import over a stored day, a range by Luigi's own command."""

import datetime as dt
import gzip
import zipfile
from pathlib import Path

from commands import Commands
from sweep import Day, Sweep
from truth import served

from pipeline.sandbox.generator import members

DATE = "2026-01-15"
NEXT = "2026-01-16"
AFTER = "2026-01-17"
LENIENT = {"PIPELINE_MAX_REJECTED": 1}
"""Of the few lines of `exports`, the one that is no event is more than a day may have."""


def exports(folder: Path, events_per_hour: int, *dates: str) -> Path:
    """Makes a folder for a sandbox to serve: of each day a ZIP of a few files, of two hours in two of four windows.

    A line of the first file comes again in the last, beside one that is no event, another one at each rate.
    """
    folder.mkdir()
    for date in dates:
        with zipfile.ZipFile(folder / f"{date.replace('-', '')}T00_{date.replace('-', '')}T23.zip", "w") as archive:
            for name, text in _texts(dt.date.fromisoformat(date), events_per_hour).items():
                archive.writestr(name, gzip.compress(text, mtime=0))
    return folder


def _texts(date: dt.date, events_per_hour: int) -> dict[str, bytes]:
    texts = {member.name: gzip.decompress(member.data) for member in members(date, [1, 9], events_per_hour)}
    first, *_, last = texts
    again = texts[first].partition(b"\n")[0]
    texts[last] = b"\n".join([texts[last].rstrip(), again, b"[%d]\n" % events_per_hour])
    return texts


def first_run(project, library: Path, path: Path, defect: str = "", **env: object) -> Sweep:
    """Returns the sweep of a day's first run."""
    sandbox = project.sandbox(exports=exports(path / "exports", 2, DATE))
    place = Commands(path, sandbox, **LENIENT, **env)

    def run(**options):
        return place.run(DATE, defect=defect, **options)

    return Sweep(library, place, [Day(DATE, served(sandbox, DATE))], run, run)


def _stored(project, path: Path):
    """Returns a project with a whole day, and a sandbox that has other events of it."""
    old = project.sandbox(exports=exports(path / "old", 2, DATE))
    place = Commands(path, old, **LENIENT)
    done = place.run(DATE)
    assert done.returncode == 0, done.stderr
    new = project.sandbox(exports=exports(path / "new", 3, DATE))
    place.use(new)
    return place, [Day(DATE, served(new, DATE), before=(served(old, DATE),))]


def forced_run(project, library: Path, path: Path, defect: str = "") -> Sweep:
    """Returns the sweep of a run that does a whole day again."""
    place, days = _stored(project, path)
    return Sweep(
        library,
        place,
        days,
        lambda **options: place.force(DATE, defect=defect, **options),
        lambda: place.run(DATE, defect=defect),
    )


def imported_run(project, library: Path, path: Path, defect: str = "") -> Sweep:
    """Returns the sweep of an import that takes the place of a whole day."""
    place, days = _stored(project, path)
    given = str(next((path / "new").iterdir()))
    arguments = ("import", "--date", DATE, "--from", given, "--replace")
    return Sweep(
        library,
        place,
        days,
        lambda **options: place.pipeline(*arguments, defect=defect, **options),
        lambda: place.run(DATE, defect=defect),
    )


def range_run(project, library: Path, path: Path) -> Sweep:
    """Returns the sweep of Luigi's own command over two days."""
    sandbox = project.sandbox(exports=exports(path / "exports", 2, DATE, NEXT))
    place = Commands(path, sandbox, **LENIENT)
    arguments = ("RangeDaily", "--start", DATE, "--stop", AFTER)
    return Sweep(
        library,
        place,
        [Day(date, served(sandbox, date)) for date in (DATE, NEXT)],
        lambda **options: place.luigi(*arguments, **options),
        lambda: place.luigi(*arguments),
    )


def repeated_run(project, library: Path, path: Path) -> Sweep:
    """Returns the sweep of a run that finds its day whole."""
    sandbox = project.sandbox(exports=exports(path / "exports", 2, DATE))
    place = Commands(path, sandbox, **LENIENT)
    done = place.run(DATE)
    assert done.returncode == 0, done.stderr
    truth = served(sandbox, DATE)
    return Sweep(
        library,
        place,
        [Day(DATE, truth, before=(truth,))],
        lambda **options: place.run(DATE, **options),
        lambda: place.run(DATE),
    )
