"""Uuids that stand in two upload days or more: rare, and looked for among the days that changed alone.

Within a day the load keeps one row of a uuid. Amplitude exports an upload hour once, so a uuid stands in two days after
a backfill of Amplitude's, or where an import and a download of the same events went to different days. The event is
one all the same.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import duckdb

from pipeline.warehouse import duck

TABLE = "repeated_uuids"
"""The rows of such uuids, each with its day; `kept` is true for the one row of a uuid that `events` shows."""

_WHAT = (
    "rows of the uuids that stand in two upload days or more; kept: the one that events shows,"
    " of the latest server_upload_time, or else of the latest day"
)

_CREATE = f"CREATE TABLE {TABLE} (uuid UUID, date DATE, server_upload_time TIMESTAMP, kept BOOLEAN)"

_ROWS = "SELECT uuid, date, server_upload_time FROM {} WHERE uuid IS NOT NULL"

_KEEP = f"""
INSERT INTO {TABLE}
SELECT uuid, date, server_upload_time,
    row_number() OVER (PARTITION BY uuid ORDER BY server_upload_time DESC NULLS LAST, date DESC) = 1
FROM (SELECT uuid, date, max(server_upload_time) AS server_upload_time FROM found GROUP BY uuid, date)
QUALIFY count(*) OVER (PARTITION BY uuid) > 1
ORDER BY uuid, date
"""


def scan(files: Iterable[Path]) -> str:
    """Returns what reads these Parquet files, in SQL; a filter on `date` passes over the other days' files unopened.

    For that DuckDB takes the date from the name of the day's folder. It would take a column from every folder of such
    a name, so where another one has an equals sign, the date is read from the files.
    """
    paths = list(files)
    by_name = not any("=" in str(path.parent.parent) for path in paths)
    hive = "true, hive_types = {'date': 'DATE'}" if by_name else "false"
    return f"read_parquet({duck.paths(paths)}, hive_partitioning = {hive})"


def fill(
    connection: duckdb.DuckDBPyConnection,
    files: Mapping[dt.date, Collection[Path]],
    known: Collection[dt.date] = (),
    before: str = TABLE,
) -> None:
    """Makes the table in the session's own database.

    Args:
        connection: The session.
        files: The files of each loaded day.
        known: Days of which `before` is true still: they are not compared with each other again.
        before: An earlier table, as SQL names it; it is read only where there are known days.
    """
    changed = scan(path for date, paths in files.items() if date not in known for path in paths)
    standing = scan(path for date, paths in files.items() if date in known for path in paths)
    connection.execute(_CREATE)
    connection.execute(f"COMMENT ON TABLE {TABLE} IS '{_WHAT}'")
    connection.execute("CREATE TEMP TABLE found (uuid UUID, date DATE, server_upload_time TIMESTAMP)")
    if known:
        connection.execute(
            f"INSERT INTO found SELECT uuid, date, server_upload_time FROM {before} WHERE list_contains(?, date)",
            [list(known)],
        )
    if len(known) < len(files):
        if known:
            _add(connection, standing, f"SELECT uuid FROM {changed}")
        twice = f"SELECT uuid FROM {changed} WHERE uuid IS NOT NULL GROUP BY uuid HAVING min(date) <> max(date)"
        _add(connection, changed, f"SELECT uuid FROM found UNION ALL {twice}")
    connection.execute(_KEEP)
    connection.execute("DROP TABLE found")


def dates(connection: duckdb.DuckDBPyConnection) -> set[dt.date]:
    """Returns the days of which `events` leaves out a row."""
    return {date for (date,) in connection.execute(f"SELECT DISTINCT date FROM {TABLE} WHERE NOT kept").fetchall()}


def _add(connection: duckdb.DuckDBPyConnection, source: str, wanted: str) -> None:
    """Adds the rows of these uuids; the wanted ones are the smaller side, and the source streams past them."""
    connection.execute(
        f"INSERT INTO found SELECT this.* FROM ({_ROWS.format(source)}) AS this"
        f" SEMI JOIN ({wanted}) AS wanted USING (uuid)"
    )
