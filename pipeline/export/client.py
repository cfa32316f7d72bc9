"""One request to Amplitude's Export API: a window of hours to a file on disk."""

import contextlib
import dataclasses
import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from pipeline import PROJECT, __version__
from pipeline.errors import RequestError, TooLargeError, TransientError, storage_errors
from pipeline.export import answers, faults
from pipeline.export.connections import Connections, session
from pipeline.export.windows import Window
from pipeline.redaction import redact
from pipeline.settings import Credentials, Settings
from pipeline.text import printable

PIECE = 1 << 20
"""Bytes that are read from the network, and written to the disk, at a time."""

USER_AGENT = f"{PROJECT}/{__version__}"

_BODY = 64 << 10  # of an answer that is no export, its beginning is enough
_HEAD = 120  # bytes that are shown of a body that should be a ZIP


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a window's request brought: 200 with so many bytes of ZIP, or 404 with none; times UTC and seconds."""

    status: int
    bytes: int
    requested_at: dt.datetime
    seconds: float


class Client:
    """Asks the Export API; it may be used by several threads at once."""

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self._settings = settings
        # As bytes: requests would encode text as Latin-1.
        self._auth = HTTPBasicAuth(credentials.key.reveal().encode(), credentials.secret.reveal().encode())
        self._open: set[Connections] = set()
        self._closed = False

    def close(self) -> None:
        """Cuts every request that is under way, in whichever thread it waits."""
        self._closed = True
        for connections in list(self._open):
            connections.cut()

    def fetch_window(
        self, date: dt.date, window: Window, part: Path, received: Callable[[int], None], seconds: float
    ) -> Answer:
        """Fetches a window once.

        Args:
            date: The upload day, UTC.
            window: Its hours, both ends included.
            part: Where the ZIP is written; what stands there is overwritten.
            received: Called with the number of bytes of each piece.
            seconds: How long the whole may take.

        Returns:
            The answer: 200 and a file that is as long as declared, or 404 and none, Amplitude's word for "no data".

        Raises:
            TransientError: It may work the next time.
            TooLargeError: The window is more than one answer can hold.
            CredentialsError: The key or the secret was refused.
            RequestError: Any other answer.
            ConfigError: The connection cannot be trusted.
            StorageError: The file cannot be written.
        """
        connections, started = Connections(), time.monotonic()
        now = dt.datetime.now(dt.UTC)
        self._open.add(connections)
        try:
            if self._closed:
                raise _stopped()
            with (
                session(connections, is_loopback=self._settings.is_loopback) as http,
                connections.cut_after(seconds),
                self._ask(http, connections, window.query(date), seconds) as response,
            ):
                size = self._take(response, connections, part, received)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            if self._closed:
                raise _stopped() from None
            if connections.is_cut:
                raise _late() from None
            raise faults.error_of(error, self._settings) from None
        finally:
            self._open.discard(connections)
            connections.cut()
        return Answer(200 if size else 404, size, now, round(time.monotonic() - started, 3))

    def _ask(
        self, http: requests.Session, connections: Connections, query: dict[str, str], seconds: float
    ) -> requests.Response:
        """Sends the request and waits for the answer's head, not longer than the first byte may take."""
        patience = min(self._settings.first_byte_timeout, seconds)
        connect = min(self._settings.connect_timeout, seconds)
        try:
            with connections.cut_after(connect + patience):
                response = http.get(
                    f"{self._settings.api}/api/2/export",
                    params=query,
                    auth=self._auth,
                    headers={"User-Agent": USER_AGENT, "Accept": "application/zip", "Accept-Encoding": "identity"},
                    timeout=(connect, patience),
                    allow_redirects=False,
                    stream=True,
                )
        except requests.RequestException as error:
            if connections.is_cut or isinstance(error, requests.ReadTimeout):
                raise self._never_began(patience) from None
            raise
        if connections.is_cut:  # a head that is cut reads as a shorter one
            response.close()
            raise self._never_began(patience)
        return response

    def _never_began(self, patience: float) -> TransientError:
        return _stopped() if self._closed else _silent(self._settings, patience)

    def _take(
        self, response: requests.Response, connections: Connections, part: Path, received: Callable[[int], None]
    ) -> int:
        """Writes the ZIP of an answer to disk; returns its bytes, 0 where Amplitude has no data."""
        body = _Body(response, connections, self._settings)
        if response.status_code != 200:  # noqa: PLR2004
            said = body.beginning()
            if response.status_code == 404 and answers.is_no_data(said, response.headers.get("Content-Type", "")):  # noqa: PLR2004
                return 0
            raise answers.error_of(response.status_code, response.headers, said, self._settings.host)
        declared = self._declared(response)
        size = 0
        piece = body.first()
        _refuse_other_than_zip(response, piece)
        with storage_errors(part), contextlib.ExitStack() as stack:
            file = stack.enter_context(part.open("wb", buffering=PIECE))
            while piece:
                size += len(piece)
                self._refuse_too_long(size)
                file.write(piece)
                received(len(piece))
                piece = body.read()
        if declared is not None and size != declared:
            raise TransientError(f"the answer ended after {size} of {declared} bytes")
        return size

    def _declared(self, response: requests.Response) -> int | None:
        """Returns the answer's declared length in bytes, or None."""
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise RequestError(
                f"{self._settings.host} answered in the encoding {printable(encoding)}, which was not asked for",
                "A proxy may stand between: fetch without it.",
            )
        lengths = {value.strip() for value in response.raw.headers.getlist("Content-Length")}
        if not lengths:
            return None
        if len(lengths) > 1 or not all(value.isascii() and value.isdigit() for value in lengths):
            raise TransientError(f"the answer declares the length {printable(' and '.join(sorted(lengths)))}")
        declared = int(lengths.pop())
        self._refuse_too_long(declared)
        return declared

    def _refuse_too_long(self, size: int) -> None:
        if size > self._settings.max_window_bytes:
            raise TooLargeError(
                f"the answer is larger than {self._settings.max_window_bytes} bytes",
                "If it is honest, raise AMP_MAX_WINDOW_BYTES.",
                status=413,
            )


