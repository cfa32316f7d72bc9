"""A day that is asked for again: fetched into a staging of its own, and compared with what is stored."""

import datetime as dt
import itertools

from loguru import logger

from pipeline.errors import ArchiveError, LimitError, LoadError
from pipeline.export.archive import Archive
from pipeline.export.download import fetch_day
from pipeline.export.extract import write_events
from pipeline.export.merge import Source, publish_day
from pipeline.export.windows import HOURS, REFUSED
from pipeline.progress import Report
from pipeline.settings import Settings
from pipeline.store import days, partition
from pipeline.store.paths import Layout
from pipeline.store.publish import make_dirs, remove
from pipeline.store.records import EventsRecord, ExportRecord, Recheck
from pipeline.warehouse.compare import Difference, compare_day

_TAKEN_UP = dt.timedelta(days=1)  # what an earlier recheck left is no news of today once it is older
_FETCHED, EXTRACTED = 0.7, 0.8
"""The share of the work that is done then."""


class FetchedAgain:
    """A day, fetched again into a staging of its own; the caller holds its lock.

    Args:
        home: Where it is stored.
        date: The upload day, UTC.
        settings: How to ask; limits.
        report: Told how far it is.
        app: The project whose events an earlier recheck must have fetched, to be gone on from.
        stored_at: When what is stored was fetched, UTC; what an earlier recheck fetched before is no news of it.

    Attributes:
        date: The upload day, UTC.
        staged: The staging.
    """

    def __init__(
        self,
        home: Layout,
        date: dt.date,
        settings: Settings,
        report: Report,
        app: int | None,
        stored_at: dt.datetime | None = None,
    ) -> None:
        self.date = date
        self.staged = home.recheck(date)
        self._home = home
        self._settings = settings
        self._report = report
        self._app = app
        self._stored_at = stored_at

    def fetch(self) -> None:
        """Fetches the day; goes on from what an earlier recheck had, unless that is too old.

        Raises:
            PipelineError: As `fetch_day` says; verified windows stay for the next time.
        """
        self.clear_rows()
        since = dt.datetime.now(dt.UTC) - _TAKEN_UP
        since = max(since, self._stored_at or since)
        left = days.export_record(self.staged, self.date)
        if left and self._is_taken_up(left, since):
            logger.info("what an earlier recheck fetched stands, and holds")
            self._record = left
            return
        remove(self.staged.raw_zip(self.date))
        self._record = fetch_day(self.date, self._settings, self.share(0, _FETCHED), into=self.staged, since=since)

    def extract(self) -> EventsRecord:
        """Extracts what was fetched, beside it.

        Raises:
            ArchiveError: What was staged is damaged; it is removed.
            LimitError: It is larger than the settings allow; it stays for the next time.
            OSError: The disk refused.
        """
        path, directory = self.staged.raw_zip(self.date), self.staged.events_dir(self.date)
        make_dirs(directory)
        report = self.share(_FETCHED, EXTRACTED)
        try:
            return write_events(path, self.date, directory, self._settings, report, durable=False)
        except LimitError as error:
            raise LimitError(f"{path}: {error.what}", error.todo) from None
        except ArchiveError as error:
            remove(path)
            raise ArchiveError(f"{path}: {error.what}", error.todo) from None

    def replace(self) -> None:
        """Publishes the ZIP in the place of the day's, its bytes checked once more; the chain makes the rest anew."""
        with Archive(self.staged.raw_zip(self.date), self._settings) as archive:
            sources = [Source.of(archive, member) for member in archive.of_day(self.date, range(HOURS))]
            publish_day(self._home, self._settings, self._record, sources)

    def clear(self) -> None:
        """Removes all that was staged."""
        remove(self.staged.root)

    def share(self, begin: float, end: float) -> Report:
        """Returns what tells the progress of a part of the work: from one share of it to another."""
        return lambda share, text: self._report(begin + share * (end - begin), text)

    def _is_taken_up(self, left: ExportRecord, since: dt.datetime) -> bool:
        mine = (self._app, self._settings.host, days.redo_asked(self._home, self.date))
        return (left.app, left.host, left.redo) == mine and min(_asked(left)) >= since

    def clear_rows(self) -> None:
        """Removes what a recheck that was killed, or that failed, had made of its ZIP."""
        for place in (self.staged.events_dir, self.staged.parquet_part, self.staged.rejected_dir):
            remove(place(self.date))


