"""The days there are, the gaps between them, and the totals."""

import dataclasses
import datetime as dt
import itertools
import os
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from pipeline.errors import storage_errors
from pipeline.settings import Settings
from pipeline.store import days
from pipeline.store.paths import Layout
from pipeline.store.records import NO_FILE
from pipeline.text import count, size

_ADVISED = 3  # gaps for which the command is spelt out


@dataclasses.dataclass(frozen=True)
class Day:
    """What there is of a day; None where a stage has nothing. Bytes of ZIP and of JSON; hours no import could prove."""

    date: dt.date
    raw_bytes: int | None
    files: int | None
    events: int | None
    bytes: int | None
    redo: bool
    unproven: int


def survey(layout: Layout, until: dt.date) -> list[Day]:
    """Looks at each day from the first that is stored up to the last settled one.

    Args:
        layout: Where the data lies.
        until: The last settled day.

    Returns:
        The days in order, without a hole; one of which nothing is stored is there with None.
    """
    stored = layout.dates()
    if not stored:
        return []
    last = max(until, stored[-1])
    return [_look(layout, stored[0] + dt.timedelta(days=n)) for n in range((last - stored[0]).days + 1)]


def last_settled(settings: Settings) -> dt.date:
    """Returns the newest day that no event can enter any more."""
    begun = dt.datetime.now(dt.UTC) - dt.timedelta(hours=settings.settle_hours)
    return begun.date() - dt.timedelta(days=1)


def show(settings: Settings, console: Console) -> None:
    """Prints the days as a table, each gap as one red row, and the totals."""
    layout = Layout(settings.data_dir)
    if os.path.lexists(layout.root):
        with storage_errors(layout.root):
            os.listdir(layout.root)  # noqa: PTH208 - only whether it can be
    found = survey(layout, last_settled(settings))
    if not found:
        console.print(f"No day is stored in {settings.data_dir}/ yet. Begin with: make run", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for name in ("day", "ZIP", "files", "events", "JSON", ""):
        table.add_column(name, justify="left" if name in ("day", "") else "right", no_wrap=True)
    groups = list(_grouped(found))
    for group in groups:
        table.add_row(*_row(group), style="red" if not _is_whole(group[0]) else None)
    console.print(table)
    whole = [day for day in found if _is_whole(day)]
    console.print(
        f"{len(whole)} of {len(found)} days complete: {count(sum(day.events or 0 for day in whole), 'event')},"
        f" {size(sum(day.raw_bytes or 0 for day in whole))} of ZIP,"
        f" {size(sum(day.bytes or 0 for day in whole))} of JSON",
        markup=False,
        highlight=False,
    )
    for line in _advice(found):
        console.print(line, style="red", markup=False, highlight=False)


def _look(layout: Layout, date: dt.date) -> Day:
    export, events = days.export_record(layout, date), days.events_record(layout, date)
    whole = events is not None and days.is_extracted(layout, date)
    return Day(
        date=date,
        raw_bytes=layout.raw_zip(date).stat().st_size if export else None,
        files=events.totals.files if events and whole else None,
        events=events.totals.events if events and whole else None,
        bytes=events.totals.bytes if events and whole else None,
        redo=days.redo_asked(layout, date) is not None and not whole,
        unproven=sum(hour.status == NO_FILE for hour in events.hours) if events else 0,
    )


def _is_whole(day: Day) -> bool:
    return day.events is not None


def _grouped(found: list[Day]) -> Iterator[list[Day]]:
    """Yields each day alone, but days of which nothing is stored together."""
    gap: list[Day] = []
    for day in found:
        if day.raw_bytes is None and not _is_whole(day) and not day.redo:
            gap.append(day)
            continue
        if gap:
            yield gap
            gap = []
        yield [day]
    if gap:
        yield gap


def _row(group: list[Day]) -> tuple[str, ...]:
    day = group[0]
    raw = size(day.raw_bytes) if day.raw_bytes is not None else "-"
    if day.events is not None and day.files is not None and day.bytes is not None:
        return str(day.date), raw, f"{day.files}", f"{day.events:,}", size(day.bytes), _remark(day)
    if len(group) > 1:
        return str(day.date), raw, "-", "-", "-", f"to {group[-1].date}: {len(group)} days missing"
    said = "to be done again" if day.redo else "missing" if day.raw_bytes is None else "not extracted"
    return str(day.date), raw, "-", "-", "-", said


def _remark(day: Day) -> str:
    if day.unproven:
        return f"imported; no file of {count(day.unproven, 'hour')}"
    return "" if day.events else "empty"


def _advice(found: list[Day]) -> Iterator[str]:
    """Yields what to type for the first gaps: days in a row that are not whole, for whatever reason."""
    rows = itertools.groupby(found, key=_is_whole)
    gaps = [(days_[0].date, days_[-1].date) for whole, group in rows if not whole and (days_ := list(group))]
    for first, last in gaps[:_ADVISED]:
        yield f"make run DATE={first}" if first == last else f"make range FROM={first} TO={last}"
    if len(gaps) > _ADVISED:
        yield f"... and {len(gaps) - _ADVISED} more gaps"
