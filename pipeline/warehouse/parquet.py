"""The Parquet of a day: one COPY over what was read, and a look at what it wrote."""

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb
import msgspec

from pipeline.warehouse import clean, duck
from pipeline.warehouse.duck import RefusedError
from pipeline.warehouse.events import COLUMNS, DATE, EXTRA, Kind, ddl, quoted
from pipeline.warehouse.rows import MOST_NAMES, ODD_TYPES, count_apart

FILE_BYTES = 1_000_000_000
"""Bytes from which a day's Parquet goes on in another file."""

_ROW_GROUP = 30_720  # rows: a quarter of DuckDB's own, which would take twice the memory and no less time
_LONGEST_TIME = 26  # characters of a time with microseconds; DuckDB cuts off what follows
_LONGEST_CLEAN = 2 * clean.LONGEST  # bytes: DuckDB's buffers stay small


class Sources(msgspec.Struct, kw_only=True, frozen=True):
    """What a day's rows are read from.

    Attributes:
        clean: Files of JSON lines that DuckDB reads exactly.
        odd: Files in the form of `rows.Row.encode`.
        kept: Such a file with the one row that is kept of each repeated uuid, or None.
        longest: Bytes that a line of `odd` or `kept` may have.
    """

    clean: list[Path]
    odd: list[Path]
    kept: Path | None
    longest: int


class Written(msgspec.Struct, kw_only=True, frozen=True):
    """What stands in the files, as they were read back."""

    rows: int
    uuids: int
    no_uuid: int
    no_event_time: int
    late: int
    future: int
    outside: int
    first_upload: dt.datetime | None
    last_upload: dt.datetime | None
    first_event: dt.datetime | None
    last_event: dt.datetime | None
    apart: dict[str, int]


def write_rows(connection: duckdb.DuckDBPyConnection, date: dt.date, sources: Sources, directory: Path) -> list[Path]:
    """Writes a day's rows as Parquet, in no order that is promised.

    Args:
        connection: Has a table `repeated` of the uuids whose rows are left out of `clean` and `odd`.
        date: The upload day.
        sources: What is read.
        directory: Is made; the files go there.

    Returns:
        The files, in order.

    Raises:
        RefusedError: A clean file is not what the scan took it for.
        StorageError: No room, or too little memory.
    """
    connection.execute(ddl("empty"))
    selects = ["SELECT * FROM empty", *_selects(date, sources)]
    with duck.storage_failures(directory):
        try:
            connection.execute(
                f"COPY ({' UNION ALL '.join(selects)}) TO {duck.text(str(directory.absolute()))} (FORMAT parquet,"
                f" COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP}, FILE_SIZE_BYTES {FILE_BYTES})"
            )
        except (duckdb.IOException, duckdb.OutOfMemoryException):
            raise
        except duckdb.Error as error:
            raise RefusedError(str(error)) from error
    return sorted(directory.iterdir(), key=lambda path: int(path.stem.rpartition("_")[2]))


def read_back(connection: duckdb.DuckDBPyConnection, date: dt.date, files: Sequence[Path]) -> Written:
    """Reads a day's Parquet and counts what is in it.

    Source of the minute: Amplitude does not correct a device's clock that is less than 60 s off.
    """
    day = f"TIMESTAMP '{date} 00:00:00'"
    found = connection.execute(f"""
        SELECT count(*), count(DISTINCT uuid), count(*) - count(uuid), count(*) - count(event_time),
            count(*) FILTER (event_time < {day}),
            count(*) FILTER (event_time > server_upload_time + INTERVAL 1 MINUTE),
            count(*) FILTER (server_upload_time < {day} OR server_upload_time >= {day} + INTERVAL 1 DAY),
            min(server_upload_time), max(server_upload_time), min(event_time), max(event_time)
        FROM read_parquet({duck.paths(files)}, hive_partitioning = false)
    """).fetchone()
    keys = connection.execute(f"""
        SELECT key, count(*) FROM (
            SELECT unnest(json_keys(extra)) AS key FROM read_parquet({duck.paths(files)}, hive_partitioning = false)
            WHERE extra IS NOT NULL
        ) GROUP BY key ORDER BY count(*) DESC, key
    """)
    apart: dict[str, int] = {}
    while batch := keys.fetchmany(MOST_NAMES):
        count_apart(apart, dict(batch))
    return Written(**dict(zip(Written.__struct_fields__, (*(found or ()), apart), strict=True)))


def count_rows(connection: duckdb.DuckDBPyConnection, file: Path) -> int:
    """Returns the rows of a Parquet file."""
    found = connection.execute(f"SELECT count(*) FROM read_parquet({duck.paths([file])})").fetchone()
    return int(found[0]) if found else 0


def _selects(date: dt.date, sources: Sources) -> Iterable[str]:
    date_column = f"DATE '{date}' AS {quoted(DATE.name)}"
    ours = f"NULL::JSON AS {quoted(EXTRA.name)}, {date_column}"
    # Not an anti join: DuckDB may turn that one round, and hold the day in memory.
    unless_repeated = "WHERE uuid IS NULL OR uuid NOT IN (SELECT uuid FROM repeated)" if sources.kept else ""
    if sources.clean:
        types = {column.name: "VARCHAR" if column.kind is Kind.TIME else column.kind.value for column in COLUMNS}
        columns = ", ".join(
            _time(column.name) if column.kind is Kind.TIME else quoted(column.name) for column in COLUMNS
        )
        lines = _lines(sources.clean, types, _LONGEST_CLEAN)
        yield f"SELECT * FROM (SELECT {columns}, {ours} FROM {lines}) {unless_repeated}"
    casts = ", ".join(
        f"CAST({quoted(column.name)} AS {column.kind.value}) AS {quoted(column.name)}" for column in (*COLUMNS, EXTRA)
    )
    if sources.odd:
        lines = _lines(sources.odd, ODD_TYPES, sources.longest)
        yield f"SELECT * FROM (SELECT {casts}, {date_column} FROM {lines}) {unless_repeated}"
    if sources.kept:
        yield f"SELECT {casts}, {date_column} FROM {_lines([sources.kept], ODD_TYPES, sources.longest)}"


def _time(name: str) -> str:
    """Returns a time read as text: DuckDB would read 7 digits of a fraction, and forget the last."""
    text = quoted(name)
    return (
        f"CASE WHEN length({text}) > {_LONGEST_TIME} THEN error('a time is longer than its microseconds')"
        f" ELSE CAST({text} AS TIMESTAMP) END AS {text}"
    )


def _lines(files: Sequence[Path], types: dict[str, str], longest: int) -> str:
    columns = ", ".join(f"{duck.text(name)}: {duck.text(kind)}" for name, kind in types.items())
    return (
        f"read_json({duck.paths(files)}, format = 'newline_delimited', compression = 'none', columns = {{{columns}}},"
        f" maximum_object_size = {max(longest, _LONGEST_CLEAN)})"
    )
