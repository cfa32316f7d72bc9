"""What stands of a day's partition on the disk, read again and held against what was recorded of it."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb

from pipeline.store import digests, partition
from pipeline.store.records import ParquetFile, RejectedFile
from pipeline.text import count
from pipeline.warehouse import duck, parquet

_READ = 1 << 20  # bytes at a time


class Rows:
    """Counts rows by DuckDB, from any thread; it is opened once, for that takes longer than to read a small day."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def count(self, path: Path) -> int:
        """Returns the rows of a Parquet file, by its footer."""
        with self._lock:
            self._connection = self._connection or duck.connect(path.parent / ".spill", threads=1)
            cursor = self._connection.cursor()
        return parquet.count_rows(cursor, path)


def most_readable(paths: Iterable[Path]) -> tuple[list[Path], int]:
    """Finds, among Parquet files of which nobody knows which count, those of the load that has the most rows.

    Args:
        paths: The files; those that DuckDB does not read are left out.

    Returns:
        The files, and their rows; none, and 0, where it reads none of them.
    """
    rows, found = Rows(), Counter[str]()
    files: dict[str, list[Path]] = {}
    for path in paths:
        with contextlib.suppress(duckdb.Error):
            load = partition.generation(path)
            found[load] += rows.count(path)
            files.setdefault(load, []).append(path)
    return next(((files[load], most) for load, most in found.most_common(1)), ([], 0))


def check_parquet(path: Path, file: ParquetFile, read: Rows, counted: Callable[[int], None]) -> str:
    """Reads a Parquet file whole, and its rows from its own footer.

    Args:
        path: The file.
        file: What was recorded of it.
        read: Reads its rows.
        counted: Told the bytes that were read.

    Returns:
        What is wrong with it; nothing where it holds.

    Raises:
        OSError: It cannot be read.
    """
    wrong = _check_digest(path, file, counted)
    if wrong:
        return wrong
    try:
        rows = read.count(path)
    except duckdb.Error as error:
        return f"DuckDB does not read it ({str(error).partition(chr(10))[0]})"
    return "" if rows == file.rows else f"it has {count(rows, 'row')}, not {file.rows:,}"


def check_rejected(path: Path, file: RejectedFile, counted: Callable[[int], None]) -> str:
    """Reads the file of rejected lines whole, and says what is wrong with it, as `check_parquet` does."""
    wrong = _check_digest(path, file, counted)
    if wrong:
        return wrong
    lines = 0
    with path.open("rb") as stream:
        while piece := stream.read(_READ):
            lines += piece.count(b"\n")
    return "" if lines == file.lines else f"it has {count(lines, 'line')}, not {file.lines:,}"


def _check_digest(path: Path, file: ParquetFile | RejectedFile, counted: Callable[[int], None]) -> str:
    size, sha256 = digests.sha256(path, counted)
    if size != file.bytes:
        return f"it has {count(size, 'byte')}, not {file.bytes:,}"
    return "" if sha256 == file.sha256 else "its SHA-256 is not the recorded one"
