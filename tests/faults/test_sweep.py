"""K1 to K6, F1, F2, F7, F8, F16: a fault at each call by which a run changes the data folder, then a run without."""

import pytest
from scenarios import first_run, forced_run, imported_run, range_run
from sweep import MODES, STAGES, points, stage, swept
from truth import FULL

EVERY = 1 if FULL else 251
"""Of the calls, the cut takes every so manyth in each mode: a prime, so that it falls into no step of the program."""

EVERY_BESIDE = 13 if FULL else 701
"""Of the calls of what is swept beside the first run and the forced one: they do the same in another order."""

each_stage = pytest.mark.parametrize(
    "which",
    dict.fromkeys(STAGES.values()),
    ids={"download": "K4 download", "load": "K5 load", "warehouse": "F16 warehouse"}.get,
)
each_mode = pytest.mark.parametrize(
    "modes",
    [(mode,) for mode in MODES] if FULL else [MODES],
    ids=lambda modes: f"{modes[0].mode} {'' if modes[0].kills else modes[0].error}".strip() if FULL else "cut",
)


def _sweep(sweep, name, which, modes, shared, tally):
    calls = sweep.counted(name, shared)
    within = [call for call in calls if stage(call, sweep.data) == which]
    swept(sweep, points(within, modes, EVERY), len(points(within, modes)), tally)


@each_mode
@each_stage
def test_K1_K2_K3_F1_F2_F7_F8_a_fault_at_each_call_of_a_first_run(
    project, library, shared, tmp_path, tally, which, modes
):
    _sweep(first_run(project, library, tmp_path), "first_run", which, modes, shared, tally)


@each_mode
@each_stage
def test_K6_a_fault_at_each_call_of_a_forced_run(project, library, shared, tmp_path, tally, which, modes):
    _sweep(forced_run(project, library, tmp_path), "forced_run", which, modes, shared, tally)


@each_mode
@pytest.mark.parametrize("scenario", [imported_run, range_run], ids=["import", "RangeDaily"])
def test_K1_K2_K3_F1_F7_a_fault_at_calls_of(project, library, shared, tmp_path, tally, scenario, modes):
    sweep = scenario(project, library, tmp_path)
    calls = sweep.counted(scenario.__name__, shared)
    swept(sweep, points(calls, modes, EVERY_BESIDE), len(points(calls, modes)), tally)
