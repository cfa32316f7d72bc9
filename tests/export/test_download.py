"""A day from the API: when it is asked for at all, by whom, how many windows at once, and what stays when it fails."""

import datetime as dt
import gzip
import itertools
import threading
import time
import zipfile

import pytest
from asking import DAY, NEXT, SIX_HOURS, answers, asked, assert_whole, cut_of, failure, fetch, under_way

from pipeline.errors import ConfigError, NotReadyError, RequestError
from pipeline.export.download import fetch_day
from pipeline.store.manifest import EXPORT_RECORD
from pipeline.tasks import DownloadExport


def today():
    return dt.datetime.now(dt.UTC).date()


@pytest.mark.parametrize("ahead", [0, 1, 365])
def test_O3_a_day_that_is_not_settled_is_not_asked_for_and_says_from_when_it_is(project, ahead):
    sandbox = project.sandbox()
    day = today() + dt.timedelta(days=ahead)
    said = failure(project, NotReadyError, day)
    assert f"{day} is not settled" in said
    assert f"from {day + dt.timedelta(days=1)} 03:00 UTC on" in said
    assert not sandbox.requests
    assert not project.data.exists()


def test_O3_the_hours_until_a_day_is_settled_are_a_setting(project):
    sandbox = project.sandbox()
    day = today() - dt.timedelta(days=2)
    project.set(AMP_SETTLE_HOURS=24 * 30)
    failure(project, NotReadyError, day)
    assert not sandbox.requests
    project.unset("AMP_SETTLE_HOURS")
    fetch(project, day)
    assert sandbox.requests


@pytest.mark.parametrize("missing", [["AMP_API_KEY"], ["AMP_SECRET_KEY"], ["AMP_API_KEY", "AMP_SECRET_KEY"]])
def test_C1_missing_keys_are_named_before_anything_is_asked(project, missing, tmp_path, monkeypatch):
    sandbox = project.sandbox()
    settings = project.settings
    monkeypatch.chdir(tmp_path)  # where no .env is
    for name in missing:
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError) as caught:
        fetch_day(DAY, settings, lambda *_: None)
    assert [name for name in ("AMP_API_KEY", "AMP_SECRET_KEY") if name in caught.value.what] == missing
    assert ".env" in caught.value.todo
    assert not sandbox.requests


def test_another_hosts_data_folder_is_refused_by_name(project):
    sandbox = project.sandbox()
    fetch(project)
    sandbox.requests.clear()
    project.set(AMP_BASE_URL="https://export.invalid")
    said = failure(project, ConfigError, NEXT)
    assert "holds days of loopback, and export.invalid is to be asked" in said
    assert "PIPELINE_DATA_DIR" in said
    assert not sandbox.requests


@pytest.mark.parametrize("body", ["text", "json"])
def test_H3_an_empty_day_is_done_with_a_warning_and_a_zip_of_the_record_alone(project, body):
    sandbox = project.sandbox(faults=[f"status:404,body={body}"])
    assert project.run(DownloadExport(date=DAY)).scheduling_succeeded
    with zipfile.ZipFile(project.layout.raw_zip(DAY)) as archive:
        assert archive.namelist() == [EXPORT_RECORD]
    assert "WARNING" in next(line for line in project.logged().splitlines() if "empty day" in line)
    assert sorted(asked(sandbox)) == SIX_HOURS
    project.run(DownloadExport(date=DAY))
    assert len(sandbox.requests) == 4
    assert not project.leftovers()


@pytest.mark.parametrize("concurrency", [1, 2, 3, 5])
def test_no_more_windows_are_under_way_than_the_setting_allows(project, concurrency):
    length = 0.15
    sandbox = project.sandbox(faults=["status:400,over=3,times=1", f"wait:{length}"])
    project.set(AMP_CONCURRENCY=concurrency)
    fetch(project)
    times = sorted(request.at for request in sandbox.requests)[2:]  # after the first went alone, and its half
    assert len(times) == 7
    # A window lasts at least `length`: the n-th after one can only have begun when that one was over.
    assert all(later - earlier >= length for earlier, later in zip(times, times[concurrency:], strict=False))


