"""A day of which no stage is whole: fetched again, and replaced only where nothing is lost that can be told of it."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from pipeline import text
from pipeline.errors import LoadError
from pipeline.export import check as json_lines
from pipeline.operations.again import EXTRACTED, FetchedAgain
from pipeline.progress import Report
from pipeline.settings import Settings
from pipeline.store import days, digests, manifest, partition
from pipeline.store.paths import Layout
from pipeline.store.records import EventsRecord, LoadRecord
from pipeline.warehouse import check as parquet
from pipeline.warehouse.compare import count_rows


def fetch_lost(settings: Settings, date: dt.date, report: Report) -> None:
    """Fetches a day again of which no stage is whole, and publishes its ZIP; then the chain must run on it.

    How many events there were, its records tell where they hold; else what can still be read of them and of the files.
    Amplitude may have fewer by now, or others: what can be read of the Parquet tells that. And a 404, its answer where
    it has none, does not even say of which project.

    Args:
        settings: How to ask, and where the data lies.
        date: The upload day, UTC; the caller holds its lock, and has put copies of what is damaged aside.
        report: Told how far it is.

    Raises:
        LoadError: Amplitude has fewer events than there were, or none where nobody knows, or lacks one that can still
            be read: nothing is replaced.
        PipelineError: It could not be fetched; what was fetched stays for the next time.
    """
    home = Layout(settings.data_dir)
    known = _known(home, date)
    day = FetchedAgain(home, date, settings, report, days.project(home, date).app)
    day.fetch()
    fetched = day.extract()
    rows, gone = None, 0
    if known.rows is not None:
        rows, gone = count_rows(day.staged, fetched, settings, day.share(EXTRACTED, 1), known.files)
    found = _Known(rows, fetched.totals.events)
    if gone or known.is_more_than(found):
        day.clear()
        raise _refused(home, date, found, known, gone)
    day.replace()
    day.clear()
    logger.info(known.said(found))


@dataclasses.dataclass(frozen=True)
class _Known:
    """How many rows a day has, and how many events before those that come twice are left out; None: nobody knows.

    `files` are those of its Parquet whose rows may be trusted.
    """

    rows: int | None
    events: int | None
    files: Sequence[Path] = ()

    def is_more_than(self, found: "_Known") -> bool:
        if self.rows is None and self.events is None:
            return not found.events  # one will do, and an empty day will not
        return (found.rows or 0) < (self.rows or 0) or (found.events or 0) < (self.events or 0)

    def said(self, found: "_Known") -> str:
        if self.rows is not None and found.rows is not None:
            return text.replaced("events", self.rows, found.rows)
        if self.events is not None and found.events is not None:
            return text.replaced("events", self.events, found.events)
        return f"{text.count(found.events or 0, 'event')} take the place of nobody knows how many"


def _known(home: Layout, date: dt.date) -> _Known:
    load = manifest.read_marker(home.parquet_marker(date), LoadRecord, date)
    if load:
        return _Known(load.counts.rows, None, _intact(home, load))
    torn_load = manifest.salvage_marker(home.parquet_marker(date), LoadRecord)
    files, readable = parquet.most_readable(partition.parquet_files(home, date))
    rows = [torn_load.counts.rows if torn_load else 0, readable]
    events = manifest.read_marker(home.events_marker(date), EventsRecord, date)
    if events:
        return _Known(_most(rows), events.totals.events, files)
    torn_events = manifest.salvage_marker(home.events_marker(date), EventsRecord)
    lines = json_lines.count_readable(sorted(home.events_dir(date).glob("*.json")))
    return _Known(_most(rows), _most([torn_events.totals.events if torn_events else 0, lines]), files)


def _intact(home: Layout, load: LoadRecord) -> list[Path]:
    """Returns the files that are as they were loaded: a damaged one may be read with uuids that never were."""
    found: list[Path] = []
    for file in load.files:
        path = home.parquet_dir(load.date) / file.name
        with contextlib.suppress(OSError):
            if digests.sha256(path)[1] == file.sha256:
                found.append(path)
    return found


def _most(guesses: list[int]) -> int | None:
    """Returns the largest; that there was nothing, only a record that holds can say."""
    return max(guesses) or None


def _refused(home: Layout, date: dt.date, found: _Known, known: _Known, gone: int) -> LoadError:
    before, now = (known.rows, found.rows) if known.rows is not None else (known.events, found.events)
    if (now or 0) >= (before or 0) and before is not None:
        before, now = known.events, found.events
    stored = "nobody knows how many were stored" if before is None else f"{text.count(before, 'event')} were stored"
    has = f"has {text.count(now or 0, 'event')} of it now where {stored}"
    if not known.is_more_than(found):
        has = f"does not have {gone:,} of the {text.count(before or 0, 'stored event')} any more"
    keys = "Look at AMP_API_KEY and AMP_SECRET_KEY: an empty answer does not say of which project. "
    return LoadError(
        f"no stage of it is whole, and Amplitude {has}: nothing is replaced, and what is damaged is kept in"
        f" {home.quarantine(date)} too",
        f"{'' if found.events else keys}To take what Amplitude has all the same: make force DATE={date}",
    )
