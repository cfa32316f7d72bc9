"""Settled days, asked for again: what Amplitude has of them now, against what is stored.

A settled day takes no event any more, but Amplitude itself may still change it: by a backfill, or by a deletion for
privacy. What it has now is staged apart and compared; what is stored is replaced only where that is asked for.
"""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from loguru import logger

from pipeline import logs
from pipeline.errors import ConfigError, CredentialsError, LoadError, PipelineError, storage_errors
from pipeline.export.settled import settles_at
from pipeline.operations.again import AskedAgain
from pipeline.progress import Report
from pipeline.settings import Settings
from pipeline.store import days, locks
from pipeline.store.paths import Layout
from pipeline.text import count, differing
from pipeline.warehouse.compare import Difference

SCHEDULE = (1, 3, 7, 30)
"""Days after a day has settled, at which it is asked for again: what changes late mostly changes soon."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of a day.

    Attributes:
        date: The upload day.
        difference: What Amplitude has now, against what is stored; None where that could not be told.
        replaced: Whether the day's ZIP is now Amplitude's of today: then the chain must run on the day.
        error: Why it was not compared, or not replaced; None where all went as asked for.
    """

    date: dt.date
    difference: Difference | None = None
    replaced: bool = False
    error: PipelineError | None = None

    @property
    def said(self) -> str:
        """The result in words: `grown by 12 events, shrunk by 3 events (1,009 now), replaced`."""
        found = self.difference
        if found is None:
            return "not compared"
        changes = differing(found.grown, found.shrunk, found.changed)
        return f"{changes or 'the same'} ({found.events:,} now){', replaced' if self.replaced else ''}"


def recheck(settings: Settings, dates: Sequence[dt.date], report: Report, *, replace: bool) -> list[Result]:
    """Asks Amplitude for days again and compares them, each under its lock; what was found stands in their records.

    Args:
        settings: How to ask, and where the data lies.
        dates: The days, in the order in which they are asked for.
        report: Told how far it is with all of them.
        replace: Whether a day that differs is replaced by what Amplitude has: its ZIP, and by the chain, which is to
            be run on it, all that is made from it. Until then the old stays readable.

    Returns:
        A result a day, in that order; the log has them already. A day that fails does not stop the others, unless they
        would fail for the same: after wrong credentials or a wrong setting there are no more results.
    """
    results: list[Result] = []
    for index, date in enumerate(dates):

        def told(share: float, text: str, date: dt.date = date, index: int = index) -> None:
            report((index + share) / len(dates), f"{date}: {text}")

        results.append(_done(settings, date, told, lambda day, found: _compared(day, found, replace=replace)))
        if isinstance(results[-1].error, ConfigError | CredentialsError):
            break
    return results


def refetch(settings: Settings, date: dt.date, report: Report) -> Result:
    """Fetches a complete day whose ZIP is damaged or gone; takes the day's lock, so the caller must not hold it.

    Args:
        settings: How to ask, and where the data lies.
        date: A day whose Parquet stands.
        report: Told how far it is.

    Returns:
        The result: replaced, where Amplitude still has every event that is stored, with the same values, and no fewer
        lines that became no row, be it that they are no events or duplicates unlike the line that is kept (these are
        counted, and not compared); then the chain must run on the day. Else what is stored is left as it is, and the
        error says what to type.
    """
    return _done(settings, date, report, _mended)


def due(settings: Settings, now: dt.datetime, most: int) -> list[dt.date]:
    """Returns the complete days that are to be asked for again, by `SCHEDULE`.

    A day is due when a point of its schedule lies between the last time that it was asked for and now. So a day that
    was fetched more than a month after it had settled, as in a backfill, is never due; one of which nobody knows when
    it was fetched (an import) is due once.

    Args:
        settings: Where the data lies; when a day is settled.
        now: The time, UTC.
        most: Days that are returned at most.

    Returns:
        Those whose point passed last come first, and of these the oldest: its point may be its last. So a day that
        fails each time, or a year of imports, does not keep the newer ones waiting. What is left over stays due.
    """
    layout = Layout(settings.data_dir)
    missed: list[tuple[dt.datetime, dt.date]] = []
    for date in layout.dates():
        settled = settles_at(date, settings)
        passed = [point for n in SCHEDULE if (point := settled + dt.timedelta(days=n)) <= now]
        stages = days.stages(layout, date)
        asked = _last_asked(stages)
        if passed and stages.is_loaded and (asked is None or asked < passed[-1]):
            missed.append((passed[-1], date))
    missed.sort(key=lambda point: (-point[0].timestamp(), point[1]))
    return [date for _, date in missed[:most]]


def _last_asked(stages: days.Stages) -> dt.datetime | None:
    load, export = stages.load, stages.export
    known = [again.at for again in load.rechecks] if load else []
    if load and load.export.fetched_at:
        known.append(load.export.fetched_at)
    elif export:
        known += [window.requested_at for window in export.windows]
    return max(known, default=None)


def _done(
    settings: Settings, date: dt.date, report: Report, decide: Callable[[AskedAgain, Difference], Result]
) -> Result:
    """Fetches a day again, compares it, and lets `decide` say what becomes of it; tells the day's log."""
    home = Layout(settings.data_dir)
    with logs.about(date, "recheck"):
        try:
            with storage_errors(home.root), locks.hold(home.lock(date)):
                day = AskedAgain(home, date, settings, report)
                day.fetch()
                with _cleared(day):
                    result = decide(day, day.difference())
                day.clear()
        except PipelineError as error:
            result = Result(date, error=error)
        if result.difference:
            logger.info(result.said)
        if result.error:
            logger.error(logs.plain(result.error))
    return result


@contextlib.contextmanager
def _cleared(day: AskedAgain) -> Iterator[None]:
    """Keeps of a comparison that fails what was fetched for it, and no more."""
    try:
        yield
    except PipelineError:
        with contextlib.suppress(OSError):  # the cause says more
            day.clear_rows()
        raise


def _compared(day: AskedAgain, found: Difference, *, replace: bool) -> Result:
    error = None
    if replace and not found.events and not found.is_none:
        error = LoadError(
            "Amplitude has no events of it any more, and an empty answer does not say of which project it is: the day"
            " is not replaced",
            f"Look at AMP_API_KEY and AMP_SECRET_KEY. If the day is really empty now: make force DATE={day.date}",
        )
    replaced = replace and error is None and not found.is_none
    if replaced:
        day.replace()
    day.note(found, replaced=replaced)
    return Result(day.date, found, replaced, error)


def _mended(day: AskedAgain, found: Difference) -> Result:
    lacks = (
        (found.shrunk, "has {} of it no more", "event"),
        (found.changed, "has other values in {} of it", "event"),
        (found.fewer_rejects, "has {} of it no more that became no event", "line"),
        (found.fewer_conflicts, "has {} of it no more that differed from the line that is kept", "duplicate"),
    )
    whys = [how.format(count(number, what)) for number, how, what in lacks if number]
    if whys:
        typed = f"make recheck FROM={day.date} TO={day.date} REPLACE=1"
        if found.is_none:  # to a recheck it is the same
            typed = f"make force DATE={day.date}"
        error = LoadError(
            f"Amplitude {' and '.join(whys)}: its ZIP is not fetched anew, and what is stored stands",
            f"To take what Amplitude has all the same: {typed}",
        )
        return Result(day.date, found, error=error)
    day.replace()
    day.note(found, replaced=True)
    return Result(day.date, found, replaced=True)
