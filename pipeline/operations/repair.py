"""`make verify REPAIR=1`: what is damaged is made anew from the stage before it, or fetched again.

What stands is replaced once the new is whole, and where no whole copy is left, the damaged one is kept.
"""

import dataclasses
import datetime as dt
import os
from collections.abc import Callable, Sequence

from loguru import logger

from pipeline import logs
from pipeline.errors import ConfigError, CredentialsError, PipelineError, StorageError, storage_errors
from pipeline.export.extract import extract_day
from pipeline.operations.lost import fetch_lost
from pipeline.operations.readers import Readers
from pipeline.operations.reading import DayReport, read_day
from pipeline.operations.recheck import refetch
from pipeline.operations.removal import remove_stage
from pipeline.progress import Report
from pipeline.settings import Settings
from pipeline.store import days, locks, quarantine
from pipeline.store.chain import EVENTS, PARQUET, RAW, REJECTED
from pipeline.store.paths import Layout
from pipeline.store.publish import make_dirs, publish_file, staging
from pipeline.warehouse.load import load_day
from pipeline.warehouse.salvage import remake_marker


@dataclasses.dataclass(frozen=True)
class Repaired:
    """What came of a damaged day.

    Attributes:
        date: The upload day.
        must_run: Whether the chain has work on it now.
        error: Why it is not repaired; None where nothing failed. The log has it already.
    """

    date: dt.date
    must_run: bool = False
    error: PipelineError | None = None


def repair(settings: Settings, found: Sequence[DayReport], report: Report) -> list[Repaired]:
    """Makes damaged days whole, each under its lock, as far as that goes without the chain.

    * Events are extracted anew where the ZIP is whole; the Parquet is loaded anew where the events are.
    * A damaged ZIP is fetched again, and so are events without a whole one, where the Parquet is whole: the day is
      replaced only if Amplitude still has every event that is stored.
    * Where the marker of the Parquet alone is damaged, and its files prove what it tells, it is made anew.
    * Where no stage is whole, the day is fetched again too, and replaced only by no fewer events than its records tell
      of; what is damaged is kept in the quarantine.
    * Damaged events of a day without a ZIP, of which Amplitude has not every event any more, go to the quarantine: the
      Parquet is whole, and nothing else could be made of them.

    Args:
        settings: Where the data lies, and all that the stages need.
        found: What `verify` found; each damaged day is read again, for it may have been mended meanwhile.
        report: Told how far it is.

    Returns:
        A result for each damaged day. A day that fails does not stop the others, unless they would fail for the same:
        after wrong credentials or a wrong setting there are none of those that must ask Amplitude too.
    """
    dates = [day.date for day in found if day.damage]
    results: list[Repaired] = []
    may_ask = True
    for index, date in enumerate(dates):

        def told(share: float, text: str, date: dt.date = date, index: int = index) -> None:
            report((index + share) / len(dates), f"{date}: {text}")

        with logs.about(date, "repair"):
            result = _Repair(settings, date, told, may_ask=may_ask).run()
        if result:
            results.append(result)
            may_ask = may_ask and not isinstance(result.error, ConfigError | CredentialsError)
    return results


_READ: dict[str, Callable[[Layout, dt.date], object]] = {
    RAW: days.export_record,
    EVENTS: days.events_record,
    PARQUET: days.load_record,
}


