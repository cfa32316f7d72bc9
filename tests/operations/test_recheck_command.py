"""`make recheck` as a person or cron types it: what it says, what it leaves, and its exit status."""

import datetime as dt

import pytest
from amplitude import Amplitude, noted, stored, uuids
from archives import DAY
from processes import PIPELINE, make, terminal
from stored import file, flip

from pipeline.store.partition import superseded

NEXT = DAY + dt.timedelta(days=1)


@pytest.fixture
def amplitude(project):
    found = Amplitude(project)
    for day in (DAY, NEXT):
        found.has(*range(10), day=day)
        assert project.run_day(day).scheduling_succeeded
    found.sandbox.requests.clear()
    return found


LEFT_OUT = "WARNING: {} of {} days are not complete, and are not compared. To see what they lack: make status"


def recheck(project, *arguments, status: int = 0) -> list[str]:
    done = make(project, "recheck", *arguments)
    assert done.returncode == status, done.stderr
    return done.stderr.splitlines()


def test_T8_a_day_that_has_grown_is_told_with_what_to_type_and_replaced_when_asked(project, amplitude):
    amplitude.has(*range(12))
    *said, _ = recheck(project, f"FROM={DAY}", f"TO={NEXT}", status=2)
    assert said[-2:] == [
        "2 days to ask again: 1 the same, 1 changed",
        f"WARNING: {DAY}: grown by 2 events (12 now). To take what Amplitude has: make recheck FROM={DAY} TO={DAY} REPLACE=1",
    ]
    assert stored(project) == uuids(*range(10))
    remark = f"since then grown by 2 events (make recheck FROM={DAY} TO={DAY} REPLACE=1)"
    assert remark in project.pipeline("status").stdout
    said = recheck(project, f"FROM={DAY}", f"TO={DAY}", "REPLACE=1")
    assert "since then" not in project.pipeline("status").stdout
    assert f"{DAY} is complete: 12 events" in "\n".join(said)
    assert stored(project) == uuids(*range(12))
    assert not superseded(project.layout, DAY)
    assert [(each.grown, each.replaced) for each in noted(project)] == [(2, False), (2, True)]
    days = project.pipeline(
        "sql", "--csv", "--query", "select date, events, rechecks, grown, shrunk from days order by 1"
    )
    assert days.stdout.splitlines()[1:] == [f"{DAY},12,2,,", f"{NEXT},10,1,0,0"]


def test_without_a_range_a_backfill_that_was_fetched_late_is_not_due(project, amplitude):
    status, said = terminal(*PIPELINE, "recheck")
    assert (status, "No day is due: each is 1, 3, 7, 30 days after it settled." in said) == (0, True)
    assert recheck(project) == []
    assert not amplitude.sandbox.requests


def test_cron_hears_nothing_of_days_that_are_the_same_and_all_of_what_changed(project, amplitude):
    def imported(day) -> None:  # nobody knows when it was fetched: it is due
        source = project.path / f"{day}.zip"
        source.write_bytes((amplitude.folder / f"{day}.zip").read_bytes())
        done = project.pipeline("import", "--date", str(day), "--from", str(source), "--replace")
        assert done.returncode == 0, done.stderr

    for day in (DAY, NEXT):
        imported(day)
    assert recheck(project, "DAYS=1") == []
    assert [len(noted(project, day)) for day in (DAY, NEXT)] == [0, 1]  # whose point passed last
    amplitude.has(*range(9), day=DAY)
    said, _ = recheck(project, status=2)
    assert said.startswith(f"WARNING: {DAY}: shrunk by 1 event (9 now). To take what Amplitude has: ")
    amplitude.sandbox.requests.clear()
    assert recheck(project) == []
    assert not amplitude.sandbox.requests


def test_a_day_that_cannot_be_asked_is_a_failure_and_the_others_are_compared(project, amplitude):
    amplitude.sandbox.faults[:] = [f"status:503,times={3}"]
    said = recheck(project, f"FROM={DAY}", f"TO={NEXT}", status=2)
    assert any("TransientError" in line and "503" in line for line in said)
    assert said[-2] == "2 days to ask again: 1 the same, 0 changed, 1 not compared"
    assert [len(noted(project, day)) for day in (DAY, NEXT)] == [0, 1]


def test_days_that_are_not_complete_are_left_out_and_told_and_it_is_no_success(project, amplitude):
    missing = NEXT + dt.timedelta(days=1)
    command = (*PIPELINE, "recheck", "--from", str(DAY), "--to", str(missing))
    done = project.command(*command)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert LEFT_OUT.format(1, 3) in said
    assert "2 days to ask again: 2 the same, 0 changed" in said
    assert "REPAIR=1" not in done.stderr
    flip(file(project.layout, "load marker"))
    done = project.command(*command)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert LEFT_OUT.format(2, 3) in said
    assert f"WARNING: Where one is damaged: make verify FROM={DAY} TO={DAY} REPAIR=1" in said
    assert "1 day to ask again: 1 the same, 0 changed" in said


@pytest.mark.parametrize("where", ["a damaged day", "a missing day", "before all that is stored"])
def test_a_range_without_a_complete_day_compares_nothing_and_is_no_success(project, amplitude, where):
    flip(file(project.layout, "load marker"))
    if where == "before all that is stored":
        span = ("--to", str(DAY - dt.timedelta(days=1)))
    else:
        day = str(DAY if where == "a damaged day" else NEXT + dt.timedelta(days=1))
        span = ("--from", day, "--to", day)
    done = project.command(*PIPELINE, "recheck", *span)
    assert done.returncode == 1
    none = "WARNING: No complete day lies there: nothing is compared. To see which days are: make status"
    assert done.stderr.splitlines()[-1] == none
    assert (f"FROM={DAY} TO={DAY} REPAIR=1" in done.stderr) is (where == "a damaged day")
    assert not amplitude.sandbox.requests


def test_O3_O4_C1_wrong_ranges_and_missing_credentials_ask_nothing(project, amplitude):
    assert "is after TO=" in recheck(project, f"FROM={NEXT}", f"TO={DAY}", status=2)[0]
    today = dt.datetime.now(dt.UTC).date()
    assert "is not settled" in recheck(project, f"FROM={DAY}", f"TO={today}", status=2)[0]
    project.unset("AMP_SECRET_KEY")
    assert "AMP_SECRET_KEY is not set" in recheck(project, f"FROM={DAY}", f"TO={DAY}", status=2)[0]
    assert not amplitude.sandbox.requests
