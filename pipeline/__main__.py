"""The command line behind the Makefile: `python -m pipeline --help`."""

import datetime as dt
import os
import sys
from pathlib import Path
from typing import Any

import click
from loguru import logger
from rich.console import Console

from pipeline import dotenv, logs, settings
from pipeline.errors import ConfigError, NotReadyError, PipelineError
from pipeline.export.download import refuse_unsettled
from pipeline.export.imports import import_day
from pipeline.operations.clean import clean as remove_leftovers
from pipeline.operations.sql import ask, prompt
from pipeline.operations.status import last_settled, show
from pipeline.store import days, locks
from pipeline.store.paths import Layout
from pipeline.store.records import EXPORTED
from pipeline.tasks import LAST, refresh, runs, signals
from pipeline.tasks.daily import parse_day
from pipeline.text import count
from pipeline.warehouse import events

USAGE = 2
"""The shell's status for wrong arguments."""


class Day(click.ParamType[dt.date]):
    """A UTC day as an argument: YYYY-MM-DD; it goes by the name that make gives it."""

    name = "day"

    def __init__(self, variable: str, usage: str) -> None:
        self._variable = variable
        self._usage = usage

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:  # noqa: ANN401, ARG002, D102
        if isinstance(value, dt.date):
            return value
        if not value:
            raise click.UsageError(f"{self._variable} is missing. Type: {self._usage}")
        try:
            return parse_day(value)
        except ConfigError as error:
            raise click.UsageError(f"{self._variable}: {error}") from None


RANGE = "make range FROM=2026-11-01 TO=2026-11-22"
IMPORT = "make import DATE=2026-11-22 FROM=export.zip"


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # The reader of a pipe (head) has seen enough: to rich that is a failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


def _settled(date: dt.date) -> dt.date:
    refuse_unsettled(date, settings.load())
    return date


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's
        try:
            return super().invoke(ctx)
        except signals.Terminated as ended:  # further out, click takes it for its own
            click.echo(signals.stopped(ended), err=True)
            return signals.exit_status(ended)


@click.group(cls=_Commands)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Brings Amplitude's raw events home; each command is a target of the Makefile."""
    if ctx.invoked_subcommand == "daily" and not sys.stderr.isatty():
        logs.setup(settings.load().logs_dir, terminal="ERROR")
    dotenv.warn_if_open(Path(".env"))


@cli.command()
@click.option("--date", type=Day("DATE", "make run DATE=2026-11-22"), help="The day, UTC; yesterday unless given.")
def run(date: dt.date | None) -> int:
    """Does one day to the end of the chain."""
    day = _settled(date or dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1))
    return runs.run(LAST, day, day)


@cli.command("range")
@click.option("--from", "first", type=Day("FROM", RANGE), required=True, help="The first day, UTC.")
@click.option("--to", "last", type=Day("TO", RANGE), required=True, help="The last day, included.")
def range_(first: dt.date, last: dt.date) -> int:
    """Does every missing day of a range, the oldest first."""
    if first > last:
        raise click.UsageError(f"FROM={first} is after TO={last}. Write the earlier day first.")
    return runs.run(LAST, first, _settled(last))


@cli.command()
@click.option("--days", "count", type=click.IntRange(1, 3650), default=7, show_default=True, help="How far back.")
def daily(count: int) -> int:
    """For cron: does every missing settled day of the last days; silent on success without a terminal."""
    last = last_settled(settings.load())
    first = last - dt.timedelta(days=count - 1)
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    if last != yesterday:
        logger.info("{} is not settled yet and is left for later", yesterday)
    _name_older(first)
    return runs.run(LAST, first, last)


def _name_older(first: dt.date) -> None:
    stored = Layout(settings.load().data_dir).dates()
    if stored and stored[0] < first:
        older = runs.dates(stored[0], first - dt.timedelta(days=1))
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


@cli.command()
@click.option("--date", type=Day("DATE", "make force DATE=2026-11-22"), required=True, help="The day, UTC.")
def force(date: dt.date) -> int:
    """Does a day again and replaces it whole; the old stays readable until the new is whole."""
    settings.load_credentials()
    layout = Layout(settings.load().data_dir)
    _settled(date)
    with logs.about(date, "force"):
        if days.redo_asked(layout, date) and locks.holder(layout.lock(date)):
            logger.info("another process does it again just now: waiting for it")
        else:
            with locks.hold(layout.lock(date)):
                days.ask_redo(layout, date)
    return runs.run(LAST, date, date)


@cli.command("import")
@click.option("--date", type=Day("DATE", IMPORT), required=True, help="The day, UTC.")
@click.option("--from", "source", required=True, help="A ZIP, or an S3 folder.")
@click.option("--replace", is_flag=True, help="Replace the day if it is stored already.")
def import_(date: dt.date, source: str, *, replace: bool) -> int:
    """Takes a day from a ZIP of Amplitude's web page, or a folder of its S3 export."""
    if not source:
        raise click.UsageError(f"FROM is missing. Type: {IMPORT}")
    conf = settings.load()
    layout = Layout(conf.data_dir)
    _settled(date)
    with logs.about(date, "import"), locks.hold(layout.lock(date)):
        if not replace and any(stage(layout, date) for stage in (days.is_exported, days.is_extracted, days.is_loaded)):
            raise ConfigError(
                f"{date} is stored already", f"To replace it: make import DATE={date} FROM={source} REPLACE=1"
            )
        record = import_day(date, Path(source), conf)
        filled = sum(hour.status == EXPORTED for hour in record.hours)
        logger.info("{} of 24 hours with events, of project {}", filled, record.app)
    return runs.run(LAST, date, date)


@cli.command()
def status() -> int:
    """Shows the days there are, the gaps, sizes and counts."""
    show(settings.load(), _Console())
    return 0


@cli.command()
@click.option("--query", help="SQL, one statement or several; without it a prompt.")
@click.option("--csv", is_flag=True, help="All rows as CSV, in place of a table.")
def sql(query: str | None, *, csv: bool) -> int:
    """Asks the warehouse in SQL."""
    if query is None:
        return prompt(settings.load(), _Console())
    if not query.strip():
        raise click.UsageError('Q is empty. Type: make sql Q="select * from days"')
    return ask(settings.load(), query, _Console(), table=not csv)


@cli.command()
def schema() -> int:
    """Prints README's table of the columns."""
    click.echo(events.markdown_table())
    return 0


@cli.command("settings")
def settings_() -> int:
    """Prints README's table of settings."""
    click.echo(settings.markdown_table())
    return 0


@cli.command()
def clean() -> int:
    """Removes leftovers of unfinished runs, caches and the demo; never a published day or a log."""
    removed = remove_leftovers(settings.load(), Path.cwd())
    for path in removed:
        logger.info("removed {}", os.path.relpath(path))
    logger.info("{} removed. Published days and logs are untouched.", len(removed) or "Nothing to be")
    return 0


def main() -> int:
    """Runs a command; returns the exit status: Luigi's, 2 for wrong arguments, 130 or 143 after a signal."""
    try:
        return cli(standalone_mode=False) or 0
    except click.ClickException as error:
        click.echo(f"{error.format_message()}", err=True)
        return USAGE
    except PipelineError as error:
        logger.error(logs.plain(error))
        refresh.not_at_exit()
        return {ConfigError: runs.NOTHING_RUN, NotReadyError: runs.NOT_RUN}.get(type(error), refresh.TASK_FAILED)


if __name__ == "__main__":
    sys.exit(main())
