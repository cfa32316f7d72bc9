"""Ranges on Luigi's own command: each trap that silently loses days, on the real `luigi` process."""

import datetime as dt
import re
import shutil

import msgspec
import pytest
from archives import write
from processes import luigi, make
from projects import ROOT

from pipeline.store import days, manifest
from pipeline.tasks import LAST, runs

RANGE = ("RangeDaily", "--start", "2023-02-02", "--stop", "2023-02-17")


@pytest.fixture
def empty(project, tmp_path):
    """A project whose API has no events at all: a day costs milliseconds."""
    exports = tmp_path / "exports"
    exports.mkdir()
    return project.sandbox(exports=exports)


def asked(sandbox) -> list[str]:
    """Returns the days that were asked for, in the order of their first request."""
    return list(dict.fromkeys(request.start[:8] for request in sandbox.requests))


def events(project) -> list[dt.date]:
    return [day for day in project.layout.dates() if days.is_loaded(project.layout, day)]


def names(tree: dict[str, bytes]) -> set[str]:
    """Returns the names of files without their generation."""
    return {re.sub("events-[0-9a-f]{8}", "events", name) for name in tree}


def test_the_real_range_through_make_and_luigi_word_by_word(project, real_exports):
    sandbox = project.sandbox(exports=real_exports)
    window = ("range", "FROM=2023-02-02", "TO=2023-02-16")
    first = make(project, *window)
    assert first.returncode == 0, first.stderr
    assert "15 days, 2023-02-02 to 2023-02-16: 15 to do" in first.stderr
    assert re.search(r"15 days complete, 1 of them empty: 46 events, .* in .*/parquet/", first.stderr)
    assert "2023-02-10  DownloadExport  WARNING: an empty day: Amplitude has no events of it" in first.stderr
    assert "WARNING 2023-02-10 DownloadExport an empty day" in project.logged()
    assert len(events(project)) == 15

    requests, tree = len(sandbox.requests), project.tree()
    again = make(project, *window)
    assert again.returncode == 0
    assert "nothing to do" in again.stderr
    bare = luigi(project, *RANGE)
    assert bare.returncode == 0, bare.stderr
    assert len(sandbox.requests) == requests
    assert project.tree() == tree

    gone = [dt.date(2023, 2, day) for day in (4, 10, 16)]
    for day in gone:
        project.layout.raw_zip(day).unlink()
        shutil.rmtree(project.layout.events_dir(day))
        shutil.rmtree(project.layout.parquet_dir(day))
    sandbox.requests.clear()
    assert luigi(project, *RANGE).returncode == 0
    assert asked(sandbox) == [f"{day:%Y%m%d}" for day in gone]
    assert names(project.tree()) == names(tree)
    assert not project.leftovers()


def test_T7_more_than_50_days_a_leap_day_and_a_new_year_all_run_oldest_first_in_one_run(project, empty):
    done = luigi(project, "RangeDaily", "--start", "2023-12-25", "--stop", "2024-03-02")
    assert done.returncode == 0, done.stderr
    want = [dt.date(2023, 12, 25) + dt.timedelta(days=n) for n in range(68)]
    assert events(project) == want
    assert dt.date(2024, 2, 29) in want
    assert asked(empty) == [f"{day:%Y%m%d}" for day in want]


def test_O6_of_a_range_of_400_days_each_request_asks_for_hours_of_one_day(project, empty, monkeypatch):
    monkeypatch.setattr(runs, "_CHUNK", 3)  # days in one call of Luigi: a whole one would take its time
    first = dt.date(2024, 1, 1)
    want = [first + dt.timedelta(days=n) for n in range(400)]
    project.run_day(first)
    record = days.events_record(project.layout, first)
    missing = want[3::50]
    for day in set(want[1:]) - set(missing):
        write(project.layout.events_marker(day), manifest.encode(msgspec.structs.replace(record, date=day)))
    empty.requests.clear()
    assert runs.run(LAST, first, want[-1]) == 0
    assert asked(empty) == [f"{day:%Y%m%d}" for day in missing]
    assert all(request.start[:8] == request.end[:8] for request in empty.requests)
    assert events(project) == want


