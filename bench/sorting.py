"""Whether it pays to sort a day's rows: the same rows as they come, by time, and by user."""

import time

import duckdb

from bench import queries
from bench.measure import table
from bench.project import DATE, Project
from pipeline.warehouse import duck

_ROW_GROUP = 30_720  # rows, as the load writes them
_ORDERS = {
    "as it comes": "",
    "by event_time": "ORDER BY event_time",
    "by user_id": "ORDER BY user_id, event_time",
}


def run(project: Project, rounds: int) -> None:
    """Writes the day's Parquet in each order, and asks each the same.

    Args:
        project: Holds the day, loaded.
        rounds: Of each query.
    """
    source = f"read_parquet({duck.text(str(project.layout.parquet_dir(DATE) / '*.parquet'))})"
    project.clear()
    lines, places = [], []
    for name, order in _ORDERS.items():
        file = project.out / f"{name.replace(' ', '_')}.parquet"
        began = time.perf_counter()
        with duckdb.connect(config={"memory_limit": "600MB", "temp_directory": str(project.out)}) as connection:
            connection.execute(
                f"COPY (FROM {source} {order}) TO {duck.text(str(file))}"
                f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
            )
        lines.append([name, f"{time.perf_counter() - began:.2f}", f"{file.stat().st_size / 1e6:.0f}"])
        places.append(queries.Place(name, None, f"read_parquet({duck.text(str(file))})"))
    table("A day's Parquet written again", ["order", "s", "MB"], lines)
    title = "The same SQL over a day's Parquet by its order, medians"
    queries.compare(title, places, queries.of_day(DATE, queries.average_user(places[0])), max(rounds, 5))
