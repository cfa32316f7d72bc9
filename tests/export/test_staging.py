"""What of a day stays when its run fails: verified windows, each checked again, and used for nothing else."""

import json

import msgspec
import pytest
from archives import export, name, write, zipped
from asking import DAY, NEXT, SIX_HOURS, answers, asked, assert_whole, cut_of, failure, fetch

from pipeline.errors import ArchiveError, ConfigError, LimitError, TooLargeError, TransientError
from pipeline.export import download
from pipeline.export.admission import Admission
from pipeline.export.kept import Staged
from pipeline.settings import load_credentials
from pipeline.store import days

BROKEN = "status:503,hour=20"  # the last of the four windows


@pytest.fixture
def half(project):
    """A day of which three windows are staged, and the fourth failed; the sandbox is well again, and counts anew."""
    sandbox = project.sandbox(faults=[BROKEN])
    failure(project, TransientError)
    sandbox.faults.clear()
    sandbox.requests.clear()
    return sandbox


def staged(project, suffix):
    return sorted(project.layout.windows_dir(DAY).glob(f"*{suffix}"))


def test_verified_windows_outlive_a_failure_and_are_not_fetched_again(project, half):
    assert [path.name for path in sorted(project.layout.windows_dir(DAY).iterdir())] == [
        f"{window}.{kind}" for window in SIX_HOURS[:3] for kind in ("json", "zip")
    ]
    record = fetch(project)
    assert asked(half) == ["18-23"]
    assert sorted(answers(record)) == [(window, 200, 1) for window in SIX_HOURS]
    assert_whole(project)


def test_a_run_that_fails_again_keeps_them_too(project, half):
    half.faults.append(BROKEN)
    failure(project, TransientError)
    assert asked(half) == ["18-23"] * 3
    half.faults.clear()
    fetch(project)
    assert_whole(project)


@pytest.mark.parametrize("at", [0, 40, -1, "half"])
def test_a_staged_window_that_was_corrupted_is_the_only_one_that_is_fetched_again(project, half, at):
    path = staged(project, ".zip")[1]
    data = bytearray(path.read_bytes())
    at = len(data) // 2 if at == "half" else at
    data[at] ^= 1
    path.write_bytes(data)
    fetch(project)
    assert sorted(asked(half)) == ["06-11", "18-23"]
    assert_whole(project)


def spoil_json(project):
    staged(project, ".json")[0].write_text("{")


def lose_json(project):
    staged(project, ".json")[0].unlink()


def lose_zip(project):
    staged(project, ".zip")[0].unlink()


def rename(project):
    for path in staged(project, "00-05.*"):
        path.rename(path.with_name("00-04" + path.suffix))


def change(**fields):
    def spoil(project):
        path = staged(project, ".json")[0]
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_json,
        lose_json,
        lose_zip,
        rename,
        change(host="amplitude.com"),
        change(redo="another"),
        change(window=None),
    ],
    ids=["spoilt json", "no json", "no zip", "renamed", "other host", "other redo", "no window"],
)
def test_a_staged_window_that_answers_another_request_is_not_used(project, half, spoil):
    spoil(project)
    fetch(project)
    assert sorted(asked(half)) == ["00-05", "18-23"]
    assert_whole(project)


def test_a_redo_takes_nothing_from_before_it_was_asked(project, half):
    days.ask_redo(project.layout, DAY)
    record = fetch(project)
    assert sorted(asked(half)) == SIX_HOURS
    assert record.redo == days.redo_asked(project.layout, DAY)
    assert_whole(project)


def test_H3_an_empty_window_is_remembered(project):
    sandbox = project.sandbox(faults=["status:404,hour=1", BROKEN])
    failure(project, TransientError)
    sandbox.faults.clear()
    sandbox.requests.clear()
    record = fetch(project)
    assert asked(sandbox) == ["18-23"]
    assert ("00-05", 404, 1) in answers(record)


def test_H5_a_refused_window_is_remembered(project):
    sandbox = project.sandbox(faults=["status:400,over=3", BROKEN])
    failure(project, TransientError)
    sandbox.requests.clear()
    sandbox.faults.clear()
    record = fetch(project)
    assert set(asked(sandbox)) <= set(cut_of(3)[1:])
    assert "18-20" in asked(sandbox)
    assert ("00-05", 400, 1) in answers(record)
    assert_whole(project)


def test_when_all_is_staged_nothing_is_asked_and_nothing_is_known_of_the_credentials(project, monkeypatch):
    sandbox = project.sandbox()
    project.set(PIPELINE_MAX_ENTRIES=20)  # enough for a window, not for the day
    assert "PIPELINE_MAX_ENTRIES" in failure(project, LimitError)
    project.unset("PIPELINE_MAX_ENTRIES")
    sandbox.requests.clear()
    admission = Admission()
    monkeypatch.setattr(download, "_admission", admission)
    record = fetch(project)
    assert not sandbox.requests
    assert sorted(answers(record)) == [(window, 200, 1) for window in SIX_HOURS]
    assert not admission.is_known(project.settings, load_credentials())
    assert_whole(project)


