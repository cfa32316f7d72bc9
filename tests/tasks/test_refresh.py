"""The warehouse file is brought up to date once at the end of a run, whoever ran it, and by whoever looks."""

import datetime as dt

import duckdb
import pytest
from processes import LUIGI, ROOT

from pipeline.store import days

DAY = dt.date(2026, 1, 15)


def known(project) -> list[dt.date]:
    """Returns the days that the warehouse has."""
    with duckdb.connect(project.layout.warehouse(), read_only=True) as connection:
        return [date for (date,) in connection.execute("SELECT date FROM days ORDER BY date").fetchall()]


@pytest.mark.parametrize("workers", [1, 2])
def test_luigi_itself_refreshes_it_when_it_ends(project, workers):
    project.sandbox(events_per_hour=1)
    done = project.command(
        *LUIGI, "RangeDaily", "--start", "2026-01-14", "--stop", "2026-01-16", "--workers", str(workers),
        PYTHONPATH=str(ROOT),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert known(project) == [dt.date(2026, 1, 14), DAY]


@pytest.mark.parametrize("command", [("status",), ("sql", "--query", "from days")])
def test_a_run_that_died_before_it_is_made_good_by_status_and_sql(project, command):
    project.sandbox(events_per_hour=1)
    project.run_day(DAY)  # Luigi's worker alone, which has no end of a run
    assert not project.layout.warehouse().exists()
    done = project.pipeline(*command)
    assert done.returncode == 0, done.stderr
    assert known(project) == [DAY]


def test_a_refresh_that_fails_is_a_failure_and_the_day_is_complete_all_the_same(project):
    project.sandbox(events_per_hour=1)
    project.layout.warehouse().mkdir(parents=True)
    (project.layout.warehouse() / "in the way").touch()
    done = project.pipeline("run", "--date", str(DAY))
    assert done.returncode == 30
    assert "was not refreshed; the days themselves are" in done.stderr
    assert days.is_loaded(project.layout, DAY)
    assert f"{DAY} is complete" in done.stderr


def test_files_that_were_replaced_stay_until_the_next_run(project):
    project.sandbox(events_per_hour=1)
    project.pipeline("run", "--date", str(DAY))
    first = days.load_record(project.layout, DAY).files[0].name
    assert project.pipeline("force", "--date", str(DAY)).returncode == 0
    assert (project.layout.parquet_dir(DAY) / first).exists()
    assert known(project) == [DAY]
    project.pipeline("run", "--date", str(DAY))
    assert not (project.layout.parquet_dir(DAY) / first).exists()
    assert not project.leftovers()


def test_a_run_that_was_killed_before_its_refresh_is_made_good_by_the_next(project):
    project.sandbox(events_per_hour=1)
    project.run_day(DAY)
    done = project.pipeline("run", "--date", str(DAY))
    assert "Nothing to do" in done.stderr
    assert known(project) == [DAY]


def test_a_refresh_that_fails_is_a_failure_of_luigi_too(project):
    project.sandbox(events_per_hour=1)
    project.layout.warehouse().mkdir(parents=True)
    (project.layout.warehouse() / "in the way").touch()
    done = project.command(*LUIGI, "LoadEvents", "--date", str(DAY), PYTHONPATH=str(ROOT))
    assert done.returncode == 30
    assert "was not refreshed" in done.stderr


def test_F19_what_a_run_left_that_was_killed_once_the_warehouse_was_in_place_is_cleared_by_the_next(project):
    project.sandbox(events_per_hour=1)
    project.pipeline("run", "--date", str(DAY))
    project.layout.warehouse_part().mkdir()
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    assert not project.leftovers()
