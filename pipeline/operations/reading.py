"""Every published byte of a day, read again and held against what the day's records say of it."""

import dataclasses
import datetime as dt
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import PipelineError, StorageError, storage_errors
from pipeline.export.check import check_json, check_members, check_zip
from pipeline.operations.readers import UNREADABLE, Check, Counted, Readers, is_of_the_disk
from pipeline.settings import Settings
from pipeline.store import days, manifest, partition
from pipeline.store.chain import EVENTS, PARQUET, RAW, REJECTED, disagreements
from pipeline.store.paths import SUCCESS, Layout
from pipeline.store.records import EventsRecord, ExportRecord, LoadRecord
from pipeline.text import count
from pipeline.warehouse.check import check_parquet, check_rejected

ALL = frozenset({RAW, EVENTS, PARQUET, REJECTED})
"""The stages whose files are read unless told."""


@dataclasses.dataclass(frozen=True)
class Damage:
    """What is wrong with a file.

    Attributes:
        stage: `raw`, `events`, `parquet` or `rejected`.
        path: The file, relative to the data folder.
        what: Why, in a few words.
    """

    stage: str
    path: Path
    what: str


@dataclasses.dataclass
class DayReport:
    """What was found of a day.

    Attributes:
        date: The upload day.
        is_stored: Whether there is anything of it.
        is_complete: Whether its records say that nothing is left to be done.
        bytes: Bytes that were read.
        damage: What is wrong, by file.
        notes: What is to be known, and is no damage.
        error: Why it could not be read to the end; None where it was. Then nobody knows whether it is whole.
    """

    date: dt.date
    is_stored: bool = True
    is_complete: bool = False
    bytes: int = 0
    damage: list[Damage] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    error: PipelineError | None = None

    def is_damaged(self, *stages: str) -> bool:
        """Tells whether one of these stages is damaged."""
        return any(damage.stage in stages for damage in self.damage)


def read_day(
    layout: Layout, date: dt.date, settings: Settings, readers: Readers, stages: frozenset[str] = ALL
) -> DayReport:
    """Reads what is published of a day; the caller holds its lock.

    Args:
        layout: Where the data lies.
        date: The day.
        settings: The archive's limits.
        readers: Read several files at once.
        stages: Those whose files are read; the records are read of all.

    Returns:
        What was found.

    Raises:
        ConfigError: A newer version of the pipeline wrote a record.
        LimitError: A ZIP is larger than the settings allow.
        StorageError: A file cannot be read, and not because the disk fails: a permission is missing.
    """
    with storage_errors(layout.root):
        return _Day(layout, date, settings).read(readers, stages)


def is_stored(layout: Layout, date: dt.date) -> bool:
    """Tells whether there is anything of a day."""
    places = (layout.raw_zip(date), layout.events_dir(date), layout.parquet_dir(date))
    return any(os.path.lexists(place) for place in places)


def strange_files(folder: Path, events: EventsRecord) -> list[Path]:
    """Returns what somebody put among a day's JSON lines; hidden files are the system's."""
    named = {SUCCESS, *(file.name for file in events.files)}
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.name not in named and not path.name.startswith(".")]


