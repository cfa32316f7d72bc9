"""What stands of a day's partition on the disk, read again and held against what was recorded of it."""

from collections.abc import Callable
from pathlib import Path

import duckdb

from pipeline.store import digests
from pipeline.store.records import ParquetFile, RejectedFile
from pipeline.text import count
from pipeline.warehouse import duck, parquet

_READ = 1 << 20  # bytes at a time


def check_parquet(path: Path, file: ParquetFile, counted: Callable[[int], None]) -> str:
    """Reads a Parquet file whole, and its rows from its own footer.

    Args:
        path: The file.
        file: What was recorded of it.
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
        with duck.connect(path.parent / ".spill", threads=1) as connection:
            rows = parquet.count_rows(connection, path)
    except duckdb.Error as error:
        return f"DuckDB does not read it ({str(error).partition(chr(10))[0]})"
    return "" if rows == file.rows else f"it has {count(rows, 'row')}, not {file.rows:,}"


def check_rejected(path: Path, file: RejectedFile, counted: Callable[[int], None]) -> str:
    """Reads the file of rejected lines whole; arguments and result are those of `check_parquet`."""
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
    return "" if sha256 == file.sha256 else "it was changed, for its SHA-256 is another"
