"""What each stage records of a day, typed.

Each record has an id and names the ids of the stages that it was made from.
"""

import datetime as dt

import msgspec

FORMAT = 1
"""The records' form; a newer one is refused, for this program would write over what it does not understand."""

EXPORTED, EMPTY, NO_FILE = "exported", "empty", "no file"
"""An hour's status: it has a file; Amplitude has no events of it; an import had no file of it and cannot say why."""


class FetchedWindow(msgspec.Struct, kw_only=True, frozen=True):
    """How a window was fetched: hours `first` to `last`, both included; bytes of ZIP; times in UTC and seconds."""

    first: int
    last: int
    status: int
    tries: int
    bytes: int
    requested_at: dt.datetime
    seconds: float


class Hour(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """An upload hour of the day and its status; `events` is known from the extraction on."""

    hour: int
    status: str
    events: int | None = None


class DayRecord(msgspec.Struct, kw_only=True, frozen=True):
    """What the three records of a day begin with: whose events they are, and of which upload day."""

    format: int = msgspec.field(default_factory=lambda: FORMAT)  # a plain default is left out where defaults are
    id: str
    date: dt.date
    app: int | None
    host: str


class ExportRecord(DayRecord, kw_only=True, frozen=True):
    """How a day was fetched, or from where it was imported."""

    source: str
    redo: str | None
    windows: list[FetchedWindow]
    hours: list[Hour]
    pipeline: str


class ExportRef(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """The ZIP that the events were extracted from; bytes and digest are the whole file's.

    Attributes:
        fetched_at: When the newest of its answered windows was asked for, UTC; None of an import, and of what version
            0.2.0 extracted.
    """

    id: str
    bytes: int
    sha256: str
    source: str
    fetched_at: dt.datetime | None = None


class EventsFile(msgspec.Struct, kw_only=True, frozen=True):
    """A file of JSON lines; bytes of JSON; events = lines - blank lines; `crc32` is the gzip's own, checked."""

    name: str
    app: int
    hour: int
    part: int
    bytes: int
    lines: int
    blank_lines: int
    events: int
    crc32: str


class Totals(msgspec.Struct, kw_only=True, frozen=True):
    """The sums over a day's files."""

    files: int
    bytes: int
    lines: int
    blank_lines: int
    events: int


class EventsRecord(DayRecord, kw_only=True, frozen=True):
    """What was extracted of a day; durations in seconds."""

    redo: str | None
    export: ExportRef
    hours: list[Hour]
    files: list[EventsFile]
    totals: Totals
    pipeline: str
    seconds: dict[str, float]


class EventsRef(msgspec.Struct, kw_only=True, frozen=True):
    """The extraction that the rows were loaded from, and what it counted."""

    id: str
    totals: Totals


class ParquetFile(msgspec.Struct, kw_only=True, frozen=True):
    """A file of the partition; its bytes and their digest."""

    name: str
    rows: int
    bytes: int
    sha256: str


class RejectedFile(msgspec.Struct, kw_only=True, frozen=True):
    """The file of the lines that became no row; `lines` of it, in order of file and line."""

    name: str
    lines: int
    bytes: int
    sha256: str


class Span(msgspec.Struct, kw_only=True, frozen=True):
    """The first and the last of some times, UTC without a zone, as Amplitude writes them; None where no row has one."""

    first: dt.datetime | None
    last: dt.datetime | None


class Counts(msgspec.Struct, kw_only=True, frozen=True):
    """What became of a day's lines: events = rows + duplicates + rejects.

    Attributes:
        rows: Rows of the Parquet, read back.
        uuids: Distinct uuids among them.
        duplicates: Lines left out for another line of the same uuid.
        conflicts: Those of them that differ from the line that was kept; they stand in the rejected file.
        rejects: Lines that are no event; they stand in the rejected file.
        apart: Values in `extra`, by key: unknown keys, and values that do not fit their column.
        no_uuid: Rows without a uuid.
        no_event_time: Rows without an event time.
        late: Rows that happened before the upload day began.
        future: Rows that claim to have happened over a minute after their upload.
        outside: Rows whose upload time is not on the upload day.
    """

    rows: int
    uuids: int
    duplicates: int
    conflicts: int
    rejects: int
    apart: dict[str, int]
    no_uuid: int
    no_event_time: int
    late: int
    future: int
    outside: int


class Recheck(msgspec.Struct, kw_only=True, frozen=True):
    """What Amplitude had of the day when it was asked again.

    Attributes:
        at: When it was asked, UTC.
        events: Rows that it had, as they would be loaded.
        grown: Events, by uuid, that it had and the day had not.
        shrunk: Events, by uuid, that the day had and it had no more.
        replaced: Whether the day was replaced by what it had.
        changed: Events, by uuid, that both had, with other values.
        export: The id of the day's ZIP that it was compared with; empty in what version 0.3.0 noted.
    """

    at: dt.datetime
    events: int
    grown: int
    shrunk: int
    replaced: bool
    changed: int = 0
    export: str = ""


class LoadRecord(DayRecord, kw_only=True, frozen=True, omit_defaults=True):
    """What was loaded of a day, and all that the stages before it counted; durations in seconds.

    `rechecks` are in order of time; those of a load that was replaced are carried over. `pruned` says when a stage
    before it, `raw` or `events`, was pruned, UTC.
    """

    redo: str | None
    export: ExportRef
    extraction: EventsRef
    hours: list[Hour]
    schema: int
    files: list[ParquetFile]
    rejected: RejectedFile | None
    counts: Counts
    server_upload_time: Span
    event_time: Span
    pipeline: str
    seconds: dict[str, float]
    rechecks: list[Recheck] = []
    pruned: dict[str, dt.datetime] = {}

    @property
    def bytes(self) -> int:
        """Bytes of Parquet."""
        return sum(file.bytes for file in self.files)

    @property
    def last_recheck(self) -> Recheck | None:
        """What the last recheck found of what stands now; None where that was fetched since, or never rechecked."""
        last = self.rechecks[-1] if self.rechecks else None
        if last is None or last.replaced or (last.export and last.export != self.export.id):
            return None
        fetched = self.export.fetched_at
        return None if fetched and last.at < fetched else last

    @property
    def unproven_hours(self) -> int:
        """Hours of an import without a file, as long as no recheck has found that Amplitude has no more events."""
        if self.last_recheck and not self.last_recheck.grown:
            return 0
        return sum(hour.status == NO_FILE for hour in self.hours)
