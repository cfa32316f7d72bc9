"""What Amplitude would answer: credentials, window, then the ZIP, or the reason why there is none."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from hmac import compare_digest
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from pipeline.sandbox import answer as answers
from pipeline.sandbox import archive
from pipeline.sandbox.answer import CHUNK
from pipeline.sandbox.cache import Cache
from pipeline.sandbox.effects import NO_DATA
from pipeline.sandbox.exports import Exports, read
from pipeline.sandbox.generator import parts
from pipeline.sandbox.window import Window, WindowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from pipeline.sandbox.answer import Answer
    from pipeline.sandbox.generator import Member

_LOADING = timedelta(hours=3)  # by Amplitude's own example, hour H can be exported from H+3h


class Api:
    """The Export API of one project.

    Args:
        key: The API key, a user name to HTTP.
        secret: The secret key.
        exports: A folder of export ZIPs to serve; None for generated days.
        events_per_hour: How many events a generated hour has, on average over the day.
        now: The time in UTC.
    """

    def __init__(
        self, key: str, secret: str, exports: Path | None, events_per_hour: int, now: Callable[[], datetime]
    ) -> None:
        self._credentials = f"{key}:{secret}".encode()
        self._exports = Exports(exports) if exports is not None else None
        self._events_per_hour = events_per_hour
        self._now = now
        self._cache = Cache()
        self._rebuilt = count(1)

    def authorizes(self, header: str) -> bool | None:
        """Whether an Authorization header has this project's key and secret; None for no Basic credentials at all."""
        scheme, _, encoded = header.partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return None
        return compare_digest(given, self._credentials) if scheme.lower() == "basic" and given else None

    def answer(self, start: str, end: str, authorization: str, *, rebuild: bool = False) -> Answer:
        """The answer to an export request.

        Args:
            start: The parameter as it was sent; "" where it is missing.
            end: Likewise.
            authorization: The header; "" where it is missing.
            rebuild: Whether the ZIP is to have other bytes than the last time, and the same events.
        """
        authorized = self.authorizes(authorization)
        if authorized is None:
            return answers.text(401, "Unauthorized", ("WWW-Authenticate", 'Basic realm="Amplitude"'))
        if not authorized:
            return answers.error(403, "Forbidden", "Invalid API Key")
        try:
            window = Window.parse(start, end)
        except WindowError as problem:
            return answers.error(400, "Bad Request", str(problem))
        if window.last > self._now().replace(tzinfo=None):
            return answers.error(400, "Bad Request", "Invalid range: end is in the future")
        return self._archive(window, rebuild=rebuild)

    def _archive(self, window: Window, *, rebuild: bool) -> Answer:
        variant = next(self._rebuilt) if rebuild else 0
        if self._exports is None:
            hours = [hour for hour in window.hours() if hour + _LOADING <= self._now().replace(tzinfo=None)]
            wanted = [part for hour in hours for part in parts(hour.date(), hour.hour, self._events_per_hour)]
            return _zip(wanted, self._cache.member, variant)
        found = self._exports.members(window)
        file = self._exports.verbatim(window)
        return answers.archive(_chunks(file)) if file and not (rebuild and found) else _zip(found, read, variant)


_Source = TypeVar("_Source")


def _zip(sources: list[_Source], read_one: Callable[[_Source], Member], variant: int) -> Answer:
    """The ZIP of these members; a ``variant`` above 0 has another order and other times."""
    if not sources:
        return answers.text(404, NO_DATA)
    turn = variant % len(sources)
    members = (read_one(source) for source in sources[turn:] + sources[:turn])
    written = (2025, 1, 1, variant // 60 % 24, variant % 60, 0)
    return answers.archive(archive.stream(members, written))


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            yield chunk
