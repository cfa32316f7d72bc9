"""Whether a value's JSON text fits its column, and what the column then holds."""

import datetime as dt
import re
from collections.abc import Callable

import msgspec

from pipeline.warehouse.events import Column, Kind

Value = str | int | bool

LARGEST_INTEGER = 2**63 - 1
"""What an INTEGER column holds; the smallest is one further from 0."""

EXACT_INTEGER = 2**53
"""An integer beyond it is rounded in a NUMBER column."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ Tt]((?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}(?:\.[0-9]{1,6})?)")
_INTEGER = re.compile(rb"-?[0-9]+")
_LONGEST_INTEGER = 20  # characters: a sign and 19 digits

_text = msgspec.json.Decoder(str)


def fitted(column: Column, text: bytes) -> Value | None:
    """Returns what a column holds for a value's JSON text, or None where it does not fit.

    Args:
        column: Where it should go.
        text: Valid JSON, and not `null`.

    Returns:
        A NUMBER as the shortest text of its double, a time as a text with six digits of fraction, a uuid in lower case,
        JSON as it is written.
    """
    if column.booleans and text in (b"true", b"false"):
        return text.decode()
    return _FITS[column.kind](text)


def _as_text(text: bytes) -> str | None:
    return _text.decode(text) if text.startswith(b'"') else None


def _as_integer(text: bytes) -> int | None:
    if len(text) > _LONGEST_INTEGER or not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -LARGEST_INTEGER - 1 <= number <= LARGEST_INTEGER else None


def _as_number(text: bytes) -> str | None:
    if not text.startswith((b"-", *(b"%d" % digit for digit in range(10)))):
        return None
    if _INTEGER.fullmatch(text):
        number = _as_integer(text)
        return None if number is None or abs(number) > EXACT_INTEGER else str(number)
    return repr(float(text))


def _as_flag(text: bytes) -> bool | None:
    return {b"true": True, b"false": False}.get(text)


def _as_time(text: bytes) -> str | None:
    match = _TIME.fullmatch(_as_text(text) or "")
    try:
        return dt.datetime.fromisoformat(f"{match[1]}T{match[2]}").isoformat(" ", "microseconds") if match else None
    except ValueError:  # no such day
        return None


def _as_uuid(text: bytes) -> str | None:
    value = (_as_text(text) or "").lower()
    return value if _UUID.fullmatch(value) else None


_FITS: dict[Kind, Callable[[bytes], Value | None]] = {
    Kind.TEXT: _as_text,
    Kind.INTEGER: _as_integer,
    Kind.NUMBER: _as_number,
    Kind.FLAG: _as_flag,
    Kind.TIME: _as_time,
    Kind.UUID: _as_uuid,
    Kind.JSON: bytes.decode,
}
