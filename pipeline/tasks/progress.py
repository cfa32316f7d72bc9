"""How far a task is: in Luigi's web view, and as a bar on a terminal."""

import contextlib
import html
import multiprocessing
import sys
import time
from collections.abc import Iterator

import luigi
from loguru import logger
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline import logs
from pipeline.progress import Report
from pipeline.redaction import redact

_EVERY = 1.0  # seconds between two reports: each is a request to luigid


@contextlib.contextmanager
def shown(task: luigi.Task) -> Iterator[Report]:
    """Shows a task's progress while it runs.

    Args:
        task: Luigi gives it the means to report while a worker runs it.

    Yields:
        What to call with the share that is done, 0 to 1, and one line of text.
    """
    tell = _WebView(task)
    with _bar(task) as draw:

        def report(share: float, text: str) -> None:
            draw(share, text)
            tell(share, text)

        yield report
        tell.last()


class _WebView:
    """Luigi's status line and percentage: at most once a second, and never again once luigid did not answer."""

    def __init__(self, task: luigi.Task) -> None:
        self._task = task
        self._next = 0.0
        self._untold: tuple[float, str] | None = None

    def __call__(self, share: float, text: str) -> None:
        """Tells it, unless a second has not passed."""
        self._untold = share, text
        if time.monotonic() >= self._next:
            self._tell()

    def last(self) -> None:
        """Tells what was left untold: how the work ended."""
        if self._untold and self._next < float("inf"):
            self._tell()

    def _tell(self) -> None:
        if self._untold is None:
            return
        (share, text), self._untold = self._untold, None
        self._next = time.monotonic() + _EVERY
        try:
            # Both are None outside a worker. The page writes the message as HTML.
            if callable(say := self._task.set_status_message):
                say(html.escape(redact(text)))
            if callable(set_percentage := self._task.set_progress_percentage):
                set_percentage(int(100 * share))
        except Exception as error:  # noqa: BLE001 - whatever luigid's client raises: the work goes on
            self._next = float("inf")
            logger.warning("The web view is not told any more: luigid does not answer ({})", type(error).__name__)


@contextlib.contextmanager
def _bar(task: luigi.Task) -> Iterator[Report]:
    """Draws a bar on a terminal that is a person's; elsewhere nothing."""
    console = Console(stderr=True)
    # Of several workers, each would draw over the others' bars.
    if not console.is_terminal or not sys.stderr.isatty() or multiprocessing.parent_process():
        yield lambda _share, _text: None
        return
    bar = Progress(
        TextColumn(f"{getattr(task, 'date', '')}  {task.task_family:<14}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %  {task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    line = bar.add_task("", total=1.0)
    before, logs.print_line = (
        logs.print_line,
        lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
    )
    try:
        with bar:
            yield lambda share, text: bar.update(line, completed=share, description=text)
    finally:
        logs.print_line = before
