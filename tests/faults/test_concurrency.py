"""K12 to K16, K18: runs that meet, runs whose parent or child is killed, and runs that are stopped for a while."""

import contextlib
import dataclasses
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from commands import Commands, luigi, pipeline
from processes import members, wait_for
from projects import KEY, SECRET, leaks
from truth import FULL, Damage, complete, look, served

from pipeline.sandbox import Request, Sandbox

DAY = "2026-01-15"
DAYS = ["2026-01-15", "2026-01-16", "2026-01-17", "2026-01-18"]
RUN = pipeline("run", "--date", DAY)
TWO_WORKERS = luigi("LoadEvents", "--date", DAY, "--workers", "2")
AT_ONCE = 6
SEVERAL_FILES = 150  # events an hour of a day that is too large to be read by one process
STOPPED = 2.5  # seconds


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(key=KEY, secret=SECRET, events_per_hour=5) as sandbox:
        yield sandbox


@dataclasses.dataclass
class Meeting:
    """What came of processes that ran at once; true where something is wrong.

    Attributes:
        failed: What those said that did not exit with 0.
        waited: How many had to wait for another.
        twice: How often an hour was asked for again.
        damage: What is wrong with what is stored.
    """

    failed: list[str]
    waited: int
    twice: int
    damage: Damage

    def __bool__(self) -> bool:
        return bool(self.failed or self.twice or self.damage)


def meet(commands: Commands, sandbox: Sandbox, days: list[str], *arguments: tuple[str, ...]) -> Meeting:
    """Starts processes at once and judges the days that they leave."""
    truths = {day: served(sandbox, day) for day in days}
    with ExitStack() as stack:
        started = [stack.enter_context(commands.started(*each)) for each in arguments]
        said = [process.communicate(timeout=120)[1] for process in started]
    assert not leaks("".join(said))
    failed = [text for process, text in zip(started, said, strict=True) if process.returncode]
    waited = sum("waiting for it" in text for text in said)
    hours = Counter(hour for request in sandbox.requests for hour in hours_of(request))
    damage = sum((complete(commands.data, day, truth) for day, truth in truths.items()), Damage())
    return Meeting(failed, waited, hours.total() - len(hours), damage)


def hours_of(request: Request) -> list[tuple[str, int]]:
    """Returns the hours that a request asks for, each with its day."""
    day, first = request.start.split("T")
    return [(day, hour) for hour in range(int(first), int(request.end.partition("T")[2]) + 1)]


@pytest.mark.parametrize("number", range(20 if FULL else 2))
def test_K14_K15_six_processes_on_one_day(tmp_path, sandbox, tally, number):
    sandbox.faults.append("latency:0.2")  # so that none is done before the last has begun
    met = meet(Commands(tmp_path, sandbox), sandbox, [DAY], *[RUN] * (AT_ONCE - 1), TWO_WORKERS)
    tally.injected(1, met.damage)
    assert not met
    assert met.waited
    assert len(sandbox.requests) == 4


@pytest.mark.seeded("lock")
def test_K15_the_suite_finds_a_lock_that_is_missing(tmp_path, sandbox, tally):
    sandbox.faults.append("latency:0.2")
    met = meet(Commands(tmp_path, sandbox), sandbox, [DAY], *[pipeline(*RUN[3:], defect="lock")] * AT_ONCE)
    tally.seeded("lock", bool(met))
    assert met.twice or met.damage


def test_K15_two_ranges_that_overlap(tmp_path, sandbox, tally):
    sandbox.faults.append("latency:0.1")
    ranges = (
        pipeline("range", "--from", DAYS[0], "--to", DAYS[2]),
        luigi("RangeDaily", "--start", DAYS[1], "--stop", "2026-01-19"),
    )
    met = meet(Commands(tmp_path, sandbox), sandbox, DAYS, *ranges)
    tally.injected(1, met.damage)
    assert not met
    assert met.waited


def command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def others(group: int) -> list[int]:
    """Returns the processes that a run started: Luigi's workers and the readers of a load."""
    return [pid for pid in members(group) if pid != group]


def readers(group: int) -> list[int]:
    return [pid for pid in others(group) if "pipeline.warehouse.worker" in command_line(pid)]


