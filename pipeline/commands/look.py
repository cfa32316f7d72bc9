"""The commands that look: status, sql, and what README shows of the settings and the columns."""

import os
import sys

import click
from rich.console import Console

from pipeline import settings
from pipeline.operations.sql import ask, prompt
from pipeline.operations.status import show
from pipeline.warehouse import events


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # The reader of a pipe (head) has seen enough: to rich that is a failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


@click.command()
def status() -> int:
    """Shows the days there are, the gaps, sizes and counts."""
    show(settings.load(), _Console())
    return 0


@click.command()
@click.option("--query", help="SQL, one statement or several; without it a prompt.")
@click.option("--csv", is_flag=True, help="All rows as CSV, in place of a table.")
def sql(query: str | None, *, csv: bool) -> int:
    """Asks the warehouse in SQL."""
    if query is None:
        return prompt(settings.load(), _Console())
    if not query.strip():
        raise click.UsageError('Q is empty. Type: make sql Q="select * from days"')
    return ask(settings.load(), query, _Console(), table=not csv)


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
