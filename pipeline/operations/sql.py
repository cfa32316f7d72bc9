"""`make sql`: the warehouse asked in SQL, one question or many."""

import csv
import decimal
import itertools
import json
import os
import readline  # noqa: F401 - once it is imported, input() lets a line be edited and remembers it, in memory alone
import sqlite3
import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.errors import ConfigError, StorageError, storage_errors
from pipeline.settings import Settings
from pipeline.store import days
from pipeline.store.paths import Layout
from pipeline.text import count, printable
from pipeline.warehouse import catalog
from pipeline.warehouse.query import Answer, SqlError, Warehouse, opened

SHOWN = 40
"""Rows of an answer that a table shows; CSV has all of them."""

REFUSED = 2
"""The status of a statement that DuckDB refuses: the shell's for wrong arguments."""

_CELL = 200  # characters of a value that a table shows
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_HELP = """\
Statements end with a semicolon, and may go over several lines.
    FROM days;                           a row a loaded day
    DESCRIBE events;                     the columns of a view
    SELECT view_name, comment FROM duckdb_views() WHERE NOT internal;
.tables  the views and tables    .help  this    .quit or Ctrl-D  the end    Ctrl-C  drops the statement"""
_TABLES = """
SELECT view_name AS name, comment AS what FROM duckdb_views() WHERE NOT internal AND database_name = 'warehouse'
UNION ALL
SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal AND database_name = 'warehouse' ORDER BY name;"""


def ask(settings: Settings, query: str, console: Console, *, table: bool | None = None) -> int:
    """Answers SQL: as tables, or as CSV with every row.

    In CSV, NULL is an empty field, and a text that a spreadsheet would take for a formula has a `'` before it
    (CWE-1236); `COPY (SELECT ...) TO 'x.csv'` writes texts as they are.

    Args:
        settings: Where the data lies.
        query: One statement or several.
        console: Where the answers go.
        table: Whether to print tables; unless said, on a terminal alone.

    Returns:
        The exit status: 0, or 2 where DuckDB refuses a statement; its own words are on standard error then.

    Raises:
        ConfigError: There is no data folder.
        StorageError: There is no warehouse, and none can be made.
    """
    _refresh(settings)
    with opened(settings) as warehouse:
        return _answer(warehouse, query, console, table=console.is_terminal if table is None else table)


def prompt(settings: Settings, console: Console) -> int:
    """Answers one statement after the other, until `.quit` or the end of the input; errors are said, and it goes on.

    Without a terminal it takes the whole input for one query.

    Returns:
        The exit status.

    Raises:
        ConfigError: There is no data folder.
        StorageError: There is no warehouse, and none can be made.
    """
    if not sys.stdin.isatty():
        return ask(settings, sys.stdin.read(), console)
    _refresh(settings)
    with opened(settings) as warehouse:
        console.print(f"The warehouse of {settings.data_dir}/, to be read. .help says more.", markup=False)
        for statement in _typed(console):
            query = _TABLES if statement == ".tables" else statement
            try:
                _answer(warehouse, query, console, table=True)
            except KeyboardInterrupt:
                console.print("Interrupted.")
    return 0


def _refresh(settings: Settings) -> None:
    if not os.path.lexists(settings.data_dir):
        raise ConfigError(
            f"There is no {settings.data_dir}/: nothing can be asked", "Mend PIPELINE_DATA_DIR, or begin with: make run"
        )
    try:
        catalog.refresh(settings)
        with storage_errors(settings.data_dir):
            left_out = _left_out(settings)
    except StorageError as error:
        # What stood is asked all the same; where nothing stands, opening it fails with the reason.
        left_out = f"The warehouse is not up to date: {error}"
    if left_out:
        Console(stderr=True).print(left_out, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _left_out(settings: Settings) -> str:
    layout = Layout(settings.data_dir)
    stored, loaded = layout.dates(), set(layout.partitions())
    if not stored:
        return f"No day is stored in {settings.data_dir}/. Type: make run"
    others = [date for date in days.between(stored[0], stored[-1]) if date not in loaded]
    if not others:
        return ""
    what = f"{count(len(others), 'day')} between {stored[0]} and {stored[-1]}"
    return f"Not loaded, and so in no answer: {what}, the first {others[0]}. Type: make status"


def _typed(console: Console) -> Iterator[str]:
    """Yields each statement, or word with a dot, that somebody types."""
    text = ""
    while True:
        try:
            line = input("   ...> " if text else "sql> ")
        except EOFError:
            console.print()
            return
        except KeyboardInterrupt:
            console.print()
            text = ""
            continue
        word = line.strip()
        if not text and word.startswith("."):
            if word in (".quit", ".exit"):
                return
            if word == ".tables":
                yield word
            else:
                console.print(_HELP, markup=False, highlight=False)
            continue
        text = f"{text}{line}\n" if text or word else ""
        if sqlite3.complete_statement(text):
            yield text
            text = ""


def _answer(warehouse: Warehouse, query: str, console: Console, *, table: bool) -> int:
    try:
        for number, answer in enumerate(warehouse.ask(query)):
            if table:
                if number:
                    console.print()
                _print_table(answer, console)
            else:
                _write_csv(answer, console)
    except SqlError as error:
        Console(stderr=True).print(str(error), markup=False, highlight=False, soft_wrap=True)
        return REFUSED
    except BrokenPipeError:
        console.on_broken_pipe()
    return 0


def _print_table(answer: Answer, console: Console) -> None:
    found = list(itertools.islice(answer.rows(), SHOWN + 1))
    shown = [[_cell(value) for value in row] for row in found[:SHOWN]]
    names = [printable(name, _CELL) for name in answer.columns]
    widths = [max(len(cell) for cell in column) for column in zip(names, *shown, strict=True)]
    if sum(widths) + 2 * len(widths) <= console.width or len(names) == 1:
        grid = Table(box=None, pad_edge=False, header_style="bold")
        for number, name in enumerate(names):
            numeric = all(isinstance(row[number], int | float | decimal.Decimal | None) for row in found)
            grid.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
        for row in shown:
            grid.add_row(*map(Text, row))
        console.print(grid)
    else:
        _print_records(names, shown, console)
    if len(found) > SHOWN:
        console.print(
            f'The first {SHOWN} rows; for all of them: make sql Q="..." CSV=1 > rows.csv', markup=False, highlight=False
        )
    elif not found:
        console.print("0 rows")


def _print_records(names: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Prints a row as a block, a line a column: side by side they would not fit the terminal."""
    for number, row in enumerate(rows, 1):
        grid = Table(box=None, pad_edge=False, show_header=False)
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, cell in zip(names, row, strict=True):
            grid.add_row(Text(name), Text(cell))
        console.print(f"row {number}", style="dim", highlight=False)
        console.print(grid)


def _write_csv(answer: Answer, console: Console) -> None:
    plain = csv.writer(console.file, lineterminator="\n")
    quoted = csv.writer(console.file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in itertools.chain([answer.columns], answer.rows()):
        fields = [_field(value) for value in row]
        # Readers take a lone carriage return for the line's end, and the writer leaves it bare.
        (quoted if any("\r" in field for field in fields) else plain).writerow(fields)
    console.file.flush()


def _field(value: object) -> str:
    text = "" if value is None else _said(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def _cell(value: object) -> str:
    return "NULL" if value is None else printable(_said(value), _CELL)


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
