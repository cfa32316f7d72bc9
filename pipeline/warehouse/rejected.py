"""The file of the lines that became no row, and of those that a row with their uuid put aside: JSON, a line each."""

import base64
import codecs

import msgspec

REJECT, CONFLICT = "reject", "conflict"
"""Why a line stands in the file: it is no event; it differs from the line with its uuid that is kept."""

KEPT_BYTES = 1000
"""Bytes that are kept of a line that is longer than an event may be."""


class RejectedLine(msgspec.Struct, kw_only=True, frozen=True):
    """A line as it came, and why it is not among the rows.

    Attributes:
        file: The name of the file of JSON lines.
        line: Its number there; the first is 1, and blank lines count.
        kind: `reject` or `conflict`.
        reason: Why, in a few words.
        bytes: Its length, without the newline.
        text: The line, exact, or its beginning; null where it is not UTF-8.
        base64: The same bytes where it is not UTF-8, else null.
        cut: Whether it is the beginning alone.
    """

    file: str
    line: int
    kind: str
    reason: str
    bytes: int
    text: str | None
    base64: str | None
    cut: bool


def encode_rejected(file: str, line: int, kind: str, reason: str, text: bytes, size: int) -> bytes:
    """Returns a line as the file of rejected lines holds it, ended by a newline.

    Args:
        file: The name of the file of JSON lines.
        line: Its number there, from 1.
        kind: REJECT or CONFLICT.
        reason: Why, in a few words.
        text: Its bytes, or the first of them.
        size: Its whole length in bytes.
    """
    cut = len(text) < size
    words = _decoded(text, whole=not cut)
    rejected = RejectedLine(
        file=file,
        line=line,
        kind=kind,
        reason=reason,
        bytes=size,
        text=words,
        base64=base64.b64encode(text).decode() if words is None else None,
        cut=cut,
    )
    return msgspec.json.encode(rejected) + b"\n"


def _decoded(text: bytes, *, whole: bool) -> str | None:
    try:
        # The cut may go through a character, of which nothing is kept then.
        return codecs.getincrementaldecoder("utf-8")().decode(text, final=whole)
    except UnicodeDecodeError:
        return None
