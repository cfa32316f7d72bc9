"""T1 to T6, T10: the machine's clock, its zone and its files' times are wrong, and no day is."""

import datetime as dt
import os
import re
import shutil
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import clocks
import pytest
import trustme
from clocks import NOTICED, Clock
from commands import Commands, pipeline
from processes import wait_for
from projects import KEY, SECRET, leaks
from truth import FULL, Damage, complete, look, served

from pipeline.sandbox import Sandbox

DAY = "2025-03-30"  # on which Europe has 23 hours
SIX_HOURS = ["T00", "T06", "T12", "T18"]
EVENTS = {"key": KEY, "secret": SECRET, "events_per_hour": 5}
ZONES = ["Pacific/Apia", "America/Los_Angeles", "Europe/Berlin", "Asia/Tokyo", "Asia/Kathmandu", "UTC"]
JUMPS = [7200, -7200]

faked = pytest.mark.skipif(bool(clocks.missing()), reason=clocks.missing() or "it is here")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(**EVENTS) as sandbox:
        yield sandbox


def day_of(date: str) -> str:
    return date.replace("-", "")


def asked(sandbox: Sandbox) -> list[str]:
    return sorted(request.start for request in sandbox.requests)


@faked
@pytest.mark.parametrize("hour", [4, 20] if FULL else [4])  # where it is still yesterday, or already tomorrow
@pytest.mark.parametrize("zone", ZONES if FULL else ZONES[:1])
def test_T1_T2_yesterday_is_of_no_zone(tmp_path, sandbox, tally, zone, hour):
    truth = served(sandbox, DAY)
    clock = Clock.at(tmp_path, dt.datetime.fromisoformat(f"{DAY}T{hour:02d}:00Z") + dt.timedelta(days=1))
    commands = Commands(tmp_path, sandbox, TZ=zone)
    done = commands.pipeline("run", **clock.env)
    assert done.returncode == 0, done.stderr
    damage = complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage
    assert asked(sandbox) == [day_of(DAY) + hour for hour in SIX_HOURS]
    assert [path.name for path in commands.logs.glob("log_*")] == [
        f"log_amplitude_{day_of(DAY)}T00_{day_of(DAY)}T23.log"
    ]


@faked
@pytest.mark.parametrize(
    "command", [("run",), ("daily", "--days", "1")][: 2 if FULL else 1], ids=lambda words: words[0]
)
def test_T3_midnight_passes_while_a_run_works(tmp_path, sandbox, tally, command):
    truth = served(sandbox, DAY)
    clock = Clock.at(tmp_path, dt.datetime.fromisoformat(f"{DAY}T23:59:00Z") + dt.timedelta(days=1))
    commands = Commands(tmp_path, sandbox)
    sandbox.faults.append(f"wait:{2 * NOTICED},times=1")
    with commands.started(*pipeline(*command), **clock.env) as run:
        wait_for(lambda: sandbox.requests)
        clock.jump(120)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 0, said
    assert not leaks(said)
    damage = complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage
    assert asked(sandbox) == [day_of(DAY) + hour for hour in SIX_HOURS]


@faked
def test_T4_a_clock_that_is_400_days_behind_is_named(tmp_path, tally):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    now = dt.datetime.now(dt.UTC)
    authority.issue_cert("127.0.0.1", not_before=now - dt.timedelta(days=30)).configure_cert(context)
    behind = Clock(tmp_path, -400 * 86400)
    with Sandbox(**EVENTS) as plain, Sandbox(**EVENTS, ssl_context=context) as sandbox:
        truth = served(plain, "2024-05-05")
        commands = Commands(tmp_path, sandbox, REQUESTS_CA_BUNDLE=tmp_path / "ca.pem")
        failed = commands.run("2024-05-05", **behind.env)
        assert failed.returncode == 30, failed.stderr
        line = next(line for line in failed.stderr.splitlines() if "Error: " in line)
        assert "ConfigError: " in line
        assert "not yet valid" in line
        assert "clock" in line
        assert f"{now - dt.timedelta(days=400):%Y-%m-%d}" in line
        assert not sandbox.requests
        damage = look(commands.data, "2024-05-05", truth)
        done = commands.run("2024-05-05")
    assert done.returncode == 0, done.stderr
    damage += complete(commands.data, "2024-05-05", truth)
    tally.injected(1, damage)
    assert not damage


