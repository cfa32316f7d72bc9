"""K10, K11: little memory. A large day comes home in it; where it is too little, the rerun with more makes the day exact."""

import datetime as dt
import shutil

import duckdb
import pytest
from commands import Commands, luigi, pipeline
from memory import group
from projects import KEY, SECRET, left_in
from truth import FULL, Damage, complete, look, served

from pipeline.sandbox import Sandbox, generator
from pipeline.store import days
from pipeline.store.paths import Layout

DATE = "2026-01-15"
LARGE = 1_000_000  # events: 1.9 GB of JSON
FETCH, LOAD = 300_000_000, 1_000_000_000
TOO_LITTLE = range(20, 131, 10) if FULL else [60]
"""Millions of bytes in which this day's stages end one after the other."""
SURELY_TOO_LITTLE = 100

SLOW = {"AMP_FIRST_BYTE_TIMEOUT": 120, "AMP_READ_TIMEOUT": 60, "AMP_DEADLINE": 600}


@pytest.fixture
def place(tmp_path):
    commands = Commands(tmp_path, **SLOW)
    yield commands
    leaking = left_in(commands.path)
    shutil.rmtree(commands.data, ignore_errors=True)
    assert not leaking


def stored_but_for(place: Commands, distinct: int) -> Damage:
    """Returns by how many rows and uuids the Parquet is not what was served; a million lines are too many to compare."""
    with duckdb.connect(":memory:") as connection:
        (counted,) = connection.execute(
            "SELECT count(*), count(DISTINCT uuid) FROM read_parquet(?)",
            [str(place.data / f"parquet/date={DATE}/*.parquet")],
        ).fetchall()
    rows, uuids = counted
    return Damage(lost=max(distinct - uuids, 0), duplicated=max(uuids - distinct, 0) + rows - uuids)


@pytest.mark.skipif(not FULL, reason="a day of a million events takes a minute: FAULTS=all has it")
def test_K10_a_large_day_is_fetched_in_300_mb_and_loaded_in_1_gb(place, tally):
    rate = LARGE // 24
    with Sandbox(events_per_hour=rate, key=KEY, secret=SECRET) as sandbox:
        place.use(sandbox)
        steps = ((FETCH, luigi("ExtractEvents", "--date", DATE)), (LOAD, pipeline("run", "--date", DATE)))
        for most, command in steps:
            with group(most) as memory:
                done = place.execute(*command, prefix=memory.prefix, timeout=600)
                assert (done.returncode, memory.killed) == (0, 0), done.stderr
    made, day = generator.count(dt.date.fromisoformat(DATE), rate), dt.date.fromisoformat(DATE)
    damage = stored_but_for(place, made.distinct)
    tally.injected(len(steps), damage)
    assert not damage
    record = days.load_record(Layout(place.data), day)
    assert (record.extraction.totals.events, record.counts.rows) == (made.rows, made.distinct)


@pytest.mark.parametrize("most", TOO_LITTLE)
def test_K11_a_run_whose_memory_is_gone_is_killed_and_the_next_one_makes_the_day_exact(place, tally, most):
    with Sandbox(events_per_hour=900 if FULL else 100, key=KEY, secret=SECRET) as sandbox:
        place.use(sandbox)
        truth = served(sandbox, DATE)
        with group(most * 1_000_000) as memory:
            done = place.run(DATE, prefix=memory.prefix)
            killed = bool(memory.killed)
        # The more cores, the more memory a run takes: the largest of these may do for a machine with few.
        assert killed or (done.returncode == 0 and most > SURELY_TOO_LITTLE)
        damage = look(place.data, DATE, truth)
        done = place.run(DATE)
        assert done.returncode == 0, done.stderr
        damage += complete(place.data, DATE, truth)
    tally.injected(int(killed), damage)
    assert not damage
