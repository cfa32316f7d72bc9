"""The days there are, the gaps between them, and the totals."""

import dataclasses
import datetime as dt
import itertools
import os
from collections.abc import Iterator

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from pipeline import text
from pipeline.errors import StorageError, storage_errors
from pipeline.export.settled import last_settled
from pipeline.settings import Settings
from pipeline.store import days
from pipeline.store.paths import Layout
from pipeline.store.records import NO_FILE, LoadRecord
from pipeline.store.remains import remains
from pipeline.text import count, size
from pipeline.warehouse import catalog, query

_WIDEST = 1000  # characters of a row
_ADVISED = 3  # gaps for which the command is spelt out


@dataclasses.dataclass(frozen=True)
class Day:
    """What there is of a day; None where a stage has nothing that counts.

    Attributes:
        date: The day.
        raw_bytes: Bytes of its ZIP.
        json_bytes: Bytes of its JSON lines.
        loaded: What was loaded of it, where that comes of the stages before it that stand, and answers what was asked.
        redo: Whether it is to be done again.
        unproven: Hours that no import could prove to be empty.
        damaged: Whether something of it is there, and no stage is whole.
    """

    date: dt.date
    raw_bytes: int | None
    json_bytes: int | None
    loaded: LoadRecord | None
    redo: bool
    unproven: int
    damaged: bool

    @property
    def is_stored(self) -> bool:
        """Whether there is anything of it."""
        stages = (self.raw_bytes, self.json_bytes, self.loaded)
        return self.redo or self.damaged or any(stage is not None for stage in stages)

    @property
    def must_be_mended(self) -> bool:
        """Whether a run would refuse it: it is damaged, and nobody asked for it to be done again."""
        return self.damaged and not self.redo


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
    return [_look(layout, date) for date in days.between(stored[0], last)]


def gaps(found: list[Day]) -> list[list[Day]]:
    """Returns the days in a row that are not whole; damaged days are a gap of their own."""
    rows = itertools.groupby(found, key=lambda day: (day.loaded is not None, day.must_be_mended))
    return [list(group) for (whole, _), group in rows if not whole]


def what_to_type(gap: list[Day]) -> str:
    """Returns the command that does the days of a gap."""
    first, last = gap[0].date, gap[-1].date
    if gap[0].must_be_mended:
        return f"make verify FROM={first} TO={last} REPAIR=1"
    return f"make run DATE={last}" if first == last else f"make range FROM={first} TO={last}"


def show(settings: Settings, console: Console) -> None:
    """Prints the days as a table, each gap as one red row, and the totals; brings the warehouse up to date."""
    layout = Layout(settings.data_dir)
    if os.path.lexists(layout.root):
        with storage_errors(layout.root):
            os.listdir(layout.root)  # noqa: PTH208 - only whether it can be
    found = survey(layout, last_settled(settings))
    if not found:
        absent = "" if os.path.lexists(layout.root) else " (there is no such folder)"
        console.print(f"No day is stored in {settings.data_dir}/ yet{absent}. Begin with: make run", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for name in ("day", "raw", "extracted", "loaded", "events", "duplicates", "rejects", ""):
        table.add_column(name, justify="left" if name in ("day", "") else "right", no_wrap=True)
    for group in _grouped(found):
        table.add_row(*_row(group), style="red" if group[0].loaded is None else None)
    # Half a day's name is none: a narrow terminal breaks the line.
    whole = console.options.update(max_width=_WIDEST)
    console.width = max(console.width, Measurement.get(console, whole, table).maximum)
    console.print(table)
    console.print(_totals(found), markup=False, highlight=False, soft_wrap=True)
    said, colour = _warehouse(settings)
    if said:
        console.print(said, style=colour, markup=False, highlight=False, soft_wrap=True)
    for line in _advice(found):
        console.print(line, style="red", markup=False, highlight=False)


def _look(layout: Layout, date: dt.date) -> Day:
    stages = days.stages(layout, date)
    events, loaded = stages.events, stages.load if stages.is_loaded else None
    hours = events.hours if events else []
    return Day(
        date=date,
        raw_bytes=layout.raw_zip(date).stat().st_size if stages.export else None,
        json_bytes=events.totals.bytes if events and stages.is_of_the_zip else None,
        loaded=loaded,
        redo=loaded is None and stages.redo is not None,
        unproven=loaded.unproven_hours if loaded else sum(hour.status == NO_FILE for hour in hours),
        damaged=bool(remains(layout, date, stages)),
    )


def _grouped(found: list[Day]) -> Iterator[list[Day]]:
    """Yields each day alone, but days of which nothing is stored together."""
    for stored, group in itertools.groupby(found, key=lambda day: day.is_stored):
        if stored:
            yield from ([day] for day in group)
        else:
            yield list(group)


def _row(group: list[Day]) -> tuple[str, ...]:
    day = group[0]
    raw, json = (size(stage) if stage is not None else "-" for stage in (day.raw_bytes, day.json_bytes))
    if day.loaded:
        counts = (day.loaded.counts.rows, day.loaded.counts.duplicates, day.loaded.counts.rejects)
        return str(day.date), raw, json, size(day.loaded.bytes), *(f"{number:,}" for number in counts), _remark(day)
    return str(day.date), raw, json, "-", "-", "-", "-", _lack(group)


def _remark(day: Day) -> str:
    last = day.loaded.last_recheck if day.loaded else None
    differing = text.differing(last.grown, last.shrunk, last.changed) if last else ""
    remarks = (
        "" if day.loaded and day.loaded.counts.rows else "empty",
        f"imported; no file of {text.count(day.unproven, 'hour')}" if day.unproven else "",
        f"since then {differing} (make recheck FROM={day.date} TO={day.date} REPLACE=1)" if differing else "",
    )
    return "; ".join(filter(None, remarks))


def _lack(group: list[Day]) -> str:
    day = group[0]
    if len(group) > 1:
        return f"to {group[-1].date}: {len(group)} days missing"
    if day.must_be_mended:
        return "damaged"
    if day.redo:
        return "to be done again"
    if day.json_bytes is not None:
        return "not loaded"
    return "missing" if day.raw_bytes is None else "not extracted"


def _totals(found: list[Day]) -> str:
    whole = [day for day in found if day.loaded]
    counts = [day.loaded.counts for day in whole if day.loaded]
    parts = (
        count(sum(each.rows for each in counts), "event"),
        count(sum(each.duplicates for each in counts), "duplicate"),
        count(sum(each.rejects for each in counts), "reject"),
        f"{size(sum(day.raw_bytes or 0 for day in whole))} of ZIP",
        f"{size(sum(day.json_bytes or 0 for day in whole))} of JSON",
        f"{size(sum(day.loaded.bytes for day in whole if day.loaded))} of Parquet",
    )
    return f"{len(whole)} of {len(found)} days complete: {', '.join(parts)}"


def _warehouse(settings: Settings) -> tuple[str, str]:
    """Brings the warehouse up to date; returns what is to be said of it, and in which colour."""
    try:
        catalog.refresh(settings)
        repeated = query.repeated_uuids(settings)
    except StorageError as error:
        return f"The warehouse is not up to date: {error}", "red"
    return (
        (f"{count(repeated, 'uuid')} in two days or more; the view events has each once", "") if repeated else ("", "")
    )


def _advice(found: list[Day]) -> Iterator[str]:
    """Yields what to type for the first gaps."""
    named = gaps(found)
    yield from map(what_to_type, named[:_ADVISED])
    if len(named) > _ADVISED:
        yield f"... and {len(named) - _ADVISED} more gaps"
