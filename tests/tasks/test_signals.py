"""Ctrl-C and SIGTERM, also in the middle of a read that stalls: one line, nobody left, and the next run is exact."""

import gzip
import os
import shutil
import signal
import uuid
from pathlib import Path

import archives
import pytest
from archives import day_zip
from loading import line
from processes import LUIGI, PIPELINE, ROOT, background, home, members, wait_for

from pipeline.store import locks

DAYS = ["2026-01-15", "2026-01-16"]
RUN = (*PIPELINE, "run", "--date", DAYS[0])
RANGE = (*PIPELINE, "range", "--from", DAYS[0], "--to", DAYS[1])
TWO = (*LUIGI, "RangeDaily", "--start", DAYS[0], "--stop", "2026-01-17", "--workers", "2")
SAID = "Stopped by {}. What is published is whole; run it again to go on from there.\n"


@pytest.mark.parametrize("command", [RUN, TWO], ids=["one worker", "two workers"])
@pytest.mark.parametrize(
    ("signum", "name", "status"),
    [(signal.SIGTERM, "SIGTERM", 143), (signal.SIGINT, "Ctrl-C", 130), (signal.SIGHUP, "SIGHUP", 129)],
    ids=["K7 SIGTERM", "K8 Ctrl-C", "K9 SIGHUP"],
)
def test_K7_K8_K9_a_stalled_run_ends_with_one_line_and_nobody_is_left_working(project, command, signum, name, status):
    project.set(AMP_READ_TIMEOUT=60, AMP_DEADLINE=600)
    sandbox = project.sandbox(faults=["stall:0.4"])
    with background(*command) as run:
        wait_for(lambda: list(project.data.glob("raw/.*.windows/*.part")))
        # A person's Ctrl-C reaches the whole group; SIGTERM, of cron's timeout or of systemd, at least the parent.
        os.killpg(run.pid, signum) if signum == signal.SIGINT else run.send_signal(signum)
        out, err = run.communicate(timeout=5)
        assert run.returncode == status
        assert (out, err[-len(SAID.format(name)) :]) == ("", SAID.format(name))
        assert err.count("Stopped") == 1
        assert "Traceback" not in err
        wait_for(lambda: not members(run.pid), seconds=5)
    assert not project.layout.dates()
    sandbox.faults.clear()
    project.set(AMP_READ_TIMEOUT=5)
    for day in DAYS:
        assert project.pipeline("run", "--date", day).returncode == 0
    assert [str(day) for day in project.layout.dates()] == DAYS
    assert not project.leftovers()


def test_K8_ctrl_c_while_another_process_has_the_day(project):
    project.set(AMP_READ_TIMEOUT=60, AMP_DEADLINE=600)
    sandbox = project.sandbox(faults=["stall:0.4"])
    with background(*RUN) as first:
        wait_for(lambda: sandbox.requests)
        with background(*RUN) as second:
            assert "waiting for it" in second.stderr.readline()
            second.send_signal(signal.SIGINT)
            _, err = second.communicate(timeout=5)
            assert (second.returncode, err) == (130, SAID.format("Ctrl-C"))
        assert first.poll() is None


def test_K14_K19_two_processes_on_a_day_one_works_and_the_other_waits_and_both_end_well(project):
    sandbox = project.sandbox(faults=["wait:3,times=1"])
    with background(*RUN) as first:
        wait_for(lambda: sandbox.requests)
        with background(*RUN) as second:
            said = [process.communicate(timeout=30)[1] for process in (first, second)]
        assert (first.returncode, second.returncode) == (0, 0)
    assert f"2026-01-15 is in use by process {first.pid}, since " in said[1]
    assert "2026-01-15  DownloadExport  done meanwhile by another process" in said[1]
    starts = [request.start for request in sandbox.requests]
    assert len(starts) == len(set(starts)) == 4
    assert not project.leftovers()


def test_K16_a_killed_holder_leaves_no_lock(project):
    project.set(AMP_READ_TIMEOUT=60, AMP_DEADLINE=600)
    sandbox = project.sandbox(faults=["stall:0.4"])
    with background(*RUN) as first:
        wait_for(lambda: list(project.data.glob("raw/.*.windows/*.part")))
        first.kill()
        first.wait()
    sandbox.faults.clear()
    done = project.pipeline("run", "--date", DAYS[0])
    assert done.returncode == 0
    assert "waiting" not in done.stderr
    assert not project.leftovers()


def test_K9_nohup_protects_a_run_from_the_end_of_its_terminal(project):
    sandbox = project.sandbox(faults=["wait:1,times=1"])
    with background("nohup", *RUN) as run:
        wait_for(lambda: sandbox.requests)
        run.send_signal(signal.SIGHUP)
        run.communicate(timeout=30)
        assert run.returncode == 0


