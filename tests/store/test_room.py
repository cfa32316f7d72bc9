"""What a day will take, by its neighbours; and a disk that is too small for it is told before anything is asked."""

import datetime as dt
import shutil

import msgspec
import pytest
from archives import DAY

from pipeline.errors import StorageError
from pipeline.export.download import fetch_day
from pipeline.store import days, manifest
from pipeline.store.paths import Layout
from pipeline.store.publish import remove
from pipeline.store.records import FetchedWindow
from pipeline.store.room import NEAR, Estimates, _under_way, refuse_small_disk

NEXT = DAY + dt.timedelta(days=1)
HUGE = 10**18


@pytest.fixture
def stored(project):
    """A project with a stored day."""
    project.sandbox()
    assert project.run_day(DAY).scheduling_succeeded
    return project


def copy(project, day, **changes: int) -> None:
    """Stores the day's rows as another day, which says that it took so much; its ZIP and JSON are gone."""
    record = days.load_record(project.layout, DAY)
    folder = project.layout.parquet_dir(day)
    folder.mkdir(exist_ok=True)
    for file in record.files:
        if day != DAY:
            (folder / file.name).write_bytes((project.layout.parquet_dir(DAY) / file.name).read_bytes())
    ref = msgspec.structs.replace(record.export, bytes=changes.get("zip", record.export.bytes))
    totals = msgspec.structs.replace(record.extraction.totals, bytes=changes.get("json", 0))
    extraction = msgspec.structs.replace(record.extraction, totals=totals)
    new = msgspec.structs.replace(record, date=day, export=ref, extraction=extraction)
    project.layout.parquet_marker(day).write_bytes(manifest.encode(new))


def test_without_a_stored_day_there_is_no_estimate_and_nothing_is_refused(project):
    assert Estimates(project.layout).of(DAY) is None
    refuse_small_disk(project.layout, DAY, project.layout)


def test_a_stored_day_says_what_one_takes_of_the_disk_and_of_the_api(stored):
    found = Estimates(stored.layout).of(NEXT)
    export, load = days.export_record(stored.layout, DAY), days.load_record(stored.layout, DAY)
    assert found.zip == stored.layout.raw_zip(DAY).stat().st_size
    assert found.json == load.extraction.totals.bytes
    assert found.parquet == load.bytes
    assert found.stored == found.zip + found.json + found.parquet
    assert found.needed == found.stored + found.zip
    assert found.near == [(found.zip, export.windows)]
    assert 0 < found.seconds <= sum(window.seconds for window in export.windows)


def test_a_pruned_day_says_what_it_took_and_not_how_it_was_fetched(stored):
    whole = Estimates(stored.layout).of(NEXT)
    remove(stored.layout.raw_zip(DAY))
    remove(stored.layout.events_dir(DAY))
    pruned = Estimates(stored.layout).of(NEXT)
    assert (pruned.zip, pruned.json, pruned.parquet) == (whole.zip, whole.json, whole.parquet)
    assert (pruned.near, pruned.seconds) == ([(whole.zip, [])], None)


def test_a_day_of_which_only_the_zip_stands_says_nothing_of_the_rest(project):
    project.sandbox()
    fetch_day(DAY, project.settings, lambda _share, _text: None)
    found = Estimates(project.layout).of(NEXT)
    assert (found.json, found.parquet) == (0, 0)
    assert found.zip
    assert len(found.near[0][1]) == 4


def test_it_is_the_mean_of_the_nearest_days(stored):
    for n in range(1, NEAR + 1):
        copy(stored, DAY + dt.timedelta(days=n), zip=100 * n, json=1000 * n)
    far = DAY + dt.timedelta(days=300)
    found = Estimates(stored.layout).of(far)
    assert (found.zip, found.json) == (400, 4000)  # of 1 to 7; the eighth is too far
    assert Estimates(stored.layout).of(dt.date.max) == found


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([], 0),
        ([(0, 10)], 10),
        ([(0, 10), (2, 3), (5, 10)], 15),  # at once
        ([(0, 10), (100, 5)], 15),  # after a pause
        ([(100, 5), (0, 10)], 15),
    ],
)
def test_the_seconds_are_those_in_which_a_request_is_under_way(windows, expected):
    began = dt.datetime(2026, 1, 16, tzinfo=dt.UTC)
    asked = [
        FetchedWindow(
            first=0,
            last=5,
            status=200,
            tries=1,
            bytes=1,
            seconds=seconds,
            requested_at=began + dt.timedelta(seconds=at),
        )
        for at, seconds in windows
    ]
    assert _under_way(asked) == pytest.approx(expected)


@pytest.mark.parametrize("what", ["zip", "json"])
def test_F6_a_disk_that_is_too_small_is_told_with_numbers_before_anything_is_asked_for(stored, what):
    remove(stored.layout.raw_zip(DAY))
    remove(stored.layout.events_dir(DAY))
    copy(stored, DAY, **{what: HUGE})
    sandbox = stored.sandbox()
    before = stored.tree()
    with pytest.raises(StorageError) as refused:
        fetch_day(NEXT, stored.settings, lambda _share, _text: None)
    needed = {"zip": "2000000.0 TB", "json": "1000000.0 TB"}[what]
    assert f"2026-01-16 needs about {needed} there" in refused.value.what
    assert f"{stored.data}" in refused.value.what
    assert " are free" in refused.value.what
    assert not sandbox.requests
    assert stored.tree() == before


def test_F6_verified_windows_that_are_there_are_not_needed_twice(stored, monkeypatch):
    expected = Estimates(stored.layout).of(NEXT)
    window = stored.layout.windows_dir(NEXT) / "00-05.zip"
    window.parent.mkdir()
    window.write_bytes(bytes(expected.zip // 2))
    usage = shutil.disk_usage(stored.data)
    room = expected.needed - expected.zip // 2
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=room))
    refuse_small_disk(stored.layout, NEXT, stored.layout)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=room - 1))
    with pytest.raises(StorageError):
        refuse_small_disk(stored.layout, NEXT, stored.layout)


def test_F6_a_recheck_is_measured_where_it_is_staged_and_by_the_stored_days(stored):
    remove(stored.layout.raw_zip(DAY))
    copy(stored, DAY, zip=HUGE)
    with pytest.raises(StorageError):
        refuse_small_disk(stored.layout, DAY, stored.layout.recheck(DAY))
    refuse_small_disk(Layout(stored.path / "empty"), DAY, stored.layout.recheck(DAY))
