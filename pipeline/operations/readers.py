"""The threads that read what is published, several files at once, and what they find unreadable."""

import collections
import dataclasses
import errno
import itertools
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline import threads
from pipeline.errors import StorageError, TransientError
from pipeline.settings import Settings
from pipeline.store.chain import RAW
from pipeline.warehouse.check import Rows

UNREADABLE = "the disk does not read it"

Counted = Callable[[int], None]
"""Told the bytes of each piece that was read."""


@dataclasses.dataclass(frozen=True)
class Check:
    """What is to be done with a file.

    Attributes:
        stage: `raw`, `events`, `parquet` or `rejected`.
        path: The file.
        does: Reads it, and returns what is wrong with it.
    """

    stage: str
    path: Path
    does: Callable[[Counted], str]


class Readers:
    """The threads that read: of all days together, no more than there are cores.

    Args:
        settings: How many.
        counted: Told the bytes of each piece that was read, from any thread.

    Attributes:
        stop: Set where nobody waits for the rest any more.
        rows: Counts the rows of Parquet files.
    """

    def __init__(self, settings: Settings, counted: Counted = lambda _size: None) -> None:
        self.stop = threading.Event()
        self.rows = Rows()
        self._cores = settings.cores
        self._free = threading.Semaphore(self._cores)
        self._counted = counted

    def each(self, checks: Iterable[Check]) -> Iterator[tuple[Check, int, str]]:
        """Does checks; yields each with the bytes that it read and what is wrong."""
        waiting = collections.deque(checks)

        def work(_number: int) -> list[tuple[Check, int, str]]:
            done = []
            while (check := _next(waiting)) is not None:
                done.append(self._done(check))
            return done

        # A thread takes many: the files of a small day are read in less time than one takes to begin.
        threads_ = range(min(self._cores, len(waiting)))
        return itertools.chain.from_iterable(threads.each(work, threads_, self._cores, threading.Event()))

    def _done(self, check: Check) -> tuple[Check, int, str]:
        size = 0

        def counted(read: int) -> None:
            nonlocal size
            if self.stop.is_set():
                raise TransientError("the check was stopped")
            size += read
            self._counted(read)

        with self._free:
            wrong = _guarded(check, counted)
        return check, size, wrong


def _next(waiting: collections.deque[Check]) -> Check | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def is_of_the_disk(error: BaseException | None) -> bool:
    """Tells whether an error says that the disk failed to read, in the system's words or in ours."""
    if isinstance(error, StorageError):
        error = error.__cause__
    return isinstance(error, OSError) and error.errno == errno.EIO


def _guarded(check: Check, counted: Counted) -> str:
    """Does a check; a file that is not there, is no file, or that the disk does not read, is damaged too."""
    try:
        # A ZIP may lie on another disk, with a link to it; the markers count plain files alone.
        found = check.path.stat(follow_symlinks=check.stage == RAW)
        return check.does(counted) if stat.S_ISREG(found.st_mode) else "it is no plain file"
    except (FileNotFoundError, NotADirectoryError):
        return "it is missing"
    except (OSError, StorageError) as error:
        if is_of_the_disk(error):
            return UNREADABLE
        raise
