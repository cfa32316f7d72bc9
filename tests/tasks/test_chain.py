"""The chain as Luigi's worker runs it, on the sandbox."""

import datetime as dt
import zipfile

from luigi import LuigiStatusCode

from pipeline.store import days
from pipeline.tasks import DownloadExport

REAL_DAYS = [dt.date(2023, 2, 2) + dt.timedelta(days=n) for n in range(15)]
DAY = dt.date(2026, 1, 15)


def test_the_real_days_come_home_whole(project, real_exports):
    sandbox = project.sandbox(exports=real_exports)
    for day in REAL_DAYS:
        assert project.run_day(day).status == LuigiStatusCode.SUCCESS
    records = [days.events_record(project.layout, day) for day in REAL_DAYS]
    assert sum(record.totals.events for record in records) == 46
    assert [record.date for record in records if not record.totals.events] == [dt.date(2023, 2, 10)]
    assert {request.start[:8] for request in sandbox.requests} == {f"{day:%Y%m%d}" for day in REAL_DAYS}


def test_O10_a_complete_day_is_left_as_it_is_without_a_request(project):
    sandbox = project.sandbox()
    project.run_day(DAY)
    before, asked = project.tree(), len(sandbox.requests)
    assert project.run_day(DAY).status == LuigiStatusCode.SUCCESS
    assert len(sandbox.requests) == asked
    assert project.tree() == before
    assert not project.leftovers()


def test_the_zip_begins_with_its_record_and_holds_the_members_stored(project):
    project.sandbox()
    project.run(DownloadExport(date=DAY))
    with zipfile.ZipFile(project.layout.raw_zip(DAY)) as archive:
        entries = archive.infolist()
    assert entries[0].filename == "_export.json"
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
