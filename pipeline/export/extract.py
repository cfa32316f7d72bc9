"""A day's ZIP to one published directory of JSON lines."""

import datetime as dt
import os
import threading
import time
from collections import Counter
from pathlib import Path

from loguru import logger

from pipeline import __version__, text, threads
from pipeline.errors import ArchiveError, LimitError, StorageError, TransientError, storage_errors
from pipeline.export.archive import Archive, Member, parse_name
from pipeline.export.gunzip import Gunzip
from pipeline.export.lines import LineCounter
from pipeline.export.windows import HOURS, REFUSED
from pipeline.progress import Progress, Report
from pipeline.settings import Settings
from pipeline.store import days, digests, manifest, quarantine
from pipeline.store.paths import SUCCESS, Layout
from pipeline.store.publish import make_dirs, publish_directory, remove, staging, sync
from pipeline.store.records import EventsFile, EventsRecord, ExportRecord, ExportRef, Hour, Totals


def extract_day(date: dt.date, settings: Settings, report: Report) -> EventsRecord:
    """Gunzips each member of a day's ZIP and publishes the files, their manifest last.

    Args:
        date: The upload day, UTC.
        settings: Where the data lies; threads and limits.
        report: Told how far it is.

    Returns:
        The manifest.

    Raises:
        ArchiveError: The ZIP is damaged or hostile; it is put aside, so that the next run fetches it.
        LimitError: It is larger than the settings allow; it stays where it is.
        StorageError: The disk refused, or a foreign file is in the way; what stood there stands.
    """
    layout = Layout(settings.data_dir)
    zip_path, part, final = layout.raw_zip(date), layout.events_part(date), layout.events_dir(date)
    with storage_errors(part):
        make_dirs(part.parent)
        _refuse_foreign(final, date)
        try:
            with staging(part):
                part.mkdir()
                record = write_events(zip_path, date, part, settings, report, durable=True)
                _write_marker(part / SUCCESS, record)
        except LimitError as error:
            raise LimitError(f"{zip_path}: {error.what}", error.todo) from None
        except ArchiveError as error:
            kept = quarantine.put_aside(layout, date, zip_path, error.what)
            raise ArchiveError(f"{zip_path}: {error.what}; it is kept as {kept}", error.todo) from None
        if os.path.lexists(final / SUCCESS) and manifest.read_marker(final / SUCCESS, EventsRecord, date) is None:
            # Whatever it told of, it may be the only copy of that.
            quarantine.copy_aside(layout, date, final, "its marker could not be read, and the day was extracted anew")
        _tell_replacement(days.events_record(layout, date), record)
        publish_directory(part, final)
        remove(layout.windows_dir(date))  # a run that was killed once its ZIP was published left them
        remove(layout.recheck(date).root)  # what a recheck fetched before is older than this, and must not replace it
    return record


def write_events(
    zip_path: Path, date: dt.date, directory: Path, settings: Settings, report: Report, *, durable: bool
) -> EventsRecord:
    """Gunzips each member of a day's ZIP to a file, several at once, with memory that does not grow with them.

    Args:
        zip_path: The day's ZIP.
        date: Its day.
        directory: Where the files are written; it is there and empty.
        settings: Threads and limits.
        report: Told how far it is.
        durable: Whether each file is synced.

    Returns:
        The manifest, not yet written.

    Raises:
        ArchiveError: The ZIP is damaged or hostile.
        OSError: The disk refused.
    """
    began = time.monotonic()
    export = manifest.read_export_record(zip_path, date)
    if export is None:
        raise ArchiveError("it does not begin with this pipeline's record of the day")
    with Archive(zip_path, settings) as archive:
        digest = threads.start(digests.sha256, zip_path)
        members = archive.of_day(date, range(HOURS))
        work = _Extraction(archive, directory, settings, durable=durable)
        files = work.run(members, Progress(report, "beginning"))
        size, sha256 = digest.result()
    return _record(export, files, _ref(export, size, sha256), began)


