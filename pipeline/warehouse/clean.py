"""Which lines DuckDB's own typed `read_json` reads exactly.

It takes more than JSON allows, changes what does not fit a column, and writes JSON columns anew: what comes out is
the line's own text only where that is written as DuckDB would write it.
"""

import datetime as dt
import operator
import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from pipeline.warehouse.events import COLUMNS, Kind
from pipeline.warehouse.fits import EXACT_INTEGER, LARGEST_INTEGER
from pipeline.warehouse.rows import DEEPEST

LONGEST = 1_000_000
"""Bytes of the longest line that is called clean; DuckDB's buffers are a multiple of it."""

_UUID = b"00000000-0000-0000-0000-000000000000"
_DIGITS = bytes.maketrans(b"0123456789abcdefABCDEF", b"0" * 22)

_NULL: Any = None
_TYPES: dict[Kind, tuple[Any, Any]] = {
    Kind.TEXT: (str | None, _NULL),
    Kind.INTEGER: (Annotated[int, msgspec.Meta(ge=-LARGEST_INTEGER - 1, le=LARGEST_INTEGER)] | None, _NULL),
    # The bounds are compared once an integer is rounded: what stands at the edge may have been beyond it.
    Kind.NUMBER: (Annotated[float, msgspec.Meta(gt=-EXACT_INTEGER, lt=EXACT_INTEGER)] | None, _NULL),
    Kind.FLAG: (bool | None, _NULL),
    Kind.TIME: (Annotated[dt.datetime, msgspec.Meta(tz=False)] | None, _NULL),
    Kind.UUID: (Annotated[str, msgspec.Meta(min_length=len(_UUID), max_length=len(_UUID))] | None, _NULL),
    Kind.JSON: (msgspec.Raw, msgspec.Raw()),
}
_TEXT_OR_FLAG: tuple[Any, Any] = (str | bool | None, _NULL)  # DuckDB reads a truth value into a text as JSON writes it
_FIELDS = {column.name: f"c{place}" for place, column in enumerate(COLUMNS)}  # no key is a name in Python by right
_Strict = msgspec.defstruct(
    "Strict",
    [(_FIELDS[column.name], *(_TEXT_OR_FLAG if column.booleans else _TYPES[column.kind])) for column in COLUMNS],
    rename={field: name for name, field in _FIELDS.items()},
    forbid_unknown_fields=True,
    gc=False,
)
_decode = msgspec.json.Decoder(_Strict).decode
_OBJECTS = [column.name for column in COLUMNS if column.kind is Kind.JSON]
_VARIED = ("event_properties", "user_properties")  # seldom alike from row to row, where the others seldom differ
_varied = operator.attrgetter(*(_FIELDS[name] for name in (*_VARIED, "uuid")))
_steady = operator.attrgetter(*(_FIELDS[name] for name in _OBJECTS if name not in _VARIED))

_ALWAYS = frozenset((b"", b"null", b"{}", b"[]"))
_CACHE_BYTES = 16_000_000
_LONGEST_CACHED = 4000
_ENTRY_BYTES = 100  # what Python needs beside the text
_EXPONENT = re.compile(rb"(?:^|[:,\[])-?[0-9]+(?:\.[0-9]+)?[eE]")
_SHAPE = bytes.maketrans(b"123456789+-", b"0" * 11)


class Sieve:
    """Tells clean lines from others, and remembers what it has seen: objects repeat from row to row."""

    def __init__(self) -> None:
        self._known = set(_ALWAYS)
        self._room = _CACHE_BYTES

    def sift(self, lines: Sequence[bytes], longest: int = LONGEST) -> tuple[list[str | None], list[int]]:
        """Looks at lines.

        A key that stands twice, a `t` in a time, and more than 6 digits of a second's fraction pass: DuckDB is not
        silent about them.

        Args:
            lines: Without their newlines.
            longest: Bytes that a clean line may have.

        Returns:
            The uuid of each that is clean, and the places of those that are not, blank ones among them.
        """
        decode, known, is_canonical = _decode, self._known, self._is_canonical
        steady, varied, join = _steady, _varied, b"\n".join
        uuids: list[str | None] = []
        others: list[int] = []
        for place, line in enumerate(lines):
            uuid = None
            try:
                row = decode(line)
                event, user, uuid = varied(row)
                event, user = bytes(event), bytes(user)
                if not (
                    (event in known or is_canonical(event))
                    and (user in known or is_canonical(user))
                    and (join(steady(row)) in known or self._are_canonical(steady(row)))
                    and len(line) <= longest
                ):
                    others.append(place)
            except (ValueError, RecursionError):
                others.append(place)
            uuids.append(uuid)
        if not _are_uuids([uuid for uuid in uuids if uuid]):
            bad = {place for place, uuid in enumerate(uuids) if uuid and not _are_uuids([uuid])}
            others = sorted({*others, *bad})
        return uuids, others

    def _are_canonical(self, values: Sequence[msgspec.Raw]) -> bool:
        """Tells it of several at once; no line holds the newline that they are remembered with."""
        texts = [bytes(value) for value in values]
        if not all(text in self._known or self._is_canonical(text) for text in texts):
            return False
        self._remember(b"\n".join(texts))
        return True

    def _is_canonical(self, text: bytes) -> bool:
        """Tells whether DuckDB writes a JSON text anew as it stands."""
        try:
            if msgspec.json.encode(msgspec.json.decode(text)) != text:
                return False
        except (ValueError, OverflowError, RecursionError):
            return False
        # The search for an exponent is slow, and few texts have the shape of one.
        if b"\\u" in text or (b"0e0" in text.translate(_SHAPE) and _EXPONENT.search(text)):
            return False
        if text.count(b"{") + text.count(b"[") >= DEEPEST:  # the event itself is a level
            return False
        self._remember(text)
        return True

    def _remember(self, text: bytes) -> None:
        if len(text) > _LONGEST_CACHED:
            return
        if self._room < len(text):
            self._known.clear()
            self._known.update(_ALWAYS)
            self._room = _CACHE_BYTES
        self._known.add(text)
        self._room -= len(text) + _ENTRY_BYTES


def _are_uuids(uuids: list[str]) -> bool:
    """Tells whether all texts, each as long as a uuid, have its form."""
    return "".join(uuids).encode().translate(_DIGITS) == _UUID * len(uuids)
