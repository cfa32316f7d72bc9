"""A day as windows of hours: how large they are, how they are cut, how they are halved."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence

from pipeline.store.records import FetchedWindow

SIZES = (24, 12, 6, 3, 1)
"""The hours that a window may have; each is halved to the next."""

UNKNOWN_SIZE = 6
"""Hours of a window while nothing is stored to judge by."""

HOURS = 24

REFUSED = frozenset({400, 413, 504})
"""An answer that was too large: Amplitude's 400 and 504 (source: its Export API page), and 413 for our own limit."""


@dataclasses.dataclass(frozen=True, order=True)
class Window:
    """Upload hours of one UTC day, `first` to `last`, both included: as the API counts them."""

    first: int
    last: int

    @property
    def hours(self) -> range:
        """The hours of the window."""
        return range(self.first, self.last + 1)

    @property
    def name(self) -> str:
        """The window's name in files and messages: `00-05`."""
        return f"{self.first:02d}-{self.last:02d}"

    def query(self, date: dt.date) -> dict[str, str]:
        """Returns the API's two parameters, both hours included (source: Amplitude's Export API page)."""
        return {"start": f"{date:%Y%m%d}T{self.first:02d}", "end": f"{date:%Y%m%d}T{self.last:02d}"}


def halved(size: int) -> int:
    """Returns the size below a window's; 0 below one hour."""
    return next((smaller for smaller in SIZES if smaller < size), 0)


def largest_size(near: Sequence[tuple[int, Sequence[FetchedWindow]]], window_bytes: int) -> int:
    """Chooses the hours of a day's windows.

    Args:
        near: Bytes of ZIP and windows of the nearest stored days, the nearest first.
        window_bytes: What a window is meant to stay under.

    Returns:
        The largest size that keeps the nearest day's bytes under the limit, and below what was refused on those days:
        a day that was asked for in small windows says nothing of larger ones.
    """
    if not near:
        return UNKNOWN_SIZE
    day_bytes = near[0][0]
    sizes = [w.last - w.first + 1 for _, fetched in near for w in fetched if w.status in REFUSED]
    refused = min(sizes, default=HOURS + 1)
    fitting = (size for size in SIZES if size < refused and day_bytes * size / HOURS <= window_bytes)
    return next(fitting, 1)


def cut(hours: Iterable[int], size: int) -> list[Window]:
    """Cuts hours into windows that share no hour and leave none out.

    Args:
        hours: Hours of the day, in any order.
        size: The most hours that a window has.

    Returns:
        The windows, in order; each has one of SIZES, and begins at a multiple of it.
    """
    left = set(hours)
    found: list[Window] = []
    for hour in sorted(left):
        if hour in left:
            fitting = (s for s in SIZES if s <= size and hour % s == 0 and left.issuperset(range(hour, hour + s)))
            window = Window(hour, hour + next(fitting, 1) - 1)
            left.difference_update(window.hours)
            found.append(window)
    return found