def files(data: Path) -> dict[str, tuple[int, int]]:
    """Returns every file, with what tells whether somebody wrote into it."""
    found = [path for path in data.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def test_K13_the_parent_is_killed_while_its_worker_downloads(tmp_path, sandbox, tally):
    truth, commands = served(sandbox, DAY), Commands(tmp_path, sandbox)
    sandbox.faults.append("wait:1.5,times=1")
    with commands.started(*TWO_WORKERS) as run:
        wait_for(lambda: sandbox.requests and others(run.pid))
        run.kill()
        run.wait()
        assert others(run.pid)
        damage = look(commands.data, DAY, truth)
        done = commands.run(DAY)  # while the orphan goes on: it waits for it
        wait_for(lambda: not members(run.pid), seconds=10)
    assert done.returncode == 0, done.stderr
    damage += complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage
    assert len(sandbox.requests) == 4


def test_K13_the_parent_is_killed_while_its_readers_read(tmp_path, tally):
    with Sandbox(key=KEY, secret=SECRET, events_per_hour=SEVERAL_FILES) as sandbox:
        truth, commands = served(sandbox, DAY), Commands(tmp_path, sandbox, PIPELINE_THREADS=2)
        with commands.started(*RUN) as run:
            wait_for(lambda: readers(run.pid))
            run.kill()
            run.wait()
            wait_for(lambda: not members(run.pid), seconds=10)
        before = files(commands.data)
        damage = look(commands.data, DAY, truth)
        assert not (commands.data / "parquet" / f"date={DAY}" / "_SUCCESS").exists()
        time.sleep(0.5)
        assert files(commands.data) == before
        done = commands.run(DAY)
    assert done.returncode == 0, done.stderr
    damage += complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage
    assert len(sandbox.requests) == 4


@pytest.mark.parametrize("who", ["worker", "reader"])
def test_K12_a_child_is_killed_and_its_parent_says_so(tmp_path, tally, who):
    with Sandbox(key=KEY, secret=SECRET, events_per_hour=SEVERAL_FILES if who == "reader" else 5) as sandbox:
        truth, commands = served(sandbox, DAY), Commands(tmp_path, sandbox, PIPELINE_THREADS=2)
        if who == "worker":
            sandbox.faults.append("wait:2,times=1")
        command, children = (TWO_WORKERS, others) if who == "worker" else (RUN, readers)
        with commands.started(*command) as run:
            wait_for(lambda: (sandbox.requests or who == "reader") and children(run.pid))
            os.kill(children(run.pid)[0], signal.SIGKILL)
            _, said = run.communicate(timeout=60)
            wait_for(lambda: not members(run.pid), seconds=10)
        assert run.returncode == 30, said
        assert re.search(
            rf"^{DAY}  \w+ +(TransientError: the worker was killed by signal 9|LoadError: .* was ended by SIGKILL)",
            said,
            re.MULTILINE,
        )
        assert not leaks(said)
        assert "Traceback" not in said
        damage = look(commands.data, DAY, truth)
        sandbox.faults.clear()
        done = commands.run(DAY)
    assert done.returncode == 0, done.stderr
    damage += complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage


def test_K16_who_waits_goes_on_when_the_holder_of_the_lock_is_killed(tmp_path, sandbox, tally):
    truth, commands = served(sandbox, DAY), Commands(tmp_path, sandbox, AMP_READ_TIMEOUT=60, AMP_DEADLINE=600)
    sandbox.faults.append("stall:0.4,times=1,skip=1")
    with commands.started(*RUN) as first:
        wait_for(lambda: len(sandbox.requests) == 4)
        with commands.started(*RUN) as second:
            assert f"{DAY} is in use by process {first.pid}" in second.stderr.readline()
            damage = look(commands.data, DAY, truth)
            first.kill()
            _, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert not leaks(said)
    damage += complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage
    again = Counter((request.start, request.end) for request in sandbox.requests)
    assert len(again) == 4
    assert again.total() == 5  # the window that stalled, and no other


@pytest.mark.parametrize("deadline", [20, 2] if FULL else [20], ids="deadline {} s".format)
def test_K18_a_run_that_is_stopped_in_mid_body_and_goes_on(tmp_path, sandbox, tally, deadline):
    truth, commands = served(sandbox, DAY), Commands(tmp_path, sandbox, AMP_DEADLINE=deadline)
    sandbox.faults.append("rate:10000")
    with commands.started(*RUN) as run:
        wait_for(lambda: list(commands.data.glob("raw/.*.windows/*.part")))
        os.killpg(run.pid, signal.SIGSTOP)
        time.sleep(STOPPED)
        damage = look(commands.data, DAY, truth)
        os.killpg(run.pid, signal.SIGCONT)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 0 or (deadline < STOPPED and "TransientError: hours" in said), said
    assert not leaks(said)
    sandbox.faults.clear()
    done = commands.run(DAY, AMP_DEADLINE=20)
    assert done.returncode == 0, done.stderr
    damage += complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage
