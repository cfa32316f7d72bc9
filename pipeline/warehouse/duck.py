"""DuckDB as we use it: in memory, bounded, and its failures in our words."""

import contextlib
import errno
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb

from pipeline.errors import MemoryLimitError, StorageError
from pipeline.text import printable


class RefusedError(Exception):
    """What the scan let pass is not what it took it for; in the words of the one who found it."""


_THREAD_BYTES = 100_000_000  # of buffers and of rows on their way into the Parquet
_GLOB = re.compile(r"[*?\[]")


def text(value: str) -> str:
    """Returns a text as SQL takes it."""
    return "'" + value.replace("'", "''") + "'"


def path(place: Path) -> str:
    """Returns a path to read as SQL takes it: DuckDB reads `*`, `?` and `[` in it as a pattern, and `#` as itself."""
    return text(_GLOB.sub(r"[\g<0>]", str(place.absolute())))


def paths(places: Iterable[Path]) -> str:
    """Returns a list of paths to read as SQL takes it."""
    return f"[{', '.join(map(path, places))}]"


def connect(spill: Path, threads: int, memory: int | None = None) -> duckdb.DuckDBPyConnection:
    """Opens a database in memory, which fetches nothing from anywhere.

    Args:
        spill: The directory for what does not fit the memory; DuckDB makes it when it needs it.
        threads: Threads that work at once.
        memory: Bytes that it may take; DuckDB's own share of the machine's unless given.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads,
        "temp_directory": str(spill.absolute()),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if memory is not None:
        config["memory_limit"] = f"{memory}B"
    return duckdb.connect(":memory:", config=config)


@contextlib.contextmanager
def session(spill: Path, memory: int, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """Opens a database in memory that is bounded, and closes it.

    Args:
        spill: The directory for what does not fit the memory; DuckDB makes it when it needs it.
        memory: Bytes that it may take.
        threads: Threads that work at once, where the memory does for their buffers.

    Raises:
        StorageError: What is done in it failed for want of memory or room.
        KeyboardInterrupt: A signal ended what is done in it.
    """
    fitting = max(1, min(threads, memory // _THREAD_BYTES))
    with interruptible(), storage_failures(spill.absolute()), connect(spill, fitting, memory) as connection:
        yield connection


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Lets a signal through that ends a query: DuckDB puts an error of its own in the place of what the handler raised.

    Raises:
        KeyboardInterrupt: A signal ended a query inside it.
    """
    try:
        yield
    except RuntimeError as error:
        if "Query interrupted" in str(error):
            raise KeyboardInterrupt from error
        raise


@contextlib.contextmanager
def storage_failures(place: Path) -> Iterator[None]:
    """Turns DuckDB's failures of disk and memory inside it into a StorageError; others pass.

    Args:
        place: What is written or read.

    Raises:
        StorageError: No room, no memory, or no right to the file.
    """
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise MemoryLimitError(
            f"{place}: DuckDB has too little memory ({_first_line(error)})",
            "Raise PIPELINE_LOAD_MEMORY, then run it again: what was there before is untouched.",
        ) from error
    except duckdb.IOException as error:
        full = OSError(errno.ENOSPC, "No space left on device")
        if "No space left" in str(error):
            raise StorageError.of(full, place) from error
        raise StorageError(
            f"{place}: {_first_line(error)}", "Mend that, then run it again: what was there before is untouched."
        ) from error


def _first_line(error: Exception) -> str:
    return printable(str(error).partition("\n")[0], 300)
