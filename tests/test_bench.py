"""The benchmark says what it measured, and its comparisons compare the same thing."""

import datetime as dt
import itertools
import json
import sys

import duckdb
import pytest

from bench import load, project, queries
from bench.measure import Side, compare, measure
from pipeline.sandbox import generator

DATE = dt.date(2026, 10, 31)
STEPS = ("Product Viewed", "Product Added", "Order Completed")


def nothing() -> None:
    pass


def side(code: str, name: str = "a side") -> Side:
    return Side(name, [sys.executable, "-c", code], nothing)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    """Two hours of events."""
    parts = [part for hour in (9, 12) for part in generator.parts(DATE, hour, 2000)]
    lines = [line for part in parts for line in part.json().splitlines() if line]
    return [json.loads(line) for line in dict.fromkeys(lines)]


@pytest.fixture(scope="module")
def places(rows, tmp_path_factory) -> list[queries.Place]:
    """The same events in two places."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "rows.json").write_text("\n".join(map(json.dumps, rows)))
    types = {"event_time": "TIMESTAMP", "event_type": "VARCHAR", "amplitude_id": "BIGINT", "user_id": "VARCHAR"}
    columns = {**types, "event_properties": "JSON", "uuid": "UUID"}
    with duckdb.connect(str(folder / "table.duckdb")) as connection:
        connection.execute(f"CREATE TABLE e AS FROM read_json('{folder / 'rows.json'}', columns = {columns})")
        connection.execute(f"COPY e TO '{folder / 'rows.parquet'}'")
    files = f"read_parquet('{folder / 'rows.parquet'}')"
    return [queries.Place("table", folder / "table.duckdb", "e"), queries.Place("files", None, files)]


def test_a_side_tells_its_own_seconds_and_its_children_count_for_its_memory():
    child = "import time; block = bytearray(150_000_000); time.sleep(0.3)"
    run = measure(side(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print(1.5)"))
    assert run.seconds == 1.5
    assert 150e6 < run.peak < 400e6


def test_a_side_that_fails_is_named_with_its_words():
    with pytest.raises(RuntimeError, match=r"a side: exit status 3\n.*what went wrong"):
        measure(side("import sys; print('what went wrong', file=sys.stderr); sys.exit(3)"))


def test_a_table_has_a_row_a_side_beside_the_first(capsys):
    found = compare("Title", [side("print(2.0)", "slow"), side("print(0.5)", "fast")], 100, 1, warm=False)
    out = capsys.readouterr().out
    assert (found["slow"].seconds, found["fast"].seconds) == (2.0, 0.5)
    assert "### Title" in out
    assert "| slow | 2.00 | 50 | 1.00 x |" in out
    assert "| fast | 0.50 | 200 | 4.00 x |" in out


@pytest.mark.parametrize("events", [20_000, 1_000_000])
@pytest.mark.parametrize("date", [dt.date(2026, 11, 1), dt.date(2026, 11, 3)])
def test_a_day_has_as_many_events_as_were_asked_for(date, events):
    found = generator.count(date, project.per_hour(events, date)).rows
    assert events * 0.98 < found < events * 1.04


def test_each_query_is_answered_and_the_same_in_each_place(places, capsys):
    asked = queries.of_day(DATE, queries.average_user(places[0]))
    shares = queries.compare("Title", places, asked, rounds=1)
    assert len(shares["files"]) == 5
    assert capsys.readouterr().out.count("\n| ") == 7


def test_a_place_with_other_events_is_noticed(places):
    other = queries.Place("other", None, f"(FROM {places[1].events} LIMIT 100)")
    with pytest.raises(SystemExit, match="DAU over the year: no answer, or not the same one"):
        queries.compare("Title", [places[1], other], queries.of_year(DATE, "nobody"), rounds=1)


def test_the_funnel_counts_who_took_each_step_after_the_one_before(rows, places):
    times = {}
    for row in sorted(rows, key=lambda row: row["event_time"]):
        if row["event_time"] >= str(DATE - dt.timedelta(days=29)):
            user = times.setdefault(row["amplitude_id"], {step: [] for step in STEPS})
            user.get(row["event_type"], []).append(dt.datetime.fromisoformat(row["event_time"]))
    counts = [0, 0, 0]
    for taken in times.values():
        after = min(taken[STEPS[0]], default=None)
        for number, (step, following) in enumerate(itertools.zip_longest(STEPS, STEPS[1:])):
            if after is None or not taken[step]:
                break
            counts[number] += 1
            within = [at for at in taken.get(following, []) if after <= at <= after + dt.timedelta(days=1)]
            after = min(within, default=None)
    funnel = queries.of_year(DATE, "")[2]
    assert places[0].ask(funnel.sql)[1] == [tuple(counts)]
    assert counts[0] > counts[1] > counts[2] > 0


def test_a_day_is_loaded_beside_its_peers(tmp_path, capsys):
    made = project.Project(tmp_path)
    record = made.make_day(100)
    load.run(made, record.totals.events, rounds=1)
    out = capsys.readouterr().out
    assert [line.split(" | ")[0] for line in out.splitlines() if line.startswith("| ")][1:] == [
        "| ---", *(f"| {name}" for name in (load._ONE_LINER, load._TEXT, load._FLOOR, load._OURS))
    ]  # fmt: skip
    assert out.count("must be below") == 3
