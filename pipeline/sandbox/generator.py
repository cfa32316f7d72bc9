"""Generated days: which events an hour has, and its members. The same date, hour and rate always give the same bytes.

A generated day serves demos, tests and benchmarks, so it is made at several hundred thousand rows a second, and
`count` says what was written without writing it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from isal import igzip

from pipeline.sandbox.product import APP, dice
from pipeline.sandbox.rows import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date
    from random import Random

ROWS_PER_PART = 12_000  # about 17 MB of JSON: what one request holds in memory at a time
_REPEATED = 0.001  # the share of rows that come twice
_BLANK_LINE = 0.04  # the share of members that end in an empty line
_NIGHT = (3, 4)  # hours without an event, where the rate is below _ALWAYS_BUSY
_ALWAYS_BUSY = 1000

_NUMBERS = (0, 7, 70, 627)  # of parts: with gaps and in no order, as one real hour held #627 and #70

_CURVE = (
    *(0.40, 0.28, 0.20, 0.15, 0.16, 0.25, 0.50, 0.90, 1.25, 1.50, 1.60, 1.62),
    *(1.55, 1.50, 1.52, 1.50, 1.45, 1.40, 1.40, 1.42, 1.35, 1.10, 0.85, 0.60),
)
_WEEK = (1.04, 1.04, 1.04, 1.04, 1.04, 0.90, 0.90)  # Monday first; averages to 1


class Member(NamedTuple):
    """A file of the export: its name in the ZIP, its gzip bytes."""

    name: str
    data: bytes


class Count(NamedTuple):
    """What was written: ``rows`` (lines of JSON), and ``distinct`` of them (by uuid)."""

    rows: int
    distinct: int


@dataclass(frozen=True)
class Part:
    """One member to be: ``index`` is its place among the ``parts`` of its hour, ``number`` the one in its name."""

    day: date
    hour: int
    index: int
    parts: int
    number: int
    rows: int
    repeated: int
    events_per_hour: int

    @property
    def name(self) -> str:
        """The member's name, the hour not padded, as in real exports."""
        return f"{APP}/{APP}_{self.day:%Y-%m-%d}_{self.hour}#{self.number}.json.gz"

    def json(self) -> bytes:
        """The member's JSON lines."""
        rng = dice(self.day, self.hour, self.index, self.events_per_hour)
        users = range(self.index, max(100, 6 * self.events_per_hour), self.parts)  # a part is a shard of them
        lines = rows(rng, self.day, self.hour, users, self.rows - self.repeated)
        for _ in range(self.repeated):
            lines.insert(rng.randrange(len(lines)), rng.choice(lines))
        lines.append(b"\n" if rng.random() < _BLANK_LINE else b"")
        return b"\n".join(lines)

    def member(self) -> Member:
        """The member itself; its gzip header carries no time, so that it is the same each time."""
        return Member(self.name, igzip.compress(self.json(), compresslevel=1, mtime=0))


def parts(day: date, hour: int, events_per_hour: int) -> tuple[Part, ...]:
    """What an hour (0..23) of ``day`` is made of, in the order of the archive; an empty hour has no parts. Cheap."""
    rng = dice(day, hour, events_per_hour)
    total = round(events_per_hour * _CURVE[hour] * 24 / sum(_CURVE) * _WEEK[day.weekday()] * rng.uniform(0.97, 1.03))
    if total == 0 or (hour in _NIGHT and events_per_hour < _ALWAYS_BUSY):
        return ()
    number = -(-total // ROWS_PER_PART) if total > ROWS_PER_PART else min(total, rng.choice((1, 1, 2, 3)))
    numbers = rng.sample(_NUMBERS if number <= len(_NUMBERS) else range(1 + number * 9), number)
    cuts = [total * index // number for index in range(number + 1)]
    sizes = [after - before for before, after in pairwise(cuts)]
    return tuple(
        Part(day, hour, index, number, numbers[index], size, _repeats(rng, size), events_per_hour)
        for index, size in enumerate(sizes)
    )


def members(day: date, hours: Iterable[int], events_per_hour: int) -> Iterator[Member]:
    """The members of some hours of ``day``, each made when it is asked for (about 15 MB of memory at a time)."""
    for hour in hours:
        for part in parts(day, hour, events_per_hour):
            yield part.member()


def count(day: date, events_per_hour: int, hours: Iterable[int] = range(24)) -> Count:
    """How many rows `members` writes for these hours, and how many distinct events they are. Writes nothing."""
    all_parts = [part for hour in hours for part in parts(day, hour, events_per_hour)]
    total = sum(part.rows for part in all_parts)
    return Count(total, total - sum(part.repeated for part in all_parts))


def _repeats(rng: Random, size: int) -> int:
    return min(int(size * _REPEATED + rng.random()), size - 1)
