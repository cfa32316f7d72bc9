"""The load: a day's JSON lines to published, deduplicated Parquet, beside DuckDB alone."""

import dataclasses
import shutil
import zipfile

from bench.measure import Run, Side, compare, require
from bench.project import DATE, Project

MEMORY = 1000
"""MB that the whole process tree of a load may take."""

_OURS, _ONE_LINER, _TEXT, _FLOOR = (
    "ours: typed, deduplicated, checked, published",
    "`create table e as select * from read_json('*.json.gz')`",
    "the same over the extracted JSON",
    "a plain typed COPY to Parquet, the floor",
)


def run(project: Project, events: int, rounds: int) -> None:
    """Prints the table of a day's load.

    Args:
        project: Holds the day, extracted.
        events: How many it has.
        rounds: Of the comparison.
    """
    gz = project.layout.root / "gz"
    with zipfile.ZipFile(project.layout.raw_zip(DATE)) as archive:
        archive.extractall(gz, [name for name in archive.namelist() if name.endswith(".gz")])
    text, database = project.layout.events_dir(DATE) / "*.json", project.out / "day.duckdb"
    sides = [
        project.side(_ONE_LINER, "one_liner", gz / "*" / "*.json.gz", database),
        project.side(_TEXT, "one_liner", text, database),
        project.side(_FLOOR, "floor", text, project.out / "day.parquet"),
        _ours(project),
    ]
    title = f"A day's JSON to rows that SQL reads, {events:,} events"
    runs = compare(title, sides, events, rounds, unit="events", warm=False)
    shutil.rmtree(gz)
    _judge(runs)


def _ours(project: Project) -> Side:
    side = project.side(_OURS, "loaded", DATE)

    def prepare() -> None:
        shutil.rmtree(project.layout.parquet_dir(DATE), ignore_errors=True)
        project.clear()

    return dataclasses.replace(side, prepare=prepare)


def _judge(runs: dict[str, Run]) -> None:
    ours = runs[_OURS]
    require("Our time, as parts of the one-liner's", ours.seconds / runs[_ONE_LINER].seconds, 1, "x")
    require("Our time, as parts of the floor's", ours.seconds / runs[_FLOOR].seconds, 2, "x")
    require("Our peak memory, all processes", ours.peak / 1e6, MEMORY, "MB")
