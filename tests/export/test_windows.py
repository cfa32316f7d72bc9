"""How a day is cut into windows: sizes, bounds, halves, and the hours as the API counts them."""

import dataclasses
import datetime as dt
import os
import random
import time

import pytest
from asking import DAY, SIX_HOURS, answers, asked, cut_of, fetch

from pipeline.export.windows import HOURS, SIZES, UNKNOWN_SIZE, Window, cut, halved, largest_size
from pipeline.store import days, records

MB = 1_000_000
DST = [dt.date(2026, 3, 29), dt.date(2026, 10, 25), dt.date(2026, 3, 8), dt.date(2026, 11, 1)]
ZONES = ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Tokyo", "Asia/Kathmandu", "Pacific/Apia"]


def windows(*refused):
    """A stored day's windows, refused by (hours, status)."""
    return [
        records.FetchedWindow(
            first=0, last=hours - 1, status=status, tries=1, bytes=0, requested_at=dt.datetime.now(dt.UTC), seconds=1
        )
        for hours, status in refused
    ]


@pytest.mark.parametrize("size", SIZES)
def test_cut_leaves_no_hour_out_and_gives_none_twice(size):
    dice = random.Random(size)
    for hours in [
        set(range(24)),
        set(),
        {0},
        {23},
        *(set(dice.sample(range(24), dice.randrange(25))) for _ in range(300)),
    ]:
        windows = cut(dice.sample(sorted(hours), len(hours)), size)
        assert [hour for window in windows for hour in window.hours] == sorted(hours)
        assert all(len(window.hours) in SIZES and len(window.hours) <= size for window in windows)
        assert all(window.first % len(window.hours) == 0 for window in windows)


@pytest.mark.parametrize("size", SIZES)
def test_cut_of_a_day_is_as_few_windows_as_can_be(size):
    assert len(cut(range(24), size)) == 24 // size


def test_cut_joins_only_neighbours_to_a_size_that_there_is():
    assert cut([3, 4, 5, 1, 0, 7, 6, 23], 6) == [
        Window(0, 0), Window(1, 1), Window(3, 5), Window(6, 6), Window(7, 7), Window(23, 23),
    ]  # fmt: skip
    assert cut(range(6, 24), 24) == [Window(6, 11), Window(12, 23)]


def test_a_size_is_halved_down_to_one_hour_and_then_no_more():
    assert [halved(size) for size in SIZES] == [12, 6, 3, 1, 0]


@pytest.mark.parametrize(
    ("day_bytes", "size"),
    [(1, 24), (64 * MB, 24), (64 * MB + 1, 12), (128 * MB, 12), (128 * MB + 1, 6), (256 * MB + 1, 3), (512 * MB, 3),
     (512 * MB + 1, 1), (10**12, 1)],
)  # fmt: skip
def test_the_size_is_the_largest_that_the_nearest_day_puts_under_window_bytes(day_bytes, size):
    assert largest_size([(day_bytes, windows())], 64 * MB) == size


@pytest.mark.parametrize("status", [400, 413, 504])
@pytest.mark.parametrize(("refused", "size"), [([24], 12), ([24, 12], 6), ([12, 24], 6), ([6], 3), ([3], 1), ([1], 1)])
def test_the_size_is_below_what_was_refused_that_day(refused, size, status):
    assert largest_size([(1, windows(*((hours, status) for hours in refused)))], 64 * MB) == size


def test_what_was_refused_on_a_day_near_by_holds_too_and_the_nearest_day_says_the_bytes():
    assert largest_size([(1, windows((6, 200))), (10**12, windows((24, 400), (12, 400)))], 64 * MB) == 6


def test_an_answer_or_an_empty_window_limits_nothing():
    assert largest_size([(1, windows((6, 200), (3, 404)))], 64 * MB) == 24


def test_while_nothing_is_stored_a_window_has_six_hours():
    assert largest_size([], 1) == largest_size([], 10**12) == UNKNOWN_SIZE == 6