@pytest.mark.parametrize("concurrency", [1, 4, 5])
def test_as_many_windows_are_under_way_as_the_setting_allows(project, concurrency):
    sandbox = project.sandbox(faults=["status:400,over=3,times=1", "wait:60,skip=2"])
    project.set(AMP_CONCURRENCY=concurrency)
    assert under_way(project, sandbox, 2 + concurrency) == 2 + concurrency


def test_two_processes_never_ask_at_the_same_time(project):
    length = 0.5
    sandbox = project.sandbox(faults=[f"wait:{length}"])
    project.set(AMP_CONCURRENCY=1)  # so that the second process comes while the first asks
    ended = []
    threads = [
        threading.Thread(target=lambda day=day: ended.append(project.pipeline("run", "--date", str(day))))
        for day in (DAY, NEXT)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [done.returncode for done in ended] == [0, 0], [done.stderr for done in ended]
    requests = sorted(sandbox.requests, key=lambda request: request.at)
    (first, firsts), (second, seconds) = [
        (day, list(group)) for day, group in itertools.groupby(requests, lambda r: r.start[:8])
    ]
    assert {first, second} == {f"{DAY:%Y%m%d}", f"{NEXT:%Y%m%d}"}
    assert seconds[0].at - firsts[-1].at >= length
    assert sum("waiting for it" in done.stderr for done in ended) == 1
    assert_whole(project, DAY)
    assert_whole(project, NEXT)


def test_windows_under_way_come_home_when_another_fails(project):
    sandbox = project.sandbox(faults=["status:402,hour=7", "wait:0.3,hour=13", "wait:0.3,hour=19"])
    failure(project, RequestError)
    assert sorted(asked(sandbox)) == SIX_HOURS
    sandbox.faults.clear()
    sandbox.requests.clear()
    fetch(project)
    assert asked(sandbox) == ["06-11"]
    assert_whole(project)


def test_once_a_day_has_failed_no_window_is_tried_again(project):
    sandbox = project.sandbox(faults=["status:402,hour=7,skip=0", "status:503,hour=13"])
    project.set(AMP_BACKOFF=0.5, AMP_BACKOFF_CAP=0.5, AMP_CONCURRENCY=2)
    sandbox.faults.insert(0, "wait:0.2,hour=7")
    failure(project, RequestError)
    assert asked(sandbox).count("12-17") == 1
    time.sleep(0.6)
    assert asked(sandbox).count("12-17") == 1
    assert "18-23" not in asked(sandbox)


def test_a_day_that_fails_in_the_middle_asks_only_for_the_rest_with_two_days_in_one_run(project):
    sandbox = project.sandbox(faults=["status:503,hour=20,times=3"])
    result = project.run(DownloadExport(date=DAY), DownloadExport(date=NEXT))
    assert not result.scheduling_succeeded
    assert project.layout.raw_zip(NEXT).exists()
    sandbox.requests.clear()
    assert project.run(DownloadExport(date=DAY), DownloadExport(date=NEXT)).scheduling_succeeded
    assert asked(sandbox) == ["18-23"]
    assert_whole(project)
    assert_whole(project, NEXT)


def test_the_day_is_the_same_whatever_its_windows_were(project):
    zips = []
    for over in (6, 3, 1):
        project.set(PIPELINE_DATA_DIR=project.path / str(over))
        project.sandbox(faults=[f"status:400,over={over}"])
        record = fetch(project)
        with zipfile.ZipFile(project.path / str(over) / "raw" / f"{DAY}.zip") as archive:
            zips.append([(name, gzip.decompress(archive.read(name))) for name in archive.namelist()[1:]])
        kept = [window for window, status, _ in answers(record) if status in (200, 404)]
        assert sorted(kept) == cut_of(over)
    assert zips[0] == zips[1] == zips[2]


def test_N1_a_server_that_is_gone_in_the_middle_leaves_what_came(project):
    sandbox = project.sandbox(faults=["wait:0.3,hour=7"])
    project.set(AMP_TRIES=1)
    under_way(project, sandbox, 3)
    again = project.sandbox()
    fetch(project)
    assert "00-05" not in asked(again)
    assert_whole(project)
