"""The records on disk: `_export.json` of a day's ZIP, and `_SUCCESS` of its events and of its Parquet.

A record is checked when it is read; one that is torn, of another form or of another day is no record.
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
from pipeline.store.endrecord import LOCAL_HEADER, read_end_record
from pipeline.store.paths import SUCCESS
from pipeline.store.records import FORMAT, EventsRecord, ExportRecord, LoadRecord

EXPORT_RECORD = "_export.json"
"""The ZIP's first member."""

Record = TypeVar("Record", ExportRecord, EventsRecord, LoadRecord)
Marker = TypeVar("Marker", EventsRecord, LoadRecord)


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
    return _marked(directory, EventsRecord, date)


def read_load_record(directory: Path, date: dt.date) -> LoadRecord | None:
    """Reads the marker of a day's Parquet, and checks that its files are there with their sizes.

    Args:
        directory: The day's partition; files that the marker does not name are none of it.
        date: The day that it should be of.

    Returns:
        The record, or None where the partition is not whole.
    """
    return _marked(directory, LoadRecord, date)


def _marked(directory: Path, kind: type[Marker], date: dt.date) -> Marker | None:
    try:
        record = _decoded((directory / SUCCESS).read_bytes(), kind, date, directory / SUCCESS)
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
    sign, _, _, method, _, _, crc, _, length, name_length, extra_length = LOCAL_HEADER.unpack(
        os.pread(file, LOCAL_HEADER.size, 0)
    )
    name = os.pread(file, name_length, LOCAL_HEADER.size)
    if sign != b"PK\x03\x04" or method != 0 or name != EXPORT_RECORD.encode():
        return b""
    read_end_record(file)
    text = os.pread(file, length, LOCAL_HEADER.size + name_length + extra_length)
    return text if zlib.crc32(text) == crc else b""