@faked
def test_T5_a_clock_that_is_10_days_ahead_makes_no_day_settled(tmp_path, tally):
    today = dt.datetime.now(dt.UTC).date()
    ahead = Clock(tmp_path, 10 * 86400)
    with Sandbox(**EVENTS) as sandbox:
        commands = Commands(tmp_path, sandbox)
        for _ in range(2):
            failed = commands.run(today, **ahead.env)
            assert failed.returncode == 30, failed.stderr
            assert f"{today} is not settled" in failed.stderr
            for clock in (dt.datetime.now(dt.UTC), dt.datetime.now(dt.UTC) + dt.timedelta(days=10)):
                assert re.search(rf"{clock:%Y-%m-%d} \d\d:\d\d UTC", failed.stderr), failed.stderr
            assert not [path for path in commands.data.glob("[rep]*/*") if not path.name.startswith(".")]
        assert len(sandbox.requests) == 2
    with Sandbox(**EVENTS, now=lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=2)) as sandbox:
        truth = served(sandbox, str(today))
        commands.use(sandbox)
        done = commands.run(today, **ahead.env)
    assert done.returncode == 0, done.stderr
    damage = complete(commands.data, str(today), truth)
    tally.injected(2, damage)
    assert not damage


MOMENTS = {
    "in the wait": ([f"wait:{2 * NOTICED},times=2", "status:503,times=1"], lambda sandbox, _: sandbox.requests),
    "in the body": (["rate:5000"], lambda _, data: list(data.glob("raw/.*.windows/*.part"))),
}
"""What a run is made to do, and when it does it."""


@faked
@pytest.mark.parametrize("jump", JUMPS if FULL else JUMPS[:1])
@pytest.mark.parametrize("moment", MOMENTS if FULL else ["in the wait"])
def test_T6_a_clock_that_jumps_in_mid_run_ends_no_wait(tmp_path, sandbox, tally, jump, moment):
    truth = served(sandbox, DAY)
    clock, commands = Clock(tmp_path), Commands(tmp_path, sandbox, AMP_MIN_SPEED=100)
    faults, is_there = MOMENTS[moment]
    sandbox.faults += faults
    with commands.started(*pipeline("run", "--date", DAY), **clock.env) as run:
        wait_for(lambda: is_there(sandbox, commands.data))
        clock.jump(jump)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 0, said
    assert not leaks(said)
    damage = complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage
    assert len(sandbox.requests) == 4 + (moment == "in the wait"), said


@faked
def test_T6_a_clock_that_jumps_back_prolongs_no_wait(tmp_path, sandbox, tally):
    truth = served(sandbox, DAY)
    clock, commands = Clock(tmp_path), Commands(tmp_path, sandbox, AMP_READ_TIMEOUT=60, AMP_DEADLINE=5 * NOTICED)
    sandbox.faults += [f"wait:{2 * NOTICED},times=1", "status:503,times=1", "stall:0.4"]
    with commands.started(*pipeline("run", "--date", DAY), **clock.env) as run:
        wait_for(lambda: sandbox.requests)
        clock.jump(-7200)
        began = time.monotonic()
        _, said = run.communicate(timeout=120)
        assert time.monotonic() - began < 30
    assert run.returncode == 30
    assert not leaks(said)
    assert re.search("hours 00-05, tried [23] times: the answer did not end within AMP_DEADLINE", said), said
    damage = look(commands.data, DAY, truth)
    sandbox.faults.clear()
    done = commands.run(DAY)
    assert done.returncode == 0, done.stderr
    damage += complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage


def test_T10_restored_files_with_other_times_are_the_same_files(tmp_path, sandbox, tally):
    truth = served(sandbox, DAY)
    before = Commands(tmp_path / "before", sandbox)
    assert before.run(DAY).returncode == 0
    restored = Commands(tmp_path / "restored", sandbox)
    shutil.copytree(before.data, restored.data, copy_function=shutil.copyfile)
    # The marker older than its files, the ZIP younger than all that was made of it.
    for number, path in enumerate(sorted(restored.data.rglob("*"), reverse=True)):
        os.utime(path, (number * 86400, number * 86400))
    tree, requests = contents(restored.data), len(sandbox.requests)
    done = restored.run(DAY)
    assert done.returncode == 0, done.stderr
    assert f"{DAY} is complete" in done.stderr
    assert "Nothing to do" in done.stderr
    verified = restored.pipeline("verify", "--from", DAY, "--to", DAY)
    assert verified.returncode == 0, verified.stderr
    assert len(sandbox.requests) == requests
    assert {name: data for name, data in contents(restored.data).items() if name in tree} == tree
    damage: Damage = complete(restored.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage


def contents(data: Path) -> dict[str, bytes]:
    """Returns the published files; the warehouse names its folder, and is made anew in another."""
    paths = [path for name in ("raw", "events", "parquet") for path in (data / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(data)): path.read_bytes() for path in paths}
