"""Locks between processes: flock, so that a killed holder leaves nothing behind."""

import contextlib
import datetime as dt
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from loguru import logger

from pipeline.errors import storage_errors
from pipeline.store.publish import make_dirs
from pipeline.text import printable

_LOOK = 0.02  # seconds; a look at a lock, as `holder` takes, is over by then


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Holds a lock; waits for it, and says once who has it.

    Args:
        path: The lock's file: its first line says who holds it. It stays, and means nothing by itself.

    Raises:
        StorageError: The lock's file cannot be opened or written.
    """
    with storage_errors(path):
        make_dirs(path.parent)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o664)
    try:
        if not (_taken(file) or _taken_soon(file)):
            name = "the Export API" if path.name == "api" else path.name
            logger.info("{} is in use by {}: waiting for it", name, _holder(file))
            with storage_errors(path):
                fcntl.flock(file, fcntl.LOCK_EX)
        now = dt.datetime.now(dt.UTC)
        with storage_errors(path):
            os.ftruncate(file, 0)
            os.pwrite(file, f"process {os.getpid()}, since {now:%Y-%m-%d %H:%M:%S} UTC\n".encode(), 0)
        yield
    finally:
        os.close(file)


def holder(path: Path) -> str | None:
    """Tells who holds a lock, or None where it is free."""
    try:
        file = _opened(path)
    except FileNotFoundError:
        return None
    try:
        # Shared: two who look at once do not take each other for a holder.
        return None if _taken(file, fcntl.LOCK_SH) else _holder(file)
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return os.open(path, os.O_RDONLY)  # enough to look


def _taken(file: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken_soon(file: int) -> bool:
    """Tries once more: who only looked at the lock held it for a moment, and the name in it is of one long gone."""
    time.sleep(_LOOK)
    return _taken(file)


def _holder(file: int) -> str:
    return printable(os.pread(file, 200, 0).decode("utf-8", "replace").strip()) or "another process"
