"""Sends an answer over a socket, with the pauses and the ending it asks for."""

from __future__ import annotations

import socket
import struct
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING

from pipeline.sandbox.answer import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from threading import Event

    from pipeline.sandbox.answer import Answer

_SMALL = 65_536  # bytes of a chunk that are cheaper to copy than to send apart
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 seconds: close() sends RST


class Closing(Exception):  # noqa: N818 - not an error: the sandbox is being closed
    """The sandbox closes while an answer is still under way."""


class Wire:
    """One connection, for one answer.

    Args:
        connection: Where to.
        closing: Set when the sandbox closes: every pause ends then, with `Closing`.
    """

    def __init__(self, connection: socket.socket, closing: Event) -> None:
        self._socket = connection
        self._closing = closing

    def send(self, answer: Answer) -> bool:
        """Sends ``answer`` and says whether the connection can take another request."""
        self._pause(answer.wait)
        if answer.status == 0:
            return False
        self._send_slowly(_head(answer), answer.header_pause)
        while answer.endless_header:
            self._socket.sendall(b"x" * 65_536)
            self._pause(0.01)
        whole = self._send_body(answer)
        if answer.ending == "stall":
            while True:
                self._pause(60)
        if answer.ending == "reset":
            self._pause(0.05)  # RST throws away what the kernel has not sent yet
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return whole and answer.ending == "done" and answer.framing != "none"

    def _send_body(self, answer: Answer) -> bool:
        """Sends the body, or the part of it that is to be sent, and says whether it was all."""
        size = 1 if answer.body_pause else CHUNK if answer.rate is None else max(1, min(CHUNK, int(answer.rate / 20)))
        started, sent = monotonic(), 0
        for whole in _pieces(answer.body, size):
            piece = whole if answer.size is None else whole[: answer.size - sent]
            self._send_piece(piece, chunked=answer.framing == "chunked")
            sent += len(piece)
            if answer.size is not None and sent >= answer.size:
                return False
            self._pause(answer.body_pause)
            if answer.rate is not None:
                self._pause(sent / answer.rate - (monotonic() - started))
        if answer.framing == "chunked":
            self._socket.sendall(b"0\r\n\r\n")
        return True

    def _send_piece(self, piece: memoryview, *, chunked: bool) -> None:
        if not piece:
            return
        if not chunked:
            self._socket.sendall(piece)
        elif len(piece) < _SMALL:
            self._socket.sendall(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)))
        else:  # without a copy
            self._socket.sendall(b"%x\r\n" % len(piece))
            self._socket.sendall(piece)
            self._socket.sendall(b"\r\n")

    def _send_slowly(self, data: bytes, pause: float) -> None:
        if not pause:
            self._socket.sendall(data)
            return
        for at in range(len(data)):
            self._socket.sendall(data[at : at + 1])
            self._pause(pause)

    def _pause(self, seconds: float) -> None:
        if self._closing.is_set() or (seconds > 0 and self._closing.wait(seconds)):
            raise Closing


def _head(answer: Answer) -> bytes:
    reason = HTTPStatus(answer.status).phrase if answer.status in set(HTTPStatus) else "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in answer.headers)]
    if answer.length is not None:
        lines.append(f"Content-Length: {answer.length}")
    elif answer.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    else:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + ("\r\nX-Endless: " if answer.endless_header else "\r\n\r\n")).encode(
        "latin-1", "replace"
    )


def _pieces(chunks: Iterable[bytes], size: int) -> Iterator[memoryview]:
    """The same bytes in pieces of at most ``size``; small chunks are joined."""
    held = bytearray()
    for chunk in chunks:
        if held and len(held) + len(chunk) > size:
            yield memoryview(held)
            held = bytearray()
        if len(chunk) > size:
            view = memoryview(chunk)
            yield from (view[at : at + size] for at in range(0, len(view), size))
        else:
            held += chunk
    if held:
        yield memoryview(held)