def test_an_old_start_is_not_clamped_and_directories_are_recognised_as_done(project, empty):
    command = ("RangeDaily", "--start", "2015-01-01", "--stop", "2015-01-04")
    assert luigi(project, *command).returncode == 0
    assert asked(empty) == ["20150101", "20150102", "20150103"]
    shutil.rmtree(project.data / "raw")  # what is left are directories
    (project.logs / "pipeline.log").unlink()
    empty.requests.clear()
    assert luigi(project, *command).returncode == 0
    assert not empty.requests
    assert "Scheduled 1 tasks of which:\n* 1 complete ones were encountered" in project.logged()
    days.ask_redo(project.layout, dt.date(2015, 1, 2))  # Luigi's own inference would look at file names alone
    assert luigi(project, *command).returncode == 0
    assert asked(empty) == ["20150102"]


def test_S15_a_failing_day_does_not_hold_the_others_up_and_gives_30(project, tmp_path):
    sandbox = project.sandbox(events_per_hour=1, faults=["status:400,message=invalid window,hour=0,skip=1,times=1"])
    done = luigi(project, "RangeDaily", "--start", "2026-01-10", "--stop", "2026-01-14")
    assert done.returncode == 30
    assert [day.day for day in events(project)] == [10, 12, 13]
    assert "2026-01-11  DownloadExport  RequestError: hours 00-" in done.stderr
    assert len([line for line in done.stderr.splitlines() if "RequestError" in line]) == 1
    assert "Traceback" not in done.stderr
    before = len(sandbox.requests)
    assert luigi(project, "RangeDaily", "--start", "2026-01-10", "--stop", "2026-01-14").returncode == 0
    assert {request.start[:8] for request in sandbox.requests[before:]} == {"20260111"}


def test_today_is_left_out_where_no_stop_is_given(project, empty):
    today = dt.datetime.now(dt.UTC).date()
    done = luigi(project, "RangeDaily", "--start", str(today - dt.timedelta(days=3)))
    assert asked(empty)
    assert f"{today}  DownloadExport" not in done.stderr


def test_a_stop_alone_or_no_day_at_all_is_an_error_and_not_an_empty_success(project, empty):
    assert luigi(project, "RangeDaily", "--stop", "2026-01-10").returncode == 35
    assert luigi(project, "RangeDaily").returncode == 35
    assert not empty.requests


def test_S5_a_task_that_makes_nothing_is_a_failure(project, tmp_path):
    (tmp_path / "idle.py").write_text(
        "import datetime as dt\n"
        "from pipeline.tasks import DownloadExport\n"
        "class Idle(DownloadExport):\n"
        "    def work(self, report):\n"
        "        return 'nothing'\n"
    )
    project.sandbox()
    done = project.command(*_luigi("idle"), "Idle", "--date", "2026-01-15", PYTHONPATH=f"{ROOT}:{tmp_path}")
    assert done.returncode == 30
    assert "2026-01-15" in done.stderr


def test_O4_O5_a_reversed_range_is_refused_and_both_ends_are_included(project, empty):
    reversed_ = project.pipeline("range", "--from", "2026-01-12", "--to", "2026-01-10")
    assert reversed_.returncode == 2
    assert "FROM=2026-01-12 is after TO=2026-01-10. Write the earlier day first." in reversed_.stderr
    assert not empty.requests
    done = project.pipeline("range", "--from", "2026-01-10", "--to", "2026-01-12")
    assert done.returncode == 0
    assert "3 days, 2026-01-10 to 2026-01-12: 3 to do" in done.stderr
    assert asked(empty) == ["20260110", "20260111", "20260112"]


def _luigi(module: str) -> tuple[str, ...]:
    from processes import BIN

    return (str(BIN / "luigi"), "--module", module)
