"""The commands, put together, and the exit status of each."""

import sys
from pathlib import Path
from typing import Any

import click
from loguru import logger

from pipeline import dotenv, logs, settings
from pipeline.commands import chain, keep, look, verify
from pipeline.errors import PipelineError
from pipeline.tasks import refresh, runs, signals

USAGE = 2
"""The shell's status for wrong arguments."""


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:  # further out, click takes it for its own
            # At once: threads that are inside DuckDB would abort the process when Python ends.
            signals.leave_for(interrupt)


@click.group(cls=_Commands)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Brings Amplitude's raw events home; each command is a target of the Makefile."""
    if ctx.invoked_subcommand in _FOR_CRON and not sys.stderr.isatty():
        logs.setup(settings.load().logs_dir, terminal="ERROR")
    dotenv.warn_if_open(Path(".env"))


_FOR_CRON = {"daily"}

for command in (
    chain.run, chain.range_, chain.daily, chain.force, chain.import_,
    look.status, look.plan, look.sql, look.schema, look.settings_,
    verify.verify, keep.recheck, keep.prune, keep.clean,
):  # fmt: skip
    cli.add_command(command)


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
        return runs.status_of(error)