class AskedAgain(FetchedAgain):
    """A complete day, asked for again; the caller holds its lock.

    Args:
        home: Where it is stored.
        date: The upload day, UTC.
        settings: How to ask; limits.
        report: Told how far it is.

    Raises:
        LoadError: The day is not complete.
    """

    def __init__(self, home: Layout, date: dt.date, settings: Settings, report: Report) -> None:
        stages = days.stages(home, date)
        if stages.load is None or not stages.is_loaded:
            raise LoadError(
                "it is not complete: there is nothing to compare with", f"Do it first: make run DATE={date}"
            )
        super().__init__(home, date, settings, report, stages.load.app, stages.load.export.fetched_at)
        self._stages = stages
        self._load = stages.load

    def difference(self) -> Difference:
        """Compares what was fetched with what is stored, and reads as little of it as will do.

        The same members are the same events; so are files of the same JSON.

        Raises:
            LoadError: The stored rows are damaged or of another schema, or the new events cannot be loaded.
            ArchiveError: What was staged is damaged; it is removed.
            LimitError: It is larger than the settings allow; it stays for the next time.
            StorageError: The disk refused, or the memory does not do.
        """
        same = Difference(self._load.counts.rows)
        if self._has_the_same_members():
            return same
        events = self.extract()
        before = self._stages.events
        if before and _json_of(before) == _json_of(events):
            return same
        return compare_day(self._home, self._load, self.staged, events, self._settings, self.share(EXTRACTED, 1))

    def note(self, found: Difference, *, replaced: bool) -> None:
        """Notes in the day's record what was found; after the replacing, so that it never says what is not so."""
        noted = Recheck(
            at=min(_asked(self._record)),
            events=found.events,
            grown=found.grown,
            shrunk=found.shrunk,
            changed=found.changed,
            replaced=replaced,
            export=self._load.export.id,
        )
        partition.note_recheck(self._home, self._load, noted)

    def _has_the_same_members(self) -> bool:
        if self._stages.export is None:
            return False
        try:
            with self._zip(self._home) as before, self._zip(self.staged) as now:
                return _are_alike(before, now)
        except ArchiveError as error:
            logger.warning("the ZIPs cannot be compared, so their events are: {}", error.what)
            return False

    def _zip(self, layout: Layout) -> Archive:
        return Archive(layout.raw_zip(self.date), self._settings)


def _asked(record: ExportRecord) -> list[dt.datetime]:
    """Returns when the windows were asked for that the record's ZIP is made of."""
    return [window.requested_at for window in record.windows if window.status not in REFUSED]


def _are_alike(before: Archive, now: Archive) -> bool:
    """Tells whether two ZIPs have the same members, byte for byte.

    Their CRCs do not tell: a gzip ends with the CRC of what it holds, and where that is not deflated the CRC over it
    all depends on the length alone.
    """
    pairs = list(itertools.zip_longest(before.members, now.members))
    if any(not (one and other) or (one.name, one.bytes) != (other.name, other.bytes) for one, other in pairs):
        return False
    pieces = (itertools.zip_longest(before.stored(one), now.stored(other)) for one, other in pairs)
    return all(one == other for one, other in itertools.chain.from_iterable(pieces))


def _json_of(record: EventsRecord) -> set[tuple[str, int, str]]:
    return {(file.name, file.bytes, file.crc32) for file in record.files}
