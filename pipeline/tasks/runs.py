"""The commands that run the chain: days through Luigi's own command line, so that `[retcode]` and luigi.cfg hold."""

import datetime as dt
from collections.abc import Collection, Iterable
from pathlib import Path

from loguru import logger
from luigi.interface import core
from luigi.retcodes import run_with_retcodes

from pipeline import logs, settings
from pipeline.errors import ConfigError, NotReadyError, PipelineError
from pipeline.store import days, partition
from pipeline.store.paths import Layout
from pipeline.tasks import leftovers, refresh
from pipeline.tasks.daily import DailyTask
from pipeline.tasks.refresh import TASK_FAILED
from pipeline.text import count, size

ALREADY_RUNNING, NOT_RUN, NOTHING_RUN = 10, 25, 40
"""Luigi's statuses, as luigi.cfg has them; the last is of an exception that no task handles, and of a wrong setting."""

_ALONE = {
    ALREADY_RUNNING: "another run has it: waiting for it, without the web view",
    NOT_RUN: "another run asks the API: waiting for it, without the web view",
    NOTHING_RUN: "the run broke off (is luigid there?): going on without the web view",
}

_CHUNK = 366  # days in one call of Luigi, whose scheduler takes time by the square of its tasks


def status_of(error: PipelineError) -> int:
    """Returns the exit status of a command that ended with an error, in Luigi's own numbers."""
    return {ConfigError: NOTHING_RUN, NotReadyError: NOT_RUN}.get(type(error), TASK_FAILED)


def run(last_task: type[DailyTask], first: dt.date, last: dt.date) -> int:
    """Does every missing day, the oldest first, and says what there is then.

    Args:
        last_task: The end of the chain.
        first: The first day, UTC.
        last: The last day, included.

    Returns:
        Luigi's exit status; 0 where every day is complete.

    Raises:
        ConfigError: A day must be fetched, and the credentials are missing.
    """
    asked = days.between(first, last)
    todo = [day for day in asked if not last_task(date=day).complete()]
    done, layout = set(asked) - set(todo), Layout(settings.load().data_dir)
    clear_leftovers(done)
    if any(_must_be_fetched(day) for day in todo):
        settings.load_credentials()  # before any task, so that it is said once
    if len(asked) > 1:
        logger.info("{} days, {} to {}: {} to do", len(asked), first, last, len(todo) or "nothing")
    status = 0
    for start in range(0, len(todo), _CHUNK):
        chunk = todo[start : start + _CHUNK]
        status = max(status, _luigi(last_task, chunk[0], chunk[-1]))
    missing = [day for day in todo if not last_task(date=day).complete()]
    missing += [day for day in done if not days.load_record(layout, day)]  # taken away meanwhile
    missing.sort()
    for day in sorted(set(todo) - set(missing)):
        leftovers.clear(day)  # of a run before this one, in a stage that was done already
    refreshed = refresh.now()
    _summarize(asked, missing, unchanged=not todo)
    return status or (NOTHING_RUN if missing else 0 if refreshed else TASK_FAILED)


def unfinished(dates: Iterable[dt.date]) -> list[dt.date]:
    """Returns the days that were begun and that the chain finishes without asking Amplitude for anything.

    A repair or a recheck that was ended once it had published a new ZIP leaves such days, and so does a run.

    Args:
        dates: The days to look at.
    """
    layout = Layout(settings.load().data_dir)
    begun = sorted(set(layout.dates()).intersection(dates))
    return [day for day in begun if not days.is_loaded(layout, day) and not _must_be_fetched(day)]


def _must_be_fetched(day: dt.date) -> bool:
    layout = Layout(settings.load().data_dir)
    return not days.is_exported(layout, day) and not days.is_extracted(layout, day)


def clear_leftovers(done: Collection[dt.date]) -> None:
    """Removes what a run left that was killed after its last step, what an import made needless, and what was replaced.

    What was replaced goes only where the warehouse does not name it any more.

    Args:
        done: Days that are complete.
    """
    layout = Layout(settings.load().data_dir)
    replaced = {day: partition.superseded(layout, day) for day in done}
    if any(replaced.values()) and not refresh.now():
        replaced = {}
    for day in sorted(done):
        leftovers.clear(day, replaced.get(day, []))


def _luigi(last_task: type[DailyTask], first: dt.date, last: dt.date) -> int:
    """Runs Luigi's command line; RangeDaily's own `stop` is exclusive."""
    task = str(last_task.task_family)
    if first == last:
        arguments = [task, "--date", str(first)]
    else:
        stop = last + dt.timedelta(days=1)
        arguments = ["RangeDaily", "--of", task, "--start", str(first), "--stop", str(stop)]
    status = _call(arguments)
    if status in _ALONE and not core().local_scheduler:
        # luigid refuses where our own locks wait; the days that are complete by now ask for nothing.
        logger.warning(_ALONE[status])
        status = _call([*arguments, "--local-scheduler"])
    return status


def _call(arguments: list[str]) -> int:
    try:
        run_with_retcodes(["--module", "pipeline.tasks", *arguments])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else NOTHING_RUN
    return 0


def _summarize(asked: list[dt.date], missing: list[dt.date], *, unchanged: bool) -> None:
    conf = settings.load()
    layout = Layout(conf.data_dir)
    done = sorted(set(asked) - set(missing))
    records = [record for day in done if (record := days.load_record(layout, day))]
    rows = sum(record.counts.rows for record in records)
    if missing:
        _say_missing(asked, missing, conf.logs_dir)
        return
    if len(asked) == 1:
        again = f" Nothing to do (make force DATE={asked[0]} does it again)." if unchanged else ""
        place = layout.parquet_dir(asked[0])
        logger.info("{} is complete: {} in {}/.{}", asked[0], count(rows, "event"), place, again)
        return
    empty = sum(not record.counts.rows for record in records)
    stored = size(sum(record.bytes for record in records))
    logger.info(
        "{} days complete, {} of them empty: {}, {} of Parquet in {}/",
        len(done), empty, count(rows, "event"), stored, layout.parquet_dir(asked[0]).parent,
    )  # fmt: skip


def _lacking(day: dt.date) -> str:
    layout = Layout(settings.load().data_dir)
    load = days.load_record(layout, day)
    if load is None or not days.redo_asked(layout, day):
        return f"{day} is not complete"
    return (
        f"{day} is not done again. Its {count(load.counts.rows, 'event')} stand as they were. To try again:"
        f" make run DATE={day}. To leave it so: make force DATE={day} UNDO=1"
    )


def _say_missing(asked: list[dt.date], missing: list[dt.date], logs_dir: Path) -> None:
    if len(asked) == 1:
        logger.error("{}. What happened, with tracebacks: {}", _lacking(asked[0]), logs.day_log(logs_dir, asked[0]))
        return
    where = f"{missing[0]}" if len(missing) == 1 else f"{missing[0]} to {missing[-1]}"
    logger.error(
        "{} of {} days complete; {} not ({}). What happened, with tracebacks: {}/",
        len(asked) - len(missing), len(asked), len(missing), where, logs_dir,
    )  # fmt: skip
