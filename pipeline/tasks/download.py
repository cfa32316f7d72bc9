"""DownloadExport: a day of Amplitude's Export API as one verified ZIP."""

import luigi
from loguru import logger

from pipeline import settings
from pipeline.export.download import fetch_day
from pipeline.progress import Report
from pipeline.store import days
from pipeline.store.records import EXPORTED
from pipeline.store.remains import refuse_remains
from pipeline.tasks.daily import DailyTask
from pipeline.text import count, size


class DownloadExport(DailyTask):
    """Fetches the 24 upload hours of a day and publishes `data/raw/DATE.zip`."""

    # Of two workers only one asks the API; between processes, the lock in the data folder sees to it.
    resources = {"export_api": 1}  # noqa: RUF012 - Luigi's way

    def output(self) -> luigi.LocalTarget:  # noqa: D102 - Luigi's
        return luigi.LocalTarget(self.layout.raw_zip(self.date))

    def is_done(self) -> bool:  # noqa: D102 - as DailyTask says
        return days.is_exported(self.layout, self.date)

    def work(self, report: Report) -> str:  # noqa: D102 - as DailyTask says
        refuse_remains(self.layout, self.date)
        record = fetch_day(self.date, settings.load(), report)
        asked = [window for window in record.windows if window.status in (200, 404)]
        filled = sum(hour.status == EXPORTED for hour in record.hours)
        if not filled:
            logger.warning("an empty day: Amplitude has no events of it")
        stored = size(sum(window.bytes for window in asked))
        return f"{count(len(asked), 'window')}, {stored}, {filled} of 24 hours with events"
