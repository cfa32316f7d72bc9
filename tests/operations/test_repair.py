"""Repair: what is damaged is made anew from what is whole, and nothing that stands is given up for it."""

import datetime as dt

import pytest
from amplitude import Amplitude, noted, stored, uuids
from archives import APP, DAY, export, name, write, zipped
from lines import line
from loading import rows
from stored import KINDS, damaged, file, flip, look, mend, whole

from pipeline.errors import CredentialsError, LoadError, StorageError, TransientError
from pipeline.operations.recheck import recheck
from pipeline.operations.repair import repair
from pipeline.store import days
from pipeline.store.publish import remove

NEXT = DAY + dt.timedelta(days=1)
EVENTS, LOAD = "events marker", "load marker"


@pytest.fixture
def layout(project):
    return whole(project)


@pytest.fixture
def amplitude(project):
    """A day of ten events that is stored, and the Amplitude that it came from."""
    found = Amplitude(project)
    found.has(*range(10))
    assert project.run_day(DAY).scheduling_succeeded
    found.sandbox.requests.clear()
    return found


def by_uuid(layout):
    return sorted(rows(layout), key=lambda row: str(row["uuid"]))


MENDED = [(kind,) for kind in KINDS if kind != "zip"] + [
    KINDS[1:],
    ("json", "parquet"),
    (EVENTS, LOAD),
    ("rejected", LOAD),
]


@pytest.mark.parametrize("kinds", MENDED, ids="+".join)
def test_F15_what_is_damaged_is_made_anew_from_the_stage_before_without_a_request(project, layout, kinds):
    before, raw = by_uuid(layout), layout.raw_zip(DAY).read_bytes()
    for path in [file(layout, kind) for kind in kinds]:
        flip(path)
    (result,) = mend(project)
    assert (result.date, result.must_run, result.error) == (DAY, False, None)
    (day,) = look(project)
    assert (day.damage, day.notes, day.is_complete) == ([], [], True)
    assert by_uuid(layout) == before
    assert days.load_record(layout, DAY).counts.rejects == 1
    assert layout.raw_zip(DAY).read_bytes() == raw
    assert project.leftovers() == []


@pytest.mark.parametrize("kind", ["json", "parquet", "rejected"])
def test_F15_a_file_that_is_gone_is_made_anew(project, layout, kind):
    before = by_uuid(layout)
    file(layout, kind).unlink()
    (result,) = mend(project)
    assert (result.error, damaged(project), by_uuid(layout)) == (None, set(), before)


@pytest.mark.parametrize("kinds", [(EVENTS,), (LOAD,), (EVENTS, LOAD)], ids="+".join)
def test_F15_a_flipped_form_does_not_make_every_command_refuse_the_day_for_ever(project, layout, kinds):
    before = by_uuid(layout)
    for path in [file(layout, kind) for kind in kinds]:
        path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 3'))
    (result,) = mend(project)
    assert (result.error, damaged(project), by_uuid(layout)) == (None, set(), before)
    assert len(list(layout.quarantine(DAY).glob("*_SUCCESS.last-copy"))) == len(kinds)


def test_parquet_without_events_is_made_anew_from_the_zip(project, layout):
    before = by_uuid(layout)
    remove(layout.events_dir(DAY))
    flip(file(layout, "parquet"))
    (result,) = mend(project)
    assert (result.error, result.must_run, damaged(project), by_uuid(layout)) == (None, False, set(), before)


def test_a_day_that_is_whole_by_now_is_left_as_it_is(project, layout):
    path = file(layout, "parquet")
    data = flip(path)
    found = look(project)
    path.write_bytes(data)
    before = project.tree()
    (result,) = repair(project.settings, found, lambda _share, _text: None)
    assert (result.must_run, result.error) == (False, None)
    assert project.tree() == before


def test_what_stands_stays_where_the_new_cannot_be_made(project, layout):
    flip(file(layout, "json"))
    mine = write(layout.events_dir(DAY) / "mine.txt", b"mine")
    before = project.tree()
    (result,) = mend(project)
    assert isinstance(result.error, StorageError)
    assert "mine.txt" in result.error.what
    assert (project.tree(), mine.read_bytes()) == (before, b"mine")
    assert "mine.txt" in project.logged()


def test_what_was_noted_of_a_day_outlives_its_repair(project, amplitude):
    amplitude.has(*range(12))
    recheck(project.settings, [DAY], lambda _share, _text: None, replace=False)
    before = noted(project)
    flip(file(project.layout, "parquet"))
    (result,) = mend(project)
    assert result.error is None
    assert [(again.grown, again.replaced) for again in noted(project)] == [(2, False)]
    assert noted(project) == before


@pytest.mark.parametrize("kinds", [("zip",), ("zip", "json"), ("zip", "parquet"), ("zip", EVENTS)], ids="+".join)
def test_F15_a_damaged_zip_is_fetched_again_and_the_chain_makes_the_rest(project, amplitude, kinds):
    for path in [file(project.layout, kind) for kind in kinds]:
        flip(path)
    (result,) = mend(project)
    assert (result.must_run, result.error) == (True, None)
    assert stored(project) == uuids(*range(10))
    assert project.run_day(DAY).scheduling_succeeded
    (day,) = look(project)
    assert (day.damage, day.notes, day.is_complete) == ([], [], True)
    assert stored(project) == uuids(*range(10))


LESS = {
    "fewer events": ((range(3, 10), {}), "Amplitude has 3 events of it no more:"),
    "other values": ((range(10), {"city": "Bonn"}), "Amplitude has other values in 10 events of it:"),
    "both": ((range(2, 10), {"city": "Bonn"}), "2 events of it no more and has other values in 8 events of it:"),
    "nothing": (((), {}), "10 events of it no more:"),
}


