"""One request to Amplitude's Export API: a window of hours to a file on disk."""

import contextlib
import dataclasses
import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from pipeline import PROJECT, __version__
from pipeline.errors import RequestError, TooLargeError, TransientError, storage_errors
from pipeline.export import answers, faults
from pipeline.export.body import PIECE, Body, late, silent
from pipeline.export.connections import Connections, session
from pipeline.export.settled import refuse_unserved
from pipeline.export.windows import Window
from pipeline.redaction import redact
from pipeline.settings import Credentials, Settings
from pipeline.text import printable

USER_AGENT = f"{PROJECT}/{__version__}"

_HEAD = 120  # bytes that are shown of a body that should be a ZIP


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a window's request brought: 200 with so many bytes of ZIP, or 404 with none; times UTC and seconds.

    `served_at` is the server's own clock when it began to answer; None where it did not say.
    """

    status: int
    bytes: int
    requested_at: dt.datetime
    served_at: dt.datetime | None
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
            NotReadyError: By the server's clock, the day is not settled.
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
                served_at = answers.served_at(response.headers.get("Date"))
                refuse_unserved(date, self._settings, served_at)
                body = Body(response, connections, self._settings, self._patience(seconds))
                size = self._take(response, body, part, received)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            if self._closed:
                raise _stopped() from None
            if connections.is_cut:
                raise late() from None
            raise faults.error_of(error, self._settings) from None
        finally:
            self._open.discard(connections)
            connections.cut()
        return Answer(200 if size else 404, size, now, served_at, round(time.monotonic() - started, 3))

    def _ask(
        self, http: requests.Session, connections: Connections, query: dict[str, str], seconds: float
    ) -> requests.Response:
        """Sends the request and waits for the answer's head, not longer than the first byte may take."""
        patience = self._patience(seconds)
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

    def _patience(self, seconds: float) -> float:
        """Returns how long the first byte may take."""
        return min(self._settings.first_byte_timeout, seconds)

    def _never_began(self, patience: float) -> TransientError:
        return _stopped() if self._closed else silent(self._settings, patience)

    def _take(self, response: requests.Response, body: Body, part: Path, received: Callable[[int], None]) -> int:
        """Writes the ZIP of an answer to disk; returns its bytes, 0 where Amplitude has no data."""
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
