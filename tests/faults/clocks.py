"""A machine whose clock is wrong, or jumps: libfaketime, where it is installed."""

import datetime as dt
import os
from pathlib import Path

PLACES = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime", "/opt/homebrew/lib/faketime")

NOTICED = 1
"""Seconds until a command sees that its clock has jumped."""


def library() -> Path | None:
    """Returns libfaketime: $LIBFAKETIME, or where the distributions have it."""
    named = os.environ.get("LIBFAKETIME")
    found = (
        [Path(named)]
        if named
        else [path for place in PLACES for path in Path("/").glob(f"{place[1:]}/libfaketime.so.1")]
    )
    return next((path for path in found if path.is_file()), None)


def missing() -> str:
    """Returns what to install for a wrong clock; "" where it is there."""
    return "" if library() else "no libfaketime on this machine (apt-get install libfaketime, or set LIBFAKETIME)"


class Clock:
    """The wall clock of commands; what counts the seconds that pass goes on as it does.

    Args:
        path: A folder for its file.
        seconds: How far it is ahead of the true one at first.

    Attributes:
        env: The environment of the commands that are to have it.
    """

    def __init__(self, path: Path, seconds: float = 0) -> None:
        self._file = path / "clock"
        self.jump_to(seconds)
        self.env = {
            "preload": library(),
            "FAKETIME_TIMESTAMP_FILE": self._file,
            "FAKETIME_CACHE_DURATION": str(NOTICED),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",  # the kernel's own times of files stay as they are: more to be confused by
        }

    @classmethod
    def at(cls, path: Path, moment: dt.datetime) -> "Clock":
        """Makes a clock that says a moment now, and goes on from there."""
        return cls(path, (moment - dt.datetime.now(dt.UTC)).total_seconds())

    def jump_to(self, seconds: float) -> None:
        """Sets it so far ahead of the true one, for all that run, within `NOTICED` seconds."""
        part = self._file.with_suffix(".part")
        part.write_text(f"{seconds:+.0f}\n")
        part.replace(self._file)
        self._seconds = seconds

    def jump(self, seconds: float) -> None:
        """Moves it."""
        self.jump_to(self._seconds + seconds)
