"""K11, K21, F19: runs that end again and again before they are done, and the run that comes after them."""

import random
import shutil

import pytest
from scenarios import DATE, first_run, forced_run
from shim import KILLS, Fault
from sweep import Outcome
from truth import FULL, Damage, complete, look

from pipeline.store.paths import Layout

ROUNDS = range(5 if FULL else 1)
CRASHES = 50 if FULL else 4
LIMITS = range(100, 1500, 100) if FULL else (400,)  # MB of address space; a run takes about 1,400


def _kills(sweep, seed, calls, number):
    dice = random.Random(seed)
    for _ in range(number):
        outcome = Outcome(Fault(dice.choice(KILLS), at=dice.randint(1, len(calls))))
        sweep.inject(outcome)
        yield outcome


@pytest.mark.parametrize("seed", ROUNDS)
@pytest.mark.parametrize("scenario", [forced_run, first_run] if FULL else [forced_run], ids=lambda made: made.__name__)
def test_K21_three_kills_in_a_row_then_a_run(project, library, shared, tmp_path, tally, scenario, seed):
    sweep = scenario(project, library, tmp_path)
    calls = sweep.counted(scenario.__name__, shared)
    sweep.fresh()
    outcomes = list(_kills(sweep, seed, calls, 3))
    sweep.mend(outcomes[-1])
    tally.injected(sum(outcome.met for outcome in outcomes), sum((outcome.damage for outcome in outcomes), Damage()))
    assert not [str(outcome) for outcome in outcomes if outcome.problems]


@pytest.mark.parametrize(
    ("mode", "name", "path", "again"),
    [
        ("after", "rename", "raw/.2026-01-15.zip.part", 0),
        ("before", "rename", "raw/.2026-01-15.zip.part", 0),
        ("before", "rename", "raw/.2026-01-15.windows/18-23.json.part", 1),
    ],
    ids=["the ZIP in place", "all windows there", "one window under way"],
)
def test_K4_what_was_fetched_and_verified_before_a_kill_is_not_fetched_again(
    project, library, shared, tmp_path, tally, mode, name, path, again
):
    sweep = first_run(project, library, tmp_path, AMP_CONCURRENCY=1)
    calls = sweep.counted("first_run_alone", shared)
    at = [call.number for call in calls if (call.name, call.path) == (name, str(sweep.data.resolve() / path))]
    sweep.fresh()
    outcome = Outcome(Fault(mode, at=at[0]))
    sweep.inject(outcome)
    requests = sweep.place.sandbox.requests
    before = len(requests)
    sweep.mend(outcome)
    tally.injected(1, outcome.damage)
    assert outcome.met
    assert not outcome.problems, outcome
    assert len(requests) - before == again


def test_F19_the_leftovers_of_many_crashed_runs_do_not_pile_up_and_go_and_what_is_not_ours_stays(
    project, library, shared, tmp_path, tally
):
    sweep = forced_run(project, library, tmp_path)
    calls = sweep.counted("forced_run", shared)
    sweep.fresh()
    foreign = [
        sweep.data / name for name in ("raw/notes.txt", "raw/.2026-01-15.zip.bak", "events/.mine", "parquet/x.csv")
    ]
    for path in foreign:
        path.write_text("mine")
    seen, met, most = Damage(), 0, 0
    for outcome in _kills(sweep, 19, calls, CRASHES):
        seen += outcome.damage
        met += outcome.met
        most = max(most, len(list(Layout(sweep.data).leftovers())))
    assert 0 < most <= 6  # the token, the ZIP, its windows, the events, the Parquet, the warehouse
    assert [path.read_text() for path in foreign] == ["mine"] * len(foreign)
    for path in foreign:
        path.unlink()
    last = Outcome(Fault())
    sweep.mend(last)
    tally.injected(met, seen + last.damage)
    assert not last.problems, last
    assert (seen.lost, seen.duplicated, seen.half_written) == (0, 0, [])


@pytest.mark.parametrize("megabytes", LIMITS)
def test_K11_a_run_without_the_memory_it_needs(project, library, tmp_path, tally, megabytes):
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        pytest.skip("there is no prlimit to take memory away with")
    sweep = first_run(project, library, tmp_path)
    truth = sweep.days[0].after
    done = sweep.place.run(DATE, prefix=(prlimit, f"--as={megabytes * 1_000_000}"))
    damage = look(sweep.data, DATE, truth) if done.returncode else complete(sweep.data, DATE, truth)
    again = sweep.place.run(DATE)
    damage += complete(sweep.data, DATE, truth)
    tally.injected(1 if done.returncode else 0, damage)  # one that it can live with is no fault
    assert (again.returncode, damage) == (0, Damage()), (done.stderr, again.stderr)