class _Day:
    def __init__(self, layout: Layout, date: dt.date, settings: Settings) -> None:
        self._layout = layout
        self._date = date
        self._settings = settings
        self._zip = layout.raw_zip(date)
        self._found = DayReport(date, is_stored=is_stored(layout, date))
        self._export = self._export_record()
        self._events = self._marker(EVENTS, layout.events_marker(date), EventsRecord)
        self._load = self._marker(PARQUET, layout.parquet_marker(date), LoadRecord)

    def read(self, readers: Readers, stages: frozenset[str]) -> DayReport:
        self._find_remains()
        markers = {EVENTS: self._layout.events_marker(self._date), PARQUET: self._layout.parquet_marker(self._date)}
        for stage, what in disagreements(self._export, self._events, self._load):
            self._damaged(stage, markers[stage], what)
        for check, size, wrong in readers.each(check for check in self._checks(readers) if check.stage in stages):
            self._found.bytes += size
            if wrong:
                self._damaged(check.stage, check.path, wrong)
        self._found.damage.sort(key=lambda damage: damage.path)
        self._note()
        return self._found

    def _export_record(self) -> ExportRecord | None:
        try:
            return days.export_record(self._layout, self._date)
        except StorageError as error:
            if not is_of_the_disk(error):
                raise
            return None  # the check of the ZIP says why

    def _marker(self, stage: str, path: Path, kind: type[manifest.Marker]) -> manifest.Marker | None:
        try:
            record, wrong = manifest.examine_marker(path, kind, self._date)
        except OSError as error:
            if not is_of_the_disk(error):
                raise
            record, wrong = None, UNREADABLE
        if wrong:
            self._damaged(stage, path, wrong)
        return record

    def _find_remains(self) -> None:
        """Finds Parquet whose marker is gone, and no stage before it from which a run would make it anew."""
        if self._export or self._events or os.path.lexists(self._layout.parquet_marker(self._date)):
            return
        for path in partition.parquet_files(self._layout, self._date):
            self._damaged(PARQUET, path, "its marker is gone, and there is nothing to make it anew from")

    def _damaged(self, stage: str, path: Path, what: str) -> None:
        self._found.damage.append(Damage(stage, path.relative_to(self._layout.root), what))

    def _checks(self, readers: Readers) -> Iterator[Check]:
        """Yields the checks of the files, the largest first."""
        if os.path.lexists(self._zip):
            yield Check(RAW, self._zip, self._check_zip)
        for parquet in self._load.files if self._load else ():
            path = self._layout.parquet_dir(self._date) / parquet.name
            yield Check(PARQUET, path, functools.partial(check_parquet, path, parquet, readers.rows))
        if self._load and self._load.rejected:
            path = self._layout.rejected_dir(self._date) / self._load.rejected.name
            yield Check(REJECTED, path, functools.partial(check_rejected, path, self._load.rejected))
        for file in sorted(self._events.files, key=lambda file: -file.bytes) if self._events else ():
            path = self._layout.events_dir(self._date) / file.name
            yield Check(EVENTS, path, functools.partial(check_json, path, file))

    def _check_zip(self, counted: Counted) -> str:
        known = [record.export for record in (self._events, self._load) if record]
        # Where its record does not read, the ZIP is damaged, and the check of it says where.
        ref = next((ref for ref in known if self._export is None or ref.id == self._export.id), None)
        wrong = check_zip(self._zip, self._date, ref, self._settings, counted)
        if wrong or self._export is None:
            return wrong or "it does not begin with this pipeline's record of the day"
        if self._events and self._events.export.id == self._export.id:
            return check_members(self._zip, self._events.files, self._settings)
        return ""

    def _note(self) -> None:
        """Notes what is missing and what nobody named; of a damaged day it is said once it is mended."""
        found, load, marker = self._found, self._load, self._layout.events_marker(self._date)
        redo = days.redo_asked(self._layout, self._date)
        found.is_complete = days.Stages(self._export, self._events, load, redo).is_loaded
        if found.is_stored and not found.is_complete and not found.damage:
            asked = "it is asked to be done again (make force)" if redo and load else "it is not complete"
            found.notes.append(f"{asked}: make run DATE={self._date}")
        if load and found.is_complete:
            found.notes += self._notes_of(load)
        strange = strange_files(marker.parent, self._events) if self._events else []
        strange += partition.strange_files(self._layout, self._date)
        found.notes += [f"{path} is none of its files" for path in strange]

    def _notes_of(self, load: LoadRecord) -> Iterator[str]:
        """Yields what a complete day lacks."""
        if load.unproven_hours:
            yield (
                f"imported; nothing proves that the {count(load.unproven_hours, 'hour')} without a file had no events"
                " (make recheck FROM= TO= asks Amplitude)"
            )
        if not self._zip.is_file():
            yield f"its ZIP is {self._gone(load, RAW)}"
        if not self._layout.events_marker(self._date).is_file():
            yield f"its JSON lines are {self._gone(load, EVENTS)}"

    def _gone(self, load: LoadRecord, stage: str) -> str:
        place = self._zip if stage == RAW else self._layout.events_dir(self._date)
        # Where the folder stands without its marker, that was no prune, whatever was noted before.
        pruned = None if os.path.lexists(place) else load.pruned.get(stage)
        if pruned:
            return f"gone: pruned on {pruned:%Y-%m-%d}"
        todo = (
            "make force DATE= fetches the day anew, as Amplitude has it by then"
            if stage == RAW
            else "no command needs them"
        )
        return f"gone, and not by make prune ({todo})"
