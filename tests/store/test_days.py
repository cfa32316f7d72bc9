"""Whether a stage of a day is done: its record stands, names the stage before it, and answers every redo."""

import datetime as dt

import msgspec
import pytest
from archives import APP, DAY, day_zip, export, export_record, name, write, zipped

from pipeline.errors import ConfigError, StorageError
from pipeline.export.extract import extract_day
from pipeline.settings import Settings
from pipeline.store import days, manifest
from pipeline.store.paths import Layout


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "data")


def extract(layout):
    return extract_day(DAY, Settings(data_dir=layout.root), lambda _share, _text: None)


@pytest.fixture
def done(layout):
    """A day that is exported and extracted."""
    day_zip(layout, {name(0): zipped(b"{}\n")})
    extract(layout)
    assert state(layout) == (True, True)
    return layout


def state(layout):
    return days.is_exported(layout, DAY), days.is_extracted(layout, DAY)


def test_a_day_of_which_nothing_is_stored_is_not_done(layout):
    assert state(layout) == (False, False)
    assert days.redo_asked(layout, DAY) is None


def test_whether_events_are_done_is_told_without_the_load_record(done):
    write(done.parquet_marker(DAY), b'{"format": 2}')  # it would stop whoever reads it
    assert state(done) == (True, True)


def test_O8_events_stay_complete_when_their_zip_is_deleted(done):
    done.raw_zip(DAY).unlink()
    assert state(done) == (False, True)


@pytest.mark.parametrize("kind", ["0_bytes", "empty_directory", "dangling_link"])
def test_F14_what_only_stands_at_a_zips_place_is_not_complete(done, kind):
    place = done.raw_zip(DAY)
    place.unlink()
    {
        "0_bytes": lambda: place.write_bytes(b""),
        "empty_directory": place.mkdir,
        "dangling_link": lambda: place.symlink_to("nowhere"),
    }[kind]()
    assert state(done) == (False, True)


def test_O7_events_that_were_deleted_are_made_again_from_the_zip(done):
    before = {path.name: path.read_bytes() for path in done.events_dir(DAY).glob("*.json")}
    for path in done.events_dir(DAY).iterdir():
        path.unlink()
    assert state(done) == (True, False)
    extract(done)
    assert state(done) == (True, True)
    assert {path.name: path.read_bytes() for path in done.events_dir(DAY).glob("*.json")} == before


def test_a_replaced_zip_reaches_the_events(done):
    day_zip(done, {name(0): zipped(b"{}\n{}\n")}, id="export-2")
    assert state(done) == (True, False)
    assert extract(done).totals.events == 2
    assert days.events_record(done, DAY).export.id == "export-2"
    assert state(done) == (True, True)


def test_a_redo_is_asked_of_each_stage_and_stays_until_the_last_has_answered(done):
    days.ask_redo(done, DAY)
    token = days.redo_asked(done, DAY)
    assert state(done) == (False, False)
    day_zip(done, {name(0): zipped(b"{}\n")}, id="export-2", redo=token)
    assert state(done) == (True, False)
    extract(done)
    assert state(done) == (True, True)
    assert days.redo_asked(done, DAY) == token
    days.clear_redo(done, DAY, "an older token")
    assert days.redo_asked(done, DAY) == token
    days.clear_redo(done, DAY, token)
    assert list(done.redo(DAY).parent.iterdir()) == []


def test_a_redo_of_events_whose_zip_is_pruned_starts_at_the_zip(done):
    done.raw_zip(DAY).unlink()
    days.ask_redo(done, DAY)
    assert state(done) == (False, False)


def test_a_redo_that_is_asked_while_an_older_one_is_answered_stays(done):
    days.ask_redo(done, DAY)
    first = days.redo_asked(done, DAY)
    day_zip(done, {name(0): zipped(b"{}\n")}, id="export-2", redo=first)
    days.ask_redo(done, DAY)
    assert days.redo_asked(done, DAY) != first
    extract(done)
    assert days.redo_asked(done, DAY) is not None
    assert state(done) == (False, False)


def test_a_token_that_a_killed_run_left_answered_asks_for_nothing(done):
    days.ask_redo(done, DAY)
    token = done.redo(DAY).read_bytes()
    day_zip(done, {name(0): zipped(b"{}\n")}, redo=days.redo_asked(done, DAY))
    extract(done)
    write(done.redo(DAY), token)
    assert state(done) == (True, True)


def test_F9_a_redo_that_cannot_be_written_is_told_with_its_path(layout):
    write(layout.root / ".redo", b"")
    with pytest.raises(StorageError, match=r"\.redo"):
        days.ask_redo(layout, DAY)


def test_O14_a_newer_record_stops_the_day_before_anything_is_written(done):
    record = msgspec.structs.replace(days.events_record(done, DAY), format=2)
    done.events_marker(DAY).write_bytes(manifest.encode(record))
    for ask in (lambda: days.is_extracted(done, DAY), lambda: extract(done)):
        with pytest.raises(ConfigError, match="newer version"):
            ask()
    assert done.events_marker(DAY).read_bytes() == manifest.encode(record)


def test_O15_a_data_folder_that_was_moved_is_as_complete_as_before(done):
    moved = Layout(done.root.rename(done.root.with_name("elsewhere")))
    assert state(moved) == (True, True)
    records = manifest.encode(days.events_record(moved, DAY)) + manifest.encode(days.export_record(moved, DAY))
    assert str(done.root.parent).encode() not in records


def test_another_projects_events_are_refused_by_both_names(done):
    owner = days.project(done, DAY + dt.timedelta(days=5))
    assert (owner.app, owner.host) == (APP, "loopback")
    owner.refuse_other(APP)
    with pytest.raises(ConfigError, match=rf"project {APP}, and these are of project 7.*PIPELINE_DATA_DIR"):
        owner.refuse_other(7)


def test_whose_days_they_are_is_known_from_events_alone_and_past_empty_days(done):
    done.raw_zip(DAY).unlink()
    nearer = DAY + dt.timedelta(days=1)
    empty = export_record(date=nearer, app=None, host="")
    write(done.raw_zip(nearer), export({"_export.json": manifest.encode(empty)}))
    assert days.project(done, nearer) == days.Project(done.root, APP, "loopback")


def test_the_nearest_stored_days_come_first(layout):
    for distance in (-3, 1, 5):
        date = DAY + dt.timedelta(days=distance)
        write(layout.raw_zip(date), export({"_export.json": manifest.encode(export_record(date=date))}))
    write(layout.raw_zip(DAY), b"damaged")
    assert [(date - DAY).days for date, _ in days.nearest(layout, DAY)] == [1, -3, 5]
