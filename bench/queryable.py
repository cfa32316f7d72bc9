"""From HTTP to where SQL reaches a day: the whole process, beside a shell, a script of pandas, and dlt."""

import sys
from collections.abc import Callable
from pathlib import Path

import duckdb

from bench.measure import Run, Side, measure, median, seconds, table
from bench.project import DATE, HERE, HOME, KEY, SECRET, Project, Serving, whole_day
from pipeline.store import days

PEERS = HOME / ".venv-bench" / "bin" / "python"
"""The Python of the peers; `make bench` sets it up."""

_SHELL = """
curl --silent --show-error --fail --user "$1" --output "$3/day.zip" "$2"
unzip -q "$3/day.zip" -d "$3"
exec "$4" "$5" one_liner "$3/*/*.json.gz" "$3/day.duckdb"
"""


def run(project: Project, events: int, exports: Path, rounds: int, *, slow: bool) -> None:
    """Prints the table.

    Args:
        project: Whose day is removed and fetched again.
        events: How many it has.
        exports: Where the day stands as it is served.
        rounds: Of the comparison.
        slow: Whether pandas and dlt run too.
    """
    table_path, parquet = project.out / "day.duckdb", project.out / "day.parquet"
    with Serving(exports) as url:
        sides: list[tuple[Side, Callable[[], int]]] = [
            (project.run(url), lambda: _loaded(project)),
            (_shell(project, url), lambda: _count(table_path, "e")),
        ]
        if slow:
            sides += [
                (_peer(project, url, "pandas"), lambda: _count(None, f"'{parquet}'")),
                (_peer(project, url, "dlt"), lambda: _count(table_path, "raw.events")),
            ]
        runs: dict[str, list[Run]] = {side.name: [] for side, _ in sides}
        rows: dict[str, int] = {}
        for _ in range(rounds):
            for side, count in sides:
                runs[side.name].append(measure(side))
                rows[side.name] = count()
    lines = []
    for name, of in runs.items():
        middle = median(of)
        speed, peak = f"{events / middle.seconds:,.0f}", f"{middle.peak / 1e6:,.0f}"
        lines.append([name, seconds(run.seconds for run in of), speed, peak, f"{rows[name]:,}"])
    title = f"From HTTP to queryable, {events:,} events (the process from its start to its end)"
    table(title, ["side", "s (min-max)", "events/s", "peak MB of the tree", "rows"], lines)


def _shell(project: Project, url: str) -> Side:
    arguments = [f"{KEY}:{SECRET}", whole_day(url), str(project.out), sys.executable, str(HERE / "sides.py")]
    command = ["sh", "-e", "-c", _SHELL, "sh", *arguments]
    return Side("curl, unzip, DuckDB's one-liner", command, project.clear, project.env(), tells=False)


def _peer(project: Project, url: str, name: str) -> Side:
    command = [str(PEERS), str(HERE / "peers.py"), name, whole_day(url), KEY, SECRET, str(project.out)]
    env = {**project.env(), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    titles = {"pandas": "requests, pandas, to_parquet", "dlt": "dlt, its Parquet loader, to DuckDB"}
    return Side(titles[name], command, project.clear, env, tells=False)


def _loaded(project: Project) -> int:
    record = days.load_record(project.layout, DATE)
    return record.counts.rows if record else 0


def _count(database: Path | None, source: str) -> int:
    with duckdb.connect(str(database or ":memory:"), read_only=database is not None) as connection:
        found = connection.execute(f"SELECT count(*) FROM {source}").fetchone()
    return int(found[0]) if found else 0
