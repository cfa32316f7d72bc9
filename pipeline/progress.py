"""How far a day is: bytes from many threads, told by one."""

import threading
import time
from collections.abc import Callable

from pipeline.text import size

Report = Callable[[float, str], None]
"""Told the share that is done, 0 to 1, and one line of text."""


class Progress:
    """Counts bytes and tells them with their speed.

    Args:
        report: Whom to tell.
        idle: What is said while no byte has come.

    Attributes:
        bytes: What has come so far.
    """

    def __init__(self, report: Report, idle: str) -> None:
        self._report = report
        self._idle = idle
        self._lock = threading.Lock()
        self.bytes = 0
        self._began: float | None = None

    def add(self, size: int) -> None:
        """Counts bytes; for any thread."""
        with self._lock:
            self._began = self._began or time.monotonic()
            self.bytes += size

    def set(self, share: float, step: str) -> None:
        """Tells how far the work is.

        Args:
            share: What is done, 0 to 1.
            step: Where it stands: `window 2 of 4`.
        """
        if self._began is None:
            self._report(share, f"{step}, {self._idle}")
            return
        speed = self.bytes / max(time.monotonic() - self._began, 0.1)
        self._report(share, f"{step}, {size(self.bytes)}, {size(speed)}/s")
