"""A day's partition: files that carry their generation in the name, and the marker that says which of them count."""

import datetime as dt
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

import msgspec

from pipeline.store import manifest, quarantine
from pipeline.store.paths import SUCCESS, Layout
from pipeline.store.publish import make_dirs, place_file, publish_file, remove, staging, sync
from pipeline.store.records import LoadRecord, Recheck

_OURS = re.compile(r"(events|rejected)-[0-9a-f]{8}(-\d+)?\.(parquet|jsonl)")


def events_name(generation: str, number: int, files: int) -> str:
    """Returns the name of a Parquet file: `events-3f2a9c1b.parquet`, numbered where there are several.

    Args:
        generation: The load's id.
        number: Which file it is, from 0 on.
        files: How many there are.
    """
    return f"events-{generation[:8]}{f'-{number}' if files > 1 else ''}.parquet"


def rejected_name(generation: str) -> str:
    """Returns the name of the file of rejected lines: `rejected-3f2a9c1b.jsonl`."""
    return f"rejected-{generation[:8]}.jsonl"


def publish_partition(layout: Layout, record: LoadRecord, part: Path) -> None:
    """Moves a day's staged files beside what stands there, and makes them count by replacing the marker.

    The files that counted before stay until the day is done again or `superseded` is cleared: readers still have them
    open, and the warehouse names them until the run ends.

    Args:
        layout: Where it goes.
        record: Names the files; it becomes the marker.
        part: The staging directory, which holds them.

    Raises:
        OSError: The file system refused; then what counted before still does.
    """
    final, rejected = layout.parquet_dir(record.date), layout.rejected_dir(record.date)
    before = manifest.read_marker(final / SUCCESS, LoadRecord, record.date)
    if before is None and os.path.lexists(final / SUCCESS):  # whatever it names, it may be the only copy of that
        quarantine.copy_aside(layout, record.date, final, "its marker could not be read, and the day was loaded anew")
    keep = _named(record) | (_named(before) if before else set())
    make_dirs(final)
    for path in superseded(layout, record.date, keep):
        remove(path)
    if record.rejected:
        _publish_rejected(layout, record.date, part / record.rejected.name)
    for file in record.files:
        place_file(part / file.name, final / file.name)
    sync(final)
    marker = part / SUCCESS
    marker.write_bytes(manifest.encode(record))
    publish_file(marker, final / SUCCESS)
    if rejected.is_dir() and not any(rejected.iterdir()):
        rejected.rmdir()


def note_recheck(layout: Layout, record: LoadRecord, recheck: Recheck) -> LoadRecord:
    """Notes in a day's marker what Amplitude had of it when it was asked again; the caller holds the day's lock.

    Args:
        layout: Where the data lies.
        record: The marker as it stands.
        recheck: Goes behind those that it has.

    Returns:
        The marker as it stands now: the same load, with the same id.

    Raises:
        OSError: The file system refused; then the marker is what it was before.
    """
    return _noted(layout, msgspec.structs.replace(record, rechecks=[*record.rechecks, recheck]))


def note_pruned(layout: Layout, record: LoadRecord, stage: str) -> LoadRecord:
    """Notes in a day's marker that a stage before it is pruned now, else as `note_recheck`.

    Args:
        layout: Where the data lies.
        record: The marker as it stands.
        stage: `events` or `raw`.
    """
    pruned = {**record.pruned, stage: dt.datetime.now(dt.UTC)}
    return _noted(layout, msgspec.structs.replace(record, pruned=pruned))


def note_standing(layout: Layout, record: LoadRecord, stages: Collection[str]) -> LoadRecord:
    """Takes back that stages before it are pruned, for they stand, else as `note_recheck`.

    Args:
        layout: Where the data lies.
        record: The marker as it stands.
        stages: Of `events` and `raw`.
    """
    pruned = {stage: at for stage, at in record.pruned.items() if stage not in stages}
    return _noted(layout, msgspec.structs.replace(record, pruned=pruned))


def _noted(layout: Layout, record: LoadRecord) -> LoadRecord:
    part = layout.parquet_part(record.date)
    with staging(part):
        part.mkdir()
        (part / SUCCESS).write_bytes(manifest.encode(record))
        publish_file(part / SUCCESS, layout.parquet_marker(record.date))
    remove(part)
    return record


def rechecks(layout: Layout, date: dt.date) -> list[Recheck]:
    """Returns what was noted of a day, also where its files are damaged: the load that replaces it carries it over."""
    record = manifest.read_marker(layout.parquet_marker(date), LoadRecord, date)
    return record.rechecks if record else []


def publish_refused(layout: Layout, date: dt.date, path: Path) -> Path:
    """Brings the rejected lines of a day that is refused for them to their place, over those of an earlier try.

    Returns:
        The place.

    Raises:
        OSError: The file system refused.
    """
    for other in superseded(layout, date):
        if other.parent == layout.rejected_dir(date):
            remove(other)
    return _publish_rejected(layout, date, path)


def _publish_rejected(layout: Layout, date: dt.date, path: Path) -> Path:
    final = layout.rejected_dir(date) / path.name
    part = layout.rejected_part(date)
    make_dirs(final.parent)
    with staging(part):
        shutil.move(path, part)  # it was made beside the Parquet, which may be on another disk
        publish_file(part, final)
    return final


def superseded(layout: Layout, date: dt.date, named: set[str] | None = None) -> list[Path]:
    """Returns the files of a day's partition, and of its rejected lines, that do not count.

    Args:
        layout: Where the data lies.
        date: The day.
        named: The names that count; those of the marker unless given. Where there is a marker that cannot be read, or
            none and no stage before it that they are made of, nobody knows, and none is returned.
    """
    if named is None:
        record = manifest.read_load_record(layout.parquet_dir(date), date)
        places = (layout.raw_zip(date), layout.events_marker(date))
        if record is None and (layout.parquet_marker(date).exists() or not any(map(os.path.lexists, places))):
            return []
        named = _named(record) if record else set()
    return [path for path in _files(layout, date) if path.name not in named]


def parquet_files(layout: Layout, date: dt.date) -> list[Path]:
    """Returns the files of a day's partition, whether they count or not."""
    return [path for path in _files(layout, date) if path.parent == layout.parquet_dir(date)]


def strange_files(layout: Layout, date: dt.date) -> list[Path]:
    """Returns what somebody put among a day's partition or its rejected lines; hidden files are the system's."""
    found = [path for path in _entries(layout, date) if not _OURS.fullmatch(path.name)]
    return sorted(path for path in found if path.name != SUCCESS and not path.name.startswith("."))


def generation(path: Path) -> str:
    """Returns the first digits of the load's id that a file of a partition carries in its name."""
    return path.name.partition("-")[2][:8]


def _files(layout: Layout, date: dt.date) -> list[Path]:
    return sorted(path for path in _entries(layout, date) if _OURS.fullmatch(path.name))


def _entries(layout: Layout, date: dt.date) -> list[Path]:
    folders = (layout.parquet_dir(date), layout.rejected_dir(date))
    return [path for folder in folders if folder.is_dir() for path in folder.iterdir()]


def _named(record: LoadRecord) -> set[str]:
    return {file.name for file in record.files} | ({record.rejected.name} if record.rejected else set())
