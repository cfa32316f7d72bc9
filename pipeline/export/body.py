"""An answer's body on its way: in pieces, not slower than a minimum, and its end told from a cut."""

import time
from typing import Any

import requests
import urllib3

from pipeline.errors import TransientError
from pipeline.export.connections import Connections
from pipeline.settings import Settings

PIECE = 1 << 20
"""Bytes that are read from the network, and written to the disk, at a time."""

_BEGINNING = 64 << 10  # of an answer that is no export, its beginning is enough


class Body:
    """An answer's body in pieces, with a minimum speed that is looked at after each: a read's timeout knows none.

    Args:
        response: The answer, its head read and its body not begun.
        connections: Its sockets.
        settings: How long a piece may take, and how slow they may come.
        patience: Seconds that the first piece may take.
    """

    def __init__(
        self, response: requests.Response, connections: Connections, settings: Settings, patience: float
    ) -> None:
        self._response = response
        self._connections = connections
        self._settings = settings
        self._patience = patience
        self._since = time.monotonic()
        self._bytes = 0

    def first(self) -> bytes:
        """Waits for the first piece as long as for the head, which may come before Amplitude builds the ZIP."""
        try:
            piece = self._next()
        except urllib3.exceptions.ReadTimeoutError:
            raise silent(self._settings, self._patience) from None
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
            while len(body) < _BEGINNING and (piece := self.read()):
                body += piece
        except (urllib3.exceptions.HTTPError, TransientError):
            # What the status says holds without the rest of the words; but for 404, which only they explain.
            if self._response.status_code == 404:  # noqa: PLR2004
                raise
        return body[:_BEGINNING]

    def _next(self) -> bytes:
        # read1: what has come, at most a piece; read() would wait for a whole piece on a slow line.
        raw: Any = self._response.raw
        piece: bytes = raw.read1(PIECE, decode_content=False)
        if not piece and self._connections.is_cut:
            raise late()
        return piece


def silent(settings: Settings, patience: float) -> TransientError:
    """Returns the error for a server that sent nothing in so many seconds."""
    return TransientError(f"no answer of {settings.host} in {patience:g} s")


def late() -> TransientError:
    """Returns the error for an answer that was cut at its deadline."""
    return TransientError("the answer did not end within AMP_DEADLINE")
