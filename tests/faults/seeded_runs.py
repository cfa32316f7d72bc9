"""Defects of runs that meet."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import patching

from pipeline.store import locks


def _lock() -> None:
    """Nobody waits for anybody."""
    patching.replace(locks.hold, _held_by_nobody)


@contextlib.contextmanager
def _held_by_nobody(_path: Path) -> Iterator[None]:
    yield


DEFECTS: dict[str, Callable[[], None]] = {"lock": _lock}