@pytest.mark.parametrize("kinds", [("zip",), ("zip", "json")], ids="+".join)
@pytest.mark.parametrize("less", LESS)
def test_F15_a_day_of_which_amplitude_has_less_by_now_stays_as_it_is(project, amplitude, less, kinds):
    (events, changes), why = LESS[less]
    amplitude.has(*events, **changes)
    for kind in kinds:
        flip(file(project.layout, kind))
    before = project.tree()
    (result,) = mend(project)
    assert isinstance(result.error, LoadError)
    assert why in result.error.what
    assert f"make recheck FROM={DAY} TO={DAY} REPLACE=1" in result.error.todo
    assert project.tree() == before
    assert stored(project) == uuids(*range(10))


@pytest.mark.parametrize("less", LESS)
def test_F15_damaged_json_that_nothing_mends_is_put_aside_and_the_day_is_complete_without(project, amplitude, less):
    (events, changes), _ = LESS[less]
    layout = project.layout
    amplitude.has(*events, **changes)
    layout.raw_zip(DAY).unlink()
    flip(file(layout, "json"))
    names = {path.name: path.read_bytes() for path in layout.events_dir(DAY).iterdir()}
    (result,) = mend(project)
    assert (result.must_run, result.error) == (False, None)
    (day,) = look(project)
    assert (day.damage, day.is_complete, len(day.notes)) == ([], True, 2)
    assert "its JSON lines are gone, and not by make prune (no command needs them)" in day.notes
    (kept,) = (path for path in layout.quarantine(DAY).iterdir() if path.is_dir())
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == names
    assert str(kept) in project.logged()
    assert stored(project) == uuids(*range(10))
    assert project.leftovers() == []


def test_F15_damaged_json_that_cannot_be_fetched_for_now_stays_where_it_is(project, amplitude):
    project.layout.raw_zip(DAY).unlink()
    flip(file(project.layout, "json"))
    before = project.tree()
    project.set(AMP_BASE_URL="http://127.0.0.1:9", AMP_TRIES=1)
    (result,) = mend(project)
    assert isinstance(result.error, TransientError)
    assert {path: data for path, data in project.tree().items() if ".recheck" not in path} == before


def test_F7_a_zip_that_the_disk_does_not_read_is_put_aside_and_fetched_again(project, amplitude):
    path = project.layout.raw_zip(DAY)
    path.unlink()
    path.symlink_to("/proc/self/mem")  # its first byte is an I/O error
    try:
        (result,) = mend(project)
    finally:
        for link in (path, *project.data.rglob("*")):
            if link.is_symlink():  # nor can whoever looks for secrets read it
                link.unlink()
    assert (result.error, result.must_run) == (None, True)
    assert project.run_day(DAY).scheduling_succeeded
    assert damaged(project) == set()


def test_rejected_lines_alone_of_a_pruned_day_are_fetched_again_unless_they_are_fewer(project):
    project.set(PIPELINE_MAX_REJECTED=1)
    amplitude, layout = Amplitude(project), project.layout
    export_zip = amplitude.folder / f"{DAY}.zip"
    write(export_zip, export({name(7): zipped(line(1) + b"\nno event\n"), name(8): zipped(b"neither\n")}))
    assert project.run_day(DAY).scheduling_succeeded
    layout.raw_zip(DAY).unlink()
    remove(layout.events_dir(DAY))
    flip(file(layout, "rejected"))
    assert {stage for stage, _ in damaged(project)} == {"rejected"}

    served, before = export_zip.read_bytes(), project.tree()
    export_zip.write_bytes(export({name(7): zipped(line(1) + b"\nno event\n")}))
    (result,) = mend(project)
    assert "Amplitude has 1 line of it no more that became no event" in result.error.what
    assert f"make force DATE={DAY}" in result.error.todo
    assert project.tree() == before

    export_zip.write_bytes(served)
    (result,) = mend(project)
    assert (result.must_run, result.error) == (True, None)
    assert project.run_day(DAY).scheduling_succeeded
    assert damaged(project) == set()


def test_wrong_credentials_end_it_and_a_day_of_its_own_trouble_does_not(project, amplitude):
    amplitude.has(*range(20, 24), day=NEXT)
    assert project.run_day(NEXT).scheduling_succeeded
    for day in (DAY, NEXT):
        flip(file(project.layout, "zip", day))
    amplitude.has(*range(4))
    first, second = mend(project)
    assert isinstance(first.error, LoadError)
    assert (second.must_run, second.error) == (True, None)
    assert project.run_day(NEXT).scheduling_succeeded
    flip(file(project.layout, "zip", NEXT))
    project.set(AMP_SECRET_KEY="canary-of-another-project")
    (only,) = mend(project)
    assert isinstance(only.error, CredentialsError)
    assert days.load_record(project.layout, DAY).app == APP


def test_where_amplitude_refuses_the_key_what_needs_no_request_is_mended_all_the_same(project, amplitude):
    amplitude.has(*range(10), day=NEXT)
    amplitude.has(*range(10), day=NEXT + dt.timedelta(days=1))
    last = NEXT + dt.timedelta(days=1)
    for day in (NEXT, last):
        assert project.run_day(day).scheduling_succeeded
    for day in (DAY, NEXT):
        flip(file(project.layout, "zip", day))
    flip(file(project.layout, "parquet", last))
    amplitude.sandbox.requests.clear()
    project.set(AMP_SECRET_KEY="another")
    first, mended = mend(project)
    assert (first.date, type(first.error)) == (DAY, CredentialsError)
    assert (mended.date, mended.error) == (last, None)
    assert len(amplitude.sandbox.requests) == 1
    assert {path for _, path in damaged(project)} == {f"raw/{DAY}.zip", f"raw/{NEXT}.zip"}
