"""A process that reads files: jobs as lines of JSON on its input, answers on its output, until the input ends.

It imports little, for it starts with every load.
"""

import contextlib
import sys
from pathlib import Path

import msgspec

from pipeline.errors import DamagedError, LoadError, PipelineError, StorageError
from pipeline.warehouse.clean import Sieve
from pipeline.warehouse.scan import FileScan, scan_file

_CLASSES: tuple[type[PipelineError], ...] = (DamagedError, LoadError, StorageError)
_BY_NAME = {kind.__name__: kind for kind in _CLASSES}


class Job(msgspec.Struct, kw_only=True, frozen=True):
    """A call of `scan_file`, and the file's bytes; paths are absolute."""

    path: str
    index: int
    bytes: int
    crc32: str
    staging: str
    max_event_bytes: int
    thorough: bool

    def run(self, sieve: Sieve) -> FileScan:
        """Reads the file.

        Args:
            sieve: The one of all jobs of this process.

        Raises:
            LoadError: As `scan_file`.
            StorageError: As `scan_file`.
        """
        chosen = None if self.thorough else sieve
        return scan_file(Path(self.path), self.index, self.crc32, Path(self.staging), self.max_event_bytes, chosen)


class Answer(msgspec.Struct, kw_only=True, frozen=True):
    """What came of a job: a scan, or an error by its class and words."""

    scan: FileScan | None = None
    kind: str = ""
    what: str = ""
    todo: str = ""

    @property
    def error(self) -> PipelineError:
        """The error as it was raised."""
        return _BY_NAME[self.kind](self.what, self.todo)


_jobs = msgspec.json.Decoder(Job)


def answer(job: Job, sieve: Sieve) -> Answer:
    """Does a job."""
    try:
        return Answer(scan=job.run(sieve))
    except _CLASSES as error:
        return Answer(kind=type(error).__name__, what=error.what, todo=error.todo)


def main() -> None:
    """Answers jobs until there are no more, or nobody is there to hear."""
    sieve = Sieve()
    with contextlib.suppress(BrokenPipeError):
        for line in sys.stdin.buffer:
            done = answer(_jobs.decode(line), sieve)
            sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
