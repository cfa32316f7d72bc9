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

    Rows without a uuid have nothing to be known by: their number alone is compared, and counts in `grown` or `shrunk`.
    So `events` is always the stored rows + `grown` - `shrunk`. Lines that are no events are not compared, only counted.

    Attributes:
        events: Rows that Amplitude has now, as they would be loaded.
        grown: Events that it has and that are not stored.
        shrunk: Events that are stored and that it has no more.
        changed: Events that both have, with other values.
        fewer_rejects: Lines that are no events, by how many it has fewer than are stored.
    """

    events: int
    grown: int = 0
    shrunk: int = 0
    changed: int = 0
    fewer_rejects: int = 0

    @property
    def is_none(self) -> bool:
        """Whether both have the same events."""
        return not (self.grown or self.shrunk or self.changed)


def compare_day(
    home: Layout, load: LoadRecord, fetched: Layout, events: EventsRecord, settings: Settings, report: Report
) -> Difference:
    """Loads a day that was fetched again, beside what is stored, and compares the two by uuid.

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
    return dataclasses.replace(difference, fewer_rejects=max(load.counts.rejects - now.counts.rejects, 0))


def count_rows(fetched: Layout, events: EventsRecord, settings: Settings, report: Report) -> int:
    """Returns how many rows a day has that was fetched again, where there is nothing whole to compare it with.

    Args:
        fetched: Where its events were extracted; the rows are staged there too, and removed again.
        events: What was extracted.
        settings: Processes, memory and limits.
        report: Told how far it is.

    Raises:
        LoadError: The events cannot be loaded.
        StorageError: The disk refused, or the memory does not do.
    """
    with _loaded(fetched, events, settings, report) as (now, _):
        return now.counts.rows


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
        before, now = _unnamed(connection, stored), _unnamed(connection, fetched)
        found = connection.execute(f"""
            SELECT count(*) FILTER (stored.uuid IS NULL), count(*) FILTER (fetched.uuid IS NULL),
                count(*) FILTER (stored.content <> fetched.content), count(fetched.uuid)
            FROM ({_contents(stored)}) stored FULL JOIN ({_contents(fetched)}) fetched USING (uuid)
        """).fetchone()
    grown, shrunk, changed, events = map(int, found or ())
    return Difference(
        events=events + now, grown=grown + max(now - before, 0), shrunk=shrunk + max(before - now, 0), changed=changed
    )


def _unnamed(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> int:
    found = connection.execute(f"SELECT count(*) - count(uuid) FROM {_rows(files)}").fetchone()
    return int(found[0]) if found else 0


def _contents(files: Sequence[Path]) -> str:
    """Returns the SQL of each uuid with a hash of its row: the rows themselves would not fit the memory."""
    values = ", ".join(quoted(column.name) for column in (*COLUMNS, EXTRA))
    return f"SELECT uuid, hash({values}) AS content FROM {_rows(files)} WHERE uuid IS NOT NULL"


def _rows(files: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(duck.path(file) for file in files)}], hive_partitioning = false)"
