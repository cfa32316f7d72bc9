"""verify: every stored byte read again, what is wrong named by day and file, and mended where that is asked for."""

import datetime as dt
import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import click

from pipeline import settings, terminal
from pipeline.commands import arguments
from pipeline.operations import repair as repairs
from pipeline.operations import verify as verification
from pipeline.operations.findings import FOUND
from pipeline.operations.reading import DayReport
from pipeline.settings import Settings
from pipeline.tasks import LAST, refresh, runs
from pipeline.text import count, size

_NAMED = 20  # days, or rows of them, that are named for the same note
_ADVISED = 3  # gaps for which the command is spelt out


@click.command()
@arguments.span("verify", required=False)
@click.option("--repair", is_flag=True, help="Make what is damaged anew.")
def verify(first: dt.date | None, last: dt.date | None, *, repair: bool) -> int:
    """Reads every stored byte again and compares it with its record; exits 1 where anything is wrong."""
    conf = settings.load()
    arguments.refuse_reversed(first, last)
    for date in (first, last):
        if date:
            arguments.settled(date)
    asked = bool(first or last)
    output = terminal.Output()
    found = _read(conf, first, last, output)
    failed: set[dt.date] = set()
    if repair:
        damaged = [day for day in found if day.damage]
        begun = runs.unfinished(day.date for day in found if not (day.is_complete or day.damage or day.error))
        if damaged or begun:
            failed = _mend(conf, damaged, begun, output)
            found = _read(conf, first, last, output)
    if not found:
        where = "there" if asked else f"in {conf.data_dir}/"
        _say(output, f"No day is stored {where}: nothing is proved. Type: make status", "red")
        return FOUND
    if failed or any(verification.is_wrong(day, asked=asked) for day in found):
        _say_what_to_type(found, failed, output)
        return FOUND
    return 0


def _read(conf: Settings, first: dt.date | None, last: dt.date | None, output: terminal.Output) -> list[DayReport]:
    """Reads the days, and says what was found."""
    began = time.monotonic()
    with terminal.bar("verify") as report:
        found = verification.verify(conf, first, last, report)
    seconds = max(time.monotonic() - began, 0.01)
    for day in found:
        for damage in day.damage:
            _say(output, f"{day.date}  {damage.path}: {damage.what}", "red")
        if day.error:
            _say(output, f"{day.date}  not read to the end: {day.error}", "red")
    for text, dates in _notes(found).items():
        _say(output, f"{_span(dates)}: {text}", "yellow")
    note = verification.warehouse_note(conf)
    if note:
        _say(output, note, "yellow")
    read = sum(day.bytes for day in found)
    _say(output, f"{_summary(found)}. {size(read)} read in {seconds:.1f} s, {size(read / seconds)}/s.")
    return found


def _notes(found: Sequence[DayReport]) -> dict[str, list[dt.date]]:
    """Returns the days of each note."""
    notes: dict[str, list[dt.date]] = defaultdict(list)
    for day in found:
        for text in day.notes:
            notes[text].append(day.date)
        if not day.is_stored:
            notes["nothing is stored"].append(day.date)
    return notes


def _summary(found: Sequence[DayReport]) -> str:
    damaged = sum(bool(day.damage) for day in found)
    unread = sum(day.error is not None and not day.damage for day in found)
    whole = sum(day.is_complete and not day.damage and not day.error for day in found)
    rest = len(found) - damaged - unread - whole
    text = f"{count(len(found), 'day')}: {whole} whole, {damaged} damaged"
    text += f", {unread} not read to the end" if unread else ""
    return f"{text}, {rest} missing or not complete" if rest else text


def _say_what_to_type(found: Sequence[DayReport], failed: set[dt.date], output: terminal.Output) -> None:
    """Says it of each day but those whose repair has just failed: that said itself what to type."""
    damaged = [day.date for day in found if day.damage and day.date not in failed]
    if damaged:
        _say(output, f"To mend it: make verify FROM={damaged[0]} TO={damaged[-1]} REPAIR=1", "red")
    if failed:
        _say(output, f"Not mended: {_span(sorted(failed))}. What it takes is said above, and in the day's log.", "red")
    missing = [day.date for day in found if not (day.is_complete or day.damage or day.error)]
    gaps = list(_in_a_row(missing))
    for first, last in gaps[:_ADVISED]:
        how = f"make run DATE={first}" if first == last else f"make range FROM={first} TO={last}"
        _say(output, f"To complete what is missing: {how}", "red")
    if len(gaps) > _ADVISED:
        _say(output, f"... and {count(len(gaps) - _ADVISED, 'more gap')}: make status", "red")


def _mend(
    conf: Settings, damaged: Sequence[DayReport], begun: Sequence[dt.date], output: terminal.Output
) -> set[dt.date]:
    """Mends what is damaged, and lets the chain go on where it must; returns the days of which something failed."""
    with terminal.bar("repair") as report:
        mended = repairs.repair(conf, damaged, report)
    failed = {day.date for day in mended if day.error}
    for date in sorted({*begun, *(day.date for day in mended if day.must_run)}):
        if runs.run(LAST, date, date):
            failed.add(date)
    refresh.now()
    left = {day.date for day in damaged} - {day.date for day in mended}
    if left:
        _say(output, f"{count(len(left), 'day')} not begun, for what the one before failed with.", "red")
    return failed | left


def _span(dates: Sequence[dt.date]) -> str:
    """Returns days as `2026-11-01 to 2026-11-05, 2026-11-09`."""
    parts = [str(first) if first == last else f"{first} to {last}" for first, last in _in_a_row(dates)]
    return ", ".join(parts[:_NAMED]) + (f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else "")


def _in_a_row(dates: Sequence[dt.date]) -> Iterator[tuple[dt.date, dt.date]]:
    """Yields the first and the last of each days in a row."""
    for _, group in itertools.groupby(enumerate(dates), key=lambda pair: pair[1].toordinal() - pair[0]):
        days = [date for _, date in group]
        yield days[0], days[-1]


def _say(output: terminal.Output, text: str, style: str = "") -> None:
    output.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
