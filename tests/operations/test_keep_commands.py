"""`make verify` and `make prune` as a person types them: what they say, and their exit status."""

import datetime as dt
import shutil

import pytest
from processes import make

from pipeline.export.settled import last_settled
from pipeline.settings import Settings
from pipeline.store import days
from pipeline.store.publish import remove
from pipeline.tasks import refresh

NEW = last_settled(Settings())
OLD = NEW - dt.timedelta(days=2)


@pytest.fixture
def kept(project):
    """Two days that are stored, with one between them that is not."""
    sandbox = project.sandbox()
    for day in (OLD, NEW):
        assert project.run_day(day).scheduling_succeeded
    assert refresh.now()
    sandbox.requests.clear()
    return sandbox


def flip(path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def parquet(project, day=OLD):
    return project.layout.parquet_dir(day) / days.load_record(project.layout, day).files[0].name


def test_verify_of_what_is_stored_is_0_and_says_what_was_read(project, kept):
    done = make(project, "verify")
    assert (done.returncode, done.stderr) == (0, "")
    gap, read = done.stdout.splitlines()
    assert gap == f"{OLD + dt.timedelta(days=1)}: nothing is stored"
    assert read.startswith("3 days: 2 whole, 0 damaged, 1 missing or not complete. ")
    assert not kept.requests


@pytest.mark.parametrize("gone", ["parquet marker", "all but the ZIP"])
def test_verify_is_wrong_where_a_stored_day_is_not_complete_and_REPAIR_completes_it_without_a_request(
    project, kept, gone
):
    remove(project.layout.parquet_marker(OLD) if gone == "parquet marker" else project.layout.parquet_dir(OLD))
    if gone == "all but the ZIP":
        remove(project.layout.events_dir(OLD))
    done = make(project, "verify")
    assert done.returncode == 2
    assert f"{OLD}: it is not complete: make run DATE={OLD}" in done.stdout
    done = make(project, "verify", "REPAIR=1")
    assert done.returncode == 0, done.stdout
    assert days.is_loaded(project.layout, OLD)
    assert not kept.requests


def test_REPAIR_asks_for_no_day_that_was_never_fetched(project, kept):
    project.layout.raw_zip(OLD).unlink()
    remove(project.layout.events_dir(OLD))
    days.ask_redo(project.layout, OLD)
    done = make(project, "verify", "REPAIR=1")
    assert done.returncode == 2
    assert f"{OLD}: it is asked to be done again (make force): make run DATE={OLD}" in done.stdout
    assert not kept.requests


def test_verify_of_a_range_is_wrong_where_a_day_of_it_is_missing(project, kept):
    done = make(project, "verify", f"FROM={OLD}", f"TO={NEW}")
    gap = OLD + dt.timedelta(days=1)
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert lines[0] == f"{gap}: nothing is stored"
    assert lines[1].startswith("3 days: 2 whole, 0 damaged, 1 missing or not complete. ")
    assert lines[2] == f"To complete what is missing: make run DATE={gap}"


def test_verify_counts_the_gaps_that_it_does_not_name(project, kept):
    shutil.copytree(project.layout.parquet_dir(OLD), project.layout.parquet_dir(OLD - dt.timedelta(days=9)))
    for back in (2, 4, 6, 8):
        project.layout.raw_zip(OLD - dt.timedelta(days=back)).write_bytes(b"")
    lines = make(project, "verify", f"FROM={OLD - dt.timedelta(days=9)}", f"TO={NEW}").stdout.splitlines()
    first, last = OLD - dt.timedelta(days=9), OLD - dt.timedelta(days=2)
    assert f"To mend it: make verify FROM={first} TO={last} REPAIR=1" in lines
    assert [line for line in lines if line.startswith("To complete")] == [
        f"To complete what is missing: make run DATE={OLD - dt.timedelta(days=back)}" for back in (7, 5, 3)
    ]
    assert lines[-1] == "... and 2 more gaps: make status"


def test_a_prune_that_reaches_no_day_says_from_when_on_there_are_some(project, kept):
    done = make(project, "prune", "KEEP_DAYS=900", "WHAT=events")
    assert done.returncode == 0
    assert done.stderr == (
        "The JSON lines of 0 days removed: none older than 900 settled days has them."
        f" The oldest day that is stored is {OLD}: a smaller KEEP_DAYS reaches it.\n"
    )


def test_F15_O9_verify_names_day_and_file_and_REPAIR_mends_it_without_a_request(project, kept):
    whole = parquet(project).read_bytes()
    flip(parquet(project))
    done = make(project, "verify")
    assert done.returncode == 2
    assert f"{OLD}  {parquet(project).relative_to(project.data)}: " in done.stdout
    assert f"To mend it: make verify FROM={OLD} TO={OLD} REPAIR=1" in done.stdout
    assert parquet(project).read_bytes() != whole
    done = make(project, "verify", "REPAIR=1")
    assert done.returncode == 0, done.stdout
    assert "3 days: 1 whole, 1 damaged, 1 missing or not complete. " in done.stdout
    assert "3 days: 2 whole, 0 damaged, 1 missing or not complete. " in done.stdout
    assert not kept.requests
    assert make(project, "verify").returncode == 0


def test_where_nothing_is_stored_nothing_is_proved(project):
    far = OLD - dt.timedelta(days=100)
    done = make(project, "verify", f"FROM={far}", f"TO={far}")
    assert done.returncode == 2
    assert f"make run DATE={far}" in done.stdout
    assert make(project, "verify", "FROM=2099-01-01").returncode == 2


def test_a_range_without_a_day_proves_nothing(project, kept):
    done = make(project, "verify", f"TO={OLD - dt.timedelta(days=1)}")
    assert (done.returncode, "No day is stored there: nothing is proved" in done.stdout) == (2, True)


def test_a_damage_that_cannot_be_mended_stays_wrong_and_says_why(project, kept):
    flip(project.layout.raw_zip(OLD))
    kept.faults[:] = ["status:503"]
    done = make(project, "verify", "REPAIR=1")
    assert done.returncode == 2
    assert "TransientError" in done.stderr
    assert f"raw/{OLD}.zip" in done.stdout
    assert f"Not mended: {OLD}. What it takes is said above" in done.stdout
    assert "To mend it" not in done.stdout
    kept.faults.clear()
    assert make(project, "verify", "REPAIR=1").returncode == 0
    assert "3 days: 2 whole, 0 damaged, " in make(project, "verify").stdout


def test_where_no_stage_is_whole_the_day_is_fetched_again(project, kept):
    flip(project.layout.raw_zip(OLD))
    flip(parquet(project))
    for path in project.layout.events_dir(OLD).glob("*.json"):
        flip(path)
    done = make(project, "verify", "REPAIR=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert kept.requests
    assert make(project, "verify").returncode == 0


def test_O8_a_pruned_day_stays_complete_asks_nothing_and_is_noted(project, kept):
    done = make(project, "prune", "KEEP_DAYS=1", "WHAT=events")
    assert done.returncode == 0, done.stderr
    assert "The JSON lines of 1 day removed: " in done.stderr
    assert not project.layout.events_dir(OLD).exists()
    assert project.layout.events_dir(NEW).exists()
    asked = make(project, "prune", "KEEP_DAYS=1", "WHAT=raw")
    assert "The ZIPs of 1 day would be removed: " in asked.stderr
    assert "add YES=1" in asked.stderr
    assert project.layout.raw_zip(OLD).exists()
    assert make(project, "prune", "KEEP_DAYS=1", "WHAT=raw", "YES=1").returncode == 0
    assert not project.layout.raw_zip(OLD).exists()
    assert "Nothing to do" in make(project, "run", f"DATE={OLD}").stderr
    said = make(project, "verify").stdout
    assert f"{OLD}: its ZIP is gone: pruned on " in said
    assert f"{OLD}: its JSON lines are gone: pruned on " in said
    record = days.load_record(project.layout, OLD)
    assert len(record.hours) == 24
    assert record.extraction.totals.events == record.counts.rows + record.counts.duplicates
    assert not kept.requests


def test_a_day_whose_parquet_is_damaged_is_not_pruned(project, kept):
    flip(parquet(project))
    done = make(project, "prune", "KEEP_DAYS=1", "WHAT=events")
    assert done.returncode == 2
    assert "is damaged" in done.stderr
    assert project.layout.events_dir(OLD).exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "KEEP_DAYS= is no number of days from 0 on. Type: make prune KEEP_DAYS=30 WHAT=events"),
        (("KEEP_DAYS=-1", "WHAT=raw"), "KEEP_DAYS=-1 is no number of days"),
        (("KEEP_DAYS=1",), "WHAT= is unknown: it is events (the JSON lines) or raw (the ZIPs)"),
        (("KEEP_DAYS=1", "WHAT=parquet"), "WHAT=parquet is unknown"),
    ],
)
def test_a_prune_that_is_not_clear_removes_nothing(project, kept, arguments, says):
    before = project.tree()
    done = make(project, "prune", *arguments)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert project.tree() == before
