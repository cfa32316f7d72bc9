"""`make verify`: every published byte of the days asked for, read again; a green run is no proof, this is."""

import contextlib
import datetime as dt
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from pipeline import logs, threads
from pipeline.errors import PipelineError, StorageError, storage_errors
from pipeline.export.settled import last_settled
from pipeline.operations.readers import Readers
from pipeline.operations.reading import DayReport, is_stored, read_day
from pipeline.progress import Progress, Report
from pipeline.settings import Settings
from pipeline.store import days, locks
from pipeline.store.paths import Layout
from pipeline.warehouse import catalog


def verify(settings: Settings, first: dt.date | None, last: dt.date | None, report: Report) -> list[DayReport]:
    """Reads every published byte of days, each under its lock, and holds it against what was recorded of it.

    The ZIP, the Parquet and the rejected lines by their SHA-256; the JSON lines by the CRC-32 that Amplitude's gzip
    had; each marker by its own check; and the counts from the ZIP's members to the rows.

    Args:
        settings: Where the data lies; threads and limits.
        first: The first day, UTC; the first that is stored unless given.
        last: The last day, included; the last settled one, unless given, where `first` is, else the last that is
            stored.
        report: Told how far it is.

    Returns:
        A report a day: of one of which nothing is stored, `is_stored` is False. A day that cannot be read to the end
        (a newer version of the pipeline wrote a record, a ZIP is larger than the settings allow, a permission is
        missing) says so by its `error`, and does not stop the others.

    Raises:
        StorageError: The data folder itself cannot be read.
    """
    layout = Layout(settings.data_dir)
    dates = _dates(layout, first, last, settings)
    progress = Progress(report, "beginning")
    readers = Readers(settings, progress.add)
    total = sum(_bytes(layout, date) for date in dates)
    found: list[DayReport] = []

    def tell() -> None:
        # Markers, and what does not count any more, are in the total and are not read.
        share = min(progress.bytes / total, 1) if total and len(found) < len(dates) else 1
        progress.set(share, f"{len(found)} of {len(dates)} days")

    def work(date: dt.date) -> DayReport:
        return _verified(layout, date, settings, readers)

    # Several days at once: a small one is read in less time than its lock takes.
    for day in threads.each(work, dates, settings.cores, readers.stop, tell):
        found.append(day)
        tell()
    return sorted(found, key=lambda day: day.date)


def is_wrong(day: DayReport, *, asked: bool) -> bool:
    """Tells whether a day fails the verification.

    Args:
        day: What was found of it.
        asked: Whether a range was asked for: it is whole only where each of its days is there.
    """
    return bool(day.damage) or day.error is not None or ((asked or day.is_stored) and not day.is_complete)


def warehouse_note(settings: Settings) -> str:
    """Returns what is to be known of the DuckDB file, which is derived and so no damage; empty where it is current."""
    layout = Layout(settings.data_dir)
    try:
        if catalog.is_current(settings) or not layout.partitions():
            return ""
    except PipelineError as error:
        return f"whether {layout.warehouse()} is up to date cannot be told: {error.what}"
    return f"{layout.warehouse()} is not up to date, or damaged: make status makes it anew"


def _dates(layout: Layout, first: dt.date | None, last: dt.date | None, settings: Settings) -> list[dt.date]:
    stored = layout.dates()
    if first is None and last is None:
        return days.between(stored[0], stored[-1]) if stored else []
    first = first or (stored[0] if stored else last)
    last = last or last_settled(settings)
    return days.between(first, last) if first else []


def _verified(layout: Layout, date: dt.date, settings: Settings, readers: Readers) -> DayReport:
    with logs.about(date, "verify"):
        try:
            if not is_stored(layout, date):  # a lock would be a trace of what is not there
                return DayReport(date, is_stored=False)
            with storage_errors(layout.root), contextlib.ExitStack() as stack:
                note = _lock(stack, layout, date)
                found = read_day(layout, date, settings, readers)
        except PipelineError as error:
            return DayReport(date, error=error)
        found.notes += [note] if note else []
        return found


def _lock(stack: contextlib.ExitStack, layout: Layout, date: dt.date) -> str:
    """Takes a day's lock; returns why it goes without: of a copy that is only to be read, nobody changes a day."""
    try:
        stack.enter_context(locks.hold(layout.lock(date)))
    except StorageError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        return f"read without its lock: {layout.lock(date).parent}: {cause.strerror}"
    return ""


def _bytes(layout: Layout, date: dt.date) -> int:
    """Returns the bytes that are about to be read; what cannot be looked at, the reading itself says."""
    found = 0
    with contextlib.suppress(OSError):
        for path in _files(layout, date):
            found += path.stat().st_size
    return found


def _files(layout: Layout, date: dt.date) -> Iterator[Path]:
    if layout.raw_zip(date).is_file():
        yield layout.raw_zip(date)
    for folder in (layout.events_dir(date), layout.parquet_dir(date), layout.rejected_dir(date)):
        if folder.is_dir():
            with os.scandir(folder) as entries:
                yield from (Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False))
