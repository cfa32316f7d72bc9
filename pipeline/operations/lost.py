"""A day of which no stage is whole: fetched again, and replaced only by no fewer events than its records tell of."""

import datetime as dt

from pipeline.errors import LoadError
from pipeline.operations.again import EXTRACTED, FetchedAgain
from pipeline.progress import Report
from pipeline.settings import Settings
from pipeline.store import days, manifest
from pipeline.store.paths import Layout
from pipeline.store.records import EventsRecord, LoadRecord
from pipeline.text import count
from pipeline.warehouse.compare import count_rows


def fetch_lost(settings: Settings, date: dt.date, report: Report) -> None:
    """Fetches a day again of which no stage is whole, and publishes its ZIP; then the chain must run on it.

    Its records may hold where its files do not: by them it is known how many events there were. Amplitude may have
    fewer by now, and a 404, its answer where it has none, does not even say of which project that is.

    Args:
        settings: How to ask, and where the data lies.
        date: The upload day, UTC; the caller holds its lock, and has put copies of what is damaged aside.
        report: Told how far it is.

    Raises:
        LoadError: Amplitude has fewer events than there were, or none where nobody knows: nothing is replaced.
        PipelineError: It could not be fetched; what was fetched stays for the next time.
    """
    home = Layout(settings.data_dir)
    load = manifest.read_marker(home.parquet_marker(date), LoadRecord, date)
    events = manifest.read_marker(home.events_marker(date), EventsRecord, date)
    day = FetchedAgain(home, date, settings, report, days.project(home, date).app)
    day.fetch()
    fetched = day.extract()
    known: int | None = None
    found = fetched.totals.events
    if load:
        known, found = load.counts.rows, count_rows(day.staged, fetched, settings, day.share(EXTRACTED, 1))
    elif events:
        known = events.totals.events
    # Where nobody knows, one event will do, and an empty day will not.
    if found < (1 if known is None else known):
        day.clear()
        raise _refused(home, date, found, known)
    day.replace()
    day.clear()


def _refused(home: Layout, date: dt.date, found: int, known: int | None) -> LoadError:
    before = "nobody knows how many were stored" if known is None else f"{count(known, 'event')} were stored"
    keys = "" if found else "Look at AMP_API_KEY and AMP_SECRET_KEY: an empty answer does not say of which project. "
    return LoadError(
        f"no stage of it is whole, and Amplitude has {count(found, 'event')} of it now where {before}: nothing is"
        f" replaced, and what is damaged is kept in {home.quarantine(date)} too",
        f"{keys}To take what Amplitude has all the same: make force DATE={date}",
    )