def test_a_redo_that_fails_leaves_the_old_day_readable(project, half):
    fetch(project)
    kept = project.layout.raw_zip(DAY).read_bytes()
    days.ask_redo(project.layout, DAY)
    half.faults.append(BROKEN)
    with pytest.raises(TransientError):
        fetch(project)
    assert project.layout.raw_zip(DAY).read_bytes() == kept


def test_H25_what_came_of_a_failed_window_is_not_left_on_the_disk(project):
    project.sandbox(faults=["cut:0.9"])
    failure(project, TransientError)
    assert list(project.layout.windows_dir(DAY).iterdir()) == []


def test_leftovers_of_a_killed_run_are_cleared(project):
    project.sandbox()
    for left in ("00-05.zip.part", "00-05.json.part", "06-11.zip", "junk"):
        write(project.layout.windows_dir(DAY) / left, b"half")
    write(project.layout.raw_part(DAY), b"half")
    fetch(project)
    assert_whole(project)


def test_A26_a_window_of_other_hours_is_refused(project, tmp_path):
    exports = tmp_path / "exports"
    write(exports / "20260115T00_20260115T05.zip", export({name(7): zipped(b"{}\n")}))
    sandbox = project.sandbox(exports=exports)
    assert "is not of 2026-01-15, hours 0 to 5" in failure(project, ArchiveError)
    assert len(sandbox.requests) == 3


def test_an_export_of_no_file_is_no_empty_window(project, tmp_path):
    exports = tmp_path / "exports"
    write(exports / "20260115T00_20260115T05.zip", export({"folder/": b""}))
    project.sandbox(exports=exports)
    assert "it holds no file of events" in failure(project, ArchiveError)


def folder_of(path, app, *dates):
    for date in dates:
        write(path / f"{date}.zip", export({name(h, date=str(date), app=app): zipped(b"{}\n") for h in range(24)}))
    return path


def test_another_projects_events_are_refused_by_name(project, tmp_path):
    project.sandbox(exports=folder_of(tmp_path / "one", 11, DAY))
    fetch(project)
    other = project.sandbox(exports=folder_of(tmp_path / "two", 22, NEXT))
    said = failure(project, ConfigError, NEXT)
    assert "holds the events of project 11, and these are of project 22" in said
    assert "PIPELINE_DATA_DIR" in said
    assert len(other.requests) == 1


def test_staged_windows_of_another_project_never_enter_its_day(project, tmp_path):
    project.sandbox(exports=folder_of(tmp_path / "one", 11, DAY), faults=[BROKEN])
    failure(project, TransientError)
    project.sandbox(exports=folder_of(tmp_path / "two", 22, DAY, NEXT))
    said = failure(project, ConfigError)
    assert "of project 22, and the hours fetched before are of project 11" in said
    assert "make clean" in said
    fetch(project, NEXT)  # from here on the folder is project 22's, and the windows of 11 are dropped
    record = fetch(project)
    assert record.app == 22
    assert len(record.windows) >= 1
    assert not project.leftovers()


def test_a_staged_answer_is_typed(project, half):
    for path in staged(project, ".json"):
        answer = msgspec.json.decode(path.read_bytes(), type=Staged)
        assert (answer.host, answer.redo, answer.window.status) == ("loopback", None, 200)
        assert answer.window.bytes == path.with_suffix(".zip").stat().st_size


def test_H25_an_answer_above_the_cap_is_halved_and_leaves_nothing(project):
    sandbox = project.sandbox(faults=["big:5000000,hour=0"])
    project.set(AMP_MAX_WINDOW_BYTES=1_000_000)
    said = failure(project, TooLargeError)
    assert asked(sandbox) == ["00-05", "00-02", "00-00"]
    assert "larger than 1000000 bytes" in said
    assert "AMP_MAX_WINDOW_BYTES" in said
    assert not [path for path in project.layout.windows_dir(DAY).iterdir() if path.suffix != ".json"]


def test_hours_that_another_projects_keys_found_empty_are_asked_for_again(project, tmp_path):
    (tmp_path / "none").mkdir()
    empty = project.sandbox(exports=tmp_path / "none", faults=["status:503,hour=23"])
    failure(project, TransientError)
    assert "00-05" in asked(empty)
    full = project.sandbox(key="canary-key-of-b")
    project.set(AMP_API_KEY="canary-key-of-b")
    record = fetch(project)
    assert sorted(asked(full)) == SIX_HOURS
    assert {hour.status for hour in record.hours} == {"exported", "empty"}
    assert_whole(project)
