"""A day's JSON lines to its published partition of Parquet."""

import contextlib
import datetime as dt
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import duckdb
from loguru import logger

from pipeline import __version__, text
from pipeline.errors import DamagedError, LoadError, MemoryLimitError, PipelineError, storage_errors
from pipeline.progress import Progress, Report
from pipeline.settings import Settings
from pipeline.store import days, digests, manifest, partition
from pipeline.store.chain import EVENTS, RAW
from pipeline.store.paths import Layout
from pipeline.store.publish import make_dirs, remove, staging
from pipeline.store.records import (
    Counts,
    EventsRecord,
    EventsRef,
    LoadRecord,
    ParquetFile,
    RejectedFile,
    Span,
)  # fmt: skip
from pipeline.warehouse import account, catalog, duck, duplicates, parquet
from pipeline.warehouse.events import SCHEMA
from pipeline.warehouse.readers import scan_files
from pipeline.warehouse.scan import FileScan


def load_day(date: dt.date, settings: Settings, report: Report) -> LoadRecord:
    """Types a day's events, leaves its duplicates out, keeps its bad lines apart, and publishes the partition.

    Args:
        date: The upload day, UTC.
        settings: Where the data lies; processes, memory and limits.
        report: Told how far it is.

    Returns:
        The manifest.

    Raises:
        LoadError: The events are damaged, too many of the lines are no events, or the rows do not add up.
        StorageError: The disk refused, or the memory does not do; what stood there stands.
    """
    layout = Layout(settings.data_dir)
    part = layout.parquet_part(date)
    with storage_errors(part):
        events = days.events_record(layout, date)
        if events is None:
            raise LoadError(f"{layout.events_dir(date)}/ is not whole any more", "Run it again: it is made anew.")
        make_dirs(part.parent)
        with staging(part):
            part.mkdir()
            load = Load(layout, events, part, settings, Progress(report, "reading"))
            record = load.run()
            _tell_replacement(days.load_record(layout, date), record)
            if partition.superseded(layout, date):
                # They go now; where a run was killed before its refresh, the warehouse still names them.
                with contextlib.suppress(PipelineError):  # the refresh at the run's end fails too, and says why
                    catalog.refresh(settings)
            partition.publish_partition(layout, record, part)
        remove(part)
        days.clear_redo(layout, date, record.redo)
    return record


_Written = tuple[duplicates.Duplicates, list[ParquetFile], parquet.Written]


