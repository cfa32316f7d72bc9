"""What a recheck left, or noted, of a day that was stored anew since: none of it is told of, or taken for, the new."""

import datetime as dt

import pytest
from amplitude import Amplitude, command, noted, stored, uuids
from archives import DAY, export, name, write, zipped
from lines import line
from processes import PIPELINE
from stored import file, flip

from pipeline import logs
from pipeline.operations.recheck import recheck
from pipeline.store import days

RECHECK = (*PIPELINE, "recheck", "--from", str(DAY), "--to", str(DAY))


@pytest.fixture
def amplitude(project):
    """A day of ten events that is stored, and the Amplitude that it came from."""
    found = Amplitude(project)
    found.has(*range(10))
    assert project.run_day(DAY).scheduling_succeeded
    logs.setup(project.logs)
    return found


def again(project, *, replace=False):
    (result,) = recheck(project.settings, [DAY], lambda _share, _text: None, replace=replace)
    return result


def windows_left(project, amplitude) -> None:
    """Lets a recheck fail on one of its windows: the others stay for the next one."""
    project.set(AMP_WINDOW_BYTES=1000, AMP_CONCURRENCY=1)
    amplitude.sandbox.faults[:] = ["status:503,hour=19"]
    assert again(project).error is not None
    amplitude.sandbox.faults.clear()
    assert list(project.layout.recheck(DAY).windows_dir(DAY).iterdir())


def zip_left(project, amplitude) -> None:
    """Kills a recheck when it has fetched."""
    kill = "import os, pipeline.operations.again as a\na.AskedAgain.difference = lambda _: os.kill(os.getpid(), 9)"
    assert project.command(*command(replace=False, before=kill)).returncode == -9
    assert project.layout.recheck(DAY).raw_zip(DAY).exists()


@pytest.mark.parametrize("left", [windows_left, zip_left])
@pytest.mark.parametrize("replacing", ["force", "import"])
def test_what_was_fetched_before_the_day_was_stored_anew_takes_nobodys_place(project, amplitude, left, replacing):
    left(project, amplitude)
    amplitude.has(*range(14))
    if replacing == "force":
        assert project.pipeline("force", "--date", str(DAY)).returncode == 0
    else:
        source = write(project.path / "export.zip", (amplitude.folder / f"{DAY}.zip").read_bytes())
        arguments = ("--date", str(DAY), "--from", str(source), "--replace")
        assert project.pipeline("import", *arguments).returncode == 0
    assert stored(project) == uuids(*range(14))
    result = again(project, replace=True)
    assert (result.error, result.replaced, result.said) == (None, False, "the same (14 now)")
    assert stored(project) == uuids(*range(14))


@pytest.mark.parametrize("older", ["the staged ZIP", "the staged windows"])
def test_it_takes_nobodys_place_either_where_it_was_not_cleared(project, amplitude, older, monkeypatch):
    """By the times alone: the day's record says when it was fetched."""
    (zip_left if older == "the staged ZIP" else windows_left)(project, amplitude)
    kept = project.layout.recheck(DAY).root
    kept.rename(project.path / "kept")
    amplitude.has(*range(14))
    assert project.pipeline("force", "--date", str(DAY)).returncode == 0
    kept.parent.mkdir(exist_ok=True)
    (project.path / "kept").rename(kept)
    assert again(project, replace=True).said == "the same (14 now)"


def test_what_a_recheck_found_of_an_earlier_day_is_not_said_of_what_stands_now(project, amplitude):
    amplitude.has(*range(12))
    assert again(project).said == "grown by 2 events (12 now)"
    assert "since then grown by 2 events" in project.pipeline("status").stdout
    assert project.pipeline("force", "--date", str(DAY)).returncode == 0
    assert "since then" not in project.pipeline("status").stdout
    asked = ("sql", "--csv", "--query", "select rechecks, rechecked_at is null, grown from days")
    assert project.pipeline(*asked).stdout.splitlines()[1:] == ["1,false,"]


def test_a_recheck_proves_the_hours_of_an_import_that_had_no_file(project, amplitude):
    source = write(project.path / "export.zip", export({name(7): zipped(line(1) + b"\n")}))
    assert project.pipeline("import", "--date", str(DAY), "--from", str(source), "--replace").returncode == 0
    verify = ("verify", "--from", str(DAY), "--to", str(DAY))
    assert "nothing proves that the 23 hours without a file had no events" in project.pipeline(*verify).stdout
    amplitude.has(1, 2)
    assert again(project).difference.grown == 1
    assert "nothing proves" in project.pipeline(*verify).stdout
    amplitude.has(1)
    assert again(project).difference.grown == 0
    assert "nothing proves" not in project.pipeline(*verify).stdout
    assert "no file of" not in project.pipeline("status").stdout
    assert days.load_record(project.layout, DAY).unproven_hours == 0


def test_a_comparison_that_fails_keeps_what_was_fetched_and_none_of_the_day_extracted(project, amplitude):
    amplitude.has(*range(12))
    flip(file(project.layout, "parquet"))
    result = again(project)
    assert "is damaged" in str(result.error)
    staged = project.layout.recheck(DAY)
    assert staged.raw_zip(DAY).exists()
    assert not staged.events_dir(DAY).exists()


def test_a_replacement_that_was_killed_before_the_chain_ran_is_finished_by_the_same_command(project, amplitude):
    amplitude.has(*range(12))
    kill = "import os, pipeline.operations.again as a\na.AskedAgain.note = lambda *_, **__: os.kill(os.getpid(), 9)"
    assert project.command(*command(replace=True, before=kill)).returncode == -9
    assert not days.is_loaded(project.layout, DAY)
    done = project.command(*RECHECK, "--replace")
    assert done.returncode == 0, done.stderr
    assert "1 day to ask again: 1 the same, 0 changed" in done.stderr
    assert stored(project) == uuids(*range(12))
    assert not project.leftovers()
    assert noted(project)[-1].at <= dt.datetime.now(dt.UTC)
