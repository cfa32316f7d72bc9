"""A day as it is stored, and as Amplitude has it now: which events are in one of them only."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from pipeline.errors import LoadError
from pipeline.progress import Progress, Report
from pipeline.settings import Settings
from pipeline.store import digests
from pipeline.store.paths import Layout
from pipeline.store.publish import make_dirs, remove, staging
from pipeline.store.records import EventsRecord, LoadRecord
from pipeline.warehouse import duck
from pipeline.warehouse.events import COLUMNS, EXTRA, SCHEMA, quoted
from pipeline.warehouse.load import Load


@dataclasses.dataclass(frozen=True)
class Difference:
    """What the two have in common, and what not.

    Rows without a uuid are known by all their values together: one with other values is another event. So `events` is
    always the stored rows + `grown` - `shrunk`. Lines that became no row are not compared, only counted.

    Attributes:
        events: Rows that Amplitude has now, as they would be loaded.
        grown: Events that it has and that are not stored.
        shrunk: Events that are stored and that it has no more.
        changed: Events that both have by their uuid, with other values.
        fewer_rejects: Lines that are no events, by how many it has fewer than are stored.
        fewer_conflicts: Duplicates that differ from the line that is kept, likewise.
    """

    events: int
    grown: int = 0
    shrunk: int = 0
    changed: int = 0
    fewer_rejects: int = 0
    fewer_conflicts: int = 0

    @property
    def is_none(self) -> bool:
        """Whether both have the same events."""
        return not (self.grown or self.shrunk or self.changed)


def compare_day(
    home: Layout, load: LoadRecord, fetched: Layout, events: EventsRecord, settings: Settings, report: Report
) -> Difference:
    """Loads a day that was fetched again, beside what is stored, and compares the two.

    Args:
        home: Where the day is stored.
        load: What was loaded of it.
        fetched: Where its events were extracted anew; the rows are staged there too, and removed again.
        events: What was extracted.
        settings: Processes, memory and limits.
        report: Told how far it is.

    Returns:
        The difference.

    Raises:
        LoadError: The stored rows are damaged or of another schema, or the new events cannot be loaded.
        StorageError: The disk refused, or the memory does not do.
    """
    stored = [home.parquet_dir(load.date) / file.name for file in load.files]
    _refuse_unlike(load, stored)
    with _loaded(fetched, events, settings, report) as (now, part):
        difference = _compare(stored, [part / file.name for file in now.files], settings, part / "spill")
    return dataclasses.replace(
        difference,
        fewer_rejects=max(load.counts.rejects - now.counts.rejects, 0),
        fewer_conflicts=max(load.counts.conflicts - now.counts.conflicts, 0),
    )


def count_rows(
    fetched: Layout, events: EventsRecord, settings: Settings, report: Report, stored: Sequence[Path]
) -> tuple[int, int]:
    """Counts the rows of a day that was fetched again, where there is nothing whole to compare it with.

    Args:
        fetched: Where its events were extracted; the rows are staged there too, and removed again.
        events: What was extracted.
        settings: Processes, memory and limits.
        report: Told how far it is.
        stored: Parquet files that are left of the day; one whose uuids DuckDB does not read tells nothing.

    Returns:
        Its rows, and how many of the stored uuids are not among them.

    Raises:
        LoadError: The events cannot be loaded.
        StorageError: The disk refused, or the memory does not do.
    """
    with _loaded(fetched, events, settings, report) as (now, part):
        return now.counts.rows, _gone(stored, [part / file.name for file in now.files], settings, part / "spill")


@contextlib.contextmanager
def _loaded(
    fetched: Layout, events: EventsRecord, settings: Settings, report: Report
) -> Iterator[tuple[LoadRecord, Path]]:
    """Yields what was loaded of events that were fetched again, and where its files lie until then."""
    part = fetched.parquet_part(events.date)
    make_dirs(part.parent)
    with staging(part):
        part.mkdir()
        try:
            record = Load(fetched, events, part, settings, Progress(report, "reading")).run()
        except LoadError as error:
            raise LoadError(f"what Amplitude has of it now cannot be loaded: {error.what}", _UNTOUCHED) from error
        yield record, part
    remove(part)


_UNTOUCHED = "What is stored is untouched."


def _refuse_unlike(load: LoadRecord, stored: Sequence[Path]) -> None:
    if load.schema != SCHEMA:
        raise LoadError(
            f"its rows are of schema {load.schema}, and this version's are of schema {SCHEMA}",
            f"Do the day again with this version: make force DATE={load.date}",
        )
    for path, file in zip(stored, load.files, strict=True):
        if digests.sha256(path)[1] != file.sha256:
            raise LoadError(
                f"{path} is not what was loaded: it is damaged",
                f"Mend it first: make verify FROM={load.date} TO={load.date} REPAIR=1",
            )


def _compare(stored: Sequence[Path], fetched: Sequence[Path], settings: Settings, spill: Path) -> Difference:
    with duck.session(spill, settings.load_memory, settings.cores) as connection:
        named = _counts(
            connection,
            f"""
            SELECT count(fetched.uuid), count(*) FILTER (stored.uuid IS NULL), count(*) FILTER (fetched.uuid IS NULL),
                count(*) FILTER (stored.content <> fetched.content)
            FROM ({_named(stored)}) stored FULL JOIN ({_named(fetched)}) fetched USING (uuid)
            """,
        )
        unnamed = _counts(
            connection,
            f"""
            SELECT sum(fetched), sum(greatest(fetched - stored, 0)), sum(greatest(stored - fetched, 0)), 0
            FROM (
                SELECT count(*) FILTER (is_stored) AS stored, count(*) FILTER (NOT is_stored) AS fetched
                FROM ({_unnamed(stored, "true")} UNION ALL {_unnamed(fetched, "false")})
                GROUP BY content
            )
            """,
        )
    events, grown, shrunk, changed = (one + other for one, other in zip(named, unnamed, strict=True))
    return Difference(events=events, grown=grown, shrunk=shrunk, changed=changed)


def _gone(stored: Sequence[Path], fetched: Sequence[Path], settings: Settings, spill: Path) -> int:
    """Returns how many uuids stand in a stored file, as far as DuckDB reads it, and in no fetched one."""
    with duck.session(spill, settings.load_memory, settings.cores) as connection:
        readable = [path for path in stored if _has_uuids(connection, path)]
        if not readable:
            return 0
        uuids = f"SELECT DISTINCT uuid FROM {_rows(readable)} WHERE uuid IS NOT NULL"
        return _counts(
            connection, f"SELECT count(*) FROM ({uuids}) ANTI JOIN (SELECT uuid FROM {_rows(fetched)}) USING (uuid)"
        )[0]


def _has_uuids(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Tells whether each uuid of a file can be read; its footer does not tell."""
    try:
        connection.execute(f"SELECT max(hash(uuid)) FROM {_rows([path])}").fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error:
        return False
    return True


def _counts(connection: duckdb.DuckDBPyConnection, sql: str) -> list[int]:
    """Returns the one row that the SQL gives; a sum over nothing is 0."""
    return [int(value or 0) for value in connection.execute(sql).fetchall()[0]]


def _named(files: Sequence[Path]) -> str:
    """Returns the SQL of each uuid with the content of its row."""
    return f"SELECT uuid, {_CONTENT} AS content FROM {_rows(files)} WHERE uuid IS NOT NULL"


def _unnamed(files: Sequence[Path], is_stored: str) -> str:
    """Returns the SQL of the content of each row that has no uuid."""
    return f"SELECT {is_stored} AS is_stored, {_CONTENT} AS content FROM {_rows(files)} WHERE uuid IS NULL"


_CONTENT = f"hash({', '.join(quoted(column.name) for column in (*COLUMNS, EXTRA))})"
"""The SQL of a row's values as one number: the rows themselves would not fit the memory."""


def _rows(files: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(duck.path(file) for file in files)}], hive_partitioning = false)"
