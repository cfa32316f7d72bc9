"""`make force`: a day that is done again is new and whole in the end, whatever happens on the way."""

import datetime as dt

import duckdb
import pytest
from processes import LUIGI, PIPELINE, background, luigid, wait_for
from projects import ROOT

from pipeline.store import days, partition
from pipeline.tasks import DownloadExport, ExtractEvents

DAY = dt.date(2026, 1, 15)
FAILS = {
    "download": (["status:400,message=invalid window,hour=23"], {}),
    "archive": (["short-zip:0.4,hour=23"], {}),
    "extraction": ([], {"PIPELINE_MAX_DAY_BYTES": "1000"}),
}


def stands(project) -> tuple[str, int]:
    """Returns the id and the events of the day that readers see, after checking that each file is there."""
    record = days.events_record(project.layout, DAY)
    files = [project.layout.events_dir(DAY) / file.name for file in record.files]
    assert sum(file.read_bytes().count(b"\n") for file in files) == record.totals.lines
    return record.id, record.totals.events


def again(workers: int) -> tuple[str, ...]:
    """Returns the command of `make run`; with several workers, Luigi's own."""
    if workers == 1:
        return (*PIPELINE, "run", "--date", str(DAY))
    return (*LUIGI, "LoadEvents", "--date", str(DAY), "--workers", str(workers))


@pytest.mark.parametrize("central", [False, True], ids=["alone", "with luigid"])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("fails", FAILS)
def test_K6_a_force_that_fails_in_the_middle_and_a_run_make_the_day_new_and_whole(
    project, tmp_path, fails, workers, central
):
    if not central:
        _fail_and_run(project, fails, workers)
        return
    with luigid(tmp_path) as daemon:
        project.set(LUIGI_CONFIG_PATH=daemon.overlay)
        _fail_and_run(project, fails, workers)
        assert {task["status"] for task in daemon.tasks().values()} == {"DONE"}


def _fail_and_run(project, fails, workers):
    old = project.sandbox(events_per_hour=3)
    first = project.command(*again(1), PYTHONPATH=str(ROOT))
    assert first.returncode == 0, first.stderr
    before, tree = stands(project), project.tree()
    requests = len(old.requests)

    faults, limits = FAILS[fails]
    new = project.sandbox(events_per_hour=9, faults=faults)
    failed = project.pipeline("force", "--date", str(DAY), **limits)
    assert failed.returncode == 30
    assert stands(project) == before  # readable all the while
    events = {name: data for name, data in tree.items() if name.startswith("events/")}
    assert events.items() <= project.tree().items()
    assert project.layout.redo(DAY).exists()

    new.faults.clear()
    done = project.command(*again(workers), PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    after = stands(project)
    assert after[0] != before[0]
    assert after[1] > before[1]
    assert days.export_record(project.layout, DAY).id == days.events_record(project.layout, DAY).export.id
    assert not project.layout.redo(DAY).exists()
    assert not project.leftovers()
    assert len(old.requests) == requests
    assert days.is_loaded(project.layout, DAY)


def test_O11_force_says_what_changed_and_asks_anew(project):
    sandbox = project.sandbox(events_per_hour=3)
    project.run_day(DAY)
    _, before = stands(project)
    sandbox = project.sandbox(events_per_hour=4)
    done = project.pipeline("force", "--date", str(DAY))
    assert done.returncode == 0
    _, after = stands(project)
    assert f"{after} events take the place of {before} ({after - before:+d})" in done.stderr
    assert sandbox.requests
    assert not project.layout.redo(DAY).exists()


def test_force_without_credentials_asks_for_nothing_and_leaves_no_token(project):
    project.sandbox()
    project.run_day(DAY)
    project.set(AMP_SECRET_KEY="")
    done = project.pipeline("force", "--date", str(DAY))
    assert done.returncode == 40
    assert not project.layout.redo(DAY).exists()
    assert days.is_loaded(project.layout, DAY)


def test_a_newer_zip_reaches_the_events_also_when_a_run_stopped_between_the_two(project):
    project.sandbox(events_per_hour=3)
    project.run_day(DAY)
    project.sandbox(events_per_hour=9)
    days.ask_redo(project.layout, DAY)
    download = project.command(*LUIGI, "DownloadExport", "--date", str(DAY), PYTHONPATH=str(ROOT))
    assert download.returncode == 0
    assert not days.is_loaded(project.layout, DAY)
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    assert days.export_record(project.layout, DAY).id == days.events_record(project.layout, DAY).export.id
    assert not project.layout.redo(DAY).exists()


def test_a_force_during_a_run_waits_and_the_run_says_what_happened(project):
    sandbox = project.sandbox(faults=["wait:2,times=1"], events_per_hour=3)
    with background(*again(1)) as first:
        wait_for(lambda: sandbox.requests)
        with background(*PIPELINE, "force", "--date", str(DAY)) as second:
            said = [process.communicate(timeout=60)[1] for process in (first, second)]
        assert second.returncode == 0, said
        assert first.returncode in (0, 30)
    assert "defect" not in said[0]
    assert f"{DAY} is in use by process {first.pid}" in said[1]
    assert days.is_loaded(project.layout, DAY)
    assert days.redo_asked(project.layout, DAY) is None
    assert not project.leftovers()


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "asked anew"])
def test_K6_a_token_that_was_answered_by_a_run_that_was_killed_is_cleared_by_the_next(project, answered):
    sandbox = project.sandbox(events_per_hour=1)
    days.ask_redo(project.layout, DAY)
    token = project.layout.redo(DAY).read_bytes()
    project.run_day(DAY)
    project.layout.redo(DAY).write_bytes(token if answered else b"another\n")
    before, requests = stands(project), len(sandbox.requests)
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    assert not project.layout.redo(DAY).exists()
    assert (stands(project) == before, len(sandbox.requests) == requests) == (answered, answered)


