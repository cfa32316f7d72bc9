"""The commands that look after what is stored: recheck, prune, clean."""

import datetime as dt
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from loguru import logger

from pipeline import logs, settings, terminal
from pipeline.commands import arguments
from pipeline.export.settled import last_settled
from pipeline.operations import prune as pruning
from pipeline.operations import recheck as again
from pipeline.operations.clean import clean as remove_leftovers
from pipeline.operations.findings import FOUND
from pipeline.store import days
from pipeline.store.chain import EVENTS, RAW
from pipeline.store.paths import Layout
from pipeline.tasks import LAST, refresh, runs
from pipeline.text import count, size

_STAGES = {EVENTS: "The JSON lines", RAW: "The ZIPs"}
_NAMED = 3  # days for which what to type is spelt out


@click.command()
@arguments.span("recheck", required=False)
@click.option(
    "--days", "most", type=arguments.Number("DAYS", 1, "make recheck DAYS=3"), default=3, show_default=True,
    help="Without a range.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace the days that differ by what Amplitude has.")
def recheck(first: dt.date | None, last: dt.date | None, most: int, *, replace: bool) -> int:
    """Asks Amplitude for settled days again, and compares; exits 1 where one differs and is not replaced."""
    conf = settings.load()
    if not sys.stderr.isatty() and not (first or last):
        logs.setup(conf.logs_dir, terminal="WARNING")  # cron: only what changed or failed is mailed
    settings.load_credentials()
    is_range = bool(first or last)
    asked = _asked(conf, first, last) if is_range else again.due(conf, dt.datetime.now(dt.UTC), most)
    for date in runs.unfinished(asked) if replace else ():  # a replacement that was ended before the chain had run
        runs.run(LAST, date, date)
    dates = _complete(conf, asked) if is_range else asked
    if not dates:
        return _say_nothing_compared(is_range=is_range)
    with terminal.bar("recheck") as report:
        results = again.recheck(conf, dates, report, replace=replace)
    replaced = [result.date for result in results if result.replaced]
    status = max((runs.run(LAST, date, date) for date in replaced), default=0)
    refreshed = refresh.now()
    # What Amplitude has deleted for somebody's privacy is not to stay until the next run of an old day.
    runs.clear_leftovers(replaced)
    _say_rechecked(results, len(dates))
    failed = max((runs.status_of(result.error) for result in results if result.error), default=0)
    differ = any(result.difference and not result.difference.is_none and not result.replaced for result in results)
    found = FOUND if differ or len(dates) < len(asked) else 0
    return status or failed or found or (0 if refreshed else refresh.TASK_FAILED)


def _asked(conf: settings.Settings, first: dt.date | None, last: dt.date | None) -> list[dt.date]:
    """Returns the days of a range; without a first day, from the first that is stored on."""
    arguments.refuse_reversed(first, last)
    last = arguments.settled(last) if last else last_settled(conf)
    first = first or next(iter(Layout(conf.data_dir).dates()), None)
    return days.between(first, last) if first else []


def _complete(conf: settings.Settings, asked: Sequence[dt.date]) -> list[dt.date]:
    """Returns those days that are complete, and says of the others what to type."""
    found = [date for date in asked if LAST(date=date).complete()]
    left = sorted(set(asked) - set(found))
    if left:
        logger.warning(
            "{} of {} days are not complete, and are not compared. To see what they lack: make status",
            len(left), len(asked),
        )  # fmt: skip
    stored = sorted(set(left) & set(Layout(conf.data_dir).dates()))
    if stored:
        logger.warning("Where one is damaged: make verify FROM={} TO={} REPAIR=1", stored[0], stored[-1])
    return found


def _say_nothing_compared(*, is_range: bool) -> int:
    """Says why there is no day to ask for; returns the shell's status: what was asked for was not done."""
    if is_range:
        logger.warning("No complete day lies there: nothing is compared. To see which days are: make status")
        return FOUND
    logger.info("No day is due: each is {} days after it settled.", ", ".join(map(str, again.SCHEDULE)))
    return 0


def _say_rechecked(results: Sequence[again.Result], asked: int) -> None:
    """Says what came of all days together, and what to type for those that changed."""
    compared = [result for result in results if result.difference]
    changed = [result for result in compared if result.difference and not result.difference.is_none]
    untold = f", {asked - len(compared)} not compared" if asked > len(compared) else ""
    same = len(compared) - len(changed)
    logger.info("{} to ask again: {} the same, {} changed{}", count(asked, "day"), same, len(changed), untold)
    left = [result for result in changed if not result.replaced and not result.error]
    for result in left[:_NAMED]:
        take = f"make recheck FROM={result.date} TO={result.date} REPLACE=1"
        logger.warning("{}: {}. To take what Amplitude has: {}", result.date, result.said, take)
    if len(left) > _NAMED:
        logger.warning("... and {} more days have changed; their logs have the numbers", len(left) - _NAMED)


@click.command()
@click.option(
    "--keep-days", required=True, type=arguments.Number("KEEP_DAYS", 0, "make prune KEEP_DAYS=30 WHAT=events"),
    help="Settled days of which nothing is removed.",
)  # fmt: skip
@click.option("--what", required=True, help="events: the JSON lines; raw: the ZIPs.")
@click.option("--yes", is_flag=True, help="Remove ZIPs, the only exact copy, and do not only name them.")
def prune(keep_days: int, what: str, *, yes: bool) -> int:
    """Removes the JSON lines or the ZIPs of older days that are loaded, once what is left of them was verified."""
    if what not in _STAGES:
        raise click.UsageError(
            f"WHAT={what} is unknown: it is events (the JSON lines) or raw (the ZIPs)."
            " Type: make prune KEEP_DAYS=30 WHAT=events"
        )
    conf = settings.load()
    with terminal.bar("prune") as report:
        found = pruning.prune(conf, keep_days, what, report, yes=yes)
    if not found:
        return _say_nothing_older(conf, keep_days, what)
    removed, kept = [day for day in found if day.is_removed], [day for day in found if day.kept]
    named = _STAGES[what]
    if what == RAW and not yes:
        would = [day for day in found if not day.kept]
        room = size(sum(day.bytes for day in would))
        logger.info("{} of {} would be removed: {}. Nothing was.", named, count(len(would), "day"), room)
        if would:
            logger.info("Nothing else holds exactly what Amplitude sent. To remove them all the same: add YES=1")
        return FOUND if kept else 0
    room = size(sum(day.bytes for day in removed))
    logger.info("{} of {} removed: {}. These days stay complete.", named, count(len(removed), "day"), room)
    return FOUND if kept else 0


def _say_nothing_older(conf: settings.Settings, keep_days: int, what: str) -> int:
    stored = Layout(conf.data_dir).dates()
    since = (
        f" The oldest day that is stored is {stored[0]}: a smaller KEEP_DAYS reaches it."
        if stored and keep_days
        else ""
    )
    logger.info(
        "{} of 0 days removed: none older than {} has them.{}", _STAGES[what], count(keep_days, "settled day"), since
    )
    return 0


@click.command()
def clean() -> int:
    """Removes leftovers of unfinished runs, caches and the demo; never a published day or a log."""
    removed = remove_leftovers(settings.load(), Path.cwd())
    for path in removed:
        logger.info("removed {}", os.path.relpath(path))
    logger.info("{} removed. Published days and logs are untouched.", len(removed) or "Nothing to be")
    return 0
