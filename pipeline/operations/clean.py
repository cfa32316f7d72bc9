"""Clears what unfinished runs left and what is made again by itself; never a published day or a log."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ConfigError, storage_errors
from pipeline.settings import Settings
from pipeline.store import locks, partition
from pipeline.store.paths import Layout
from pipeline.store.publish import remove
from pipeline.warehouse import catalog

_CACHES = (".pytest_cache", ".mypy_cache", ".ruff_cache", "data/demo", "logs/demo")


def clean(settings: Settings, home: Path) -> list[Path]:
    """Removes staging, caches and the demo's folders.

    Args:
        settings: Where the data lies.
        home: The project's folder.

    Returns:
        What was removed. Verified windows of a day that failed are staging too: the next run fetches them again.

    Raises:
        ConfigError: A run is going.
    """
    layout = Layout(settings.data_dir)
    for lock in sorted(layout.locks()):
        with storage_errors(lock):
            holder = locks.holder(lock)
        if holder:
            raise ConfigError(
                f"{lock.name} is in use by {holder}", "Nothing was removed. Clean when the run has ended."
            )
    removed = _replaced(layout, settings)
    for path in _found(layout, home):
        if path.exists():
            with storage_errors(path):
                remove(path)
            removed.append(path)
    return removed


def _replaced(layout: Layout, settings: Settings) -> list[Path]:
    """Removes the files of partitions that do not count any more; returns them."""
    found = {date: paths for date in layout.partitions() if (paths := partition.superseded(layout, date))}
    if found:
        catalog.refresh(settings)  # it may still name them
    removed = []
    for date, paths in found.items():
        with locks.hold(layout.lock(date)), storage_errors(layout.root):
            still = set(partition.superseded(layout, date))  # a run may have begun, and published one of them
            for path in paths:
                if path in still:
                    remove(path)
                    removed.append(path)
    return removed


def _found(layout: Layout, home: Path) -> Iterator[Path]:
    yield from layout.leftovers()
    for name in _CACHES:
        yield home / name
    yield from sorted((home / "data").glob("bench-*"))
    for folder in ("pipeline", "tests", "bench"):
        yield from (home / folder).rglob("__pycache__")
