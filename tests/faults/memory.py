"""Processes that have so much memory and no more, and what they take of it."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from commands import Commands

_LAUNCHER = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status if status >= 0 else 128 - status)
"""
_ENTER = 'echo 0 > "$0" && exec "$@"'

_UNIFIED = Path("/sys/fs/cgroup")
_MEMORY = Path("/sys/fs/cgroup/memory")


def measured(commands: Commands, *command: str, **options: object) -> tuple[CompletedProcess[str], int]:
    """Runs a command; returns what came of it, and the most bytes of memory that one of its processes had at once.

    A small process starts it: one that a large process starts counts that one's memory as its own.
    """
    place = commands.path / "peak"
    done = commands.execute(sys.executable, "-c", _LAUNCHER, str(place), *command, **options)
    return done, int(place.read_text()) * (1 if sys.platform == "darwin" else 1024)


class Group:
    """A memory cgroup.

    Args:
        path: Its folder.
        unified: Whether it is of version 2, whose files have other names.
    """

    def __init__(self, path: Path, unified: bool) -> None:
        self._path = path
        self._unified = unified

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command is started by, so that it and all its processes are in the group."""
        return ("sh", "-c", _ENTER, str(self._path / "cgroup.procs"))

    @property
    def killed(self) -> int:
        """Returns how many processes had to go because the memory was gone."""
        name = "memory.events" if self._unified else "memory.oom_control"
        counts = dict(line.split() for line in (self._path / name).read_text().splitlines())
        return int(counts["oom_kill"])

    def limit(self, most: int) -> None:
        (self._path / ("memory.max" if self._unified else "memory.limit_in_bytes")).write_text(str(most))


@contextlib.contextmanager
def group(most: int) -> Iterator[Group]:
    """Makes a memory cgroup for the block; skips where that cannot be.

    Args:
        most: Bytes that its processes may have together, the cache of their files included, as far as it cannot go.
    """
    if os.geteuid():
        pytest.skip("only root may limit the memory of a group of processes")
    unified = not _MEMORY.is_dir()
    folder = (_UNIFIED if unified else _MEMORY) / f"pipeline-faults-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"this machine has no memory cgroups to make: {error}")
    try:
        made = Group(folder, unified)
        try:
            made.limit(most)
        except OSError as error:
            pytest.skip(f"this machine's cgroups do not limit memory: {error}")
        yield made
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Removes a group as soon as its last process is gone."""
    for _ in range(200):
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.02)
        else:
            return
    folder.rmdir()
