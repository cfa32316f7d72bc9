"""An answer before it is sent: what Amplitude would say, and how it travels."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.sandbox.faults import Framing

CHUNK = 1 << 20  # of the body, in bytes: large writes keep up with a fast client


@dataclass(frozen=True)
class Answer:
    """A response, and what is to go wrong while it is sent.

    Attributes:
        status: The HTTP status; 0 closes the connection without an answer.
        headers: Sent as they are, in order; repeated names stay.
        body: In chunks, made while they are sent. It can be read once.
        length: The Content-Length to declare; None where the framing is another.
        framing: How the client learns of the body's end: its length, chunks, or the connection's end.
        size: How much of the body is sent, in bytes, before ``ending``; None for all of it.
        ending: Then: "done" (keeps the connection), "close", "reset" (RST), or "stall" (silence).
        wait: Seconds before the first byte.
        header_pause: Seconds between the bytes of the headers.
        body_pause: Seconds between the bytes of the body.
        rate: Bytes of the body in a second; None for as fast as it goes.
        endless_header: The headers never end.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: Iterable[bytes] = ()
    length: int | None = None
    framing: Framing = "chunked"
    size: int | None = None
    ending: Literal["done", "close", "reset", "stall"] = "done"
    wait: float = 0
    header_pause: float = 0
    body_pause: float = 0
    rate: float | None = None
    endless_header: bool = False


def document(status: int, content_type: str, text: str, *headers: tuple[str, str]) -> Answer:
    """A short answer of known length."""
    body = text.encode()
    headers = (("Content-Type", content_type), *headers)
    return Answer(status, headers, (body,), length=len(body), framing="length")


def text(status: int, message: str, *headers: tuple[str, str]) -> Answer:
    """A short answer in plain text."""
    return document(status, "text/plain; charset=utf-8", message, *headers)


def html(status: int, title: str, *headers: tuple[str, str]) -> Answer:
    """A web page, as no API sends it."""
    page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return document(status, "text/html; charset=utf-8", page, *headers)


def error(status: int, message: str, details: str, *headers: tuple[str, str]) -> Answer:
    """An error in Amplitude's JSON envelope, as its REST APIs answer 400 and 403."""
    content = {"http_code": status, "type": "invalid", "message": message, "metadata": {"details": details}}
    return document(status, "application/json", json.dumps({"error": content}), *headers)


def archive(chunks: Iterable[bytes]) -> Answer:
    """The export itself: a ZIP of unknown length, so chunked; Amplitude's only seen header is its content type."""
    return Answer(200, (("Content-Type", "application/zip"),), chunks)


def spool(chunks: Iterable[bytes]) -> tuple[Iterator[bytes], int]:
    """The same chunks and their length in bytes, for what must be known ahead; beyond some MiB through a file."""
    file = tempfile.SpooledTemporaryFile(max_size=16 * CHUNK)  # noqa: SIM115 - the reader below closes it
    for chunk in chunks:
        file.write(chunk)
    length = file.tell()
    file.seek(0)

    def read() -> Iterator[bytes]:
        with file:
            while chunk := file.read(CHUNK):
                yield chunk

    return read(), length
