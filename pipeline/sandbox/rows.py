"""The rows of a generated member: visits of invented people, as lines of JSON with Amplitude's 55 keys.

The shape is that of real exports (2023 to 2026): ASCII order of keys, nulls written, compact, times as
``YYYY-MM-DD HH:MM:SS.ffffff`` in UTC, an SDK's event ids counting up, -1 for no session.
Times here are ms from the start of the hour, unless their name says otherwise.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import md5
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from pipeline.sandbox.events import stages
from pipeline.sandbox.product import Profile, chance, dumps, people, servers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

_HOUR = 3_600_000
_BEFORE = 60  # minutes that the clock knows before the hour, and after it
_AFTER = 5
_MILLIS = tuple(f".{ms:03}000" for ms in range(1000))
_NO_FRACTION = ("",) * 1000  # whole seconds occur in real exports
_FIRST_DAY = date(2024, 1, 1)
_BROWSED = 5  # events of a visit before the first that can cost money
_LONGEST = 30  # events in a visit
_BATCH = 6  # events that a client sends in one request
_QUEUE = 1_000  # from a batch's last event to its sending
_DICE = 5  # bytes of chance for each event: two for the pause before it, template, two for processed_time


class _Visit(NamedTuple):
    user: int
    length: int  # events
    by_server: bool
    days_off: int  # of the client's clock from the day of upload: late events, and clocks that are wrong
    fraction: Sequence[str]
    latency: int  # from client_upload_time to server_received_time
    delay: int  # from there to server_upload_time

    @property
    def profile(self) -> Profile:
        profiles = servers() if self.by_server else people()
        return profiles[self.user % len(profiles)]


def rows(rng: Random, day: date, hour: int, users: range, size: int) -> list[bytes]:
    """``size`` distinct rows of an hour, without line ends.

    Args:
        rng: Decides everything that is not given.
        day: The day of upload.
        hour: The hour of upload, 0 to 23.
        users: Whose events these are; each of them visits once at most, so that event ids only ever rise.
        size: How many rows.
    """
    lines: list[bytes] = []
    seen: set[int] = set()
    while len(lines) < size:
        user = rng.choice(users)
        while user in seen:
            user += len(users) * users.step  # somebody new, and of no other range
        seen.add(user)
        lines.extend(_lines(rng, day, hour, _visit(rng, user, size - len(lines))))
    return lines


def _visit(rng: Random, user: int, room: int) -> _Visit:
    by_server = chance(rng, 0.06)
    return _Visit(
        user=user,
        length=1 if by_server else min(room, _LONGEST, 2 + int(rng.expovariate(1 / 9))),
        by_server=by_server,
        days_off=_days_off(rng),
        fraction=_NO_FRACTION if chance(rng, 0.01) else _MILLIS,
        latency=rng.randint(40, 400),
        delay=rng.randint(300, 20_000),
    )


def _days_off(rng: Random) -> int:
    if chance(rng, 0.012):
        return -rng.randint(1, 14)
    return rng.choice((1, 30, 3650)) if chance(rng, 0.003) else 0


def _lines(rng: Random, day: date, hour: int, visit: _Visit) -> Iterator[bytes]:
    """The rows of one visit. What is the same for a visit or a batch is rendered once."""
    count, profile, fraction = visit.length, visit.profile, visit.fraction
    dice = rng.randbytes(_DICE * count)
    pauses = (
        one * two for one, two in zip(dice[::_DICE], dice[1::_DICE], strict=True)
    )  # mostly short, a minute at most
    offsets = [0, *accumulate(pauses)]
    start = rng.randrange(-visit.delay, _HOUR - offsets[-1] - _QUEUE - visit.latency - visit.delay)
    times = [start + offset for offset in offsets]

    here, there = _clock(day, hour), _clock(day, hour, visit.days_off)
    session, event_id = _numbers(day, hour, visit, start)
    device, source = _sender(visit, session)
    ids = _uuids(rng, 2 * count)
    what = _events(visit, dice[2::_DICE], event_id if visit.by_server else session)
    for first in range(0, count, _BATCH):
        batch = range(first, min(first + _BATCH, count))
        sent = times[batch[-1]] + _QUEUE
        received, upload = sent + visit.latency, sent + visit.latency + visit.delay
        uploaded = f'","client_upload_time":"{_text(here, sent, fraction)}{device}'
        stored = (
            f"{profile.server_received_time}{_text(here, received, fraction)}"
            f'","server_upload_time":"{_text(here, upload, fraction)}{source}'
        )
        for at in batch:
            properties, event_type = what[at]
            event_time = _text(there, times[at], fraction)
            processed = _text(here, upload + 500 + 8 * dice[_DICE * at + 3], fraction)
            if fraction is _MILLIS:  # the one time with true microseconds
                processed = f"{processed[:-3]}{3 * dice[_DICE * at + 4]:03}"
            row = (
                f'{{"$insert_id":"{next(ids)}{profile.amplitude_id}{1_200_000_000_000 + visit.user * 7919}'
                f"{profile.client_event_time}{event_time}{uploaded}{event_id + at}{properties}{event_time}"
                f"{event_type}{profile.processed_time}{processed}{stored}{next(ids)}{profile.end}"
            )
            yield row.encode()  # row by row: one character beyond U+FFFF would make a joined text four times as large


def _sender(visit: _Visit, session: int) -> tuple[str, str]:
    """The JSON around a visit's device_id and its user_id."""
    profile = visit.profile
    digest = md5(f"device {visit.user}".encode(), usedforsecurity=False).hexdigest()
    device_id = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"
    user_id = dumps(f"{profile.name.partition(' ')[0].lower()}.{visit.user}@example.com") if profile.name else "null"
    device = f"{profile.device_id}{device_id}{profile.event_id}"
    return device, f'","session_id":{session}{profile.user_id}{user_id}{profile.uuid}'