def stage(project, name):
    """Brings the project where a run comes to a stage and stays in it; returns how to know that it is there."""
    project.set(AMP_READ_TIMEOUT=60, AMP_FIRST_BYTE_TIMEOUT=60, AMP_DEADLINE=600, AMP_BACKOFF=60, AMP_BACKOFF_CAP=60)
    if name != "extraction":
        sandbox = project.sandbox(faults=[{"first byte": "wait:60", "backoff": "status:503"}[name]])
        return lambda: any(name == "first byte" or request.status for request in sandbox.requests)
    project.sandbox()
    piece = gzip.compress(b'{"event":"%s"}\n' % (b"x" * 1000) * 60_000, 1, mtime=0)
    day_zip(project.layout, {archives.name(hour): piece for hour in range(24)})  # 1.4 GB of JSON
    project.set(PIPELINE_THREADS=1, PIPELINE_MAX_RATIO=2000)
    return lambda: list(project.data.glob("events/.*.tmp/*"))


@pytest.mark.parametrize(
    "command", [RUN, (*LUIGI, "LoadEvents", "--date", DAYS[0], "--workers", "2")], ids=["one worker", "two workers"]
)
@pytest.mark.parametrize("name", ["first byte", "backoff", "extraction"])
def test_K7_sigterm_ends_a_run_at_each_stage_within_5_seconds(project, command, name):
    is_there = stage(project, name)
    try:
        with background(*command) as run:
            wait_for(is_there)
            run.terminate()
            out, err = run.communicate(timeout=5)
            assert (run.returncode, out) == (143, "")
            assert err.endswith(SAID.format("SIGTERM"))
            assert "Traceback" not in err
            wait_for(lambda: not members(run.pid), seconds=5)
        assert not project.layout.events_dir(DAYS[0]).exists()
        assert project.layout.raw_zip(DAYS[0]).exists() is (name == "extraction")
        assert project.pipeline("clean", cwd=home(project), PYTHONPATH=str(ROOT)).returncode == 0
        assert not project.leftovers()
    finally:
        shutil.rmtree(project.data, ignore_errors=True)  # large, and nobody needs to search it for secrets


def large_day(project):
    """Puts a day's ZIP in place that takes DuckDB seconds to load; returns how to know that it is at it."""
    piece = line(0, uuid="@").replace(b"@", b"%b") + b"\n"

    def events(hour):
        return b"".join(piece % str(uuid.UUID(int=hour << 32 | number)).encode() for number in range(15_000))

    day_zip(project.layout, {archives.name(hour): gzip.compress(events(hour), 1, mtime=0) for hour in range(24)})
    project.set(PIPELINE_THREADS=1, PIPELINE_MAX_RATIO=2000)
    return lambda: list(project.data.glob("parquet/.date=*.tmp/rows/*"))


@pytest.mark.parametrize(
    ("command", "signum", "name", "status"),
    [
        (RANGE, signal.SIGTERM, "SIGTERM", 143),
        (RUN, signal.SIGINT, "Ctrl-C", 130),
        ((*LUIGI, "LoadEvents", "--date", DAYS[0]), signal.SIGHUP, "SIGHUP", 129),
        ((*LUIGI, "LoadEvents", "--date", DAYS[0], "--workers", "2"), signal.SIGTERM, "SIGTERM", 143),
    ],
    ids=["K7 range", "K8 run", "K9 luigi", "K7 two workers"],
)
def test_K7_K8_K9_a_signal_while_duckdb_works_ends_the_run_and_no_other_day_is_begun(
    project, command, signum, name, status
):
    sandbox = project.sandbox()
    is_there = large_day(project)
    with background(*command) as run:
        wait_for(is_there, seconds=60)
        run.send_signal(signum)
        out, err = run.communicate(timeout=5)
    assert (run.returncode, out) == (status, "")
    assert err.endswith(SAID.format(name))
    assert "Traceback" not in err
    assert "Error" not in err
    assert not project.layout.parquet_marker(DAYS[0]).exists()
    assert not sandbox.requests


@pytest.mark.parametrize("command", [RUN, (*LUIGI, "LoadEvents", "--date", DAYS[0])], ids=["run", "luigi"])
def test_K7_sigterm_while_the_warehouse_is_made_ends_the_run(project, command):
    project.sandbox()
    with locks.hold(project.layout.lock("warehouse")), background(*command) as run:
        wait_for(lambda: "warehouse is in use" in (project.logged() if project.logs.exists() else ""))
        run.terminate()
        _, err = run.communicate(timeout=5)
    assert run.returncode == 143
    assert err.endswith(SAID.format("SIGTERM"))
    assert "Traceback" not in err
    assert not project.layout.warehouse().exists()
    assert project.pipeline("run", "--date", DAYS[0]).returncode == 0
    assert project.layout.warehouse().exists()
    assert not project.leftovers()


def test_K8_ctrl_c_while_the_modules_are_imported_shows_no_traceback(project):
    with background(*PIPELINE, "status") as run:
        wait_for(lambda: "msgspec" in Path(f"/proc/{run.pid}/maps").read_text())
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=5)
    assert run.returncode in (-signal.SIGINT, 130)
    assert "Traceback" not in err