class _Extraction:
    """The members of one archive on their way to files."""

    def __init__(self, archive: Archive, directory: Path, settings: Settings, *, durable: bool) -> None:
        self._archive = archive
        self._directory = directory
        self._settings = settings
        self._durable = durable
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._bytes = 0
        self._begun: list[Gunzip] = []

    def run(self, members: list[Member], progress: Progress) -> list[EventsFile]:
        """Writes the members' files; returns them by hour and part."""
        self._progress = progress
        total = sum(member.bytes for member in members)
        files: list[EventsFile] = []

        def tell() -> None:
            share = sum(gunzip.read for gunzip in list(self._begun)) / total
            progress.set(share, f"file {len(files)} of {len(members)}")

        # The largest first: none is left to run alone at the end.
        largest_first = sorted(members, key=lambda member: -member.bytes)
        for file in threads.each(self._write, largest_first, self._settings.cores, self._stop, tell):
            files.append(file)
            tell()
        return sorted(files, key=lambda file: (file.hour, file.part))

    def _write(self, member: Member) -> EventsFile:
        gunzip, pieces = self._archive.json(member)
        self._begun.append(gunzip)
        counter = LineCounter()
        file = os.open(self._directory / member.file_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            for piece in pieces:
                self._count(len(piece))
                counter.add(piece)
                _write_all(file, piece)
            if self._durable:
                os.fsync(file)
        finally:
            os.close(file)
        return EventsFile(
            name=member.file_name,
            app=member.app,
            hour=member.hour,
            part=member.part,
            bytes=gunzip.bytes,
            lines=counter.lines,
            blank_lines=counter.blank_lines,
            events=counter.lines - counter.blank_lines,
            crc32=f"{gunzip.crc32:08x}",
        )

    def _count(self, size: int) -> None:
        if self._stop.is_set():
            raise TransientError("the extraction was stopped")
        self._progress.add(size)
        with self._lock:
            self._bytes += size
        if self._bytes > self._settings.max_day_bytes:
            raise LimitError(
                f"its files become more than {self._settings.max_day_bytes} bytes",
                "If it is honest, raise PIPELINE_MAX_DAY_BYTES, then run it again.",
            )


def _write_all(file: int, piece: bytes) -> None:
    written = os.write(file, piece)
    while written < len(piece):
        written += os.write(file, piece[written:])


def _ref(export: ExportRecord, size: int, sha256: str) -> ExportRef:
    answered = (window.requested_at for window in export.windows if window.status not in REFUSED)
    newest = max(answered, default=None)
    return ExportRef(id=export.id, bytes=size, sha256=sha256, source=export.source, fetched_at=newest)


def _record(export: ExportRecord, files: list[EventsFile], ref: ExportRef, began: float) -> EventsRecord:
    events: Counter[int] = Counter()
    for file in files:
        events[file.hour] += file.events
    return EventsRecord(
        id=days.new_id(),
        date=export.date,
        app=export.app,
        host=export.host,
        redo=export.redo,
        export=ref,
        hours=[Hour(hour=h.hour, status=h.status, events=events[h.hour]) for h in export.hours],
        files=files,
        totals=Totals(
            files=len(files),
            bytes=sum(file.bytes for file in files),
            lines=sum(file.lines for file in files),
            blank_lines=sum(file.blank_lines for file in files),
            events=sum(file.events for file in files),
        ),
        pipeline=__version__,
        seconds={"extract": round(time.monotonic() - began, 3)},
    )


def _refuse_foreign(directory: Path, date: dt.date) -> None:
    """Refuses to replace a directory that holds what is none of the day's; hidden files are the system's."""
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        parsed = parse_name(f"{path.name.partition('_')[0]}/{path.name}.gz")
        ours = path.name == SUCCESS or (parsed is not None and parsed[1] == date)
        if not ours and not path.name.startswith("."):
            whose = f"of {parsed[1]}" if parsed else "no file of this pipeline"
            raise StorageError(
                f"{path} is {whose}, and the directory is replaced whole",
                "Move it elsewhere, then run it again.",
            )


def _write_marker(path: Path, record: EventsRecord) -> None:
    path.write_bytes(manifest.encode(record))
    sync(path)


def _tell_replacement(old: EventsRecord | None, new: EventsRecord) -> None:
    if old is not None:
        logger.info(text.replaced("events", old.totals.events, new.totals.events))
