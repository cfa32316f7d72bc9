"""Days asked for again: the same, grown, shrunk; replaced or left; and when each is due."""

import datetime as dt
import io
import zipfile

import msgspec
import pytest
from amplitude import Amplitude, command, noted, stored, uuids
from archives import APP, DATE, DAY, day_zip, export, name, zipped
from lines import line
from processes import background, wait_for
from projects import leaks

from pipeline import logs
from pipeline.errors import ArchiveError, ConfigError, CredentialsError, LimitError, LoadError, TransientError
from pipeline.operations.recheck import Result, recheck, refetch
from pipeline.store import days, manifest, quarantine
from pipeline.store.publish import remove
from pipeline.store.records import FetchedWindow

NEXT = DAY + dt.timedelta(days=1)
REPLACE = {"replace": True}


@pytest.fixture
def amplitude(project):
    """A day of ten events that is stored, and the Amplitude that it came from."""
    found = Amplitude(project)
    found.has(*range(10))
    assert project.run_day(DAY).scheduling_succeeded
    found.sandbox.requests.clear()
    return found


def again(project, *dates, replace=False) -> list[Result]:
    logs.setup(project.logs)
    return recheck(project.settings, dates or (DAY,), lambda _share, _text: None, replace=replace)


def numbers(result: Result) -> tuple[int, int, int, int]:
    assert result.error is None, result.error
    found = result.difference
    return found.events, found.grown, found.shrunk, found.changed


