"""Ctrl-C and SIGTERM: one line, no traceback, and nobody is left working."""

import multiprocessing
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import NoReturn

from loguru import logger


class Terminated(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP. A KeyboardInterrupt is the one exception that Luigi's worker lets through."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


_met: int | None = None


def met() -> bool:
    """Tells whether a signal ends this process."""
    return _met is not None


def behind(interrupt: KeyboardInterrupt) -> Terminated:
    """Returns the signal behind an interrupt: a library that was stopped tells that there was one, and not which."""
    return interrupt if isinstance(interrupt, Terminated) else Terminated(_met or signal.SIGINT)


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
    global _met  # noqa: PLW0603 - a signal is the process's
    if multiprocessing.parent_process() is not None:
        # A forked worker: its leftovers are hidden, and the parent says what there is to say.
        os._exit(128 + signum)
    # They would finish their task as orphans.
    for child in multiprocessing.active_children():
        child.terminate()
    _met = signum
    raise Terminated(signum)


def leave(status: int) -> NoReturn:
    """Ends the process at once: nothing else sets its exit status that late, and nobody holds what is half done."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def leave_for(interrupt: KeyboardInterrupt) -> NoReturn:
    """Ends the process with the line that says what stopped it."""
    ended = behind(interrupt)
    print(stopped(ended), file=sys.stderr)  # noqa: T201
    leave(exit_status(ended))


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        leave_for(error)
    logger.opt(exception=(kind, error, trace)).critical("Uncaught")
