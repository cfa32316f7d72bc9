"""What every task of a day shares: its date, its order, its lock, and how a failure is told."""

import datetime as dt
import html
import re
from collections.abc import Callable
from typing import Any

import luigi
from loguru import logger
from luigi.rpc import RPCError
from luigi.task import MixinNaiveBulkComplete

from pipeline import logs, settings
from pipeline.errors import ConfigError, TransientError, storage_errors
from pipeline.progress import Report
from pipeline.redaction import redact
from pipeline.store import locks
from pipeline.store.paths import Layout
from pipeline.tasks.progress import shown
from pipeline.text import printable

_DAY = re.compile(r"[12]\d{3}-\d{2}-\d{2}", re.ASCII)
_FIRST = dt.date(2012, 1, 1)  # the year Amplitude began: 0206 for 2026 would be seven hundred thousand days


def parse_day(text: str) -> dt.date:
    """Reads a day as `2026-11-22`, and in no other form.

    Raises:
        ConfigError: It is no day, or not written so.
    """
    try:
        if _DAY.fullmatch(text):
            found = dt.date.fromisoformat(text)
            if found >= _FIRST:
                return found
            raise ConfigError(f"{text} is before {_FIRST}", "Amplitude has no events of it. Is the year right?")
    except ValueError:
        pass
    raise ConfigError(f"{printable(text, 40)!r} is no day", "Write a day as YYYY-MM-DD: 2026-11-22.")


class UploadDayParameter(luigi.DateParameter):
    """A UTC day of upload time; Luigi's own parameter also takes 2026-1-5, and answers a typo with a traceback."""

    def parse(self, s: str) -> dt.date:  # noqa: D102 - Luigi's
        return parse_day(s)


class DailyTask(MixinNaiveBulkComplete, luigi.Task):
    """A stage of one upload day.

    A subclass says what it requires, its output, when it is done (`is_done`) and does its work (`work`): one call of
    the rooms below. `bulk_complete` is Luigi's naive one, a `complete()` a day: RangeDaily's inference would look for
    files only, and run finished directories for ever.
    """

    date: dt.date = UploadDayParameter(description="the upload day, UTC: YYYY-MM-DD")

    unknown: Exception | None = None
    """Why nobody knows whether it is done."""

    @property
    def priority(self) -> int:  # type: ignore[override]
        """The oldest day first: Luigi runs the days of a range in random order otherwise; it must be positive."""
        return dt.date.max.toordinal() - self.date.toordinal() + 1

    @property
    def layout(self) -> Layout:
        """Where the data lies."""
        return Layout(settings.load().data_dir)

    def is_done(self) -> bool:
        """Tells whether this stage of the day stands, whole."""
        raise NotImplementedError

    def work(self, report: Report) -> str:
        """Does the stage; returns one line on what it did."""
        raise NotImplementedError

    def complete(self) -> bool:  # noqa: D102 - Luigi's
        try:
            return self.is_done()
        except Exception as error:
            self.unknown = error
            raise

    def run(self) -> None:
        """Does the stage under the day's lock; one that another process has done meanwhile is left as it is."""
        with (
            storage_errors(self.layout.root),
            locks.hold(self.layout.lock(self.date)),
            shown(self) as report,
        ):
            if self.complete():
                logger.info("done meanwhile by another process")
                return
            said = self.work(report)
            report(1.0, said)
        logger.info(said)

    def on_failure(self, exception: BaseException) -> str:
        """Returns what the web view shows of a failure: our words, and no traceback with foreign text in it."""
        return html.escape(redact(logs.plain(exception)))


_MOVED = ("Unfulfilled depend", "Task finished running, but complete() is still returning false")


def _words(error: BaseException) -> str:
    """Returns what a failure says to people; two of Luigi's own mean that the ground moved under the run."""
    if str(error).startswith(_MOVED):
        return (
            "the day was asked for anew (make force), or files of it were taken away, while it ran."
            " Run it again: what is whole is kept."
        )
    return logs.plain(error)


_said: dict[str, dt.date | None] = {}


def _say(task: luigi.Task, error: BaseException) -> None:
    if isinstance(error, RPCError):  # it ends the run, and is said there
        return
    text, date = _words(error), getattr(task, "date", None)
    # A wrong key fails each day of a range in the same words: once is enough to read them.
    first = _said.setdefault(text, date)
    with logs.about(date or "", task.task_family):
        logger.error(text if first == date else f"{type(error).__name__}, as on {first}")


def _say_unplanned(task: luigi.Task) -> None:
    """Says why a task's `complete()` failed: Luigi tells its listeners no more than that something is missing."""
    error = getattr(task, "unknown", None) or _failure(task)
    if error is not None:
        _say(task, error)


def _failure(task: luigi.Task) -> Exception | None:
    """Returns what the `complete()` of a task fails with that is none of ours: a range's, which asks its days."""
    try:
        task.complete()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is to be said
        return error
    return None


def _say_killed(task: luigi.Task, said: str) -> None:
    """Says that a worker's process is gone: Luigi itself fails the task without a word to its listeners."""
    status = said.rpartition(" ")[2]  # of a process that a signal ended: below zero
    how = f"was killed by signal {status[1:]}" if status.startswith("-") else f"ended with status {status}"
    todo = "If the machine has too little memory, lower PIPELINE_THREADS. Run it again: what is whole is kept."
    _say(task, TransientError(f"the worker {how}", todo))


_listen: Callable[..., Any] = luigi.Task.event_handler
_listen(luigi.Event.FAILURE)(_say)
_listen(luigi.Event.BROKEN_TASK)(_say)
_listen(luigi.Event.PROCESS_FAILURE)(_say_killed)
_listen(luigi.Event.DEPENDENCY_MISSING)(_say_unplanned)
