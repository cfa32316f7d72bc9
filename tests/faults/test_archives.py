"""Every truncation and every flipped bit of a small export, by each way that it comes in: refused, or it changed nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import flips
import pytest
from projects import ROOT
from tally import each_seeded
from truth import FULL, Damage

PARTS = 4  # of the long rows, for as many processes
STEP = 1 if FULL else 7  # no divisor of 8: each of a byte's bits has its turn
FREE_BITS = 7 * 8 + 8  # of a gzip: its time, its extra flags, its system, and a few that pad its codes


@pytest.fixture
def ground() -> Iterator[Path]:
    with flips.ground() as folder:
        yield folder


def judged(outcome: flips.Outcome, tally) -> flips.Outcome:
    tally.injected(outcome.points, Damage(lost=len(outcome.silent)))
    assert outcome.silent == []
    return outcome


@pytest.mark.parametrize("door", [flips.WindowDoor, flips.DeflatedDoor, flips.ImportDoor, flips.ExtractionDoor])
def test_A1_no_truncation_comes_in(ground, tally, door):
    outcome = judged(door(ground).try_all(flips.truncated, STEP), tally)
    assert outcome.accepted == 0
    assert outcome.points > 2000 // STEP


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("door", [flips.WindowDoor, flips.ImportDoor, flips.ExtractionDoor])
def test_A2_A3_no_flipped_bit_changes_what_comes_in(ground, tally, door, part):
    """Bits that no reader looks at, such as the time of a member in the ZIP, may be anything."""
    step = STEP if FULL or door is not flips.ExtractionDoor else 5 * STEP
    outcome = judged(door(ground).try_all(flips.flipped, step * PARTS, part * step), tally)
    assert outcome.points > 24_000 // step // PARTS
    assert outcome.accepted < outcome.points / 4


def test_A2_no_flipped_bit_of_a_deflated_member_changes_what_comes_in(ground, tally):
    judged(flips.DeflatedDoor(ground).try_all(flips.flipped, 3 * STEP), tally)


def test_P7_no_flipped_bit_of_a_gzip_that_is_imported_by_itself_changes_its_events(ground, tally):
    outcome = judged(flips.FolderDoor(ground).try_all(flips.flipped, STEP), tally)
    assert outcome.points > 6000 // STEP
    assert outcome.accepted <= FREE_BITS


def test_P1_P2_no_truncation_of_a_gzip_that_is_imported_by_itself_comes_in(ground, tally):
    assert judged(flips.FolderDoor(ground).try_all(flips.truncated), tally).accepted == 0


def test_P7_no_flipped_bit_of_a_published_json_file_is_loaded(ground, tally):
    outcome = judged(flips.LoadDoor(ground).try_all(flips.flipped, STEP), tally)
    assert outcome.points > 10_000 // STEP
    assert outcome.accepted == 0


def test_P2_no_truncation_of_a_published_json_file_is_loaded(ground, tally):
    assert judged(flips.LoadDoor(ground).try_all(flips.truncated, STEP), tally).accepted == 0


@pytest.mark.parametrize("defect", each_seeded("entry-count", "crc"))
def test_the_flips_find_a_program_that_does_not_check(tally, defect):
    folder = Path(flips.__file__).parent
    paths = os.pathsep.join(map(str, (ROOT, folder, folder.parent)))
    done = subprocess.run(
        (sys.executable, flips.__file__, defect, "7"), env={**os.environ, "PYTHONPATH": paths},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = int(done.stdout)
    tally.seeded(defect, found > 0)
    assert found > 0
