"""Measures processes: their own clock, and the memory of their whole tree."""

import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

_EVERY = 0.01  # seconds between two looks at the memory


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


def compare(title: str, sides: Sequence[Side], amount: float, rounds: int) -> dict[str, float]:
    """Runs the sides in turn, some rounds of them, and prints their medians as a table.

    Args:
        title: What the table shows.
        sides: The first is what the others are compared with.
        amount: MB that each side moves.
        rounds: How often each runs, after one run that does not count.

    Returns:
        The median seconds by side.
    """
    runs: dict[str, list[Run]] = {side.name: [] for side in sides}
    for round_ in range(rounds + 1):
        for side in sides:
            run = measure(side)
            if round_:
                runs[side.name].append(run)
    seconds = {name: statistics.median(run.seconds for run in of) for name, of in runs.items()}
    base = seconds[sides[0].name]
    print(f"\n### {title}\n")
    print("| side | s (min-max) | MB/s | throughput | peak MB of the tree |\n| --- | --- | --- | --- | --- |")
    for name, of in runs.items():
        low, high = min(run.seconds for run in of), max(run.seconds for run in of)
        peak = statistics.median(run.peak for run in of) / 1e6
        print(
            f"| {name} | {seconds[name]:.2f} ({low:.2f}-{high:.2f}) | {amount / seconds[name]:.0f}"
            f" | {base / seconds[name]:.2f} x | {peak:.0f} |"
        )
    sys.stdout.flush()
    return seconds


def python(code: Path, *arguments: str) -> list[str]:
    """Returns the command that runs a file of the benchmark with this Python."""
    return [sys.executable, str(code), *arguments]


def _tree(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        return sum(process.memory_info().rss for process in (root, *root.children(recursive=True)))
    except psutil.Error:
        return 0
