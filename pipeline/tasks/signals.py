"""Ctrl-C and SIGTERM: one line, no traceback, and nobody is left working."""

import multiprocessing
import os
import signal
import sys
import threading
from types import FrameType, TracebackType

from loguru import logger

from pipeline.tasks import refresh


class Terminated(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP. A KeyboardInterrupt is the one exception that Luigi's worker lets through."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def install() -> None:
    """Makes Ctrl-C, SIGTERM and SIGHUP end a run at once, workers included, with one line."""
    if threading.current_thread() is not threading.main_thread():
        return
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # nohup, or a script's background
            signal.signal(signum, _end)
    sys.excepthook = _one_line


def exit_status(error: Terminated) -> int:
    """Returns the shell's status for a run that was ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + error.signum


def stopped(error: Terminated) -> str:
    """Returns the line that says so."""
    name = "Ctrl-C" if error.signum == signal.SIGINT else signal.Signals(error.signum).name
    return f"Stopped by {name}. What is published is whole; run it again to go on from there."


def _end(signum: int, _frame: FrameType | None) -> None:
    if multiprocessing.parent_process() is not None:
        # A forked worker: its leftovers are hidden, and the parent says what there is to say.
        os._exit(128 + signum)
    refresh.not_at_exit()
    # They would finish their task as orphans.
    for child in multiprocessing.active_children():
        child.terminate()
    raise Terminated(signum)


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, Terminated):
        print(stopped(error), file=sys.stderr)  # noqa: T201
        # Of itself, Python gives 130 to a plain KeyboardInterrupt, and 1 to any other.
        raise SystemExit(exit_status(error))
    logger.opt(exception=(kind, error, trace)).critical("Uncaught")
