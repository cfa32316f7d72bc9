"""When no event can enter a day any more: by this machine's clock, and by the server's."""

import datetime as dt

from pipeline.errors import NotReadyError
from pipeline.settings import Settings

_CLOCKS_DIFFER = dt.timedelta(minutes=1)  # clocks that are set by the network agree better than that


def settles_at(date: dt.date, settings: Settings) -> dt.datetime:
    """Returns the moment, in UTC, from which no event can enter a day any more.

    Amplitude's example makes hour H exportable from H+3h, so hour 23 from 02:00; an hour of margin is ours.
    """
    midnight = dt.datetime.combine(date + dt.timedelta(days=1), dt.time(), dt.UTC)
    return midnight + dt.timedelta(hours=settings.settle_hours)


def refuse_unsettled(date: dt.date, settings: Settings) -> None:
    """Refuses a day that events may still enter.

    Raises:
        NotReadyError: The day is not settled.
    """
    from_then = settles_at(date, settings)
    if dt.datetime.now(dt.UTC) < from_then:
        raise NotReadyError(
            f"{date} is not settled: events may enter it until {from_then:%Y-%m-%d %H:%M} UTC",
            f"Run it again from {from_then:%Y-%m-%d %H:%M} UTC on; the last settled day is {last_settled(settings)}.",
        )


def last_settled(settings: Settings) -> dt.date:
    """Returns the newest day that no event can enter any more."""
    begun = dt.datetime.now(dt.UTC) - dt.timedelta(hours=settings.settle_hours)
    return begun.date() - dt.timedelta(days=1)


def refuse_unserved(date: dt.date, settings: Settings, served_at: dt.datetime | None) -> None:
    """Refuses a day that is settled by this machine's clock alone: the server's is the one that its events go by.

    Args:
        date: The upload day.
        settings: When a day is settled; whom was asked.
        served_at: The server's clock, UTC; None where it did not say, and then nothing is refused.

    Raises:
        NotReadyError: By the server's clock the day is not settled.
    """
    from_then = settles_at(date, settings)
    if served_at is not None and served_at < from_then - _CLOCKS_DIFFER:
        now = dt.datetime.now(dt.UTC)
        raise NotReadyError(
            f"{date} is not settled by the clock of {settings.host}, which says {served_at:%Y-%m-%d %H:%M} UTC where"
            f" this machine's says {now:%Y-%m-%d %H:%M} UTC: events may enter the day until"
            f" {from_then:%Y-%m-%d %H:%M} UTC",
            "Set this machine's clock (timedatectl shows it), then run it again.",
        )
