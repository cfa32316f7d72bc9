"""`make prune`: room from older days, whose later stages are verified first; a pruned day stays complete."""

import contextlib
import dataclasses
import datetime as dt
import os
from pathlib import Path

from loguru import logger

from pipeline import logs
from pipeline.errors import PipelineError, storage_errors
from pipeline.export.settled import last_settled
from pipeline.operations.readers import Readers
from pipeline.operations.reading import ALL, read_day, strange_files
from pipeline.operations.removal import place_of, remove_noted, take_back
from pipeline.progress import Report
from pipeline.settings import Settings
from pipeline.store import days, locks
from pipeline.store.chain import EVENTS, RAW
from pipeline.store.paths import Layout
from pipeline.store.publish import remove
from pipeline.text import size

PRUNED = (EVENTS, RAW)
"""What can be pruned: the JSON lines, which the ZIP holds too; the ZIPs, which nothing else holds exactly."""

_READ = {EVENTS: ALL - {EVENTS}, RAW: ALL}
"""What is read before: the JSON lines go though they are damaged, but not the ZIP that they are mended from."""

_LINK = "it is a link, and what it leads to would stay: move that here, or remove both yourself"


@dataclasses.dataclass(frozen=True)
class Pruned:
    """What came of a day that has something to be pruned.

    Attributes:
        date: The upload day.
        path: What was to be removed: the ZIP, or the directory of JSON lines.
        bytes: What it takes of the disk.
        kept: Why it is kept; nothing where it is removed, or would be.
        is_removed: Whether it is removed.
    """

    date: dt.date
    path: Path
    bytes: int
    kept: str = ""
    is_removed: bool = False


def prune(settings: Settings, keep_days: int, what: str, report: Report, *, yes: bool) -> list[Pruned]:
    """Removes a stage of older days, each under its lock, once what is left of the day has been read and holds.

    Args:
        settings: Where the data lies.
        keep_days: Settled days, counted back from the last one, of which nothing is removed.
        what: `events`: the JSON lines, of days that are loaded and whose ZIP and Parquet hold. `raw`: the ZIPs, the
            only exact copy of what Amplitude sent, of days that are loaded and of which all holds that is there.
        report: Told how far it is.
        yes: Whether ZIPs are removed; without it they are only named. JSON lines need no such word.

    Returns:
        A result for each older day that has the stage. A day that fails, for a newer version of the pipeline wrote a
        record of it or the disk refused, is kept, and does not stop the others. A stage is there whole or not at all.

    Raises:
        StorageError: The data folder itself cannot be read.
    """
    layout = Layout(settings.data_dir)
    newest = last_settled(settings) - dt.timedelta(days=keep_days)
    dates = [date for date in layout.dates() if date <= newest]
    really = yes or what == EVENTS
    results: list[Pruned] = []
    for index, date in enumerate(dates):
        report(index / len(dates), f"{date}")
        with logs.about(date, "prune"):
            if really:
                _clear_leftovers(layout, date)
            if os.path.lexists(place_of(layout, date, what)):
                results.append(_pruned(layout, date, settings, what, really=really))
    return results


def _clear_leftovers(layout: Layout, date: dt.date) -> None:
    """Removes what is staged of a complete day: a prune that was killed has left it, and no run asks for the day."""
    try:
        if any(os.path.lexists(path) for path in layout.staged(date)):
            with storage_errors(layout.root), locks.hold(layout.lock(date)):
                for path in layout.staged(date) if days.is_loaded(layout, date) else ():
                    remove(path)
    except PipelineError as error:
        logger.warning("its leftovers stay. {}", error)


def _pruned(layout: Layout, date: dt.date, settings: Settings, what: str, *, really: bool) -> Pruned:
    try:
        with storage_errors(layout.root), locks.hold(layout.lock(date)):
            try:
                return _pruned_alone(layout, date, settings, what, really=really)
            finally:
                if really:
                    with contextlib.suppress(PipelineError, OSError):  # the next prune of the day does it
                        take_back(layout, date)
    except PipelineError as error:
        place = place_of(layout, date, what)
        logger.error("{} is kept: {}", place, logs.plain(error))
        return Pruned(date, place, 0, kept=str(error))


def _pruned_alone(layout: Layout, date: dt.date, settings: Settings, what: str, *, really: bool) -> Pruned:
    """Prunes a day whose lock is held."""
    place = place_of(layout, date, what)
    found = Pruned(date, place, _bytes(place))
    why = _LINK if place.is_symlink() else _reason(layout, date, settings, what)
    if why:
        logger.warning("{} is kept: {}", place, why)
        return dataclasses.replace(found, kept=why)
    if not really:
        return found
    remove_noted(layout, date, what)
    logger.info("{} is removed: {}", place, size(found.bytes))
    return dataclasses.replace(found, is_removed=True)


def _reason(layout: Layout, date: dt.date, settings: Settings, what: str) -> str:
    """Returns why a stage of a day must be kept; nothing where it may go."""
    stages, mend = days.stages(layout, date), f" (make verify FROM={date} TO={date} REPAIR=1)"
    if not stages.is_loaded:
        return f"the day is not complete (make run DATE={date})"
    if stages.export is None:
        return "its ZIP is damaged" + mend if os.path.lexists(layout.raw_zip(date)) else "its ZIP is gone"
    if what == EVENTS:
        if stages.events is None:
            return "it is no whole stage" + mend
        strange = strange_files(layout.events_dir(date), stages.events)
        if strange:
            return f"{strange[0].name} in it is none of this pipeline: move it elsewhere"
    found = read_day(layout, date, settings, Readers(settings), _READ[what])
    if found.damage:
        first = found.damage[0]
        return f"{first.path} is damaged: {first.what}{mend}"
    return ""


def _bytes(place: Path) -> int:
    if place.is_dir():
        with os.scandir(place) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    return place.stat(follow_symlinks=False).st_size
