"""A recheck that is killed, at points all along: the day is whole in the old, or on its way to the new."""

import signal

import pytest
from amplitude import Amplitude, command, noted, stored, uuids
from archives import DAY
from processes import PIPELINE

from pipeline.operations.recheck import recheck
from pipeline.store import days

OLD, NEW = range(10), range(4, 14)

KILLED = """
import os, sys
left = {point}

def killed(event, arguments):
    global left
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
        left -= 1
        if not left:
            os.kill(os.getpid(), {signal})

sys.addaudithook(killed)
"""
"""Ends the process before the n-th time that it is about to change something on the disk; there are some 56."""


@pytest.fixture
def amplitude(project):
    found = Amplitude(project)
    found.has(*OLD)
    assert project.run_day(DAY).scheduling_succeeded
    found.has(*NEW)
    return found


@pytest.mark.parametrize("point", [1, 9, 17, 25, 33, 39, 41, 43, 45, 47, 49, 51, 53, 55, 1000])
def test_K1_a_recheck_that_is_killed_leaves_the_day_whole_or_for_the_next_run_to_make_whole(project, amplitude, point):
    kill = KILLED.format(point=point, signal=int(signal.SIGKILL))
    killed = project.command(*command(replace=True, before=kill))
    assert killed.returncode in (0, -signal.SIGKILL), killed.stderr
    assert stored(project) == uuids(*OLD)  # readable, whatever has become of the ZIP
    replaced = not days.is_loaded(project.layout, DAY)
    assert replaced or not any(note.replaced for note in noted(project))

    assert project.command(*PIPELINE, "run", "--date", str(DAY)).returncode == 0
    assert stored(project) == uuids(*(NEW if replaced else OLD))
    (result,) = recheck(project.settings, [DAY], lambda _share, _text: None, replace=True)
    assert (result.error, result.replaced) == (None, not replaced)
    assert project.run_day(DAY).scheduling_succeeded
    assert stored(project) == uuids(*NEW)
    assert days.is_loaded(project.layout, DAY)
    assert not project.leftovers()
