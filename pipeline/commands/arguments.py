"""What the commands take: days, ranges of days, and words for what is missing of them."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from pipeline import settings
from pipeline.errors import ConfigError
from pipeline.export.settled import refuse_unsettled
from pipeline.tasks.daily import parse_day
from pipeline.text import printable

Command = TypeVar("Command", bound=Callable[..., Any])


class Day(click.ParamType[dt.date]):
    """A UTC day as an argument: YYYY-MM-DD; it goes by the name that make gives it.

    Args:
        variable: That name.
        usage: What a right call looks like.
    """

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


class Number(click.ParamType[int]):
    """A number of days as an argument; it goes by the name that make gives it.

    Args:
        variable: That name.
        least: The least that it takes.
        usage: What a right call looks like.
    """

    name = "number"

    def __init__(self, variable: str, least: int, usage: str) -> None:
        self._variable = variable
        self._least = least
        self._usage = usage

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401, ARG002, D102
        if isinstance(value, int):
            return value
        if not re.fullmatch(r"\d{1,4}", value, re.ASCII) or int(value) < self._least:
            raise click.UsageError(
                f"{self._variable}={printable(value, 40)} is no number of days from {self._least} on."
                f" Type: {self._usage}"
            )
        return int(value)


def date(command: str, *, required: bool = True) -> Callable[[Command], Command]:
    """Adds `--date` to a command of the Makefile."""
    usage = f"make {command} DATE=2026-11-22" + (" FROM=export.zip" if command == "import" else "")
    text = "The day, UTC." if required else "The day, UTC; yesterday unless given."
    return click.option("--date", type=Day("DATE", usage), required=required, help=text)


def span(command: str, *, required: bool = True) -> Callable[[Command], Command]:
    """Adds `--from` and `--to` to a command of the Makefile; `refuse_reversed` looks at them together."""
    usage = f"make {command} FROM=2026-11-01 TO=2026-11-22"

    def add(function: Command) -> Command:
        last = click.option(
            "--to", "last", type=Day("TO", usage), required=required, help="The last day, UTC, included."
        )
        first = click.option("--from", "first", type=Day("FROM", usage), required=required, help="The first day, UTC.")
        return first(last(function))

    return add


def refuse_reversed(first: dt.date | None, last: dt.date | None) -> None:
    """Refuses a range that ends before it begins.

    Raises:
        click.UsageError: It does.
    """
    if first and last and first > last:
        raise click.UsageError(f"FROM={first} is after TO={last}. Write the earlier day first.")


def settled(date: dt.date) -> dt.date:
    """Returns a day that no event can enter any more.

    Raises:
        NotReadyError: The day is not settled.
    """
    refuse_unsettled(date, settings.load())
    return date
