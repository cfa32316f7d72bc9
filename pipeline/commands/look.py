"""The commands that look: status, plan, sql, and what README shows of the settings and the columns."""

import datetime as dt

import click

from pipeline import settings, terminal
from pipeline.commands import arguments
from pipeline.operations.findings import FOUND
from pipeline.operations.plan import show as show_plan
from pipeline.operations.sql import ask, prompt
from pipeline.operations.status import show
from pipeline.warehouse import events


@click.command()
def status() -> int:
    """Shows the days there are, the gaps, sizes and counts."""
    show(settings.load(), terminal.Output())
    return 0


@click.command()
@arguments.span("plan")
def plan(first: dt.date, last: dt.date) -> int:
    """Tells what a range would take: missing days and hours, requests, bytes, minutes."""
    arguments.refuse_reversed(first, last)
    conf = settings.load()
    fits = show_plan(conf, first, arguments.settled(last), terminal.Output())
    return 0 if fits else FOUND


@click.command()
@click.option("--query", help="SQL, one statement or several; without it a prompt.")
@click.option("--csv", is_flag=True, help="All rows as CSV, in place of a table.")
def sql(query: str | None, *, csv: bool) -> int:
    """Asks the warehouse in SQL."""
    if query is None:
        return prompt(settings.load(), terminal.Output())
    if not query.strip():
        raise click.UsageError('Q is empty. Type: make sql Q="select * from days"')
    return ask(settings.load(), query, terminal.Output(), table=not csv)


@click.command()
def schema() -> int:
    """Prints README's table of the columns."""
    click.echo(events.markdown_table())
    return 0


@click.command("settings")
def settings_() -> int:
    """Prints README's table of settings."""
    click.echo(settings.markdown_table())
    return 0
