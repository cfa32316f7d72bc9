"""What one asks a year of events, and how long the answer takes: through our views, over the files, in a table."""

import dataclasses
import datetime as dt
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb

from bench.measure import require, table
from pipeline.warehouse import duck

_USER = """
SELECT user_id FROM {events} WHERE user_id IS NOT NULL GROUP BY user_id
QUALIFY count(*) >= avg(count(*)) OVER () ORDER BY count(*), user_id LIMIT 1
"""


@dataclasses.dataclass(frozen=True)
class Query:
    """A question and its SQL, in which `{events}` is what is asked."""

    name: str
    sql: str


@dataclasses.dataclass(frozen=True)
class Place:
    """Where it is asked: a database (none is in memory), and what stands for the events there."""

    name: str
    database: Path | None
    events: str

    def ask(self, sql: str) -> tuple[float, list[tuple[object, ...]]]:
        """Returns the seconds from opening the database to the last row, and the rows."""
        began = time.perf_counter()
        with duckdb.connect(str(self.database or ":memory:"), read_only=self.database is not None) as connection:
            rows = connection.execute(sql.format(events=self.events)).fetchall()
        return time.perf_counter() - began, rows


def average_user(place: Place) -> str:
    """Returns a user with as many events as the average."""
    _, rows = place.ask(_USER)
    return str(rows[0][0])


def of_year(last: dt.date, user: str) -> list[Query]:
    """Returns the questions of a year that ends with a day."""
    month = f"event_time >= TIMESTAMP '{last - dt.timedelta(days=29)} 00:00:00'"
    return [
        Query(
            "DAU over the year",
            "SELECT event_time::DATE AS day, count(DISTINCT amplitude_id) FROM {events} GROUP BY day ORDER BY day",
        ),
        Query(
            "top events over 30 days",
            f"SELECT event_type, count(*) AS n, count(DISTINCT amplitude_id) FROM {{events}} WHERE {month}"
            " GROUP BY event_type ORDER BY n DESC, event_type LIMIT 20",
        ),
        Query("a 3-step funnel over 30 days", _funnel(month)),
        Query(
            "one user's year",
            "SELECT event_time, event_type, event_properties FROM {events}"
            f" WHERE user_id = {duck.text(user)} ORDER BY event_time, uuid",
        ),
    ]


def of_day(date: dt.date, user: str) -> list[Query]:
    """Returns the questions of one large day."""
    hour = f"event_time BETWEEN TIMESTAMP '{date} 12:00:00' AND TIMESTAMP '{date} 12:59:59'"
    return [
        Query(
            "events of an hour",
            f"SELECT event_type, count(*) AS n FROM {{events}} WHERE {hour} GROUP BY ALL ORDER BY n, event_type",
        ),
        *of_year(date, user),
    ]


def compare(title: str, places: Sequence[Place], queries: Sequence[Query], rounds: int) -> dict[str, list[float]]:
    """Asks in turn, on a fresh connection each time, and prints the medians; the answers must be the same.

    Args:
        title: What the table shows.
        places: The first is what the others are compared with.
        queries: What is asked.
        rounds: How often, after one round that does not count.

    Returns:
        By the name of each other place, the first one's seconds for each query as parts of its own.
    """
    shares: dict[str, list[float]] = {place.name: [] for place in places[1:]}
    lines = []
    for query in queries:
        times = _times(query, places, rounds)
        line = [query.name, *(f"{times[place.name] * 1000:.0f}" for place in places)]
        for place in places[1:]:
            shares[place.name].append(times[places[0].name] / times[place.name])
            line.append(f"{shares[place.name][-1]:.2f} x")
        lines.append(line)
    head = [*(f"{place.name}, ms" for place in places), *(f"{places[0].name} / {place.name}" for place in places[1:])]
    table(title, ["query", *head], lines)
    return shares


def judge(shares: dict[str, list[float]], most: dict[str, float]) -> None:
    """Prints the worst figure of each place beside what is required."""
    for name, limit in most.items():
        require(f"The slowest through the views, as parts of its time over {name}", max(shares[name]), limit, "x")


def _times(query: Query, places: Sequence[Place], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {place.name: [] for place in places}
    answers = []
    for round_ in range(rounds + 1):
        for place in places:
            seconds, rows = place.ask(query.sql)
            if round_:
                times[place.name].append(seconds)
            else:
                answers.append(rows)
    if not answers[0] or any(rows != answers[0] for rows in answers):
        raise SystemExit(f"{query.name}: no answer, or not the same one everywhere")
    return {name: statistics.median(of) for name, of in times.items()}


def _funnel(where: str) -> str:
    """Returns the SQL of how many users took a step, then the next, then the last, each within a day of the one before.

    The first time of each step is what counts.
    """
    return f"""
        WITH step AS (
            SELECT amplitude_id, event_type, event_time FROM {{events}}
            WHERE {where} AND event_type IN ('Product Viewed', 'Product Added', 'Order Completed')
        ), first AS (
            SELECT amplitude_id, min(event_time) AS taken FROM step WHERE event_type = 'Product Viewed' GROUP BY ALL
        ), second AS (
            SELECT amplitude_id, min(event_time) AS taken FROM step JOIN first USING (amplitude_id)
            WHERE event_type = 'Product Added' AND event_time BETWEEN taken AND taken + INTERVAL 1 DAY GROUP BY ALL
        ), third AS (
            SELECT amplitude_id, min(event_time) AS taken FROM step JOIN second USING (amplitude_id)
            WHERE event_type = 'Order Completed' AND event_time BETWEEN taken AND taken + INTERVAL 1 DAY GROUP BY ALL
        )
        SELECT (SELECT count(*) FROM first), (SELECT count(*) FROM second), (SELECT count(*) FROM third)
    """