class Load:
    """One load of a day, in a staging directory.

    Args:
        layout: Where the events lie.
        events: What was extracted.
        part: The staging directory; it is there and empty.
        settings: Processes, memory and limits.
        progress: Told how far it is.
    """

    def __init__(
        self, layout: Layout, events: EventsRecord, part: Path, settings: Settings, progress: Progress
    ) -> None:
        self._layout = layout
        self._events = events
        self._part = part
        self._settings = settings
        self._progress = progress
        self._id = days.new_id()
        self._files = [layout.events_dir(events.date) / file.name for file in events.files]
        self._rejected = part / partition.rejected_name(self._id)

    def run(self) -> LoadRecord:
        """Writes the files, reads them back and counts; returns the manifest, not yet written.

        Raises:
            LoadError: As `load_day` says.
        """
        began = time.monotonic()
        scans = self._scan(thorough=False)
        try:
            found, files, written = self._written(scans, "rows")
        except duck.RefusedError as error:
            logger.info("read again line by line, for DuckDB refuses what looked clean: {}", str(error)[:200])
            scans = self._scan(thorough=True)
            try:
                found, files, written = self._written(scans, "exact")
            except duck.RefusedError as again:
                raise LoadError(f"DuckDB does not read the day: {str(again)[:300]}", account.REPORT) from again
        if found.apart:
            with self._rejected.open("ab") as out:
                _append(found.apart, out)
        counts = account.counted(scans, found, written)
        self._check(counts)
        return self._record(counts, written, files, time.monotonic() - began)

    def _scan(self, *, thorough: bool) -> list[FileScan]:
        """Reads every line; what is no event goes to the file of rejected lines."""
        scratch = self._part / days.new_id()  # a worker of a killed run may still write into its own
        scratch.mkdir()
        pairs = list(zip(self._files, self._events.files, strict=True))
        try:
            scans = scan_files(pairs, scratch, self._settings, self._progress, thorough=thorough, share=_READ)
        except DamagedError as error:
            raise self._anew(error) from error
        with self._rejected.open("wb") as out:
            for scan in scans:
                if scan.rejects:
                    _append(Path(scan.rejects), out)
        self._refuse_rejects(sum(scan.rejected for scan in scans))
        return scans

    def _written(self, scans: Sequence[FileScan], name: str) -> _Written:
        """Does `_write`; where the memory does not do for several threads, with one."""
        try:
            return self._write(scans, name, self._settings.cores)
        except MemoryLimitError as error:
            logger.info("again with one thread: {}", error.what)
            return self._write(scans, f"{name}-alone", 1)

    def _write(self, scans: Sequence[FileScan], name: str, threads: int) -> _Written:
        """Finds the duplicates, writes the Parquet, and reads it back."""
        date = self._events.date
        uuids = [Path(scan.uuids) for scan in scans if scan.uuids]
        found = duplicates.Duplicates()
        with duck.session(self._part / "spill", self._settings.load_memory, threads) as connection:
            self._progress.set(_READ, "looking for duplicates")
            if duplicates.find_repeated(connection, uuids):
                kept, apart = self._part / f"{name}.kept.json", self._part / f"{name}.apart.jsonl"
                most = self._settings.max_event_bytes
                found = duplicates.resolve(connection, uuids, self._files, kept, apart, most)
            self._progress.set(0.5, "writing the Parquet")
            sources = parquet.Sources(
                clean=[Path(scan.clean) for scan in scans if scan.clean],
                odd=[Path(scan.odd) for scan in scans if scan.odd],
                kept=found.kept,
                longest=max((scan.longest_odd for scan in scans), default=0) + found.longest,
            )
            paths = parquet.write_rows(connection, date, sources, self._part / name)
            self._progress.set(0.9, "reading it back")
            written = parquet.read_back(connection, date, paths)
            files = [self._named(connection, path, number, len(paths)) for number, path in enumerate(paths)]
        return found, files, written

    def _named(self, connection: duckdb.DuckDBPyConnection, path: Path, number: int, files: int) -> ParquetFile:
        final = path.rename(self._part / partition.events_name(self._id, number, files))
        size, sha256 = digests.sha256(final)
        return ParquetFile(name=final.name, rows=parquet.count_rows(connection, final), bytes=size, sha256=sha256)

    def _refuse_rejects(self, rejects: int) -> None:
        """Refuses the day where more of its lines are no events than the setting allows; they are kept to look at."""
        if account.too_many(rejects, self._events, self._settings.max_rejected):
            place = partition.publish_refused(self._layout, self._events.date, self._rejected)
            raise account.refusal(rejects, "are no events", place, self._events, self._settings.max_rejected)

    def _check(self, counts: Counts) -> None:
        account.check(counts, self._events)
        for number, what in ((counts.no_uuid, "have no uuid"), (counts.no_event_time, "have no event time")):
            if account.too_many(number, self._events, self._settings.max_rejected):
                place = self._layout.events_dir(self._events.date)
                raise account.refusal(number, what, place, self._events, self._settings.max_rejected)

    def _anew(self, error: DamagedError) -> DamagedError:
        """Makes the next run extract the day again, where its ZIP is there; else only a repair keeps what is left."""
        date = self._events.date
        if days.export_record(self._layout, date) is None:
            how = "damaged too" if os.path.lexists(self._layout.raw_zip(date)) else "gone"
            return DamagedError(
                error.what, f"Its ZIP is {how}. To mend the day: make verify FROM={date} TO={date} REPAIR=1"
            )
        remove(self._layout.events_marker(date))
        return DamagedError(error.what, "Run it again: the day is extracted anew from its ZIP.")

    def _record(self, counts: Counts, written: parquet.Written, files: list[ParquetFile], seconds: float) -> LoadRecord:
        events = self._events
        return LoadRecord(
            id=self._id,
            date=events.date,
            app=events.app,
            host=events.host,
            redo=events.redo,
            export=events.export,
            extraction=EventsRef(id=events.id, totals=events.totals),
            hours=events.hours,
            schema=SCHEMA,
            files=files,
            rejected=self._rejected_file(counts),
            counts=counts,
            server_upload_time=Span(first=written.first_upload, last=written.last_upload),
            event_time=Span(first=written.first_event, last=written.last_event),
            pipeline=__version__,
            seconds={"load": round(seconds, 3)},
            rechecks=partition.rechecks(self._layout, events.date),
            pruned=self._pruned(),
        )

    def _pruned(self) -> dict[str, dt.datetime]:
        """Returns when the stages that are absent were pruned, as the record says that this one replaces."""
        layout, date = self._layout, self._events.date
        before = manifest.read_marker(layout.parquet_marker(date), LoadRecord, date)
        places = {RAW: layout.raw_zip(date), EVENTS: layout.events_dir(date)}
        absent = {stage for stage, place in places.items() if not os.path.lexists(place)}
        return {stage: at for stage, at in before.pruned.items() if stage in absent} if before else {}

    def _rejected_file(self, counts: Counts) -> RejectedFile | None:
        size, sha256 = digests.sha256(self._rejected)
        if not size:
            return None
        lines = counts.rejects + counts.conflicts
        return RejectedFile(name=self._rejected.name, lines=lines, bytes=size, sha256=sha256)


_READ = 0.4  # the share of the work that is reading


def _append(lines: Path, out: IO[bytes]) -> None:
    with lines.open("rb") as file:
        shutil.copyfileobj(file, out)


def _tell_replacement(old: LoadRecord | None, new: LoadRecord) -> None:
    if old is not None:
        level = "WARNING" if new.counts.rows < old.counts.rows else "INFO"
        logger.log(level, text.replaced("rows", old.counts.rows, new.counts.rows))
