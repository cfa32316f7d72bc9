"""A person's terminal: a bar for what takes a while, and output that a pipe may end early."""

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline import logs
from pipeline.progress import Report


class Output(Console):
    """What a command prints for people, on stdout."""

    def on_broken_pipe(self) -> None:
        """Ends the command in peace: the reader of a pipe (head) has seen enough, and to rich that is a failure."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


@contextlib.contextmanager
def bar(title: str) -> Iterator[Report]:
    """Draws a bar on a terminal that is a person's; elsewhere nothing.

    Args:
        title: What stands before it.

    Yields:
        What to call with the share that is done, 0 to 1, and one line of text.
    """
    console = Console(stderr=True)
    # Of several workers, each would draw over the others' bars.
    if not console.is_terminal or not sys.stderr.isatty() or multiprocessing.parent_process():
        yield lambda _share, _text: None
        return
    drawn = Progress(
        TextColumn(title, markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %  {task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    line = drawn.add_task("", total=1.0)
    before, logs.print_line = (
        logs.print_line,
        lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
    )
    try:
        with drawn:
            yield lambda share, text: drawn.update(line, completed=share, description=text)
    finally:
        logs.print_line = before
