"""Work on daemon threads, so that Ctrl-C never waits for a read that stalls.

`concurrent.futures.ThreadPoolExecutor` joins its threads when the interpreter ends; these are not joined.
"""

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import ParamSpec, TypeVar

_TICK = 1.0  # seconds

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")


def start(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Starts work on a daemon thread, with the caller's context: its log lines know their day and task.

    Returns:
        The future of what the work returns or raises.
    """
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(work, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def each(
    work: Callable[[Item], T],
    items: Iterable[Item],
    at_once: int,
    stop: threading.Event,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[T]:
    """Does work for each item, some at once, and yields the results as they come.

    Once one has failed no other is begun, and the failure is raised when the last thread has ended: none of them uses
    any more what the caller then takes away. A signal waits for none.

    Args:
        work: Called with one item; it should end soon once `stop` is set.
        items: Taken in order.
        at_once: How many threads work at the same time.
        stop: Set at the end, also where the caller goes away.
        tick: Called each second in which none has ended.

    Yields:
        What the work returned, in the order in which it ended.
    """
    running: set[Future[T]] = set()
    queue = iter(items)
    exhausted = False
    try:
        while True:
            while not exhausted and len(running) < at_once:
                try:
                    running.add(start(work, next(queue)))
                except StopIteration:
                    exhausted = True
            if not running:
                return
            done, running = wait(running, timeout=_TICK, return_when=FIRST_COMPLETED)
            if not done:
                tick()
            for future in done:
                yield future.result()
    except Exception:
        stop.set()
        wait(running)
        raise
    finally:
        stop.set()
