"""ExtractEvents: a day's ZIP as JSON lines."""

import luigi

from pipeline import settings
from pipeline.export.extract import extract_day
from pipeline.progress import Report
from pipeline.store import days
from pipeline.tasks.daily import DailyTask
from pipeline.tasks.download import DownloadExport
from pipeline.text import count, size


class ExtractEvents(DailyTask):
    """Gunzips each member of a day's ZIP and publishes `data/events/DATE/`, its manifest `_SUCCESS` last."""

    def requires(self) -> DownloadExport:  # noqa: D102 - Luigi's
        return DownloadExport(date=self.date)

    def output(self) -> luigi.LocalTarget:  # noqa: D102 - Luigi's
        return luigi.LocalTarget(self.layout.events_marker(self.date))

    def is_done(self) -> bool:  # noqa: D102 - as DailyTask says
        return days.is_extracted(self.layout, self.date)

    def work(self, report: Report) -> str:  # noqa: D102 - as DailyTask says
        record = extract_day(self.date, settings.load(), report)
        totals = record.totals
        return (
            f"{count(totals.events, 'event')} in {count(totals.files, 'file')}, {size(totals.bytes)},"
            f" in {record.seconds['extract']:.1f} s"
        )
