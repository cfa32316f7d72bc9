"""LoadEvents: a day's JSON lines as typed, deduplicated Parquet."""

import luigi
from loguru import logger

from pipeline import settings
from pipeline.progress import Report
from pipeline.store import days
from pipeline.store.paths import Layout
from pipeline.store.records import LoadRecord
from pipeline.tasks import refresh
from pipeline.tasks.daily import DailyTask
from pipeline.tasks.extract import ExtractEvents
from pipeline.text import count, printable, size
from pipeline.warehouse.load import load_day

_NAMED = 5  # keys that a warning names


class LoadEvents(DailyTask):
    """Types a day's events and publishes `data/parquet/date=DATE/`: the end of the chain."""

    def requires(self) -> ExtractEvents:  # noqa: D102 - Luigi's
        return ExtractEvents(date=self.date)

    def output(self) -> luigi.LocalTarget:  # noqa: D102 - Luigi's
        return luigi.LocalTarget(self.layout.parquet_marker(self.date))

    def is_done(self) -> bool:  # noqa: D102 - as DailyTask says
        refresh.at_exit(self.date)  # also where nothing is to do: a run before this one may have been killed
        return days.is_loaded(self.layout, self.date)

    def work(self, report: Report) -> str:  # noqa: D102 - as DailyTask says
        record = load_day(self.date, settings.load(), report)
        _warn(record, self.layout)
        counts = record.counts
        return (
            f"{count(counts.rows, 'row')}, {count(counts.duplicates, 'duplicate')} left out, {size(record.bytes)},"
            f" in {record.seconds['load']:.1f} s"
        )


def _warn(record: LoadRecord, layout: Layout) -> None:
    counts = record.counts
    if record.rejected:
        place = layout.rejected_dir(record.date) / record.rejected.name
        logger.warning(
            "{} rejected, and {} unlike the line that is kept; they are in {}",
            count(counts.rejects, "line"), count(counts.conflicts, "duplicate"), place,
        )  # fmt: skip
    if counts.outside:
        logger.warning("{} have an upload time that is not of this day", count(counts.outside, "row"))
    if counts.apart:
        keys = ", ".join(printable(key, 60) for key in list(counts.apart)[:_NAMED])
        more = f" and {len(counts.apart) - _NAMED} more keys" if len(counts.apart) > _NAMED else ""
        logger.warning(
            "{} fit no column and are kept in extra: {}{}", count(sum(counts.apart.values()), "value"), keys, more
        )
