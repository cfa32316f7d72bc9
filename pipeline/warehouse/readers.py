"""A day's files read by several processes at once: Python reads lines on one core only."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

import pipeline
from pipeline import threads
from pipeline.errors import LoadError, PipelineError
from pipeline.progress import Progress
from pipeline.settings import PREFIXES, Settings
from pipeline.store.records import EventsFile
from pipeline.warehouse.clean import Sieve
from pipeline.warehouse.scan import FileScan
from pipeline.warehouse.worker import Answer, Job

INLINE_BYTES = 4_000_000
"""Bytes of a day up to which other processes would take longer to start than to read."""

_answers = msgspec.json.Decoder(Answer)  # made in one thread, as the manifest's are
_HOME = Path(pipeline.__file__).parents[1]
_COMMAND = (sys.executable, "-P", "-m", "pipeline.warehouse.worker")  # -P: nothing is imported from where one stands


def scan_files(
    files: Sequence[tuple[Path, EventsFile]],
    staging: Path,
    settings: Settings,
    progress: Progress,
    *,
    thorough: bool = False,
    share: float = 1.0,
) -> list[FileScan]:
    """Looks at each line of a day's files.

    Args:
        files: The files, and what the extraction says of each.
        staging: A directory for the side files.
        settings: How many processes, and what an event may have.
        progress: Told how far it is.
        thorough: Whether no line is left to DuckDB.
        share: What this is of the whole work that the progress tells, 0 to 1.

    Returns:
        What stands in each file, in their order.

    Raises:
        DamagedError: The bytes of a file are not those that were extracted.
        LoadError: A process that read was ended, or none can be started.
        StorageError: The system refused to read or write.
    """
    total = sum(file.bytes for _, file in files)
    scans: list[FileScan] = []
    read = 0
    jobs = _jobs(files, staging, settings.max_event_bytes, thorough=thorough)
    with contextlib.closing(_scans(jobs, settings)) as each:
        for scan in each:
            scans.append(scan)
            size = files[scan.index][1].bytes
            read += size
            progress.add(size)
            progress.set(share * read / total if total else share, f"file {len(scans)} of {len(files)}")
    return sorted(scans, key=lambda scan: scan.index)


def _scans(jobs: list[Job], settings: Settings) -> Generator[FileScan, None, None]:
    """Yields the scans as they end: of a small day from this process, else from several."""
    at_once = min(settings.cores, len(jobs))
    if at_once <= 1 or sum(job.bytes for job in jobs) <= INLINE_BYTES:
        sieve = Sieve()
        yield from (job.run(sieve) for job in jobs)
        return
    # The largest first: none is left to run alone at the end.
    largest_first = sorted(jobs, key=lambda job: -job.bytes)
    with _Readers(at_once) as readers:
        yield from threads.each(readers.scan, largest_first, at_once, threading.Event())


def _jobs(
    files: Sequence[tuple[Path, EventsFile]], staging: Path, max_event_bytes: int, *, thorough: bool
) -> list[Job]:
    return [
        Job(
            path=str(path.absolute()),
            index=index,
            bytes=file.bytes,
            crc32=file.crc32,
            staging=str(staging.absolute()),
            max_event_bytes=max_event_bytes,
            thorough=thorough,
        )
        for index, (path, file) in enumerate(files)
    ]


class _Readers:
    """Worker processes; none of them lives on after it."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._all: list[subprocess.Popen[bytes]] = []
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        try:
            for _ in range(self._number):
                self._all.append(_start())
                self._idle.put(self._all[-1])
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def scan(self, job: Job) -> FileScan:
        """Lets an idle process do a job; for as many threads as there are processes.

        Raises:
            LoadError: As `scan_files`.
            StorageError: As `scan_files`.
        """
        process = self._idle.get()
        try:
            scan = _ask(process, job)
        except (PipelineError, OSError, ValueError) as error:
            # The others are ended at once, and what they then fail with is no news.
            with self._lock:
                self._failure = self._failure or error
            for other in self._all:
                other.kill()
            raise self._failure from None
        self._idle.put(process)
        return scan

    def _end(self) -> None:
        for process in self._all:
            process.kill()
        for process in self._all:
            with contextlib.suppress(BrokenPipeError), process:
                pass


def _start() -> "subprocess.Popen[bytes]":
    """Starts a process that has none of the secrets, and to which Ctrl-C means nothing: its input ends."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES["amplitude"])}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_HOME), env.get("PYTHONPATH"))))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # a child begins with its parent's mask
    try:
        return subprocess.Popen(_COMMAND, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
    except OSError as error:
        raise LoadError(
            f"no process to read with can be started ({error.strerror})", "Lower PIPELINE_THREADS, then run it again."
        ) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ask(process: "subprocess.Popen[bytes]", job: Job) -> FileScan:
    line = b""
    if process.stdin and process.stdout:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
    if not line.endswith(b"\n"):
        raise LoadError(
            f"{job.path}: the process that read it {_how_it_ended(process.wait())}",
            "If the machine has too little memory, lower PIPELINE_THREADS; then run it again.",
        )
    answer = _answers.decode(line)
    if answer.scan is None:
        raise answer.error
    return answer.scan


def _how_it_ended(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}; its own words stand above"