def _numbers(day: date, hour: int, visit: _Visit, start: int) -> tuple[int, int]:
    """The session_id and the first event_id of a visit."""
    since = datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + timedelta(days=visit.days_off)
    began = int(since.timestamp()) * 1000 + start
    if visit.by_server:
        return -1, began * 7919 % 900_000_000 + 100_000_000  # nine digits without an order, as the HTTP API gives them
    hours = (day - _FIRST_DAY).days * 24 + hour
    return began, max(hours, 0) * (_LONGEST + 2) + 1


def _events(visit: _Visit, dice: bytes, serial: int) -> list[tuple[str, str]]:
    """What happens in a visit: for each event the JSON before its event_time, and after it."""
    start, browse, shop, server = stages()
    events = []
    for at, die in enumerate(dice):
        pool = server if visit.by_server else start if at == 0 else browse if at < _BROWSED else shop
        head, slot, tail, event_type = pool[die]
        number = "" if not slot else f"{at + 1}" if slot == "counter" else f"{serial + at}"
        events.append((f"{head}{number}{tail}", event_type))
    return events


def _uuids(rng: Random, count: int) -> Iterator[str]:
    """Random uuids of version 4."""
    text = rng.randbytes(16 * count).hex()
    for id_ in (text[at : at + 32] for at in range(0, len(text), 32)):
        yield f"{id_[:8]}-{id_[8:12]}-4{id_[13:16]}-a{id_[17:20]}-{id_[20:]}"


def _text(clock: Sequence[str], time: int, fraction: Sequence[str]) -> str:
    second, ms = divmod(time + _BEFORE * 60_000, 1000)
    return f"{clock[second]}{fraction[ms]}"


@lru_cache(maxsize=64)
def _clock(day: date, hour: int, days: int = 0) -> tuple[str, ...]:
    """Every second around an hour as text, ``days`` days off; index 0 is `_BEFORE` minutes before the hour."""
    start = datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + timedelta(days=days, minutes=-_BEFORE)
    minutes = [f"{start + timedelta(minutes=at):%Y-%m-%d %H:%M:}" for at in range(_BEFORE + 60 + _AFTER)]
    return tuple(f"{minute}{second:02}" for minute in minutes for second in range(60))
