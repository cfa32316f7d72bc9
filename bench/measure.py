"""Measures processes: their own clock, and the memory of their whole tree."""

import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

_EVERY = 0.02  # seconds between two looks at the memory: a look takes 2 ms of a core


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of one side: seconds of the work itself, and the peak of its process tree's resident bytes."""

    seconds: float
    peak: int


@dataclasses.dataclass(frozen=True)
class Side:
    """What is measured: a command; what is cleared before it; and whether it tells its own seconds on its last line."""

    name: str
    command: Sequence[str]
    prepare: Callable[[], None]
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tells: bool = True


def measure(side: Side) -> Run:
    """Runs a side once.

    Raises:
        RuntimeError: It failed; with what it printed.
    """
    side.prepare()
    began = time.perf_counter()
    process = subprocess.Popen(
        side.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(side.env) or None, text=True
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, _tree(process.pid))
        time.sleep(_EVERY)
    wall = time.perf_counter() - began
    out, err = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{side.name}: exit status {process.returncode}\n{out}{err}")
    return Run(json.loads(out.splitlines()[-1]) if side.tells else wall, peak)


def compare(
    title: str, sides: Sequence[Side], amount: float, rounds: int, *, unit: str = "MB", warm: bool = True
) -> dict[str, Run]:
    """Runs the sides in turn, some rounds of them, and prints their medians as a table.

    Args:
        title: What the table shows.
        sides: The first is what the others are compared with.
        amount: What each side moves, in units.
        rounds: How often each runs.
        unit: What is moved.
        warm: Whether each runs once before that, which does not count.

    Returns:
        The medians by side.
    """
    runs: dict[str, list[Run]] = {side.name: [] for side in sides}
    for round_ in range(-warm, rounds):
        for side in sides:
            run = measure(side)
            if round_ >= 0:
                runs[side.name].append(run)
    medians = {name: median(of) for name, of in runs.items()}
    base = medians[sides[0].name].seconds
    table(
        title,
        ["side", "s (min-max)", f"{unit}/s", "throughput", "peak MB of the tree"],
        [
            [
                name,
                seconds(run.seconds for run in runs[name]),
                f"{amount / middle.seconds:,.0f}",
                f"{base / middle.seconds:.2f} x",
                f"{middle.peak / 1e6:,.0f}",
            ]
            for name, middle in medians.items()
        ],
    )
    return medians


def median(runs: Sequence[Run]) -> Run:
    """Returns the medians of some runs, of the seconds and of the peaks."""
    return Run(statistics.median(run.seconds for run in runs), int(statistics.median(run.peak for run in runs)))


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table as Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    print(f"\n### {title}\n")
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))
    sys.stdout.flush()


def require(what: str, found: float, below: float, unit: str) -> None:
    """Prints a figure beside the one that it must stay below."""
    print(f"\n{what}: {found:.2f} {unit} (must be below {below:g} {unit}){'' if found < below else ': MISSED'}")
    sys.stdout.flush()


def seconds(of: Iterable[float]) -> str:
    """Returns seconds as a table shows them: the median, the least, the most."""
    times = sorted(of)
    middle = statistics.median(times)
    return f"{middle:.2f} ({times[0]:.2f}-{times[-1]:.2f})" if len(times) > 1 else f"{middle:.2f}"


def python(code: Path, *arguments: str) -> list[str]:
    """Returns the command that runs a file of the benchmark with this Python."""
    return [sys.executable, str(code), *arguments]


def _tree(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        return sum(process.memory_info().rss for process in (root, *root.children(recursive=True)))
    except psutil.Error:
        return 0
