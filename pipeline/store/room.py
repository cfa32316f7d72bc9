"""What a day will take of the disk and of the API, by the days that are stored; and whether the disk has it."""

import dataclasses
import datetime as dt
import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import StorageError, storage_errors
from pipeline.store import days
from pipeline.store.disks import disks
from pipeline.store.paths import Layout
from pipeline.store.records import FetchedWindow
from pipeline.text import size

NEAR = 7
"""Stored days that an estimate is the mean of: with a whole week of neighbours, no weekday counts twice."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a day is expected to take: the mean of the nearest stored days.

    Attributes:
        zip: Bytes of its ZIP.
        json: Bytes of its JSON lines; 0 where no near day has been extracted.
        parquet: Bytes of its Parquet; 0 where no near day has been loaded.
        seconds: Seconds in which a request is under way; None where no near day's ZIP says how it was fetched.
        work: Seconds of the stages after it; None where no near day has been loaded.
        near: Bytes of ZIP and windows of the stored days that it is the mean of, the nearest first.
    """

    zip: int
    json: int
    parquet: int
    seconds: float | None
    work: float | None
    near: list[tuple[int, list[FetchedWindow]]]

    @property
    def stored(self) -> int:
        """Bytes that the complete day keeps."""
        return self.zip + self.json + self.parquet

    @property
    def needed(self) -> int:
        """Bytes that must be free before it is begun: the windows and the ZIP stand side by side until it is whole.

        A day that is done again needs no more, for what it replaces is no free space now; nor is there a margin: the
        mean may be more than this day takes, and an honest one is not to be refused for a guess.
        """
        return self.stored + self.zip


@dataclasses.dataclass(frozen=True)
class _Near:
    zip: int
    json: int | None
    parquet: int | None
    windows: list[FetchedWindow]
    seconds: float | None


class Estimates:
    """Estimates of days by those that are stored, each of which is read once.

    Args:
        layout: Where the data lies.
    """

    def __init__(self, layout: Layout) -> None:
        self._dates = layout.dates()
        self._look = functools.cache(lambda date: _look(layout, date))

    def of(self, date: dt.date) -> Estimate | None:
        """Estimates a day by the nearest stored ones, at most `NEAR`, itself among them where it is stored.

        Args:
            date: The day; one far ahead is estimated by the newest.

        Returns:
            The estimate, or None where nothing is stored to judge by.
        """
        stored = sorted(self._dates, key=lambda day: abs(day - date))
        near = list(itertools.islice((found for day in stored if (found := self._look(day))), NEAR))
        return _mean_of(near) if near else None


def _mean_of(near: Sequence["_Near"]) -> Estimate:
    fetched = [day.windows for day in near if day.windows]
    return Estimate(
        zip=int(_mean([day.zip for day in near]) or 0),
        json=int(_mean([day.json for day in near if day.json is not None]) or 0),
        parquet=int(_mean([day.parquet for day in near if day.parquet is not None]) or 0),
        seconds=_mean([_under_way(windows) for windows in fetched]),
        work=_mean([day.seconds for day in near if day.seconds is not None]),
        near=[(day.zip, day.windows) for day in near],
    )


def refuse_small_disk(home: Layout, date: dt.date, into: Layout) -> None:
    """Refuses a day that will not fit the disk by what the stored days took, before anything is asked for.

    Where nothing is stored there is no estimate, and nothing is refused.

    Args:
        home: The stored days.
        date: The day that is to be fetched.
        into: Where it will be staged and stored. Its folders may lie on several disks: each is looked at.

    Raises:
        StorageError: A disk has too little room.
    """
    expected = Estimates(home).of(date)
    if expected is None:
        return
    there = sum(path.stat().st_size for path in _files(into.windows_dir(date)))
    for disk in disks(into, max(2 * expected.zip - there, 0), expected.json, expected.parquet).values():
        if disk.needed > disk.free:
            raise StorageError(
                f"{disk.place}: {date} needs about {size(disk.needed)} there, as the stored days nearest to it did, and"
                f" {size(disk.free)} are free",
                "Nothing was asked for. Make room there (make prune KEEP_DAYS=30 WHAT=events), then run it again.",
            )


def _look(layout: Layout, date: dt.date) -> _Near | None:
    """Returns what a stored day took, also where its ZIP or its JSON is gone; None where nobody knows."""
    stages = days.stages(layout, date)
    export, events, load = stages.export, stages.events, stages.load
    ref = load.export if load else events.export if events else None
    totals = events.totals if events else load.extraction.totals if load else None
    if export is None and ref is None:
        return None
    return _Near(
        zip=layout.raw_zip(date).stat().st_size if export else ref.bytes if ref else 0,
        json=totals.bytes if totals else None,
        parquet=load.bytes if load else None,
        windows=export.windows if export else [],
        seconds=sum((events.seconds if events else {}).values()) + sum(load.seconds.values()) if load else None,
    )


def _files(folder: Path) -> Iterator[Path]:
    with storage_errors(folder):
        yield from folder.iterdir() if folder.is_dir() else ()


def _mean(numbers: Sequence[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def _under_way(windows: Sequence[FetchedWindow]) -> float:
    """Returns the seconds in which one of the windows was under way: several at once count once, a pause does not."""
    seconds, until = 0.0, 0.0
    for window in sorted(windows, key=lambda window: window.requested_at):
        begin = window.requested_at.timestamp()
        end = begin + window.seconds
        seconds += max(end - max(begin, until), 0.0)
        until = max(until, end)
    return seconds