class _Repair:
    """One day's repair."""

    def __init__(self, settings: Settings, date: dt.date, report: Report, *, may_ask: bool) -> None:
        self._settings = settings
        self._layout = Layout(settings.data_dir)
        self._date = date
        self._report = report
        self._may_ask = may_ask

    def run(self) -> Repaired | None:
        """Mends the day, as far as that goes without the chain; None where it must ask Amplitude, and may not."""
        try:
            with storage_errors(self._layout.root), locks.hold(self._layout.lock(self._date)):
                found = read_day(self._layout, self._date, self._settings, Readers(self._settings))
                must_fetch = bool(found.damage) and self._rebuild(found)
            if must_fetch and not self._may_ask:
                return None
            if must_fetch:
                again = refetch(self._settings, self._date, self._report)  # it takes the lock, and says what it found
                if again.error and not (again.difference and self._withdraw_events()):
                    return Repaired(self._date, error=again.error)
            return Repaired(self._date, must_run=not days.is_loaded(self._layout, self._date))
        except PipelineError as error:
            logger.error(logs.plain(error))
            return Repaired(self._date, error=error)

    def _rebuild(self, found: DayReport) -> bool:
        """Makes anew what the whole stages allow; returns whether the day must be fetched again besides."""
        layout, date = self._layout, self._date
        self._clear_the_way(found)
        is_damaged = found.is_damaged
        has_zip = os.path.lexists(layout.raw_zip(date)) and not is_damaged(RAW)
        has_events = not is_damaged(EVENTS) and days.events_record(layout, date) is not None
        has_rows = not is_damaged(PARQUET) and days.load_record(layout, date) is not None
        if not (has_zip or has_events or has_rows):
            has_rows = remake_marker(layout, date, self._settings)
        if not (has_zip or has_events or has_rows):
            if self._may_ask:
                self._fetch_lost(found)
            return not self._may_ask
        must_load = not has_rows or is_damaged(REJECTED)
        if has_zip and (is_damaged(EVENTS) or (must_load and not has_events)):
            extract_day(date, self._settings, self._report)
            logger.info("the events are extracted anew from the ZIP")
            has_events = must_load = True
        if has_events and must_load:
            load_day(date, self._settings, self._report)
            logger.info("the Parquet is loaded anew from the events")
            must_load = False
        return is_damaged(RAW) or must_load or (is_damaged(EVENTS) and not has_events)

    def _clear_the_way(self, found: DayReport) -> None:
        """Takes away what every command would refuse the day for: what the disk does not read, or seems to be newer.

        An empty file takes its place, so that the day stays damaged until it is mended, whatever comes between.
        """
        layout, date = self._layout, self._date
        records = {layout.raw_zip(date): RAW, layout.events_marker(date): EVENTS, layout.parquet_marker(date): PARQUET}
        for path in sorted({layout.root / damage.path for damage in found.damage} & records.keys()):
            try:
                _READ[records[path]](layout, date)
            except (ConfigError, StorageError) as error:
                kept = quarantine.copy_aside(layout, date, path, error.what)
                part = layout.parquet_part(date)  # any place of this file system that the next run clears
                make_dirs(part.parent)
                with staging(part):
                    part.touch()
                    publish_file(part, path)
                logger.info("{} is damaged; it is kept as {}", path, kept)

    def _fetch_lost(self, found: DayReport) -> None:
        """Keeps what there is, for Amplitude may have less of it by now, and fetches the day for the chain to go on."""
        layout, date = self._layout, self._date
        reason = "\n".join(f"{damage.path}: {damage.what}" for damage in found.damage)
        places = (layout.raw_zip(date), layout.events_dir(date), layout.parquet_dir(date), layout.rejected_dir(date))
        for place in places:
            if place.exists():
                quarantine.copy_aside(layout, date, place, reason)
        logger.warning(
            "no stage of it is whole: it is fetched again. What is damaged is kept in {}", layout.quarantine(date)
        )
        fetch_lost(self._settings, date, self._report)

    def _withdraw_events(self) -> bool:
        """Puts damaged events aside that nothing mends; tells whether the day is whole without them.

        With a ZIP, damaged too, there is still something that they may be made of by hand.
        """
        layout, date = self._layout, self._date
        with storage_errors(layout.root), locks.hold(layout.lock(date)):
            found = read_day(layout, date, self._settings, Readers(self._settings))
            others = found.is_damaged(RAW, PARQUET, REJECTED) or os.path.lexists(layout.raw_zip(date))
            load = days.load_record(layout, date)
            if others or load is None or not found.is_damaged(EVENTS):
                return False
            reason = "\n".join(f"{damage.path}: {damage.what}" for damage in found.damage)
            kept = quarantine.copy_aside(layout, date, layout.events_dir(date), reason)
            remove_stage(layout, date, EVENTS)
        logger.warning(
            "the JSON lines are damaged, and nothing mends them: they are kept as {}, and the day is complete without"
            " them, for its Parquet is whole", kept,
        )  # fmt: skip
        return True
