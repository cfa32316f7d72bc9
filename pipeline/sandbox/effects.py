"""What each kind of fault makes of the answer that Amplitude would have given."""

from __future__ import annotations

import zlib
from dataclasses import replace
from http import HTTPStatus
from itertools import chain, repeat
from typing import TYPE_CHECKING

from pipeline.sandbox import answer as answers
from pipeline.sandbox.answer import CHUNK, Answer, spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipeline.sandbox.faults import Fault

TOO_LARGE = (
    "The file size of the exported data is too large. Shorten the time ranges and try again. The limit size is 4GB."
)
NO_DATA = "Raw data files were not found."
_BAD_KEY = "Invalid API Key"

# What an answer of this status says unless the fault says otherwise: the form of the body, and its message.
_STATUS = {
    400: ("json", TOO_LARGE),
    401: ("text", "Unauthorized"),
    403: ("json", _BAD_KEY),
    404: ("text", NO_DATA),
    429: ("json", "Too many requests"),
    504: ("text", "Gateway timeout: the amount of data is large causing a timeout."),
}


def apply(fault: Fault, answer: Answer) -> Answer:
    """``answer`` as ``fault`` spoils it."""
    return _EFFECTS[fault.kind](fault, answer)


def _status(fault: Fault, answer: Answer) -> Answer:
    status = int(fault.number)
    headers = (("Retry-After", fault.retry_after),) if fault.retry_after else ()
    if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):  # they never have a body
        return Answer(status, headers, framing="none", length=None)
    if status < HTTPStatus.MULTIPLE_CHOICES and not (fault.body or fault.message):
        return replace(answer, status=status, headers=answer.headers + headers)
    form, message = _STATUS.get(status, ("text", f"The server answered {status}."))
    form, message = fault.body or form, fault.message or message
    if form == "json" and not fault.message.startswith("{"):
        return answers.error(status, message, message, *headers)
    if form == "html":
        return answers.html(status, fault.message or f"Error {status}", *headers)
    kind = "application/json" if form == "json" else "text/plain; charset=utf-8"
    return answers.document(status, kind, "" if form == "empty" else message, *headers)


def _cut(fault: Fault, answer: Answer) -> Answer:
    body, length = spool(answer.body)
    declared = length if fault.framing == "length" else None
    size = int(length * fault.number)
    return replace(answer, body=body, length=declared, framing=fault.framing, size=size, ending="close")


def _reset(fault: Fault, answer: Answer) -> Answer:
    body, length = spool(answer.body)
    return replace(answer, body=body, length=length, framing="length", size=int(length * fault.number), ending="reset")


def _stall(fault: Fault, answer: Answer) -> Answer:
    body, length = spool(answer.body)
    return replace(answer, body=body, length=length, framing="length", size=int(length * fault.number), ending="stall")


def _page(_: Fault, __: Answer) -> Answer:
    return answers.html(200, "Log in to Amplitude")


def _json(_: Fault, __: Answer) -> Answer:
    return answers.error(200, "Something went wrong", "Please try again later")


def _no_bytes(_: Fault, answer: Answer) -> Answer:
    return replace(answer, status=200, body=(), length=0, framing="length")


def _redirect(fault: Fault, _: Answer) -> Answer:
    return answers.text(302, "Found", ("Location", str(fault.value)))


def _encoding(fault: Fault, answer: Answer) -> Answer:
    headers = (*answer.headers, ("Content-Encoding", "gzip"))
    body: Iterable[bytes] = _gzip(answer.body)
    if fault.cut:
        whole, length = spool(body)
        body = _first(whole, length // 2)
    return replace(answer, headers=headers, body=body, length=None, framing="chunked")


def _length(fault: Fault, answer: Answer) -> Answer:
    body, length = spool(answer.body)
    declared = {"abc": ["abc"], "two": [str(length), str(length + 1)], "short": [str(length - length // 10 - 1)]}
    headers = tuple(("Content-Length", value) for value in declared[str(fault.value)])
    return replace(answer, headers=answer.headers + headers, body=body, length=None, framing="none", ending="close")


def _short_zip(fault: Fault, answer: Answer) -> Answer:
    body, length = spool(answer.body)
    return replace(answer, body=_first(body, int(length * fault.number)), length=None, framing="chunked")


def _flip(_: Fault, answer: Answer) -> Answer:
    body, length = spool(answer.body)
    return replace(answer, body=_flipped(body, length // 2))


def _long_header(_: Fault, answer: Answer) -> Answer:
    return replace(answer, headers=(*answer.headers, ("X-Padding", "x" * 100_000)))


def _many_headers(_: Fault, answer: Answer) -> Answer:
    return replace(answer, headers=(*answer.headers, *((f"X-Header-{at}", "x") for at in range(300))))


def _big(fault: Fault, _: Answer) -> Answer:
    size = int(fault.number)
    body = chain((b"PK\x03\x04" + bytes(CHUNK - 4),), repeat(bytes(CHUNK)))
    big = replace(answers.archive(_first(body, size)), length=size)
    return replace(big, framing="length") if fault.declare else replace(big, length=None)


_EFFECTS: dict[str, Callable[[Fault, Answer], Answer]] = {
    "status": _status,
    "cut": _cut,
    "reset": _reset,
    "stall": _stall,
    "drip": lambda fault, answer: replace(answer, body_pause=fault.number),
    "slow-headers": lambda fault, answer: replace(answer, header_pause=fault.number),
    "wait": lambda fault, answer: replace(answer, wait=answer.wait + fault.number),
    "latency": lambda fault, answer: replace(answer, wait=answer.wait + fault.number),
    "rate": lambda fault, answer: replace(answer, rate=fault.number),
    "html": _page,
    "json": _json,
    "no-bytes": _no_bytes,
    "redirect": _redirect,
    "encoding": _encoding,
    "length": _length,
    "short-zip": _short_zip,
    "flip": _flip,
    "long-header": _long_header,
    "many-headers": _many_headers,
    "endless-header": lambda _, answer: replace(answer, endless_header=True),
    "big": _big,
    "rebuild": lambda _, answer: answer,  # the archive itself is made differently: see api.py
    "drop": lambda _, __: Answer(0),
    "date": lambda fault, answer: replace(answer, headers=(*answer.headers, ("Date", str(fault.value)))),
}


def _first(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        if size <= 0:
            return
        yield chunk[:size]
        size -= len(chunk)


def _flipped(chunks: Iterable[bytes], at: int) -> Iterator[bytes]:
    for chunk in chunks:
        if 0 <= at < len(chunk):
            yield chunk[:at] + bytes([chunk[at] ^ 1]) + chunk[at + 1 :]
        else:
            yield chunk
        at -= len(chunk)


def _gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    deflate = zlib.compressobj(1, wbits=31)
    for chunk in chunks:
        yield deflate.compress(chunk)
    yield deflate.flush()