CHANGES = {
    "the same bytes": (range(10), {}, (10, 0, 0, 0), "the same (10 now)"),
    "T8 other gzip bytes": (range(10), {"level": 1}, (10, 0, 0, 0), "the same (10 now)"),
    "T8 late arrivals": (range(13), {}, (13, 3, 0, 0), "grown by 3 events (13 now)"),
    "T8 privacy deletions": (range(1, 10), {}, (9, 0, 1, 0), "shrunk by 1 event (9 now)"),
    "both": (range(4, 12), {}, (8, 2, 4, 0), "grown by 2 events, shrunk by 4 events (8 now)"),
    "other values": (range(10), {"city": "Bonn"}, (10, 0, 0, 10), "other values in 10 events (10 now)"),
    "everything": ((), {}, (0, 0, 10, 0), "shrunk by 10 events (0 now)"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_T8_what_amplitude_has_now_is_compared_by_uuid_and_noted_and_nothing_is_touched(project, amplitude, change):
    events, options, expected, said = CHANGES[change]
    before = project.tree()
    amplitude.has(*events, **options)
    asked_from = dt.datetime.now(dt.UTC)
    (result,) = again(project)
    assert numbers(result) == expected
    assert result.said == said
    assert not result.replaced
    (note,) = noted(project)
    assert (note.events, note.grown, note.shrunk, note.changed, note.replaced) == (*expected, False)
    assert asked_from <= note.at <= dt.datetime.now(dt.UTC)
    marker = str(project.layout.parquet_marker(DAY).relative_to(project.data))
    after = project.tree()
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == {marker}
    assert days.is_loaded(project.layout, DAY)
    assert not project.leftovers()
    assert not leaks("".join(map(str, after.values())))


def test_the_same_members_are_not_extracted_and_the_same_json_is_not_loaded(project, amplitude):
    def steps() -> str:
        said = []
        (result,) = recheck(project.settings, [DAY], lambda _share, text: said.append(text), replace=False)
        assert numbers(result) == (10, 0, 0, 0)
        return " ".join(said)

    assert "file" not in steps()
    amplitude.has(*range(10), level=1)
    assert "looking for duplicates" not in (said := steps())
    assert "file 2 of 2" in said


def test_T8_rows_without_a_uuid_are_compared_by_all_their_values(project):
    project.set(PIPELINE_MAX_REJECTED=1)
    amplitude = Amplitude(project)
    amplitude.has(*range(10), uuid=None)
    assert project.run_day(DAY).scheduling_succeeded
    amplitude.has(*range(12), uuid=None)
    assert numbers(again(project)[0]) == (12, 2, 0, 0)
    amplitude.has(*range(7), uuid=None)
    assert numbers(again(project)[0]) == (7, 0, 3, 0)
    amplitude.has(*range(7, 17), uuid=None)
    assert numbers(again(project)[0]) == (10, 7, 7, 0)


@pytest.mark.parametrize("change", [change for change in CHANGES if change != "everything"])
def test_T8_a_day_that_differs_is_replaced_whole_where_that_is_asked_for(project, amplitude, change):
    events, options, expected, _ = CHANGES[change]
    old = days.load_record(project.layout, DAY)
    amplitude.has(*events, **options)
    (result,) = again(project, **REPLACE)
    differs = any(expected[1:])
    assert numbers(result) == expected
    assert result.replaced is differs
    assert stored(project) == uuids(*range(10))  # readable until the chain has made the new
    assert days.is_loaded(project.layout, DAY) is not differs
    asked = len(amplitude.sandbox.requests)
    assert project.run_day(DAY).scheduling_succeeded
    assert len(amplitude.sandbox.requests) == asked
    assert days.is_loaded(project.layout, DAY)
    assert stored(project) == uuids(*events)
    assert (days.load_record(project.layout, DAY).export.id != old.export.id) is differs
    assert [note.replaced for note in noted(project)] == [differs]
    assert not project.leftovers()
    assert numbers(again(project)[0]) == (expected[0], 0, 0, 0)
    assert len(noted(project)) == 2


def test_an_empty_day_never_takes_the_place_of_events(project, amplitude):
    amplitude.has()
    before = project.layout.raw_zip(DAY).read_bytes()
    (result,) = again(project, **REPLACE)
    assert isinstance(result.error, LoadError)
    assert f"make force DATE={DATE}" in str(result.error)
    assert not result.replaced
    assert project.layout.raw_zip(DAY).read_bytes() == before
    assert days.is_loaded(project.layout, DAY)
    assert [(note.shrunk, note.replaced) for note in noted(project)] == [(10, False)]
    assert not project.leftovers()


def test_an_empty_day_that_stays_empty_is_the_same(project):
    amplitude = Amplitude(project)
    assert project.run_day(DAY).scheduling_succeeded
    assert numbers(again(project, **REPLACE)[0]) == (0, 0, 0, 0)
    amplitude.has(1, 2)
    assert numbers(again(project, **REPLACE)[0]) == (2, 2, 0, 0)
    assert project.run_day(DAY).scheduling_succeeded
    assert stored(project) == uuids(1, 2)


def test_another_projects_events_are_refused_and_end_it(project, amplitude):
    amplitude.has(*range(10), app=7)
    before = project.tree()
    results = again(project, DAY, NEXT, **REPLACE)
    assert len(results) == 1
    assert isinstance(results[0].error, ConfigError)
    assert f"of project {APP}, and these are of project 7" in str(results[0].error)
    assert project.tree() == before


def test_refused_credentials_end_it_after_one_request(project, amplitude):
    project.set(AMP_SECRET_KEY="another")
    results = again(project, DAY, NEXT)
    assert [type(result.error) for result in results] == [CredentialsError]
    assert len(amplitude.sandbox.requests) == 1


def test_a_day_that_fails_does_not_stop_the_next(project, amplitude):
    amplitude.has(*range(20, 24), day=NEXT)
    assert project.run_day(NEXT).scheduling_succeeded
    amplitude.sandbox.faults.append("status:503,hour=20,times=3")
    amplitude.has(*range(20, 27), day=NEXT)
    first, second, third = again(project, DAY, NEXT, NEXT + dt.timedelta(days=1))
    assert isinstance(first.error, TransientError)
    assert numbers(second) == (7, 3, 0, 0)
    assert isinstance(third.error, LoadError)
    assert "make run DATE=2026-01-17" in str(third.error)
    assert noted(project) == []
    said = "2026-01-15 recheck        TransientError: hours 00-23, tried 3 times: loopback answered 503"
    assert said in project.logged()


def in_windows(project) -> None:
    """Makes the day be asked for in windows of six hours."""
    project.set(AMP_WINDOW_BYTES=project.layout.raw_zip(DAY).stat().st_size // 4 + 1)


def test_verified_windows_of_a_recheck_that_failed_are_taken_up_by_the_next(project, amplitude):
    in_windows(project)
    amplitude.sandbox.faults.append("status:503,hour=20,times=3")
    assert again(project)[0].error
    assert project.leftovers()
    assert project.run_day(DAY).scheduling_succeeded  # leaves them
    asked = len(amplitude.sandbox.requests)
    assert numbers(again(project)[0]) == (10, 0, 0, 0)
    hours = [request.start[-2:] for request in amplitude.sandbox.requests[asked:]]
    assert "00" not in hours
    assert "18" in hours
    assert not project.leftovers()


def test_what_an_earlier_recheck_left_is_fetched_anew_once_it_is_old(project, amplitude, monkeypatch):
    in_windows(project)
    amplitude.sandbox.faults.append("status:503,hour=20,times=3")
    assert again(project)[0].error
    monkeypatch.setattr("pipeline.operations.again._TAKEN_UP", dt.timedelta(0))
    asked = len(amplitude.sandbox.requests)
    assert numbers(again(project)[0]) == (10, 0, 0, 0)
    assert "00" in [request.start[-2:] for request in amplitude.sandbox.requests[asked:]]


def flip(path) -> None:
    """Damages the bytes of a ZIP's last member, as a disk does."""
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") - 20] ^= 1
    path.write_bytes(data)


def fails_once_fetched(project) -> None:
    project.set(PIPELINE_MAX_DAY_BYTES=1000)
    assert isinstance(again(project)[0].error, LimitError)
    project.unset("PIPELINE_MAX_DAY_BYTES")


def test_a_zip_that_a_recheck_had_fetched_is_not_fetched_again_by_the_next(project, amplitude):
    amplitude.has(*range(12))
    fails_once_fetched(project)
    asked = len(amplitude.sandbox.requests)
    before = days.export_record(project.layout.recheck(DAY), DAY).windows[0].requested_at
    assert numbers(again(project)[0]) == (12, 2, 0, 0)
    assert len(amplitude.sandbox.requests) == asked
    assert noted(project)[0].at == before
    assert not project.leftovers()


def test_a_zip_that_a_recheck_had_fetched_is_no_news_once_it_is_old(project, amplitude, monkeypatch):
    amplitude.has(*range(12))
    fails_once_fetched(project)
    amplitude.has(*range(13))
    monkeypatch.setattr("pipeline.operations.again._TAKEN_UP", dt.timedelta(0))
    assert numbers(again(project)[0]) == (13, 3, 0, 0)


def test_a_staged_zip_that_does_not_say_of_which_project_it_is_is_fetched_anew(project, amplitude):
    now = dt.datetime.now(dt.UTC)
    window = FetchedWindow(first=0, last=23, status=404, tries=1, bytes=0, requested_at=now, seconds=1)
    day_zip(project.layout.recheck(DAY), {}, app=None, windows=[window])
    assert numbers(again(project)[0]) == (10, 0, 0, 0)


def test_what_was_staged_and_is_damaged_is_thrown_away(project, amplitude):
    amplitude.has(*range(12))
    fails_once_fetched(project)
    path = project.layout.recheck(DAY).raw_zip(DAY)
    flip(path)
    assert isinstance(again(project)[0].error, ArchiveError)
    assert not path.exists()
    assert numbers(again(project)[0]) == (12, 2, 0, 0)


def test_T8_a_change_that_leaves_every_size_as_it_was_is_seen(project):
    amplitude = Amplitude(project)
    amplitude.has(*range(10), level=0)
    assert project.run_day(DAY).scheduling_succeeded
    amplitude.has(*range(10), level=0, city="Halle")  # as many bytes as the name before
    assert numbers(again(project)[0]) == (10, 0, 0, 10)


def test_a_day_that_is_to_be_done_again_is_not_compared(project, amplitude):
    days.ask_redo(project.layout, DAY)
    (result,) = again(project, **REPLACE)
    assert "it is not complete" in str(result.error)
    assert not amplitude.sandbox.requests


def test_a_recheck_holds_the_locks_of_the_day_and_of_the_api(project, amplitude):
    amplitude.sandbox.faults.append("wait:1")
    with background(*command(replace=False)) as process:
        wait_for(lambda: amplitude.sandbox.requests)
        for lock in (DAY, "api"):
            holder = (project.data / ".locks" / str(lock)).read_text()
            assert holder.startswith(f"process {process.pid},")
        assert process.wait(30) == 0


def test_a_pruned_day_is_compared_by_its_parquet(project, amplitude):
    remove(project.layout.raw_zip(DAY))
    remove(project.layout.events_dir(DAY))
    amplitude.has(*range(12))
    assert numbers(again(project)[0]) == (12, 2, 0, 0)


def test_damaged_rows_are_named_and_compared_with_nothing(project, amplitude):
    file = project.layout.parquet_dir(DAY) / days.load_record(project.layout, DAY).files[0].name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    amplitude.has(*range(12))
    (result,) = again(project, **REPLACE)
    assert isinstance(result.error, LoadError)
    assert f"{file.name} is not what was loaded" in str(result.error)
    assert not result.replaced


def test_rows_of_another_schema_are_named(project, amplitude):
    record = days.load_record(project.layout, DAY)
    project.layout.parquet_marker(DAY).write_bytes(manifest.encode(msgspec.structs.replace(record, schema=99)))
    amplitude.has(*range(12))
    (result,) = again(project)
    assert "its rows are of schema 99" in str(result.error)
    assert f"make force DATE={DATE}" in str(result.error)


# A ZIP that is damaged or gone


@pytest.mark.parametrize("gone", ["quarantined", "cut", "flipped", "directory"])
def test_a_zip_is_fetched_again_where_amplitude_still_has_every_event(project, amplitude, gone):
    path = project.layout.raw_zip(DAY)
    if gone == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif gone == "flipped":
        flip(path)
    elif gone == "directory":
        path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x03"))
    else:
        quarantine.put_aside(project.layout, DAY, path, "it was damaged")
    amplitude.has(*range(11))
    result = refetch(project.settings, DAY, lambda _share, _text: None)
    assert numbers(result) == (11, 1, 0, 0)
    assert result.replaced
    assert project.run_day(DAY).scheduling_succeeded
    assert stored(project) == uuids(*range(11))
    assert path.exists()
    assert not project.leftovers()


def test_a_zip_that_is_fetched_again_with_the_same_members_is_whole(project, amplitude):
    path = project.layout.raw_zip(DAY)
    whole = path.read_bytes()
    flip(path)
    result = refetch(project.settings, DAY, lambda _share, _text: None)
    assert (numbers(result), result.replaced) == ((10, 0, 0, 0), True)
    with zipfile.ZipFile(path) as now, zipfile.ZipFile(io.BytesIO(whole)) as before:
        assert now.namelist() == before.namelist()
        assert all(now.read(member) == before.read(member) for member in now.namelist()[1:])


def test_a_zip_is_not_fetched_again_where_an_event_would_be_lost(project, amplitude):
    remove(project.layout.raw_zip(DAY))
    before = project.tree()
    amplitude.has(*range(1, 12))
    result = refetch(project.settings, DAY, lambda _share, _text: None)
    assert not result.replaced
    assert "Amplitude has 1 event of it no more" in str(result.error)
    assert f"make recheck FROM={DATE} TO={DATE} REPLACE=1" in str(result.error)
    assert project.tree() == before
    assert again(project, **REPLACE)[0].replaced
    assert project.run_day(DAY).scheduling_succeeded
    assert stored(project) == uuids(*range(1, 12))


def has_lines(amplitude, *lines: bytes) -> None:
    members = {name(9): zipped(b"".join(each + b"\n" for each in lines))}
    (amplitude.folder / f"{DAY}.zip").write_bytes(export(members))


FEWER = {
    "other rows without a uuid": (
        [line(0), line(1, uuid=None, city="Bonn")], [line(0), line(1, uuid=None, city="Kiel")],
        "Amplitude has 1 event of it no more", f"make recheck FROM={DATE} TO={DATE} REPLACE=1",
    ),
    "no conflict": (
        [line(0), line(1), line(1, city="Bonn")], [line(0), line(1)],
        "Amplitude has 1 duplicate of it no more that differed from the line that is kept", f"make force DATE={DATE}",
    ),
    "no conflict, and no reject": (
        [line(0), line(0, city="Bonn"), line(0, city="Kiel"), b"no event"], [line(0)],
        "Amplitude has 1 line of it no more that became no event and has 2 duplicates of it no more that differed",
        f"make force DATE={DATE}",
    ),
    "other values": (
        [line(0), line(1)], [line(0), line(1, city="Bonn")],
        "Amplitude has other values in 1 event of it", f"make recheck FROM={DATE} TO={DATE} REPLACE=1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", FEWER)
def test_F15_a_zip_is_not_fetched_again_where_a_line_would_be_lost(project, change):
    before, now, why, todo = FEWER[change]
    project.set(PIPELINE_MAX_REJECTED=1)
    amplitude = Amplitude(project)
    has_lines(amplitude, *before)
    assert project.run_day(DAY).scheduling_succeeded
    flip(project.layout.raw_zip(DAY))
    stood = project.tree()
    has_lines(amplitude, *now)
    result = refetch(project.settings, DAY, lambda _share, _text: None)
    assert not result.replaced
    assert why in result.error.what
    assert todo in result.error.todo
    assert project.tree() == stood
    has_lines(amplitude, *before)
    assert refetch(project.settings, DAY, lambda _share, _text: None).replaced
