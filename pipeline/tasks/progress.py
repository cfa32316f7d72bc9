"""How far a task is: in Luigi's web view, and as a bar on a terminal."""

import contextlib
import html
import time
from collections.abc import Iterator

import luigi
from loguru import logger

from pipeline import terminal
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
    with terminal.bar(f"{getattr(task, 'date', '')}  {task.task_family:<14}") as draw:

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
