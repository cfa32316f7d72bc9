"""`make plan`: what a range would take, told by the days there are; nothing is asked for, nothing is written."""

import datetime as dt
import shutil
from types import SimpleNamespace

import pytest
from disks import small
from processes import make

from pipeline.errors import StorageError
from pipeline.operations import doctor, plan
from pipeline.operations.findings import WRONG
from pipeline.store import days, room
from pipeline.terminal import Output
from pipeline.text import size

FIRST = dt.date(2026, 1, 12)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(8)]


def told(project, first=DAYS[0], last=DAYS[-1], status: int = 0) -> str:
    before = project.tree()
    done = project.pipeline("plan", "--from", str(first), "--to", str(last))
    assert done.returncode == status, done.stderr
    assert project.tree() == before
    return done.stdout


def test_without_a_stored_day_it_tells_requests_and_no_bytes(project):
    sandbox = project.sandbox()
    assert told(project).splitlines() == [
        "2026-01-12 to 2026-01-19  8 days to fetch: at most 32 requests",
        "8 of 8 days to do: at most 32 requests.",
        "No day is stored yet that would tell bytes and minutes. Type: make range FROM=2026-01-12 TO=2026-01-19",
    ]
    assert not sandbox.requests


def test_missing_days_are_told_by_the_days_there_are_and_asked_for_with_as_many_requests(project):
    sandbox = project.sandbox()
    for day in (DAYS[2], DAYS[3]):
        assert project.run_day(day).scheduling_succeeded
    asked = len(sandbox.requests)
    lines = told(project).splitlines()
    assert lines[0].startswith("2026-01-12 to 2026-01-13  2 days to fetch: ")
    assert lines[1].startswith("2026-01-16 to 2026-01-19  4 days to fetch: ")
    assert lines[2].startswith("6 of 8 days to do: ")
    assert lines[-1] == "Type: make range FROM=2026-01-12 TO=2026-01-19"
    assert len(sandbox.requests) == asked
    steps = plan.steps(project.settings, DAYS[0], DAYS[-1])
    stored = [project.layout.raw_zip(day).stat().st_size for day in (DAYS[2], DAYS[3])]
    assert [step.fetched for step in steps] == [sum(stored) // 2] * 6
    assert sum(step.grows for step in steps) > sum(step.fetched for step in steps) > 0
    assert all(step.seconds > 0 for step in steps)
    assert {step.requests for step in steps} == {1}
    before = len(sandbox.requests)
    assert all(project.run_day(step.date).scheduling_succeeded for step in steps)
    assert len(sandbox.requests) == before + sum(step.requests for step in steps)


def test_hours_that_an_earlier_run_kept_are_not_counted_again(project):
    sandbox = project.sandbox(faults=["status:503,hour=20"])
    assert not project.run_day(DAYS[0]).scheduling_succeeded
    sandbox.faults.clear()
    (step,) = plan.steps(project.settings, DAYS[0], DAYS[0])
    assert step.hours == frozenset(range(18, 24))
    assert told(project, DAYS[0], DAYS[0]).splitlines()[0] == (
        "2026-01-12                1 day to fetch, the hours 18-23 alone: 1 request"
    )


UNKEPT = {
    "another host": lambda project, _: (project.unset("AMP_BASE_URL"), project.set(AMP_REGION="us")),
    "a redo": lambda project, _: days.ask_redo(project.layout, DAYS[0]),
    "no ZIP": lambda _, folder: [path.unlink() for path in folder.glob("*.zip")],
    "torn": lambda _, folder: [path.write_bytes(b"{") for path in folder.glob("*.json")],
    "renamed": lambda _, folder: [path.rename(path.with_stem(f"x{path.stem}")) for path in folder.glob("*.*")],
}


@pytest.mark.parametrize("how", UNKEPT)
def test_hours_that_a_run_would_not_take_up_are_to_be_fetched(project, how):
    sandbox = project.sandbox(faults=["status:503,hour=20"])
    assert not project.run_day(DAYS[0]).scheduling_succeeded
    sandbox.faults.clear()
    UNKEPT[how](project, project.layout.windows_dir(DAYS[0]))
    (step,) = plan.steps(project.settings, DAYS[0], DAYS[0])
    assert (step.hours, step.requests) == (frozenset(range(24)), 4)


def test_windows_are_counted_below_what_was_refused(project):
    sandbox = project.sandbox(faults=["status:400,hour=20,times=1", "status:503,hour=20"])
    assert not project.run_day(DAYS[0]).scheduling_succeeded
    sandbox.faults.clear()
    before = len(sandbox.requests)
    (step,) = plan.steps(project.settings, DAYS[0], DAYS[0])
    assert project.run_day(DAYS[0]).scheduling_succeeded
    assert step.requests == len(sandbox.requests) - before


def test_all_numbers_are_written_alike(project):
    assert "\n1,096 of 1,096 days to do: " in told(project, dt.date(2020, 1, 1), dt.date(2022, 12, 31))


@pytest.mark.parametrize(("gone", "said"), [(("parquet",), "to load"), (("parquet", "events"), "to extract and load")])
def test_a_day_that_was_fetched_needs_no_request(project, gone, said):
    project.sandbox()
    project.run_day(DAYS[0])
    for folder in gone:
        shutil.rmtree(project.data / folder)
    assert f"1 day {said}: no request" in told(project, DAYS[0], DAYS[0])


def test_a_complete_range_has_nothing_to_do(project):
    project.sandbox()
    project.run_day(DAYS[0])
    assert told(project, DAYS[0], DAYS[0]) == "1 day, 2026-01-12 to 2026-01-12: complete, nothing to do.\n"


def test_F6_days_that_do_not_fit_the_disk_are_counted_and_the_fitting_ones_named(project, monkeypatch, capsys):
    project.sandbox()
    project.run_day(DAYS[0])
    (_, *_, last) = steps = plan.steps(project.settings, DAYS[1], DAYS[-1])
    room = 3 * steps[0].grows + last.fetched  # the windows of the last that fits, beside it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room))
    assert not plan.show(project.settings, DAYS[1], DAYS[-1], Output(width=200))
    said = capsys.readouterr().out
    assert "4 of the 7 days do not fit." in said
    assert "Or begin with: make range FROM=2026-01-13 TO=2026-01-15" in said
    assert "make prune KEEP_DAYS=30 WHAT=events" in said


def test_F6_each_disk_is_looked_at_as_a_run_and_doctor_do(project, capsys):
    project.sandbox()
    raw = project.data / "raw"
    with small(raw, size=4_000_000):
        project.run_day(DAYS[0])
        ((_, text),) = [(each.state, each.text) for each in doctor.examine() if each.subject == "disk"]
        assert "MB free in " in text
        day = project.layout.raw_zip(DAYS[0]).stat().st_size
        free = shutil.disk_usage(raw).free
        (raw / "other").write_bytes(bytes(free - day // 2 * 3 // 4096 * 4096))  # room for one ZIP, without its windows
        assert not plan.show(project.settings, DAYS[1], DAYS[1], Output(width=200))
        said = capsys.readouterr().out
        assert "1 of the 1 days do not fit." in said
        assert f"On the disk of {raw}/: about {size(day)} more; " in said
        with pytest.raises(StorageError, match=f"{raw}: {DAYS[1]} needs about"):
            room.refuse_small_disk(project.layout, DAYS[1], project.layout)
        (raw / "more").write_bytes(bytes(shutil.disk_usage(raw).free - day // 2))
        ((state, text),) = [(each.state, each.text) for each in doctor.examine() if each.subject == "disk"]
        assert (state, f"0 days of {size(day)}" in text) == (WRONG, True)


def test_O3_O4_a_range_that_is_reversed_or_not_settled_is_refused(project):
    done = make(project, "plan", "FROM=2026-01-02", "TO=2026-01-01")
    assert (done.returncode, "is after TO=2026-01-01" in done.stderr) == (2, True)
    today = dt.datetime.now(dt.UTC).date()
    assert project.pipeline("plan", "--from", "2026-01-01", "--to", str(today)).returncode == 25


def test_a_day_to_be_done_again_is_to_be_fetched(project):
    project.sandbox()
    project.run_day(DAYS[0])
    days.ask_redo(project.layout, DAYS[0])
    assert "1 day to fetch: 1 request, about " in told(project, DAYS[0], DAYS[0])
