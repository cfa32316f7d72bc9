"""Durability order: what an strace of the real commands says would be left of them by a power cut, at any moment."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import order
import pytest
from commands import Commands
from projects import KEY, SECRET
from scenarios import LENIENT, exports
from tally import each_seeded
from truth import complete, served

from pipeline.sandbox import Sandbox

DATE = "2026-01-15"


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    if not shutil.which("strace"):
        pytest.skip("there is no strace: apt-get install strace")
    tried = subprocess.run([*order.STRACE, "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()[-200:]}")
    with Sandbox(exports=exports(tmp_path / "exports", 2, DATE), key=KEY, secret=SECRET) as sandbox:
        commands = Commands(tmp_path, sandbox, **LENIENT)
        commands.truth = served(sandbox, DATE)
        yield commands


def traced(commands: Commands, command: str, **options: str) -> list[order.Call]:
    """Runs a command under strace; returns the calls that bear on what is durable."""
    place = commands.path / f"{command}.strace"
    done = getattr(commands, command)(DATE, prefix=(*order.STRACE, "-o", str(place)), **options)
    assert done.returncode == 0, done.stderr
    calls = list(order.calls(place.read_text(encoding="utf-8", errors="replace").splitlines()))
    return [call for call in calls if any(str(commands.path) in each for each in call.arguments)]


def synced(commands: Commands, calls: list[order.Call]) -> list[order.Call]:
    return [call for call in calls if call.name in ("fsync", "fdatasync") and str(commands.data) in call.arguments[0]]


def needless(commands: Commands, call: order.Call) -> bool:
    """Tells whether nothing rests on a sync: of what DuckDB builds in staging, and of a folder that staging is made in."""
    path = Path(call.arguments[0]).relative_to(commands.data)
    return path.parts[:1] == (".warehouse.tmp",) or path.parts in {(), ("raw",)}


def test_F12_a_first_run_and_a_forced_one_sync_what_they_publish_before_and_after_each_rename(commands):
    """And the check misses none of it: the same calls without one of the syncs show a problem."""
    for command in ("run", "force"):
        calls = traced(commands, command)
        assert not complete(commands.data, DATE, commands.truth, replaced=True)
        assert order.problems(calls, commands.data) == []
        syncs = synced(commands, calls)
        unmissed = [sync for sync in syncs if not order.problems(without(calls, sync), commands.data)]
        assert [call.arguments[0] for call in unmissed if not needless(commands, call)] == []
        missed = [call.arguments[0] for call in syncs if call not in unmissed]
        assert len(missed) > 15
        assert any("rejected" in path for path in missed)


def without(calls: list[order.Call], left_out: order.Call) -> list[order.Call]:
    return [call for call in calls if call is not left_out]


@pytest.mark.parametrize("defect", each_seeded("fsync-data", "fsync-directory"))
def test_the_order_check_finds_a_program_that_does_not_sync(commands, tally, defect):
    found = order.problems(traced(commands, "run", defect=defect), commands.data)
    tally.seeded(defect, bool(found))
    assert any("was not synced before it was renamed" in each for each in found)
    if defect == "fsync-directory":
        assert any("its name was never synced" in each for each in found)