@pytest.mark.parametrize("size", [24, 12, 6, 3, 1])
def test_a_run_takes_the_size_from_the_stored_days_bytes(project, size):
    sandbox = project.sandbox()
    fetch(project)
    assert sorted(asked(sandbox)) == SIX_HOURS
    project.set(AMP_WINDOW_BYTES=-(-project.layout.raw_zip(DAY).stat().st_size * size // 24))
    sandbox.requests.clear()
    fetch(project, DAY + dt.timedelta(days=3))
    assert sorted(asked(sandbox)) == cut_of(size)


def test_a_run_judges_by_the_nearest_day_and_by_what_was_refused_near_it(project):
    sandbox = project.sandbox(faults=["status:400,over=1"])
    fetch(project, dt.date(2026, 1, 1))
    sandbox.faults.clear()
    project.set(AMP_WINDOW_BYTES=1_000_000)
    near, far = dt.date(2026, 1, 3), dt.date(2026, 1, 20)
    days_before = days.export_record(project.layout, dt.date(2026, 1, 1))
    assert ("00-02", 400, 1) in answers(days_before)
    fetch(project, near)
    assert len(asked(sandbox, near)) == 24
    fetch(project, far)  # the nearest is the 3rd now, which was asked in small windows for the 1st's sake
    assert len(asked(sandbox, far)) == 24


@pytest.mark.parametrize(
    "day", [dt.date(2024, 2, 29), dt.date(2025, 12, 31), dt.date(2026, 1, 1), dt.date(2020, 12, 31)]
)
def test_T7_leap_days_and_years_ends_ask_for_their_own_24_hours(project, day):
    sandbox = project.sandbox()
    fetch(project, day)
    assert {(r.start[:8], r.end[:8]) for r in sandbox.requests} == {(f"{day:%Y%m%d}",) * 2}
    assert sorted(asked(sandbox)) == SIX_HOURS


@pytest.mark.parametrize("zone", ZONES)
def test_T1_T2_no_time_zone_and_no_dst_day_changes_a_request(project, monkeypatch, zone):
    sandbox = project.sandbox()
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for day in DST:
            project.set(PIPELINE_DATA_DIR=project.path / str(day))
            sandbox.requests.clear()
            fetch(project, day)
            said = sorted((r.start, r.end) for r in sandbox.requests)
            assert said == [(f"{day:%Y%m%d}T{h:02d}", f"{day:%Y%m%d}T{h + 5:02d}") for h in range(0, 24, 6)]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_T1_T2_a_process_in_another_zone_asks_for_the_same_hours(project):
    sandbox = project.sandbox()
    for zone in ("Pacific/Apia", "America/Los_Angeles"):
        sandbox.requests.clear()
        done = project.pipeline(
            "run", "--date", "2026-03-29", TZ=zone, PIPELINE_DATA_DIR=str(project.path / zone.replace("/", "_"))
        )
        assert done.returncode == 0, done.stderr
        assert sorted(r.start for r in sandbox.requests) == [f"20260329T{hour:02d}" for hour in range(0, 24, 6)]


def test_T10_no_size_is_judged_by_a_files_time(project):
    sandbox = project.sandbox()
    for day in (dt.date(2026, 1, 1), dt.date(2026, 1, 10)):
        fetch(project, day)
    sizes = project.layout.raw_zip(dt.date(2026, 1, 1)).stat().st_size
    os.utime(project.layout.raw_zip(dt.date(2026, 1, 1)), (0, 0))
    project.set(AMP_WINDOW_BYTES=sizes)
    fetch(project, dt.date(2026, 1, 2))
    assert asked(sandbox, dt.date(2026, 1, 2)) == ["00-23"]


def test_a_window_says_its_hours_as_the_api_and_as_a_file_have_them():
    window = Window(0, 5)
    assert window.query(DAY) == {"start": "20260115T00", "end": "20260115T05"}
    assert window.name == "00-05"
    assert list(window.hours) == [0, 1, 2, 3, 4, 5]
    assert dataclasses.astuple(Window(23, 23)) == (23, 23)
    assert HOURS == 24


def test_O6_whatever_the_range_a_request_is_of_one_day(project):
    sandbox = project.sandbox(events_per_hour=1)
    for day in (dt.date(2025, 12, 31), dt.date(2026, 1, 1)):
        fetch(project, day)
    assert all(request.start[:8] == request.end[:8] for request in sandbox.requests)
    assert {request.start[:8] for request in sandbox.requests} == {"20251231", "20260101"}
