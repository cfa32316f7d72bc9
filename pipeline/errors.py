"""Every error of the pipeline, ordered by what the operator does about it.

* PipelineError
    * ConfigError       mend a setting; no request was sent
    * CredentialsError  mend the key, the secret or the region; nothing more is sent
    * NotReadyError     wait until the day is settled; no request was sent
    * TransientError    nothing: it was tried again; run it again later
    * TooLargeError     fetch the hour another way
    * RequestError      read the server's words
    * ArchiveError      look at what was put aside; run it again
        * LimitError    raise the setting, if the archive is honest
    * LoadError         look at the lines that were put aside
        * DamagedError  run it again: the day is extracted anew
    * StorageError      make room, or mend the permissions
        * MemoryLimitError  raise the setting
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.text import printable, size


class PipelineError(Exception):
    """What went wrong, and what to do about it.

    Attributes:
        what: What happened and why, one sentence without its full stop.
        todo: What to do or to type next, one sentence.
    """

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what, todo)
        self.what = what
        self.todo = todo

    def __str__(self) -> str:
        return f"{self.what}. {self.todo}"


class ConfigError(PipelineError):
    """A setting is missing or wrong."""


class CredentialsError(PipelineError):
    """Amplitude refused the key or the secret."""


class NotReadyError(PipelineError):
    """The day is not settled: events may still enter it."""


class TransientError(PipelineError):
    """Something that passes: it is tried again.

    Attributes:
        status: The HTTP status that it came with, or None.
        retry_after: Seconds that the server asked to wait, or None.
    """

    def __init__(
        self,
        what: str,
        todo: str = "Run it again later.",
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what, todo)
        self.status = status
        self.retry_after = retry_after


class TooLargeError(PipelineError):
    """The window is more than one answer can hold; half of it may do.

    Attributes:
        status: 400 or 504, as Amplitude says it, or 413: larger than what we take.
    """

    def __init__(self, what: str, todo: str, *, status: int = 400) -> None:
        super().__init__(what, todo)
        self.status = status


class RequestError(PipelineError):
    """The server refuses the request, and would refuse it again."""


class ArchiveError(PipelineError):
    """An archive is hostile or damaged."""

    def __init__(self, what: str, todo: str = "Run it again to fetch it anew.") -> None:
        super().__init__(what, todo)


class LimitError(ArchiveError):
    """An archive is larger than a setting allows; it may be honest, and is left where it is."""


class LoadError(PipelineError):
    """A day's lines cannot become rows that can be trusted; nothing of it was published."""


class DamagedError(LoadError):
    """A file of JSON lines is not what was extracted: the disk, or somebody, changed it."""


_ROOM = "Make room there (make prune KEEP_DAYS=30 WHAT=events)"
_ALLOW = "Mend its permissions"
_MOVE = "A file stands where a folder should: move it, or mend PIPELINE_DATA_DIR or PIPELINE_LOGS_DIR"
_LOOK = "Make room there, mend its permissions or look at the disk"
_TODO = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "Raise the limit of a file's size (ulimit -f)",
    errno.EMFILE: "Raise the limit of open files (ulimit -n)",
    errno.EACCES: _ALLOW,
    errno.EPERM: _ALLOW,
    errno.EROFS: "Make it writable (its file system is mounted read-only)",
    errno.EEXIST: _MOVE,
    errno.ENOTDIR: _MOVE,
    errno.EIO: "The disk fails: look at the system's log, and replace it or restore the folder",
}


class StorageError(PipelineError):
    """The disk is full, failing or closed to us."""

    @classmethod
    def of(cls, error: OSError, path: Path) -> "StorageError":
        """Tells an operating system's error with the path and the room that is left.

        Args:
            error: What the system said.
            path: Where it was to be written or read, if the error does not know.
        """
        named = error.filename
        place = Path(os.fsdecode(named)) if isinstance(named, str | bytes | os.PathLike) else path
        # os.path's, for Path.exists() itself raises where a name is too long or a folder is closed to us.
        standing = next((p for p in (place, *place.absolute().parents) if os.path.exists(p)), Path("/"))  # noqa: PTH110
        try:
            room = f"{size(shutil.disk_usage(standing).free)} free"
        except OSError:
            room = "its free space cannot be read"
        return cls(
            f"{printable(str(place))}: {error.strerror or error} ({room})",
            f"{_TODO.get(error.errno or 0, _LOOK)}, then run it again: what was there before is untouched.",
        )


class MemoryLimitError(StorageError):
    """What DuckDB may take of the memory does not do."""


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns the system's errors inside it into a StorageError.

    Args:
        path: The place that is worked on.

    Raises:
        StorageError: The system refused to read or write.
    """
    try:
        yield
    except OSError as error:
        raise StorageError.of(error, path) from error
