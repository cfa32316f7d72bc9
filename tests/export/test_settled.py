"""The server's clock: a day that is settled by this machine's clock alone is not."""

import datetime as dt

import pytest
from asking import DAY, assert_whole, failure, fetch

from pipeline.errors import NotReadyError
from pipeline.export.answers import served_at
from pipeline.export.client import Client
from pipeline.export.settled import refuse_unserved, settles_at
from pipeline.export.windows import Window
from pipeline.settings import load_credentials

SETTLED = dt.datetime(2026, 1, 16, 3, tzinfo=dt.UTC)


def test_a_day_settles_three_hours_after_its_end_or_as_it_is_set(project):
    assert settles_at(DAY, project.settings) == SETTLED
    project.set(AMP_SETTLE_HOURS=30)
    assert settles_at(DAY, project.settings) == SETTLED + dt.timedelta(hours=27)


@pytest.mark.parametrize(
    "server", ["2026-01-14 12:00", "2026-01-15 12:00", "2026-01-16 00:00", "2026-01-16 02:58"]
)  # also those at which it calls the window the future, or empty
def test_T5_a_day_that_is_not_settled_by_the_servers_clock_is_refused_with_both_clocks(project, server):
    sandbox = project.sandbox(now=lambda: dt.datetime.fromisoformat(f"{server}+00:00"))
    said = failure(project, NotReadyError)
    assert f"2026-01-15 is not settled by the clock of loopback, which says {server} UTC" in said
    assert f"this machine's says {dt.datetime.now(dt.UTC):%Y-%m-%d %H}:" in said
    assert "until 2026-01-16 03:00 UTC" in said
    assert "Set this machine's clock" in said
    assert len(sandbox.requests) == 1
    assert not list(project.layout.windows_dir(DAY).iterdir())


@pytest.mark.parametrize("server", ["2026-01-16 02:59:00", "2026-01-16 03:00:00", "2036-01-16 03:00:00"])
def test_T5_clocks_that_differ_by_seconds_or_the_other_way_do_no_harm(project, server):
    project.sandbox(now=lambda: dt.datetime.fromisoformat(f"{server}+00:00"))
    fetch(project)
    assert_whole(project)


def test_T5_the_day_is_settled_by_the_setting_also_on_the_servers_clock(project):
    project.sandbox(now=lambda: SETTLED + dt.timedelta(hours=20))
    project.set(AMP_SETTLE_HOURS=24)
    assert "until 2026-01-17 00:00 UTC" in failure(project, NotReadyError)


@pytest.mark.parametrize("status", [400, 401, 404, 503])
def test_T5_it_is_said_whatever_else_the_server_says(project, status):
    sandbox = project.sandbox(faults=[f"status:{status}"], now=lambda: SETTLED - dt.timedelta(hours=1))
    failure(project, NotReadyError)
    assert len(sandbox.requests) == 1


def test_T5_it_is_refused_also_in_the_middle_and_nothing_is_published(project):
    project.sandbox(faults=["date:Thu, 15 Jan 2026 23:00:00 GMT,hour=18"])
    assert "which says 2026-01-15 23:00 UTC" in failure(project, NotReadyError)


@pytest.mark.parametrize("date", ["soon", "Thu, 99 Jan 2026 23:00:00 GMT", "0", "2026-01-14T12:00:00Z"])
def test_T5_a_date_that_cannot_be_read_is_none(project, date):
    project.sandbox(faults=[f"date:{date}"])
    fetch(project)
    assert_whole(project)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("Thu, 15 Jan 2026 23:00:00 GMT", dt.datetime(2026, 1, 15, 23, tzinfo=dt.UTC)),
        ("Thu, 15 Jan 2026 23:00:00 -0000", dt.datetime(2026, 1, 15, 23, tzinfo=dt.UTC)),
        ("Thu, 15 Jan 2026 23:00:00 +0200", dt.datetime(2026, 1, 15, 21, tzinfo=dt.UTC)),
        ("Fri, 31 Dec 9999 23:00:00 -2300", None),
        ("Thu, 15 Jan 99999 23:00:00 GMT", None),
        ("", None),
        (None, None),
    ],
)
def test_the_servers_clock_is_read_in_utc_or_not_at_all(text, time):
    assert served_at(text) == time


def test_without_a_date_nothing_is_refused(project):
    refuse_unserved(DAY, project.settings, None)


def test_an_answer_has_the_servers_clock(project, tmp_path):
    project.sandbox(now=lambda: SETTLED + dt.timedelta(days=1, seconds=0.7))
    client = Client(project.settings, load_credentials())
    answer = client.fetch_window(DAY, Window(0, 5), tmp_path / "part", lambda _size: None, 10)
    assert answer.served_at == SETTLED + dt.timedelta(days=1)
