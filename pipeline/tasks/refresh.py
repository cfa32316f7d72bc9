"""The warehouse file, brought up to date once at the end of a run, whoever ran it."""

import atexit
import datetime as dt
import multiprocessing

from loguru import logger

from pipeline import logs, settings
from pipeline.errors import PipelineError
from pipeline.store.paths import Layout
from pipeline.tasks import leftovers, signals
from pipeline.warehouse import catalog

TASK_FAILED = 30
"""Luigi's status of a failed task, as luigi.cfg has it."""


def now() -> bool:
    """Brings the warehouse file to what the markers say; it is derived, and no day is less complete without it.

    Returns:
        Whether that succeeded; if not, the log says why.
    """
    not_at_exit()
    try:
        catalog.refresh(settings.load())
    except PipelineError as error:
        place = Layout(settings.load().data_dir).warehouse()
        logger.error("{} was not refreshed; the days themselves are. {}", place, logs.plain(error))
        return False
    return True


def at_exit(date: dt.date) -> None:
    """Makes this process refresh it when it ends: `luigi` itself has no end of a run to hang it on.

    Args:
        date: A day that it asked for: what is left over of it goes then, too.
    """
    if multiprocessing.parent_process() is None:
        not_at_exit()
        _asked.add(date)
        atexit.register(_last)


def not_at_exit() -> None:
    """Takes that back: it has been done, or is not to be."""
    atexit.unregister(_last)


_asked: set[dt.date] = set()


def _last() -> None:
    if signals.met():  # the shell is not to be kept waiting
        return
    try:
        refreshed = now()
        for date in sorted(_asked):
            leftovers.clear(date)
    except KeyboardInterrupt as interrupt:
        signals.leave_for(interrupt)
    if not refreshed:
        signals.leave(TASK_FAILED)
