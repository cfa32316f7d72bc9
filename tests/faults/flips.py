"""Archives and files with one bit, or their end, gone wrong: each goes through a door of the pipeline, and what it lets in
must be what was sent.

As a program, `python flips.py DEFECT` prints how many changes pass the first door unseen once a safeguard is taken away.
"""

import contextlib
import dataclasses
import gzip
import os
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import seeded_storage
from archives import DAY, day_zip, export, flips
from loguru import logger

from pipeline.errors import PipelineError
from pipeline.export.archive import Archive
from pipeline.export.extract import extract_day
from pipeline.export.imports import import_day
from pipeline.export.staging import Staging
from pipeline.export.windows import Window
from pipeline.sandbox import generator
from pipeline.sandbox.archive import stream
from pipeline.settings import Settings
from pipeline.store import days
from pipeline.store.paths import Layout
from pipeline.warehouse.load import load_day

Texts = dict[str, bytes]
"""The JSON of a day's members by their names, without the project's folder."""


def members(*hours: int) -> list[generator.Member]:
    """Returns the members of some hours of a small generated day."""
    return list(generator.members(DAY, hours, 1))


def sent(hours: Iterable[int]) -> bytes:
    """Returns the answer of Amplitude's API for some hours, as the sandbox streams it."""
    return b"".join(stream(members(*hours), (2026, 1, 16, 4, 0, 0)))


def truncated(data: bytes) -> Iterator[bytes]:
    """Yields the bytes cut off at each place."""
    return (data[:length] for length in range(len(data)))


def flipped(data: bytes) -> Iterator[bytes]:
    """Yields the bytes with each of their bits flipped in turn."""
    return flips(data)


@dataclasses.dataclass
class Outcome:
    """What became of many damaged files.

    Attributes:
        points: How many there were.
        accepted: How many were taken.
        silent: Those that were taken, by their place in the row, and are not what was sent.
    """

    points: int = 0
    accepted: int = 0
    silent: list[int] = dataclasses.field(default_factory=list)


class Door:
    """A way by which a file comes in.

    Args:
        root: A folder of its own.
    """

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root / "data")
        self.settings = Settings(data_dir=root / "data", max_ratio=1 << 20)
        self.place = root / "export.zip"

    def honest(self) -> bytes:
        """Returns the bytes that are damaged in turn."""
        return sent((7, 8, 9, 10))

    def enter(self) -> Texts:
        """Lets in what stands at `place`; returns what is then there.

        Raises:
            PipelineError: It was refused.
        """
        raise NotImplementedError

    def try_all(self, damage: Callable[[bytes], Iterator[bytes]], step: int = 1, first: int = 0) -> Outcome:
        """Tries every damaged file, or each so many-th, and compares what came in with what comes in undamaged."""
        honest = self.honest()
        truth = self._enter(honest)
        outcome = Outcome()
        for number, data in enumerate(damage(honest)):
            if number % step == first:
                outcome.points += 1
                with contextlib.suppress(PipelineError):
                    found = self._enter(data)
                    outcome.accepted += 1
                    if found != truth:
                        outcome.silent.append(number)
        return outcome

    def _enter(self, data: bytes) -> Texts:
        self.place.parent.mkdir(parents=True, exist_ok=True)
        self.place.write_bytes(data)
        return self.enter()


class WindowDoor(Door):
    """A window's ZIP that the download has received, and what publishing then takes of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        project = days.project(self.layout, DAY)
        self._staging = Staging(self.layout, self.settings, DAY, redo=None, project=project, key="")

    def enter(self) -> Texts:
        self._staging.verify(Window(7, 10), self.place)
        with Archive(self.place, self.settings) as archive:
            return {member.file_name: _gunzipped(b"".join(archive.stored(member))) for member in archive.members}


class DeflatedDoor(WindowDoor):
    """The same, of a ZIP that deflates its members."""

    def honest(self) -> bytes:
        return export({member.name: member.data for member in members(7, 8, 9, 10)}, zipfile.ZIP_DEFLATED)


class ImportDoor(Door):
    """A ZIP that is imported, and the day's ZIP that is then published."""

    def enter(self) -> Texts:
        final = self.layout.raw_zip(DAY)
        final.unlink(missing_ok=True)
        try:
            import_day(DAY, self.place, self.settings)
        finally:
            assert self._leftovers() == []
        return _of_zip(final)

    def _leftovers(self) -> list[Path]:
        return list(self.layout.leftovers())


class FolderDoor(ImportDoor):
    """A folder of Amplitude's S3 export with one file: gzip alone guards it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._member = members(7)[0]
        self.place = root / "s3" / self._member.name.rpartition("/")[2]

    def honest(self) -> bytes:
        return self._member.data

    def enter(self) -> Texts:
        file, self.place = self.place, self.place.parent
        try:
            return super().enter()
        finally:
            self.place = file


class ExtractionDoor(Door):
    """A published ZIP that the disk changed, and the events that are then published."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.place = self.layout.raw_zip(DAY)

    def honest(self) -> bytes:
        return day_zip(self.layout, {member.name: member.data for member in members(7, 8, 9)}).read_bytes()

    def enter(self) -> Texts:
        final = self.layout.events_dir(DAY)
        shutil.rmtree(final, ignore_errors=True)
        try:
            record = extract_day(DAY, self.settings, _silent)
        except PipelineError:
            assert not final.exists()
            raise
        finally:
            assert list(self.layout.leftovers()) == []
        told = repr((record.export.id, record.app, record.host, record.redo, record.hours, record.totals)).encode()
        return {"told": told, **{path.name: path.read_bytes() for path in final.iterdir() if path.suffix == ".json"}}


class LoadDoor(Door):
    """A published file of JSON lines that the disk changed, and the partition that is then published."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        member = members(7)[0]
        day_zip(self.layout, {member.name: member.data})
        extract_day(DAY, self.settings, _silent)
        self._whole = {path: path.read_bytes() for path in self.layout.events_dir(DAY).iterdir()}
        self.place = next(path for path in self._whole if path.suffix == ".json")

    def honest(self) -> bytes:
        return self._whole[self.place]

    def enter(self) -> Texts:
        for path, data in self._whole.items():  # a load that refuses takes the marker away
            if path != self.place:
                path.write_bytes(data)
        return {"rows": repr(load_day(DAY, self.settings, _silent).counts).encode(), "json": self.place.read_bytes()}


def _silent(_share: float | None, _text: str) -> None:
    """Nobody is told."""


def _gunzipped(data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return b"no whole gzip: " + data


def _of_zip(path: Path) -> Texts:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gz")]
        return {name.rpartition("/")[2].removesuffix(".gz"): _gunzipped(archive.read(name)) for name in names}


@contextlib.contextmanager
def ground() -> Iterator[Path]:
    """Yields a folder, in memory where there is one: no sync is on trial here, and each takes its time. Nothing is logged."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    logger.disable("pipeline")
    try:
        with tempfile.TemporaryDirectory(prefix="flips-", dir=memory) as folder:
            yield Path(folder)
    finally:
        logger.enable("pipeline")


if __name__ == "__main__":
    seeded_storage.DEFECTS[sys.argv[1]]()
    with ground() as folder:
        print(len(WindowDoor(folder).try_all(flipped, step=int(sys.argv[2])).silent))
