"""The commands that look: status, sql, and what README shows of the settings and the columns."""

import click

from pipeline import settings, terminal
from pipeline.operations.sql import ask, prompt
from pipeline.operations.status import show
from pipeline.warehouse import events


@click.command()
def status() -> int:
    """Shows the days there are, the gaps, sizes and counts."""
    show(settings.load(), terminal.Output())
    return 0


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