class _Body:
    """An answer's body in pieces, with a minimum speed that is looked at after each: a read's timeout knows none."""

    def __init__(self, response: requests.Response, connections: Connections, settings: Settings) -> None:
        self._response = response
        self._connections = connections
        self._settings = settings
        self._since = time.monotonic()
        self._bytes = 0

    def first(self) -> bytes:
        """Waits for the first piece as long as for the head, which may come before Amplitude builds the ZIP."""
        try:
            piece = self._next()
        except urllib3.exceptions.ReadTimeoutError:
            raise _silent(self._settings, self._settings.first_byte_timeout) from None
        self._connections.set_timeout(self._settings.read_timeout)
        self._since = time.monotonic()
        return piece

    def read(self) -> bytes:
        """Returns the next piece; nothing at the end."""
        piece = self._next()
        now = time.monotonic()
        self._bytes += len(piece)
        spent = now - self._since
        if spent >= self._settings.read_timeout:
            if self._bytes < self._settings.min_speed * spent:
                raise TransientError(
                    f"the answer came at {self._bytes / spent:.0f} bytes a second, slower than AMP_MIN_SPEED"
                )
            self._since, self._bytes = now, 0
        return piece

    def beginning(self) -> bytes:
        """Returns the beginning of a body that is no export."""
        body = b""
        self._connections.set_timeout(self._settings.read_timeout)
        try:
            while len(body) < _BODY and (piece := self.read()):
                body += piece
        except (urllib3.exceptions.HTTPError, TransientError):
            # What the status says holds without the rest of the words; but for 404, which only they explain.
            if self._response.status_code == 404:  # noqa: PLR2004
                raise
        return body[:_BODY]

    def _next(self) -> bytes:
        # read1: what has come, at most a piece; read() would wait for a whole piece on a slow line.
        raw: Any = self._response.raw
        piece: bytes = raw.read1(PIECE, decode_content=False)
        if not piece and self._connections.is_cut:
            raise _late()
        return piece


def _silent(settings: Settings, patience: float) -> TransientError:
    return TransientError(f"no answer of {settings.host} in {patience:g} s")


def _late() -> TransientError:
    return TransientError("the answer did not end within AMP_DEADLINE")


def _stopped() -> TransientError:
    return TransientError("the run was stopped")


def _refuse_other_than_zip(response: requests.Response, piece: bytes) -> None:
    if piece[:4] != b"PK\x03\x04"[: len(piece)] or not piece:
        kind = printable(response.headers.get("Content-Type", "no type"), 60)
        head = printable(redact(piece[:_HEAD].decode("utf-8", "replace"))) if piece else "nothing"
        raise TransientError(
            f"status 200 with {kind}, which is no export ZIP; it begins: {head}",
            "If it stays so, look at AMP_REGION and AMP_BASE_URL.",
        )
