"""What the records say, typed: `_export.json` of a day's ZIP and `_SUCCESS` of a day's events.

Each record has an id and names the id of the stage that it was made from. A record is checked when it is read;
one that is torn, of another form or of another day is no record.
"""

import datetime as dt
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import TypeVar

import msgspec

from pipeline.errors import ConfigError
from pipeline.store.endrecord import read_end_record
from pipeline.store.paths import SUCCESS

FORMAT = 1
"""The records' form; a newer one is refused, for this program would write over what it does not understand."""

EXPORT_RECORD = "_export.json"
"""The ZIP's first member."""

EXPORTED, EMPTY, NO_FILE = "exported", "empty", "no file"
"""An hour's status: it has a file; Amplitude has no events of it; an import had no file of it and cannot say why."""

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")


class Window(msgspec.Struct, kw_only=True, frozen=True):
    """How a window was fetched: hours `first` to `last`, both included; bytes of ZIP; times in UTC and seconds."""

    first: int
    last: int
    status: int
    tries: int
    bytes: int
    requested_at: dt.datetime
    seconds: float


class Hour(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """An upload hour of the day and its status; `events` is known from the extraction on."""

    hour: int
    status: str
    events: int | None = None


class ExportRecord(msgspec.Struct, kw_only=True, frozen=True):
    """How a day was fetched, or from where it was imported."""

    format: int = FORMAT
    id: str
    date: dt.date
    app: int | None
    host: str
    source: str
    redo: str | None
    windows: list[Window]
    hours: list[Hour]
    pipeline: str


class ExportRef(msgspec.Struct, kw_only=True, frozen=True):
    """The ZIP that the events were extracted from; bytes and digest are the whole file's."""

    id: str
    bytes: int
    sha256: str
    source: str


class EventsFile(msgspec.Struct, kw_only=True, frozen=True):
    """A file of JSON lines; bytes of JSON; events = lines - blank lines; `crc32` is the gzip's own, checked."""

    name: str
    app: int
    hour: int
    part: int
    bytes: int
    lines: int
    blank_lines: int
    events: int
    crc32: str


class Totals(msgspec.Struct, kw_only=True, frozen=True):
    """The sums over a day's files."""

    files: int
    bytes: int
    lines: int
    blank_lines: int
    events: int


class EventsRecord(msgspec.Struct, kw_only=True, frozen=True):
    """What was extracted of a day; durations in seconds."""

    format: int = FORMAT
    id: str
    date: dt.date
    app: int | None
    host: str
    redo: str | None
    export: ExportRef
    hours: list[Hour]
    files: list[EventsFile]
    totals: Totals
    pipeline: str
    seconds: dict[str, float]


Record = TypeVar("Record", ExportRecord, EventsRecord)


def encode(record: msgspec.Struct) -> bytes:
    """Returns a record as indented JSON, ended by a newline."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def read_export_record(path: Path, date: dt.date) -> ExportRecord | None:
    """Reads how a day was fetched from its ZIP, and checks that the file has its end.

    Args:
        path: The ZIP.
        date: The day that it should be of.

    Returns:
        The record, or None where there is no whole ZIP of ours.
    """
    try:
        with path.open("rb") as file:
            return _decoded(_first_member(file.fileno()), ExportRecord, date, path)
    except (OSError, struct.error, zipfile.BadZipFile):
        return None


def read_events_record(directory: Path, date: dt.date) -> EventsRecord | None:
    """Reads the marker of a day's events, and checks that its files are there with their sizes.

    Args:
        directory: The day's directory.
        date: The day that it should be of.

    Returns:
        The record, or None where the directory is not whole.
    """
    try:
        record = _decoded((directory / SUCCESS).read_bytes(), EventsRecord, date, directory / SUCCESS)
        with os.scandir(directory) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries if entry.is_file(follow_symlinks=False)}
    except OSError:
        return None
    if record is None or any(sizes.get(file.name) != file.bytes for file in record.files):
        return None
    return record


def _decoded(text: bytes, kind: type[Record], date: dt.date, path: Path) -> Record | None:
    try:
        record = msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        _refuse_newer(text, path)
        return None
    if record.format > FORMAT:
        _refuse_newer(text, path)
    return record if record.date == date else None


def _refuse_newer(text: bytes, path: Path) -> None:
    try:
        form = msgspec.json.decode(text).get("format", 0)
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        return
    if isinstance(form, int) and form > FORMAT:
        raise ConfigError(
            f"{path} was written by a newer version of this pipeline (form {form}; this one knows {FORMAT})",
            "Update the pipeline (git pull), then run it again.",
        )


def _first_member(file: int) -> bytes:
    """Returns the bytes of a whole ZIP's first member if it is our record; else nothing."""
    sign, _, _, method, _, _, crc, _, length, name_length, extra_length = _LOCAL_HEADER.unpack(
        os.pread(file, _LOCAL_HEADER.size, 0)
    )
    name = os.pread(file, name_length, _LOCAL_HEADER.size)
    if sign != b"PK\x03\x04" or method != 0 or name != EXPORT_RECORD.encode():
        return b""
    read_end_record(file)
    text = os.pread(file, length, _LOCAL_HEADER.size + name_length + extra_length)
    return text if zlib.crc32(text) == crc else b""
