"""The sweep finds that a safeguard of publishing is missing, at the calls near it."""

import dataclasses
from pathlib import Path

import pytest
from scenarios import first_run, imported_run
from shim import Fault
from tally import each_seeded

DEFECTS = {
    "staging": (first_run, Fault("torn"), "raw/2026-01-15.zip"),
    "staging of a directory": (first_run, Fault("before"), "events/2026-01-15/_SUCCESS"),
    "marker-last": (first_run, Fault("after"), "parquet/.date=2026-01-15.tmp/_SUCCESS"),
    "stale-staging": (first_run, Fault("before"), "parquet/.date=2026-01-15.tmp/_SUCCESS"),
    "chain-of-ids": (imported_run, Fault("after"), "raw/.2026-01-15.zip.part"),
}
"""In which scenario, by which fault, and on which path's last call but those that only read it back."""


@pytest.mark.parametrize("name", each_seeded(*DEFECTS))
def test_the_sweep_finds_the_defect(project, library, tmp_path, tally, name):
    scenario, mode, path = DEFECTS[name]
    defect = name.partition(" ")[0]
    sweep = scenario(project, library, tmp_path, defect)
    calls = [call for call in sweep.count() if Path(call.path).relative_to(sweep.data.resolve()) == Path(path)]
    wanted = [call for call in calls if (call.is_torn if mode.mode == "torn" else call.name in ("rename", "write"))]
    outcome = sweep.at(dataclasses.replace(mode, at=wanted[-1].number))
    assert outcome.met
    tally.seeded(defect, bool(outcome.problems))
    assert outcome.problems
