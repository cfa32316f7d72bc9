"""Questions to the DuckDB file, asked of a private copy: it is small, and no notebook's lock stands in the way."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from pipeline.errors import storage_errors
from pipeline.settings import Settings
from pipeline.store.paths import Layout
from pipeline.warehouse import catalog, duck, repeats

_BATCH = 1000  # rows


class SqlError(Exception):
    """DuckDB refuses a statement; its own words say why."""


class Answer:
    """What a statement returns: the names of its columns, and its rows as they come."""

    def __init__(self, columns: Sequence[str], cursor: duckdb.DuckDBPyConnection) -> None:
        self.columns = columns
        self._cursor = cursor

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Yields the rows.

        Raises:
            SqlError: A row cannot be made.
        """
        with _refusals():
            while batch := self._cursor.fetchmany(_BATCH):
                yield from batch


class Warehouse:
    """The warehouse's views, to be read."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def ask(self, text: str) -> Iterator[Answer]:
        """Runs SQL; yields the answer of each statement that has one, before the next is run.

        Args:
            text: One statement or several.

        Raises:
            SqlError: DuckDB refuses it.
        """
        with _refusals():
            for statement in self._connection.extract_statements(text):
                self._connection.execute(statement)
                columns = self._connection.description or []
                if statement.type == duckdb.StatementType.SELECT and any("ZONE" in str(each[1]) for each in columns):
                    # Such a time would need a package for time zones; as a text it needs none.
                    query = statement.query.rstrip().rstrip(";")
                    self._connection.execute(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (\n{query}\n) AS answer")
                if duckdb.ExpectedResultType.QUERY_RESULT in statement.expected_result_type:
                    yield Answer([str(column[0]) for column in columns], self._connection)


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Warehouse]:
    """Opens the warehouse as it stands; nothing is written to it, and nothing is fetched from anywhere.

    Args:
        settings: Where the data lies, and how many threads may work.

    Raises:
        StorageError: There is no DuckDB file, or it cannot be read.
    """
    final = Layout(settings.data_dir).warehouse()
    with tempfile.TemporaryDirectory(prefix="warehouse-") as folder:
        with storage_errors(Path(folder)):
            place = catalog.copy_to(Layout(settings.data_dir), Path(folder))
        with duck.connect(Path(folder, "spill"), settings.cores) as connection:
            with duck.storage_failures(final):
                connection.execute(f"ATTACH {duck.text(str(place))} AS warehouse (READ_ONLY)")
                connection.execute("USE warehouse")
            yield Warehouse(connection)


def repeated_uuids(settings: Settings) -> int:
    """Returns how many uuids stand in two days or more.

    Raises:
        StorageError: There is no DuckDB file, or it cannot be read.
    """
    with opened(settings) as warehouse:
        return sum(1 for answer in warehouse.ask(f"SELECT DISTINCT uuid FROM {repeats.TABLE}") for _ in answer.rows())


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        with duck.interruptible():
            yield
    except duckdb.Error as error:
        raise SqlError(str(error).strip()) from error
