"""What a range of days would take, before anything is asked for."""

import dataclasses
import datetime as dt
import itertools
import math
from collections import Counter
from collections.abc import Iterator

from rich.console import Console

from pipeline.export import windows
from pipeline.export.kept import kept
from pipeline.settings import Settings
from pipeline.store import days, room
from pipeline.store.disks import Disk, disks
from pipeline.store.paths import Layout
from pipeline.store.remains import remains
from pipeline.text import count, size

FETCH, EXTRACT, LOAD, MEND = "to fetch", "to extract and load", "to load", "to mend (make verify REPAIR=1)"


@dataclasses.dataclass(frozen=True)
class Step:
    """What a day needs.

    Attributes:
        date: The day.
        what: `FETCH`, `EXTRACT`, `LOAD`; or `MEND`, where a run would refuse it.
        hours: Upload hours that are to be fetched.
        requests: Requests to the API that they take, unless one fails.
        expected: What it is expected to take; None where no stored day tells.
    """

    date: dt.date
    what: str
    hours: frozenset[int]
    requests: int
    expected: room.Estimate | None

    @property
    def share(self) -> float:
        """How much of the day is to be fetched, 0 to 1."""
        return len(self.hours) / windows.HOURS

    @property
    def fetched(self) -> float:
        """Bytes that come from Amplitude."""
        return self.expected.zip * self.share if self.expected else 0.0

    @property
    def seconds(self) -> float:
        """Seconds of the fetch and of the stages after it, as far as stored days tell."""
        if self.expected is None:
            return 0.0
        return (self.expected.seconds or 0.0) * self.share + (self.expected.work or 0.0)

    @property
    def grows(self) -> int:
        """Bytes that the disks have less of afterwards."""
        return int(sum(self.stored))

    @property
    def stored(self) -> tuple[float, float, float]:
        """Bytes more of ZIP, JSON lines and Parquet afterwards."""
        if self.expected is None:
            return 0.0, 0.0, 0.0
        return self.fetched, 0.0 if self.what == LOAD else self.expected.json, self.expected.parquet

    @property
    def passing(self) -> int:
        """Bytes more that the disk of the ZIPs must have meanwhile: all windows stand there until the ZIP is whole."""
        return self.expected.zip if self.expected and self.hours else 0


def steps(settings: Settings, first: dt.date, last: dt.date) -> list[Step]:
    """Looks at each day of a range; nothing is asked for, and nothing is written.

    Args:
        settings: Where the data lies.
        first: The first day, UTC.
        last: The last, included.

    Returns:
        What is to be done, in order; complete days are left out.
    """
    layout = Layout(settings.data_dir)
    estimates = room.Estimates(layout)
    asked = days.between(first, last)
    return [step for date in asked if (step := _step(layout, date, estimates, settings))]


def _step(layout: Layout, date: dt.date, estimates: room.Estimates, settings: Settings) -> Step | None:
    stages = days.stages(layout, date)
    if stages.is_loaded:
        return None
    left = kept(layout, settings, date)
    what, hours = FETCH, frozenset(range(windows.HOURS)) - left.hours
    if stages.is_extracted:
        what, hours = LOAD, frozenset()
    elif stages.is_exported:
        what, hours = EXTRACT, frozenset()
    elif stages.redo is None and remains(layout, date, stages):
        what = MEND
    expected = estimates.of(date)
    largest = windows.largest_size(expected.near if expected else [], settings.window_bytes)
    return Step(date, what, hours, len(windows.cut(hours, min(largest, left.largest))), expected)


def show(settings: Settings, first: dt.date, last: dt.date, console: Console) -> bool:
    """Prints what a range would take.

    Returns:
        Whether it fits the disk, as far as stored days tell.
    """

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    asked = (last - first).days + 1
    todo = steps(settings, first, last)
    if not todo:
        say(f"{count(asked, 'day')}, {first} to {last}: complete, nothing to do.")
        return True
    for line in _lines(todo):
        say(line)
    command = f"make run DATE={first}" if asked == 1 else f"make range FROM={first} TO={last}"
    say(f"{len(todo):,} of {count(asked, 'day')} to do: {_asked_for(todo)}.")
    if all(step.expected is None for step in todo):
        say(f"No day is stored yet that would tell bytes and minutes. Type: {command}")
        return True
    fits = _fitting(settings, todo)
    for disk in _disks(settings, todo).values():
        place = "the disk" if disk.is_only else f"the disk of {disk.place}/"
        say(f"On {place}: about {size(disk.needed)} more; {size(disk.free)} are free.")
    if fits < len(todo):
        say(f"{len(todo) - fits:,} of the {len(todo):,} days do not fit.", "red")
        begin = f" Or begin with: make range FROM={first} TO={todo[fits - 1].date}" if fits else ""
        say(f"Make room: make prune KEEP_DAYS=30 WHAT=events.{begin}", "red")
        return False
    say(f"Type: {command}")
    return True


def _lines(todo: list[Step]) -> Iterator[str]:
    """Yields a line for days in a row that need the same."""

    def alike(pair: tuple[int, Step]) -> tuple[object, ...]:
        number, step = pair
        return step.date.toordinal() - number, step.what, step.hours

    for _, group in itertools.groupby(enumerate(todo), key=alike):
        found = [step for _, step in group]
        one = found[0]
        name = f"{one.date}" if len(found) == 1 else f"{one.date} to {found[-1].date}"
        hours = f", the hours {_spans(one.hours)} alone" if 0 < one.share < 1 else ""
        yield f"{name:<26}{count(len(found), 'day')} {one.what}{hours}: {_asked_for(found)}"


def _asked_for(found: list[Step]) -> str:
    requests = sum(step.requests for step in found)
    most = "at most " if requests > 1 and not all(step.expected for step in found) else ""  # until a day is stored
    parts = [most + count(requests, "request") if requests else "no request"]
    if any(step.expected for step in found):
        if requests:
            parts.append(f"about {size(sum(step.fetched for step in found))}")
        parts.append(_time(sum(step.seconds for step in found)))
    return ", ".join(parts)


def _time(seconds: float) -> str:
    if seconds < 90:  # noqa: PLR2004
        return f"{max(seconds, 1):.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004


def _spans(hours: frozenset[int]) -> str:
    """Returns hours as `06-11, 18`."""
    groups = itertools.groupby(enumerate(sorted(hours)), key=lambda pair: pair[1] - pair[0])
    spans = [[hour for _, hour in group] for _, group in groups]
    return ", ".join(f"{span[0]:02d}-{span[-1]:02d}" if len(span) > 1 else f"{span[0]:02d}" for span in spans)


def _fitting(settings: Settings, todo: list[Step]) -> int:
    """Returns how many of the days fit the disks, the oldest first; each needs room for its windows while it comes."""
    layout = Layout(settings.data_dir)
    taken: Counter[int] = Counter()
    for number, step in enumerate(todo):
        raw, events, parquet = step.stored
        needed = disks(layout, raw + step.passing, events, parquet)
        if any(disk.needed > disk.free - taken[device] for device, disk in needed.items()):
            return number
        taken.update({device: math.ceil(disk.needed) for device, disk in disks(layout, *step.stored).items()})
    return len(todo)


def _disks(settings: Settings, todo: list[Step]) -> dict[int, Disk]:
    raw, events, parquet = (sum(amounts) for amounts in zip(*(step.stored for step in todo), strict=True))
    return disks(Layout(settings.data_dir), raw, events, parquet)
