"""The window of hours that a request asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORM = re.compile(r"\d{8}T\d\d", re.ASCII)
_LONGEST = timedelta(days=365)


class WindowError(ValueError):
    """A window that Amplitude would refuse; the text names the reason."""


@dataclass(frozen=True)
class Window:
    """Hours of upload in UTC (naive datetimes), the first and the last included, as Amplitude counts."""

    first: datetime
    last: datetime

    @classmethod
    def parse(cls, start: str, end: str) -> Window:
        """The window of the parameters ``start`` and ``end``, each ``YYYYMMDDTHH``.

        Raises:
            WindowError: One is missing or malformed, they are reversed, or more than 365 days apart.
        """
        window = cls(_hour("start", start), _hour("end", end))
        if window.last < window.first:
            raise WindowError("Invalid range: end is before start")
        if window.last - window.first >= _LONGEST:
            raise WindowError("Invalid range: the maximum time range is 365 days")
        return window

    @property
    def start(self) -> str:
        """The first hour as the API writes it."""
        return f"{self.first:%Y%m%dT%H}"

    @property
    def end(self) -> str:
        """The last hour as the API writes it."""
        return f"{self.last:%Y%m%dT%H}"

    @property
    def length(self) -> int:
        """In hours; 1 if start and end are the same."""
        return (self.last - self.first) // timedelta(hours=1) + 1

    def contains(self, hour: datetime) -> bool:
        """Whether ``hour`` is one of the window's."""
        return self.first <= hour <= self.last

    def has_hour_of_day(self, hour: int) -> bool:
        """Whether the window has this hour (0 to 23) of any day."""
        return (hour - self.first.hour) % 24 < self.length

    def hours(self) -> Iterator[datetime]:
        """Every hour, in order."""
        return (self.first + timedelta(hours=at) for at in range(self.length))


def _hour(name: str, text: str) -> datetime:
    if not text:
        raise WindowError(f"Missing required parameter: {name}")
    try:
        # strptime alone would take 2026122T1, too
        return datetime.strptime(text if _FORM.fullmatch(text) else "", "%Y%m%dT%H")  # noqa: DTZ007 - all hours are UTC
    except ValueError:
        raise WindowError(f"Invalid {name} {text!r}: expected YYYYMMDDTHH") from None
