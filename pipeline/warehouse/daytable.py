"""The table `days` of the DuckDB file: a row for each loaded day, from its manifest."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable

import duckdb
import msgspec

from pipeline.store.records import EMPTY, EXPORTED, LoadRecord

_WHAT = "one row a loaded day, by upload day, from the manifests; what became of its lines, hours, bytes and times"


@dataclasses.dataclass(frozen=True)
class _Column:
    name: str
    kind: str
    of: Callable[[LoadRecord], object]


def _hours(status: str) -> Callable[[LoadRecord], int]:
    return lambda record: sum(hour.status == status for hour in record.hours)


def _of_last_recheck(name: str) -> Callable[[LoadRecord], object]:
    def of(record: LoadRecord) -> object:
        return getattr(record.last_recheck, name) if record.last_recheck else None

    return of


def _rechecked_at(record: LoadRecord) -> dt.datetime | None:
    # The table's times are UTC without a zone.
    return record.rechecks[-1].at.astimezone(dt.UTC).replace(tzinfo=None) if record.rechecks else None


_COLUMNS = (
    _Column("date", "DATE", lambda record: record.date),
    _Column("events", "BIGINT", lambda record: record.counts.rows),
    _Column("uuids", "BIGINT", lambda record: record.counts.uuids),
    _Column("duplicates", "BIGINT", lambda record: record.counts.duplicates),
    _Column("conflicts", "BIGINT", lambda record: record.counts.conflicts),
    _Column("rejects", "BIGINT", lambda record: record.counts.rejects),
    _Column("values_apart", "BIGINT", lambda record: sum(record.counts.apart.values())),
    _Column("late", "BIGINT", lambda record: record.counts.late),
    _Column("future", "BIGINT", lambda record: record.counts.future),
    _Column("outside", "BIGINT", lambda record: record.counts.outside),
    _Column("no_uuid", "BIGINT", lambda record: record.counts.no_uuid),
    _Column("no_event_time", "BIGINT", lambda record: record.counts.no_event_time),
    _Column("first_upload_time", "TIMESTAMP", lambda record: record.server_upload_time.first),
    _Column("last_upload_time", "TIMESTAMP", lambda record: record.server_upload_time.last),
    _Column("first_event_time", "TIMESTAMP", lambda record: record.event_time.first),
    _Column("last_event_time", "TIMESTAMP", lambda record: record.event_time.last),
    _Column("parquet_bytes", "BIGINT", lambda record: record.bytes),
    _Column("json_bytes", "BIGINT", lambda record: record.extraction.totals.bytes),
    _Column("json_files", "BIGINT", lambda record: record.extraction.totals.files),
    _Column("raw_bytes", "BIGINT", lambda record: record.export.bytes),
    _Column("hours_with_events", "BIGINT", _hours(EXPORTED)),
    _Column("hours_without_events", "BIGINT", _hours(EMPTY)),
    _Column("hours_unproven", "BIGINT", lambda record: record.unproven_hours),
    _Column("rechecks", "BIGINT", lambda record: len(record.rechecks)),
    _Column("rechecked_at", "TIMESTAMP", _rechecked_at),
    _Column("grown", "BIGINT", _of_last_recheck("grown")),
    _Column("shrunk", "BIGINT", _of_last_recheck("shrunk")),
    _Column("changed", "BIGINT", _of_last_recheck("changed")),
    _Column("schema", "BIGINT", lambda record: record.schema),
    _Column("load_id", "VARCHAR", lambda record: record.id),
    _Column("pipeline", "VARCHAR", lambda record: record.pipeline),
)


def ddl() -> str:
    """Returns the statement that makes the table."""
    return f"CREATE TABLE days ({', '.join(f'{column.name} {column.kind}' for column in _COLUMNS)})"


def fill(connection: duckdb.DuckDBPyConnection, records: Iterable[LoadRecord]) -> None:
    """Makes the table in the session's own database.

    Args:
        connection: The session.
        records: The loaded days, in order.
    """
    rows = [{column.name: column.of(record) for column in _COLUMNS} for record in records]
    form = ", ".join(f'"{column.name}": "{column.kind}"' for column in _COLUMNS)
    connection.execute(ddl())
    connection.execute(
        f"INSERT INTO days BY NAME SELECT unnest(from_json(?::JSON, '[{{{form}}}]'), recursive := true)",
        [msgspec.json.encode(rows).decode()],
    )
    connection.execute(f"COMMENT ON TABLE days IS '{_WHAT}'")
