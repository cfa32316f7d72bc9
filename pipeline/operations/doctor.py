"""What is wrong, before a run says so."""

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline import settings
from pipeline.errors import ConfigError, PipelineError, storage_errors
from pipeline.export.settled import last_settled
from pipeline.operations import machine, reach
from pipeline.operations.findings import NOTE, OK, WRONG, Finding
from pipeline.operations.status import gaps, survey, what_to_type
from pipeline.store import locks, room
from pipeline.store.disks import Disk, disks
from pipeline.store.paths import Layout
from pipeline.text import count, size

_DAYS_OF_ROOM = 30  # days that should fit on the disk before it is worth a word
_NAMED = 3  # leftovers that are named


def examine() -> Iterator[Finding]:
    """Looks at all that a run needs, the nearest first, and sends one cheap request.

    Yields:
        What was found, as it is found. What takes the settings is not looked at where one of them is wrong.
    """
    yield machine.python()
    yield machine.packages()
    try:
        conf = settings.load()
        yield from machine.given_settings()
    except ConfigError as error:
        yield Finding(WRONG, "settings", f"{error} Folders, Amplitude and days are looked at once it holds.")
        conf = None
    yield from machine.env_file(Path(".env"))
    yield reach.luigid()
    if conf:
        yield from _examine_project(conf)


def _examine_project(conf: settings.Settings) -> Iterator[Finding]:
    layout = Layout(conf.data_dir)
    yield from machine.folders(conf)
    yield from _guarded("disk", lambda: iter([_room(layout)]))
    yield from reach.amplitude(conf)
    yield from _guarded("at work", lambda: _at_work(layout))
    yield from _guarded("leftovers", lambda: _leftovers(layout))
    yield from _guarded("days", lambda: iter([_days(layout, conf)]))


def _guarded(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yields what a look at the disk finds; what it fails with is a finding too, and the others go on."""
    try:
        with storage_errors(Path(subject)):
            yield from look()
    except PipelineError as error:
        yield Finding(WRONG, subject, str(error))


def _room(layout: Layout) -> Finding:
    """Compares the free space with what a day takes on average: that of the disk that is full first."""
    day = room.Estimates(layout).of(dt.date.max)
    if day is None:
        least = min(disks(layout, 0, 0, 0).values(), key=lambda disk: disk.free)
        return Finding(OK, "disk", f"{_free(least)}; no day is stored yet to compare with")
    found = disks(layout, day.zip, day.json, day.parquet).values()
    least = min(found, key=lambda disk: disk.free // max(disk.needed, 1))
    fit = int(least.free // max(least.needed, 1))
    text = f"{_free(least)}: {count(fit, 'day')} of {size(least.needed)}, as they are on average"
    if not fit:
        return Finding(WRONG, "disk", f"{text}. Make room, or type: make prune KEEP_DAYS=30 WHAT=events")
    return Finding(OK if fit >= _DAYS_OF_ROOM else NOTE, "disk", text)


def _free(disk: Disk) -> str:
    return f"{size(disk.free)} free{'' if disk.is_only else f' in {os.path.relpath(disk.place)}/'}"


def _at_work(layout: Layout) -> Iterator[Finding]:
    for lock in sorted(layout.locks()):
        holder = locks.holder(lock)
        if holder:
            yield Finding(NOTE, "at work", f"{lock.name} is in use by {holder}")


def _leftovers(layout: Layout) -> Iterator[Finding]:
    found = list(layout.leftovers())
    again = [path for path in found if path.parent == layout.recheck(dt.date.min).root.parent]
    rest = [path for path in found if path not in again]
    if rest:
        todo = "The next run of those days goes on from them; make clean removes them"
        yield Finding(NOTE, "leftovers", f"{_named(rest)}. {todo}")
    if again:
        todo = "The next recheck of those days goes on from them for a day; make clean removes them"
        yield Finding(NOTE, "leftovers", f"{_named(again)}. {todo}")
    if not found:
        yield Finding(OK, "leftovers", "none")


def _named(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(os.path.relpath(path) for path in paths[:_NAMED]) + more


def _days(layout: Layout, conf: settings.Settings) -> Finding:
    found = survey(layout, last_settled(conf))
    if not found:
        return Finding(NOTE, "days", "none is stored yet. Begin with: make run")
    lacking = gaps(found)
    if not lacking:
        return Finding(OK, "days", f"{len(found)}, {found[0].date} to {found[-1].date}, none is missing")
    missing, first, command = sum(map(len, lacking)), lacking[0][0].date, what_to_type(lacking[0])
    return Finding(
        WRONG, "days", f"{missing} of {len(found)} are not complete, the first {first}. Type: {command} (make status)"
    )
