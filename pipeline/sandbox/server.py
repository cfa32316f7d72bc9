"""The sandbox: an Export API on loopback, in threads of this process."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Self

from pipeline.sandbox import answer as answers
from pipeline.sandbox import effects
from pipeline.sandbox.api import Api
from pipeline.sandbox.faults import Fault, FaultError
from pipeline.sandbox.listener import Listener, Request
from pipeline.sandbox.plan import Plan

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pipeline.sandbox.answer import Answer

EXPORT_PATH = "/api/2/export"
REQUESTS_PATH = "/sandbox/requests"


class Sandbox:
    """An Export API on 127.0.0.1, up from the start of a ``with`` block (or `start`) to its end (or `close`).

    Args:
        exports: A folder of export ZIPs to serve, see `pipeline.sandbox.exports`; None for generated days.
        events_per_hour: How many events a generated hour has, on average over the day.
        key: The API key that is right.
        secret: The secret key that is right.
        faults: What goes wrong, see `pipeline.sandbox.faults`.
        port: 0 for a free one.
        ssl_context: Makes it https.
        now: The time in UTC, which each answer says in its Date: later hours are refused, and generated hours are
            empty until 3 h after their start.

    Attributes:
        url: Where it listens, without a slash at the end.
        faults: The faults in force, as `Fault` or spec; a request looks at them when it comes, so they may change.
        requests: Every export request so far (and every other, but for those to ``/sandbox/requests``), also those
            that are still being answered.
    """

    def __init__(
        self,
        exports: Path | None = None,
        events_per_hour: int = 100,
        *,
        key: str = "sandbox-key",
        secret: str = "sandbox-secret",  # noqa: S107 - public, and opens nothing but this
        faults: Sequence[Fault | str] = (),
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.faults: list[Fault | str] = [Fault.parse(each) if isinstance(each, str) else each for each in faults]
        self.requests: list[Request] = []
        self._plan = Plan()
        self._now = now
        self._api = Api(key, secret, exports, events_per_hour, now)
        self._listener = Listener(self._respond, port, ssl_context)
        self.url = f"{'https' if ssl_context else 'http'}://127.0.0.1:{self._listener.server_address[1]}"

    def start(self) -> Self:
        """Begins to answer."""
        self._listener.start()
        return self

    def close(self) -> None:
        """Ends it within a second: answers that are under way are cut off."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _respond(self, request: Request) -> Answer:
        if request.path == REQUESTS_PATH:
            return self._listing()
        request.authorized = self._api.authorizes(request.authorization) is True
        self.requests.append(request)
        if request.path != EXPORT_PATH:
            return answers.html(404, "Not Found")
        try:
            faults = self._plan.choose(self.faults, request.start, request.end)
        except FaultError as problem:  # in a spec that was added later
            return answers.text(500, f"Sandbox: {problem}")
        rebuild = any(fault.kind == "rebuild" for fault in faults)
        answer = self._api.answer(request.start, request.end, request.authorization, rebuild=rebuild)
        for fault in faults:
            answer = effects.apply(fault, answer)
        return self._dated(answer)

    def _dated(self, answer: Answer) -> Answer:
        """The answer with the Date that every server sends, unless a fault gave it another."""
        if any(name == "Date" for name, _ in answer.headers):
            return answer
        return replace(answer, headers=(("Date", format_datetime(self._now(), usegmt=True)), *answer.headers))

    def _listing(self) -> Answer:
        """The requests as JSON, for other processes; without the credentials."""
        listing = [asdict(request) for request in self.requests]
        for each in listing:
            del each["authorization"]
        return answers.document(200, "application/json", json.dumps(listing))