def test_K21_a_force_after_one_that_was_killed_before_its_refresh_leaves_the_warehouse_readable(project, monkeypatch):
    project.sandbox(events_per_hour=1)
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    seen = []

    def publish(layout, record, part):
        published(layout, record, part)
        seen.append(duckdb.connect(str(layout.warehouse()), read_only=True).execute("FROM events").fetchall())

    for _ in range(2):  # in this process there is no refresh at the end: as if it were killed before it
        days.ask_redo(project.layout, DAY)
        project.run_day(DAY)
    published = partition.publish_partition
    monkeypatch.setattr(partition, "publish_partition", publish)
    days.ask_redo(project.layout, DAY)
    project.run_day(DAY)
    assert seen[0]


@pytest.mark.parametrize("luigi", [False, True], ids=["make run", "luigi"])
def test_K6_what_a_force_left_that_was_killed_is_cleared_by_the_run_that_makes_the_day_whole(project, luigi):
    project.sandbox(events_per_hour=1)
    project.run_day(DAY)
    days.ask_redo(project.layout, DAY)
    for task in (DownloadExport, ExtractEvents):  # killed while it removed the events that it had replaced
        project.run(task(date=DAY))
    project.layout.events_part(DAY).mkdir()
    project.layout.redo_part(DAY).touch()
    assert project.command(*again(2 if luigi else 1), PYTHONPATH=str(ROOT)).returncode == 0
    assert days.is_loaded(project.layout, DAY)
    assert not project.leftovers()


def test_F19_luigi_clears_what_is_left_of_a_day_that_it_finds_complete(project):
    project.sandbox(events_per_hour=1)
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    for path in project.layout.staged(DAY):
        path.mkdir(parents=True)
    assert project.command(*again(2), PYTHONPATH=str(ROOT)).returncode == 0
    assert not project.leftovers()


def test_a_force_that_fails_says_that_the_old_day_stands_and_how_to_leave_it_so(project):
    sandbox = project.sandbox(events_per_hour=3)
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    rows, tree = days.load_record(project.layout, DAY).counts.rows, project.tree()
    sandbox.faults.append("status:400,message=invalid window,hour=23")
    failed = project.pipeline("force", "--date", str(DAY))
    assert failed.returncode == 30
    assert f"{DAY} is not done again. Its {rows} events stand as they were." in failed.stderr
    assert f"To leave it so: make force DATE={DAY} UNDO=1" in failed.stderr
    requests = len(sandbox.requests)
    undone = project.pipeline("force", "--date", str(DAY), "--undo")
    assert undone.returncode == 0
    assert undone.stderr.splitlines()[-1] == f"{DAY} stands as it was: {rows} events."
    assert days.is_loaded(project.layout, DAY)
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    assert (len(sandbox.requests), project.tree(), project.leftovers()) == (requests, tree, [])
    again = project.pipeline("force", "--date", str(DAY), "--undo")
    assert (again.returncode, "it was not asked to be done again" in again.stderr) == (0, True)


def test_what_has_begun_to_be_published_is_not_taken_back(project):
    project.sandbox(events_per_hour=3)
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    assert project.pipeline("force", "--date", str(DAY), PIPELINE_MAX_DAY_BYTES="1000").returncode == 30
    refused = project.pipeline("force", "--date", str(DAY), "--undo")
    assert refused.returncode == 40
    assert f"has taken the old one's place. To finish it: make run DATE={DAY}" in refused.stderr
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    assert days.is_loaded(project.layout, DAY)


def test_a_force_that_takes_fewer_events_warns_of_it(project):
    project.sandbox(events_per_hour=3)
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    rows = days.load_record(project.layout, DAY).counts.rows
    project.sandbox(events_per_hour=1)
    done = project.pipeline("force", "--date", str(DAY))
    assert done.returncode == 0
    assert f"rows take the place of {rows}" in next(line for line in done.stderr.splitlines() if "WARNING" in line)
