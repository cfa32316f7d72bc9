"""`make clean`: leftovers go; days, logs and a run that goes stay."""

import datetime as dt

from processes import PIPELINE, background, home, wait_for
from projects import ROOT

from pipeline.operations.clean import clean

DAY = dt.date(2026, 1, 15)


def leave(project) -> None:
    for path in (
        project.layout.raw_part(DAY),
        project.layout.events_part(DAY) / "x",
        project.layout.windows_dir(DAY) / "y",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left")


def test_leftovers_caches_and_the_demo_go_and_days_and_logs_stay(project):
    project.sandbox()
    project.run_day(DAY)
    tree, logged = project.tree(), project.logged()
    leave(project)
    place = project.path / "place"
    caches = [
        place / name for name in (".pytest_cache", ".ruff_cache", "data/demo", "logs/demo", "pipeline/a/__pycache__")
    ]
    for cache in caches:
        cache.mkdir(parents=True)
    (place / ".env").write_text("")
    removed = clean(project.settings, place)
    assert {path for path in caches if path.exists()} == set()
    assert len(removed) == len(caches) + 3
    assert (place / ".env").exists()
    assert not project.leftovers()
    assert project.tree() == tree
    assert project.logged() == logged


def test_O13_clean_refuses_while_a_run_goes_and_says_which(project):
    project.set(AMP_READ_TIMEOUT=60, AMP_DEADLINE=600)
    sandbox = project.sandbox(faults=["stall:0.4"])
    place = home(project)
    with background(*PIPELINE, "run", "--date", str(DAY)) as run:
        wait_for(lambda: sandbox.requests and project.leftovers())
        before = project.leftovers()
        done = project.pipeline("clean", cwd=place, PYTHONPATH=str(ROOT))
        assert done.returncode == 40
        assert f"2026-01-15 is in use by process {run.pid}, since " in done.stderr
        assert "Nothing was removed. Clean when the run has ended." in done.stderr
        assert project.leftovers() == before
    done = project.pipeline("clean", cwd=place, PYTHONPATH=str(ROOT))
    assert done.returncode == 0
    assert "Published days and logs are untouched." in done.stderr
    assert not project.leftovers()


def test_clean_of_nothing_says_so(project):
    done = project.pipeline("clean", cwd=home(project), PYTHONPATH=str(ROOT))
    assert done.stderr == "Nothing to be removed. Published days and logs are untouched.\n"
