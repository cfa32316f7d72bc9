"""A window's tries: how often, how long apart, when it is halved, and what is said when all were in vain."""

import datetime as dt
import email.utils
import itertools
import random

import pytest
from asking import DAY, NEXT, answers, asked, assert_whole, cut_of, failure, fetch

from pipeline import logs
from pipeline.errors import ArchiveError, TooLargeError, TransientError
from pipeline.store import days

TOO_LARGE = "The file size of the exported data is too large"


def gaps(sandbox):
    times = [request.at for request in sandbox.requests]
    return [after - before for before, after in itertools.pairwise(times)]


@pytest.mark.parametrize("tries", [1, 2, 5])
def test_H9_the_number_of_tries_is_a_setting(project, tries):
    sandbox = project.sandbox(faults=["status:503"])
    project.set(AMP_TRIES=tries)
    said = failure(project, TransientError)
    assert len(sandbox.requests) == tries
    assert ("tried once" if tries == 1 else f"tried {tries} times") in said


def test_N14_two_failures_and_a_success_are_one_day_and_two_warnings(project):
    sandbox = project.sandbox(faults=["status:503,times=1", "reset,times=1"])
    logs.setup(project.logs)
    record = fetch(project)
    assert answers(record)[0] == ("00-05", 200, 3)
    assert asked(sandbox)[:3] == ["00-05"] * 3
    assert len(sandbox.requests) == 6
    assert_whole(project)
    assert [path.name for path in project.layout.raw_zip(DAY).parent.iterdir()] == [f"{DAY}.zip"]
    warnings = [line for line in project.logged().splitlines() if "WARNING" in line]
    assert "hours 00-05, try 1 of 3: loopback answered 503" in warnings[0]
    assert "hours 00-05, try 2 of 3: loopback reset the connection" in warnings[1]
    assert len(warnings) == 2


def test_the_wait_before_a_try_doubles(project):
    sandbox = project.sandbox(faults=["status:503"])
    project.set(AMP_BACKOFF=0.1, AMP_BACKOFF_CAP=10)
    failure(project, TransientError)
    first, second = gaps(sandbox)
    assert first >= 0.1
    assert second >= 0.2


def test_N1_the_wait_before_a_try_has_jitter(project, monkeypatch):
    sandbox = project.sandbox(faults=["status:503"])
    monkeypatch.setattr(random, "uniform", lambda _least, most: most)
    project.set(AMP_BACKOFF=0.15, AMP_BACKOFF_CAP=10, AMP_TRIES=2)
    failure(project, TransientError)
    assert gaps(sandbox)[0] >= 0.3


def test_the_wait_before_a_try_is_capped(project):
    sandbox = project.sandbox(faults=["status:503"])
    project.set(AMP_BACKOFF=1000, AMP_BACKOFF_CAP=0.01)
    failure(project, TransientError)
    assert len(sandbox.requests) == 3


def test_H7_a_number_of_seconds_in_retry_after_is_obeyed(project):
    sandbox = project.sandbox(faults=["status:429,retry_after=1,times=1"])
    fetch(project)
    assert gaps(sandbox)[0] >= 1
    assert_whole(project)


@pytest.mark.parametrize("value", ["1000000000", "9" * 400, "date"])
def test_H8_a_long_retry_after_is_capped(project, value):
    if value == "date":
        value = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(days=365), usegmt=True)
    sandbox = project.sandbox(faults=[f"status:429,retry_after={value}"])
    project.set(AMP_RETRY_AFTER_CAP=0.2)
    assert "answered 429: Too many requests" in failure(project, TransientError)
    assert len(sandbox.requests) == 3
    assert min(gaps(sandbox)) >= 0.2


@pytest.mark.parametrize("header", ["", ",retry_after=soon"])
def test_H8_without_a_retry_after_the_backoff_holds(project, header):
    sandbox = project.sandbox(faults=[f"status:429,times=2{header}"])
    fetch(project)
    assert asked(sandbox)[:3] == ["00-05"] * 3
    assert_whole(project)


