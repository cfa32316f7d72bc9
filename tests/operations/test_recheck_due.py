"""Which days are to be asked for again, and when."""

import datetime as dt

import msgspec
import pytest
from amplitude import Amplitude
from archives import DAY

from pipeline.operations.recheck import SCHEDULE, due
from pipeline.store import days, manifest, partition
from pipeline.store.publish import remove
from pipeline.store.records import LoadRecord, Recheck

SETTLED = dt.datetime(2026, 1, 16, 3, tzinfo=dt.UTC)


def after(days_: float) -> dt.datetime:
    return SETTLED + dt.timedelta(days=days_)


@pytest.fixture
def project(project):
    """A project with one stored day."""
    Amplitude(project).has(1, 2)
    assert project.run_day(DAY).scheduling_succeeded
    return project


def write(project, record: LoadRecord, day=DAY) -> None:
    project.layout.parquet_marker(day).write_bytes(manifest.encode(record))


def asked(project, *times: dt.datetime | None) -> None:
    """Makes the day fetched at the first of the times, and asked for again at the others."""
    record = days.load_record(project.layout, DAY)
    ref = msgspec.structs.replace(record.export, fetched_at=times[0])
    again = [Recheck(at=at, events=2, grown=0, shrunk=0, replaced=False) for at in times[1:]]
    write(project, msgspec.structs.replace(record, export=ref, rechecks=again))


def copy(project, day: dt.date) -> None:
    """Stores the same rows as another day, loaded alone."""
    record = days.load_record(project.layout, DAY)
    for file in record.files:
        place = project.layout.parquet_dir(day) / file.name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes((project.layout.parquet_dir(DAY) / file.name).read_bytes())
    write(project, msgspec.structs.replace(record, date=day), day)


TABLE = [
    # fetched, asked for again, now, due
    (0.1, [], 0.9, False),
    (0.1, [], 1.0, True),
    (0.1, [], 400, True),
    (1.0, [], 2.9, False),
    (1.5, [], 3.0, True),
    (29.9, [], 30, True),
    (30, [], 400, False),
    (200, [], 400, False),
    (0.1, [1.2], 2.9, False),
    (0.1, [1.2], 3.1, True),
    (0.1, [1.2, 3.3], 6.9, False),
    (0.1, [1.2, 3.3, 7.5], 29.9, False),
    (0.1, [1.2, 3.3, 7.5], 30.1, True),
    (0.1, [1.2, 3.3, 7.5, 30.2], 4000, False),
    (0.1, [30.2, 1.2], 400, False),
    (None, [], 0.9, False),
    (None, [], 1.1, True),
    (None, [30.1], 400, False),
]


@pytest.mark.parametrize(("fetched", "again", "now", "expected"), TABLE)
def test_a_day_is_due_when_a_point_of_its_schedule_has_passed_since_it_was_asked_for(
    project, fetched, again, now, expected
):
    remove(project.layout.raw_zip(DAY))  # which would say when it was fetched
    asked(project, *(at if at is None else after(at) for at in (fetched, *again)))
    assert due(project.settings, after(now), 3) == ([DAY] if expected else [])


def test_the_schedule_is_counted_from_when_the_day_has_settled(project):
    project.set(AMP_SETTLE_HOURS=27)
    asked(project, after(0.1))
    assert not due(project.settings, after(1.9), 3)
    assert due(project.settings, after(2), 3)


def test_where_the_record_does_not_say_when_it_was_fetched_the_zip_does(project):
    record = days.load_record(project.layout, DAY)
    write(project, msgspec.structs.replace(record, export=msgspec.structs.replace(record.export, fetched_at=None)))
    far = after(30.5)
    assert far < record.export.fetched_at  # the test's day was settled long ago
    assert not due(project.settings, dt.datetime.now(dt.UTC), 3)
    remove(project.layout.raw_zip(DAY))
    assert due(project.settings, dt.datetime.now(dt.UTC), 3) == [DAY]


def test_at_most_so_many_days_the_newest_points_first_and_of_them_the_oldest_day(project):
    asked(project, after(0.1))
    for n in range(1, 35):
        copy(project, DAY + dt.timedelta(days=n))
    now = after(34.5)
    newest = {DAY + dt.timedelta(days=34 - n) for n in SCHEDULE}
    assert due(project.settings, now, 4) == sorted(newest)
    assert due(project.settings, now, 3) == sorted(newest)[:3]
    assert due(project.settings, now, 0) == []
    everything = due(project.settings, now, 100)
    assert len(everything) == len(set(everything)) == 34  # the last is not a day old
    assert everything[:4] == sorted(newest)
    assert everything[4:8] == [day - dt.timedelta(days=1) for day in sorted(newest)]


def test_a_day_that_is_not_complete_is_not_due(project):
    asked(project, after(0.1))
    assert due(project.settings, after(2), 3)
    days.ask_redo(project.layout, DAY)
    assert not due(project.settings, after(2), 3)


def test_nothing_is_due_where_nothing_is_stored(project):
    project.set(PIPELINE_DATA_DIR=project.path / "other")
    assert not due(project.settings, after(2), 3)


def test_what_a_recheck_notes_is_what_makes_the_day_due_no_more(project):
    noted = Recheck(at=after(3.5), events=2, grown=0, shrunk=0, replaced=False)
    asked(project, after(0.1))
    partition.note_recheck(project.layout, days.load_record(project.layout, DAY), noted)
    assert not due(project.settings, after(6.9), 3)
    assert due(project.settings, after(7.1), 3)
