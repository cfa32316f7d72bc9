"""`make bench`: generated days, brought home by us and by what one would run instead, in one run."""

import argparse
import os
import platform
import tempfile
from collections.abc import Collection
from pathlib import Path

from bench import chain, load, queryable, sorting, verify, year
from bench.project import HOME, Project

TOPICS = ("chain", "load", "verify", "large", "http", "year", "sorting")
"""What can be measured alone; `sorting` decided how the rows lie and is measured only when it is asked for."""


def main() -> None:
    """Makes the days, then prints a table for each comparison."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the day (1,000,000)")
    parser.add_argument("--large", type=int, default=5_000_000, help="events of a large day (5,000,000)")
    parser.add_argument("--slow", type=int, default=200_000, help="events for what is slow: pandas, dlt (200,000)")
    parser.add_argument("--days", type=int, default=365, help="days of the year (365)")
    parser.add_argument("--daily", type=int, default=20_000, help="events of a day of the year (20,000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each comparison (3)")
    parser.add_argument("--only", choices=TOPICS, nargs="+", default=TOPICS[:-1], help="what is measured")
    chosen = parser.parse_args()
    if "http" in chosen.only and not queryable.PEERS.exists():
        parser.error("the peers are not installed. Type: make bench")
    print(f"Python {platform.python_version()}, {_cores()} cores, {chosen.rounds} rounds, medians.")
    (HOME / "data").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=HOME / "data") as place:
        _run(Path(place), chosen)


def _run(place: Path, chosen: argparse.Namespace) -> None:
    topics: Collection[str] = chosen.only
    if {"chain", "load", "verify", "http", "sorting"} & set(topics):
        with tempfile.TemporaryDirectory(dir=place) as folder:
            _day(Path(folder), chosen.events, chosen.rounds, topics)
    if "http" in topics:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            _day(Path(folder), chosen.slow, 1, ("slow",))
    if "large" in topics:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            _day(Path(folder), chosen.large, 1, ("load",))
    if "year" in topics:
        year.run(place, chosen.days, chosen.daily, chosen.rounds)


def _day(folder: Path, events: int, rounds: int, topics: Collection[str]) -> None:
    """Makes a day, and measures what is done with it."""
    project, exports = Project(folder), folder / "exports"
    record = project.make_day(events)
    totals = record.totals
    of_zip, of_json = record.export.bytes / 1e6, totals.bytes / 1e6
    print(f"\n## A day of {totals.events:,} events: {of_zip:,.0f} MB of ZIP, {of_json:,.0f} MB of JSON")
    if "load" in topics:
        load.run(project, totals.events, rounds)
    if "verify" in topics:
        verify.run(project, rounds)
    if "sorting" in topics:
        sorting.run(project, rounds)
    project.export(exports)
    if "chain" in topics:
        chain.run(project, (of_zip, of_json), exports, rounds)
    if "http" in topics or "slow" in topics:
        queryable.run(project, totals.events, exports, rounds, slow="slow" in topics)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    main()