@pytest.mark.parametrize("setting", [{"AMP_BACKOFF": 60, "AMP_BACKOFF_CAP": 60}, {"AMP_RETRY_AFTER_CAP": 900}])
def test_H8_no_wait_goes_past_the_deadline(project, setting):
    sandbox = project.sandbox(
        faults=["status:503,retry_after=600" if "AMP_RETRY_AFTER_CAP" in setting else "status:503"]
    )
    project.set(AMP_DEADLINE=5, **setting)
    assert "tried once" in failure(project, TransientError)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("over", "requests"),
    [
        (6, cut_of(6)),
        (3, ["00-05", *cut_of(3)]),
        (1, ["00-05", "00-02", *cut_of(1)]),
    ],
)
def test_H5_one_window_is_followed_down_before_its_siblings_are_sent(project, over, requests):
    sandbox = project.sandbox(faults=[f"status:400,over={over}"])
    record = fetch(project)
    refused = len(requests) - 24 // over
    assert asked(sandbox)[: refused + 1] == requests[: refused + 1]
    assert sorted(asked(sandbox)) == sorted(requests)
    assert [status == 400 for _, status, _ in answers(record)] == [True] * refused + [False] * (24 // over)
    assert_whole(project)


def test_H5_a_whole_day_in_one_window_is_followed_down_with_three_requests_lost(project):
    sandbox = project.sandbox()
    fetch(project)
    sandbox.faults.append("status:400,over=3")
    sandbox.requests.clear()
    fetch(project, NEXT)
    assert asked(sandbox)[:4] == ["00-23", "00-11", "00-05", "00-02"]
    assert sorted(asked(sandbox)[3:]) == cut_of(3)
    assert_whole(project, NEXT)


def test_H5_windows_that_were_under_way_together_are_refused_once_each(project):
    sandbox = project.sandbox()
    fetch(project)
    sandbox.faults.extend(["wait:0.1", "status:400,over=3"])
    sandbox.requests.clear()
    project.set(AMP_WINDOW_BYTES=project.layout.raw_zip(DAY).stat().st_size // 4 + 1)
    record = fetch(project, NEXT)
    assert sorted(asked(sandbox)[:4]) == cut_of(6)
    assert sorted(asked(sandbox)[4:]) == cut_of(3)
    assert sorted(answers(record)) == sorted([(w, 400, 1) for w in cut_of(6)] + [(w, 200, 1) for w in cut_of(3)])
    assert_whole(project, NEXT)


def test_H5_one_hour_that_is_refused_says_amplitudes_words_first_and_then_the_way_round(project):
    sandbox = project.sandbox(faults=["status:400"])
    said = failure(project, TooLargeError)
    assert asked(sandbox) == ["00-05", "00-02", "00-00"]
    assert said.startswith("hour 0: loopback answered 400: " + TOO_LARGE)
    assert said.index(TOO_LARGE) < said.index("S3 export") < said.index(f"make import DATE={DAY} FROM=")
    sandbox.requests.clear()
    failure(project, TooLargeError)
    assert asked(sandbox) == ["00-00"]  # what was refused is remembered


def test_H10_one_504_passes(project):
    sandbox = project.sandbox(faults=["status:504,times=1"])
    record = fetch(project)
    assert asked(sandbox)[:2] == ["00-05"] * 2
    assert sorted(asked(sandbox)[1:]) == cut_of(6)
    assert answers(record)[0] == ("00-05", 200, 2)


def test_H10_a_second_504_halves(project):
    sandbox = project.sandbox(faults=["status:504,over=3"])
    record = fetch(project)
    assert asked(sandbox)[:3] == ["00-05", "00-05", "00-02"]
    assert sorted(asked(sandbox)[2:]) == cut_of(3)
    assert answers(record)[0] == ("00-05", 504, 2)
    assert_whole(project)


def test_H10_504s_halve_also_with_another_failure_between(project):
    sandbox = project.sandbox(faults=["status:504,times=1", "status:503,times=1", "status:504,times=1"])
    fetch(project)
    assert asked(sandbox)[:4] == ["00-05", "00-05", "00-05", "00-02"]


def test_H10_one_hour_that_times_out_is_tried_to_the_end_and_names_the_way_round(project):
    sandbox = project.sandbox(faults=["status:504"])
    said = failure(project, TransientError)
    assert asked(sandbox) == ["00-05"] * 2 + ["00-02"] * 2 + ["00-00"] * 3
    assert said.startswith("hours 00-00, tried 3 times: loopback answered 504: Gateway timeout")
    assert f"make import DATE={DAY}" in said


@pytest.mark.parametrize(("spec", "fault"), [("flip", "H16"), ("short-zip", "H16")])
def test_H16_a_damaged_window_counts_as_a_try(project, spec, fault):
    sandbox = project.sandbox(faults=[f"{spec},times=2"])
    record = fetch(project)
    assert answers(record)[0] == ("00-05", 200, 3)
    assert len(sandbox.requests) == 6
    assert_whole(project)
    assert not project.layout.quarantine(DAY).exists()


@pytest.mark.parametrize("spec", ["flip", "short-zip", "cut:0.4,framing=none", "length:short"])
def test_H14_H16_H23_after_the_last_try_a_damaged_window_is_put_aside_with_its_reason(project, spec):
    sandbox = project.sandbox(faults=[spec])
    said = failure(project, ArchiveError)
    assert len(sandbox.requests) == 3
    assert said.startswith("hours 00-05, tried 3 times: ")
    kept, reason = sorted(project.layout.quarantine(DAY).iterdir())
    assert str(kept) in said
    assert reason.read_text().strip() in said
    assert kept.read_bytes().startswith(b"PK\x03\x04")
    sandbox.faults.clear()
    fetch(project)
    assert_whole(project)


def test_the_record_tells_how_each_window_went(project):
    before = dt.datetime.now(dt.UTC)
    project.sandbox(faults=["status:400,hour=3,over=3", "status:503,hour=12,times=1", "status:404,hour=20"])
    record = fetch(project)
    assert days.export_record(project.layout, DAY) == record
    assert {window: (status, tries) for window, status, tries in answers(record)} == {
        "00-05": (400, 1), "00-02": (200, 1), "03-05": (200, 1), "06-08": (200, 1), "09-11": (200, 1),
        "12-14": (200, 2), "15-17": (200, 1), "18-20": (404, 1), "21-23": (200, 1),
    }  # fmt: skip
    assert all((window.bytes > 0) == (window.status == 200) for window in record.windows)
    assert all(before <= window.requested_at <= dt.datetime.now(dt.UTC) for window in record.windows)
    assert all(0 <= window.seconds < 60 for window in record.windows)
    assert [hour.hour for hour in record.hours if hour.status == "empty"] == [3, 4, 18, 19, 20]
    assert (record.host, record.source, record.redo) == ("loopback", "api", None)


def test_what_was_refused_is_not_asked_for_again_every_second_day(project):
    sandbox = project.sandbox(faults=["status:400,over=3"])
    counts = []
    for number in range(4):
        day = DAY + dt.timedelta(days=number)
        fetch(project, day)
        counts.append(len(asked(sandbox, day)))
    assert counts == [9, 8, 8, 8]
