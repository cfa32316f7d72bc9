"""What an earlier run kept of a day: the answers to its windows, each beside its ZIP."""

import contextlib
import datetime as dt
import itertools
from collections.abc import Iterable
from pathlib import Path

import msgspec

from pipeline.errors import ArchiveError
from pipeline.export import windows
from pipeline.settings import Settings
from pipeline.store import days, records
from pipeline.store.paths import Layout


class Staged(msgspec.Struct, kw_only=True, frozen=True):
    """What stands beside a window's ZIP: its answer, and what it was an answer to."""

    host: str
    key: str
    redo: str | None
    window: records.FetchedWindow


_decoder = msgspec.json.Decoder(Staged)


class Kept(msgspec.Struct, frozen=True):
    """What a run would take up of a day without asking.

    Attributes:
        hours: Those that an answer covers.
        largest: Hours that a window may have after the refusals; 0 where even one hour was refused.
    """

    hours: frozenset[int]
    largest: int


def kept(layout: Layout, settings: Settings, date: dt.date) -> Kept:
    """Looks at what an earlier run fetched of a day; whether the credentials are its own and the ZIPs hold, a run sees.

    Args:
        layout: Where the day is staged.
        settings: Whom is asked.
        date: The upload day, UTC.

    Raises:
        StorageError: The disk does not read it.
    """
    answers: list[records.FetchedWindow] = []
    redo = days.redo_asked(layout, date)
    for path in sorted(layout.windows_dir(date).glob("*.json")):
        with contextlib.suppress(msgspec.DecodeError, ArchiveError, OSError):
            answers.append(read(path, settings.host, redo).window)
    return Kept(covered(answers), largest_allowed(answers))


def read(path: Path, host: str, redo: str | None) -> Staged:
    """Reads an answer that was kept, and refuses what the run would not take up.

    Args:
        path: The answer; its ZIP stands beside it.
        host: The host that is asked.
        redo: The token that the day's ZIP will answer.

    Raises:
        msgspec.DecodeError: It is torn.
        ArchiveError: It answers another request.
        OSError: It cannot be read, or its ZIP is gone.
    """
    staged = _decoder.decode(path.read_bytes())
    name = windows.Window(staged.window.first, staged.window.last).name
    if (staged.host, staged.redo, name) != (host, redo, path.stem):
        raise ArchiveError("it answers another request")
    if staged.window.status == 200:  # noqa: PLR2004
        path.with_suffix(".zip").stat()  # one that is gone is no trouble of the disk
    return staged


def covered(answers: Iterable[records.FetchedWindow]) -> frozenset[int]:
    """Returns the hours that answers cover; refusals cover none."""
    found = (range(answer.first, answer.last + 1) for answer in answers if answer.status in (200, 404))
    return frozenset(itertools.chain.from_iterable(found))


def largest_allowed(answers: Iterable[records.FetchedWindow]) -> int:
    """Returns the hours that a window may have after the refusals among them; 0 where even one hour was refused."""
    refused = [answer.last - answer.first + 1 for answer in answers if answer.status in windows.REFUSED]
    return windows.halved(min(refused)) if refused else windows.HOURS
