"""A year of loaded days: the queries, a run that finds nothing to do, and the end of a run of one day more."""

import datetime as dt
import os
import statistics
import subprocess
import sys
from pathlib import Path

import duckdb

from bench import queries
from bench.measure import Run, Side, measure, require, seconds, table
from bench.project import DATE, HERE, HOME, Project, Serving
from pipeline.store import days
from pipeline.store.publish import remove
from pipeline.warehouse import duck

LAST = DATE - dt.timedelta(days=1)
"""The year's last day; the day of one more run is the next."""

NOOP, ENDING = 2.0, 2.0
"""Seconds that a run without work may take, and that a year may add to the end of a run."""

SHARES = {"the plain files": 1.5, "a table": 2.5}
"""How long a query through the views may take, as parts of its time elsewhere."""


def run(place: Path, count: int, events: int, rounds: int) -> None:
    """Makes the year and prints its tables.

    Args:
        place: The folder to make it in.
        count: Days of it.
        events: Events of a day.
        rounds: Of each comparison.
    """
    year = Project(place / "year")
    dates = [LAST - dt.timedelta(days=n) for n in reversed(range(count))]
    _make(year, dates, events)
    built = measure(_refresh(year))
    rows = sum(record.counts.rows for date in dates if (record := days.load_record(year.layout, date)))
    print(f"\n{len(dates)} loaded days, {rows:,} rows, {_bytes(year, dates) / 1e6:,.0f} MB of Parquet.")
    _queries(year, place, rounds)
    _runs(year, place, dates, events, rounds, built)


def _make(year: Project, dates: list[dt.date], events: int) -> None:
    """Makes the days, a process on each core."""
    year.clear()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    command = [sys.executable, str(HERE / "makeyear.py"), str(events), str(year.out)]
    env = {**year.env(), "PIPELINE_THREADS": "1"}
    # The first day alone: the others then know whose project it is.
    subprocess.run([*command, str(dates[0])], cwd=HOME, env=env, check=True)
    shares = [dates[1 + n :: cores] for n in range(cores)]
    makers = [subprocess.Popen([*command, *map(str, share)], cwd=HOME, env=env) for share in shares]
    statuses = [maker.wait() for maker in makers]
    if any(statuses):
        raise SystemExit("the year could not be made")


def _queries(year: Project, place: Path, rounds: int) -> None:
    files = f"read_parquet({duck.text(str(year.layout.root / 'parquet' / '*' / '*.parquet'))})"
    database = place / "table.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"CREATE TABLE e AS SELECT * FROM {files}")
    views, plain, stored = "our views", *SHARES
    places = [
        queries.Place(views, year.layout.warehouse(), "events"),
        queries.Place(plain, None, files),
        queries.Place(stored, database, "e"),
    ]
    title = "The same SQL, a fresh connection each time, medians"
    shares = queries.compare(title, places, queries.of_year(LAST, queries.average_user(places[-1])), max(rounds, 5))
    queries.judge(shares, SHARES)
    database.unlink()


def _runs(year: Project, place: Path, dates: list[dt.date], events: int, rounds: int, built: Run) -> None:
    span = [f"FROM={dates[0]}", f"TO={dates[-1]}"]
    noop = Side("noop", ["make", "range", *span], year.clear, year.env(), tells=False)
    nothing = [measure(noop).seconds for _ in range(rounds)]
    alone = Project(place / "alone")
    alone.make_day(events)
    alone.export(place / "one")
    with Serving(place / "one") as url:
        into = Side("a day more", year.run(url).command, lambda: _forget_day(year), year.env(url), tells=False)
        first, more = zip(
            *((measure(alone.run(url)).seconds, measure(into).seconds) for _ in range(rounds)), strict=True
        )
    title = (
        f"A run over a year of {len(dates)} loaded days of {events:,} events (the process from its start to its end)"
    )
    table(
        title,
        ["what", "s (min-max)"],
        [
            ["`make range` over the year, nothing to do", seconds(nothing)],
            ["`make run` of a day, the first there is", seconds(first)],
            ["`make run` of a day, after the year", seconds(more)],
            ["the warehouse file of the year, from nothing", f"{built.seconds:.2f}"],
        ],
    )
    require("`make range` with nothing to do", statistics.median(nothing), NOOP, "s")
    require("What the year adds to a run of a day", statistics.median(more) - statistics.median(first), ENDING, "s")


def _refresh(year: Project) -> Side:
    return year.side("the warehouse file", "refreshed")


def _forget_day(year: Project) -> None:
    """Takes the day after the year away, and the warehouse file knows it."""
    layout = year.layout
    for path in (layout.parquet_dir(DATE), layout.events_dir(DATE), layout.raw_zip(DATE)):
        remove(path)
    measure(_refresh(year))


def _bytes(year: Project, dates: list[dt.date]) -> int:
    return sum(record.bytes for date in dates if (record := days.load_record(year.layout, date)))
