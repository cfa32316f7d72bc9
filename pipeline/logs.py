"""The log: one file a day of events, plain lines for the person, and Luigi's own logger led into both."""

import contextlib
import datetime as dt
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from loguru import logger

from pipeline.errors import PipelineError, storage_errors
from pipeline.redaction import redact
from pipeline.text import printable

if TYPE_CHECKING:
    from loguru import Message, Record

LINE = "{time:YYYY-MM-DD HH:mm:ss.SSS!UTC}Z {level: <7} {extra[date]: <10} {extra[task]: <14} {message}"
_COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31"}

print_line: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731, T201
"""How a line reaches the terminal; a progress bar puts its own way here while it stands."""


def day_log(logs_dir: Path, date: dt.date | str) -> Path:
    """Returns the log file of a day of events: `log_amplitude_20261122T00_20261122T23.log`."""
    day = str(date).replace("-", "")
    return logs_dir / f"log_amplitude_{day}T00_{day}T23.log"


def setup(logs_dir: Path, terminal: str = "INFO") -> None:
    """Sends every log line to its file and, from a level on, to the terminal (stderr).

    Args:
        logs_dir: The folder of the log files; it is made.
        terminal: The least level that is shown; Luigi's own lines are shown in the files alone.

    Raises:
        StorageError: The folder cannot be made.
    """
    with storage_errors(logs_dir):
        logs_dir.mkdir(mode=0o775, parents=True, exist_ok=True)
    logger.remove()
    logger.configure(extra={"date": "", "task": ""})
    # Without enqueue: a child that is killed while it holds the queue's lock would hang the whole run.
    logger.add(_file_sink(logs_dir), level="INFO", format=LINE, backtrace=False, diagnose=False)
    logger.add(_terminal_sink, level=terminal, format="{message}", filter=_for_people, backtrace=False, diagnose=False)
    logging.basicConfig(handlers=[_FromLogging()], level=logging.INFO, force=True)
    logging.getLogger("luigi-interface").propagate = True
    logging.captureWarnings(capture=True)


@contextlib.contextmanager
def about(date: dt.date | str, task: str) -> Iterator[None]:
    """Gives each line inside it a day and a task, in this thread and in those started from it."""
    with logger.contextualize(date=str(date), task=task):
        yield


class TaskLogContext:
    """Luigi's `[worker] task_process_context`: `about` for the task that a worker runs."""

    def __init__(self, process: Any) -> None:  # noqa: ANN401 - Luigi's TaskProcess
        self._about = about(getattr(process.task, "date", ""), process.task.task_family)

    def __enter__(self) -> None:
        self._about.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._about.__exit__(kind, error, trace)


_MEMORY = "lower PIPELINE_THREADS, or raise the limit (ulimit -v), then run it again: what is whole is kept."


def plain(error: BaseException | None) -> str:
    """Returns one plain line on what happened and what to do about it."""
    if isinstance(error, PipelineError):
        return f"{type(error).__name__}: {error}"
    said = f"{type(error).__name__}: {printable(redact(str(error)))}"
    if type(error).__name__ == "RPCError":  # Luigi's, which is not imported here
        return f"{said}. Start luigid (make scheduler), or run without SCHEDULER=central."
    if isinstance(error, MemoryError) or "can't start new thread" in said:
        return f"{said}. The memory does not do: {_MEMORY}"
    return f"{said}. If what was typed and luigi.cfg are right, this is a defect: its traceback is in the log file."


class _FromLogging(logging.Handler):
    """Leads the standard library's log records (Luigi's) into loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        known = record.levelname in logger._core.levels  # type: ignore[attr-defined]  # noqa: SLF001 - no public list
        log = logger.patch(lambda r: r.update({"name": record.name}))
        log.opt(exception=record.exc_info).log(record.levelname if known else record.levelno, "{}", record.getMessage())


def _file_sink(logs_dir: Path) -> Callable[["Message"], None]:
    def write(message: "Message") -> None:
        date = message.record["extra"]["date"]
        path = day_log(logs_dir, date) if date else logs_dir / "pipeline.log"
        try:
            # One write to a file opened for appending: lines of several processes never tear.
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o664)
            try:
                os.write(file, redact(str(message)).encode("utf-8", "backslashreplace"))
            finally:
                os.close(file)
        except OSError as error:
            # The work goes on without its log; loguru would print the whole record, secrets and all.
            if not told:
                told.append(path)
                print_line(f"{path} cannot be written ({error.strerror}): the log of this run is not whole.")

    told: list[Path] = []
    return write


def _for_people(record: "Record") -> bool:
    # Luigi's lines and the tracebacks are for the files; of a failed task, tasks/ prints its own plain line.
    if (record["name"] or "").startswith(("luigi", "py.warnings")):
        return record["message"].startswith("Uncaught")
    return True


def _terminal_sink(message: "Message") -> None:
    record = message.record
    place = "  ".join(part for part in (record["extra"]["date"], f"{record['extra']['task']:<14}") if part.strip())
    text = plain(record["exception"].value) if record["exception"] else record["message"]
    if record["level"].name == "WARNING":
        text = f"WARNING: {text}"
    line = redact(f"{place}  {text}" if place else text)
    colour = _COLOURS.get(record["level"].name)
    if colour and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        line = f"\x1b[{colour}m{line}\x1b[0m"
    print_line(line)
