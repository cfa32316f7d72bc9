"""One line to one row, read carefully: every value exact, in its column or apart, or the line refused with a reason."""

import codecs
import itertools
import json
import re
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from pipeline.text import printable
from pipeline.warehouse.events import COLUMNS, EXTRA, Kind
from pipeline.warehouse.fits import Value, fitted

DEEPEST = 100
"""Levels of `{` and `[` that an event may have; Amplitude keeps 40 (source: the limits of its HTTP V2 API)."""

MOST_NAMES = 1000
"""Names of keys that are counted each for itself; further ones are counted together."""

OTHERS = "(other keys)"
"""The name under which keys beyond MOST_NAMES are counted."""

ODD_TYPES = {
    column.name: column.kind.value if column.kind in (Kind.INTEGER, Kind.FLAG) else "VARCHAR"
    for column in (*COLUMNS, EXTRA)
}
"""DuckDB's type to read each key of an encoded row with; from the VARCHARs it casts to the column's own, exactly."""

_COLUMNS = {column.name: column for column in COLUMNS}
_BRACKETS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_NO_BRACKETS = bytes(set(range(256)) - _BRACKETS.keys())
# Possessive, and a string needs no end: the time is linear on any text.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_MAYBE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F])|.)", re.DOTALL)

_keys = msgspec.json.Decoder(dict[str, msgspec.Raw])


class RejectedError(Exception):
    """A line is no event.

    Attributes:
        reason: Why, in a few words; of the content it holds the name of a key at most.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Row(msgspec.Struct, frozen=True):
    """A line as a row.

    Attributes:
        values: By column, in the form of `fits.fitted`, those that are not null.
    """

    values: dict[str, Value]

    @property
    def uuid(self) -> str | None:
        """The uuid, in lower case."""
        return self._text("uuid")

    @property
    def server_upload_time(self) -> str | None:
        """The upload time; as texts such times sort as they do as times."""
        return self._text("server_upload_time")

    def encode(self) -> bytes:
        """Returns the row as a line of JSON that DuckDB reads exactly with ODD_TYPES, ended by a newline."""
        return msgspec.json.encode(self.values) + b"\n"

    def _text(self, name: str) -> str | None:
        value = self.values.get(name)
        return value if isinstance(value, str) else None


def read_row(line: bytes, max_event_bytes: int) -> Row:
    """Reads a line.

    Args:
        line: Its bytes; a byte order mark at its beginning is no part of it.
        max_event_bytes: What an event may have.

    Raises:
        RejectedError: It is no event.
    """
    if len(line) > max_event_bytes:
        raise RejectedError(too_long(len(line), max_event_bytes))
    event = line.removeprefix(codecs.BOM_UTF8)
    _check(event)
    values: dict[str, Value] = {}
    extra = []
    for key, raw in _keys.decode(event).items():
        text = bytes(raw)
        if column := _COLUMNS.get(key):
            if text == b"null":
                continue
            value = fitted(column, text)
            if value is not None:
                values[key] = value
                continue
        extra.append(f"{json.dumps(key, ensure_ascii=False)}:{text.decode()}")
    if extra:
        values[EXTRA.name] = f"{{{','.join(extra)}}}"
    return Row(values)


def too_long(size: int, max_event_bytes: int) -> str:
    """Returns the reason why a line is refused for its length."""
    return f"{size} bytes, and an event may have {max_event_bytes} (PIPELINE_MAX_EVENT_BYTES)"


def count_apart(total: dict[str, int], more: Mapping[str, int]) -> None:
    """Adds counts of values kept apart to a total that holds at most MOST_NAMES names, and OTHERS."""
    for key, count in more.items():
        name = printable(key, 100)
        if name not in total and len(total) >= MOST_NAMES:
            name = OTHERS
        total[name] = total.get(name, 0) + count


def _check(event: bytes) -> None:
    """Refuses what is not one JSON object that every reader of JSON reads alike."""
    try:
        text = event.decode()
    except UnicodeDecodeError as error:
        raise RejectedError(f"not UTF-8 at byte {error.start + 1}") from None
    if _is_deeper(event):  # before any parser sees it: parsers recurse
        raise RejectedError(f"nested deeper than {DEEPEST} levels")
    try:
        keys = _parser.decode(text)
    except json.JSONDecodeError as error:
        raise RejectedError(f"not JSON at character {error.pos + 1}: {printable(error.msg, 100)}") from None
    if not isinstance(keys, tuple):
        raise RejectedError("JSON, but not an object")
    if len(set(keys)) < len(keys):
        twice = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise RejectedError(f"the key {printable(json.dumps(twice, ensure_ascii=False), 100)} stands twice")
    if _MAYBE_SURROGATE.search(text) and any(escape[1] for escape in _ESCAPE.finditer(text)):
        raise RejectedError("half of a surrogate pair, which is no character")


def _is_deeper(event: bytes) -> bool:
    if event.count(b"{") + event.count(b"[") <= DEEPEST:
        return False
    brackets = _STRING.sub(b"", event).translate(None, _NO_BRACKETS)
    return any(depth > DEEPEST for depth in itertools.accumulate(map(_BRACKETS.__getitem__, brackets)))


def _keys_alone(pairs: list[tuple[str, object]]) -> tuple[str, ...]:
    return tuple(key for key, _ in pairs)


def _refuse_constant(name: str) -> NoReturn:
    raise RejectedError(f"{name} is not JSON")


def _finite(literal: str) -> None:
    if float(literal) in (float("inf"), float("-inf")):
        raise RejectedError("a number beyond the range of a double")


# Strict, and nothing of the values is kept: an object becomes its keys, and an integer of any length stays a text.
_parser = json.JSONDecoder(
    object_pairs_hook=_keys_alone, parse_constant=_refuse_constant, parse_float=_finite, parse_int=lambda _: None
)
