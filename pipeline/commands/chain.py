"""The commands that run the chain: run, range, daily, force, import."""

import datetime as dt
import sys
from pathlib import Path

import click
from loguru import logger

from pipeline import logs, settings
from pipeline.commands import arguments
from pipeline.errors import ConfigError
from pipeline.export.imports import import_day, refuse_absent
from pipeline.export.settled import last_settled
from pipeline.store import days, locks
from pipeline.store.paths import Layout
from pipeline.store.records import EXPORTED
from pipeline.store.remains import remains
from pipeline.tasks import LAST, leftovers, runs
from pipeline.text import count


@click.command()
@arguments.date("run", required=False)
def run(date: dt.date | None) -> int:
    """Does one day to the end of the chain."""
    day = arguments.settled(date or dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1))
    return runs.run(LAST, day, day)


@click.command("range")
@arguments.span("range")
def range_(first: dt.date, last: dt.date) -> int:
    """Does every missing day of a range, the oldest first."""
    arguments.refuse_reversed(first, last)
    return runs.run(LAST, first, arguments.settled(last))


@click.command()
@click.option(
    "--days", "most", type=arguments.Number("DAYS", 1, "make daily DAYS=7"), default=7, show_default=True,
    help="How far back.",
)  # fmt: skip
def daily(most: int) -> int:
    """For cron: does every missing settled day of the last days; silent on success without a terminal."""
    last = last_settled(settings.load())
    first = last - dt.timedelta(days=most - 1)
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    if last != yesterday:
        logger.info("{} is not settled yet and is left for later", yesterday)
    _name_older(first)
    return runs.run(LAST, first, last)


def _name_older(first: dt.date) -> None:
    stored = Layout(settings.load().data_dir).dates()
    if stored and stored[0] < first:
        older = days.between(stored[0], first - dt.timedelta(days=1))
        missing = [day for day in older if not LAST(date=day).complete()]
        if missing:
            text = (
                f"1 older day is missing: make run DATE={missing[0]}"
                if len(missing) == 1
                else f"{count(len(missing), 'older day')} between {missing[0]} and {missing[-1]} missing:"
                f" make range FROM={missing[0]} TO={missing[-1]}"
            )
            logger.warning(text)
            if not sys.stderr.isatty():
                # Cron is to mail it: a machine that was off for longer than DAYS would keep the hole for ever.
                click.echo(text, err=True)


@click.command()
@arguments.date("force")
@click.option("--undo", is_flag=True, help="Take it back, as long as no new ZIP has taken the old one's place.")
def force(date: dt.date, *, undo: bool) -> int:
    """Does a day again and replaces it whole; the old stays readable until the new is whole."""
    if undo:
        return _undo(date)
    settings.load_credentials()
    layout = Layout(settings.load().data_dir)
    arguments.settled(date)
    with logs.about(date, "force"):
        if days.redo_asked(layout, date) and locks.holder(layout.lock(date)):
            logger.info("another process does it again just now: waiting for it")
        else:
            with locks.hold(layout.lock(date)):
                days.ask_redo(layout, date)
    return runs.run(LAST, date, date)


def _undo(date: dt.date) -> int:
    """Takes back that a day is to be done again: what stands is complete again, as it was."""
    layout = Layout(settings.load().data_dir)
    with logs.about(date, "force"), locks.hold(layout.lock(date)):
        asked = days.redo_asked(layout, date)
        if asked and days.is_exported(layout, date):
            raise ConfigError(
                f"the new ZIP of {date} has taken the old one's place", f"To finish it: make run DATE={date}"
            )
        days.clear_redo(layout, date, asked)
        stages = days.stages(layout, date)
        load = stages.load if stages.is_loaded else None
        logger.info("taken back" if asked else "it was not asked to be done again")
    leftovers.clear(date)
    stands = (
        f"stands as it was: {count(load.counts.rows, 'event')}." if load else f"is not complete: make run DATE={date}"
    )
    logger.info("{} {}", date, stands)
    return 0


@click.command("import")
@arguments.date("import")
@click.option("--from", "source", required=True, help="A ZIP, or an S3 folder.")
@click.option("--replace", is_flag=True, help="Replace the day if it is stored already.")
def import_(date: dt.date, source: str, *, replace: bool) -> int:
    """Takes a day from a ZIP of Amplitude's web page, or a folder of its S3 export."""
    if not source:
        raise click.UsageError("FROM is missing. Type: make import DATE=2026-11-22 FROM=export.zip")
    conf = settings.load()
    layout = Layout(conf.data_dir)
    arguments.settled(date)
    refuse_absent(Path(source))
    with logs.about(date, "import"), locks.hold(layout.lock(date)):
        if not replace:
            _refuse_stored(layout, date, source)
        record = import_day(date, Path(source), conf)
        filled = sum(hour.status == EXPORTED for hour in record.hours)
        logger.info("{} of 24 hours with events, of project {}", filled, record.app)
    return runs.run(LAST, date, date)


def _refuse_stored(layout: Layout, date: dt.date, source: str) -> None:
    """Refuses to import over a day of which a stage is whole, or damaged: also one that is to be done again."""
    stages = days.stages(layout, date)
    command = f"make import DATE={date} FROM={source} REPLACE=1"
    if stages.export or stages.events or stages.load:
        raise ConfigError(f"{date} is stored already", f"To replace it: {command}")
    found = remains(layout, date, stages)
    if found:
        raise ConfigError(
            f"{date} is stored already, and {found[0].parent}/ is damaged",
            f"To mend it: make verify FROM={date} TO={date} REPAIR=1. To replace it: {command}",
        )
