"""The records on disk: `_export.json` of a day's ZIP, and `_SUCCESS` of its events and of its Parquet.

A record is checked when it is read; one that is torn, changed, of another form or of another day is no record.
"""

import datetime as dt
import errno
import hashlib
import os
import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pipeline.errors import ConfigError, StorageError
from pipeline.store.endrecord import LOCAL_HEADER, read_end_record
from pipeline.store.paths import SUCCESS
from pipeline.store.records import FORMAT, EventsRecord, ExportRecord, LoadRecord

EXPORT_RECORD = "_export.json"
"""The ZIP's first member."""

_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
# Any other failure is the disk's. Taken for "there is none", it would fetch a day again, or drop it from the warehouse.

Record = TypeVar("Record", ExportRecord, EventsRecord, LoadRecord)
Marker = TypeVar("Marker", EventsRecord, LoadRecord)

# Made here, and so in one thread: several that meet a type for the first time end the process (msgspec 0.22).
_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (ExportRecord, EventsRecord, LoadRecord)
}

_FORM = re.compile(rb'"format": \d+')
_CHECK, _END = b',\n "check": "', b'"\n}\n'  # one space before it: only a key of the record itself stands so


def encode(record: msgspec.Struct) -> bytes:
    """Returns a record as indented JSON, ended by a newline.

    A marker's last key is `check`: the SHA-256, in hex, of the same text without it. (The ZIP's record needs none: the
    ZIP has its CRC.)
    """
    text = plain(record)
    if not isinstance(record, EventsRecord | LoadRecord):
        return text
    return text.removesuffix(b"\n}\n") + _CHECK + hashlib.sha256(text).hexdigest().encode() + _END


def plain(record: msgspec.Struct) -> bytes:
    """Returns a record as indented JSON without a check, as version 0.2.0 wrote its markers."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def is_checked(text: bytes) -> bool | None:
    """Tells whether a marker's text fits its check; None where it has none, as in version 0.2.0.

    It is told from the bytes, so that it holds for a version with other fields too.
    """
    head, mark, tail = text.rpartition(_CHECK)
    if not mark:
        return None
    return tail == hashlib.sha256(head + b"\n}\n").hexdigest().encode() + _END


def read_export_record(path: Path, date: dt.date) -> ExportRecord | None:
    """Reads how a day was fetched from its ZIP, and checks that the file has its end.

    Args:
        path: The ZIP.
        date: The day that it should be of.

    Returns:
        The record, or None where there is no whole ZIP of ours.

    Raises:
        StorageError: The disk does not read it; whether it is there, nobody knows.
    """
    try:
        _refuse_special(path)
        with path.open("rb") as file:
            return _decoded(_first_member(file.fileno()), ExportRecord, date, path)
    except (*_ABSENT, struct.error, zipfile.BadZipFile):
        return None
    except OSError as error:
        raise StorageError.of(error, path) from error


def read_events_record(directory: Path, date: dt.date) -> EventsRecord | None:
    """Reads the marker of a day's events, and checks that its files are there with their sizes.

    Args:
        directory: The day's directory.
        date: The day that it should be of.

    Returns:
        The record, or None where the directory is not whole.

    Raises:
        StorageError: The disk does not read it.
    """
    return _marked(directory, EventsRecord, date)


def read_load_record(directory: Path, date: dt.date) -> LoadRecord | None:
    """Reads the marker of a day's Parquet, and checks that its files are there with their sizes.

    Args:
        directory: The day's partition; files that the marker does not name are none of it.
        date: The day that it should be of.

    Returns:
        The record, or None where the partition is not whole.

    Raises:
        StorageError: The disk does not read it.
    """
    return _marked(directory, LoadRecord, date)


def read_marker(path: Path, kind: type[Marker], date: dt.date) -> Marker | None:
    """Reads a marker, and nothing of the files that it names.

    Args:
        path: The marker.
        kind: Whose marker it is.
        date: The day that it should be of.

    Returns:
        The record, or None where there is none that holds.

    Raises:
        StorageError: The disk does not read it.
    """
    try:
        _refuse_special(path)
        text = path.read_bytes()
    except _ABSENT:
        return None
    except OSError as error:
        raise StorageError.of(error, path) from error
    record = _decoded(text, kind, date, path)
    return None if is_checked(text) is False else record


def salvage_marker(path: Path, kind: type[Marker]) -> Marker | None:
    """Reads a marker that need not hold, for what it may still tell; None where it tells nothing."""
    try:
        _refuse_special(path)
        found: Marker = _DECODERS[kind].decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found


def examine_marker(path: Path, kind: type[Marker], date: dt.date) -> tuple[Marker | None, str]:
    """Reads a marker, and tells whether each byte of it is as it was written.

    Args:
        path: The marker.
        kind: Whose marker it is.
        date: The day that it should be of.

    Returns:
        The record, or None; and what is wrong with it: nothing where it holds, or where there is none.

    Raises:
        ConfigError: A newer version wrote it.
        OSError: It cannot be read.
    """
    if not path.is_file():
        return None, "it is no file" if os.path.lexists(path) else ""
    text = path.read_bytes()
    checked = is_checked(text)
    if checked is False and is_checked(_FORM.sub(b'"format": %d' % FORMAT, text, count=1)):
        return None, "its form was changed"  # no newer version wrote it
    record = _decoded(text, kind, date, path)
    if checked is False:
        return None, "it was changed, for its check does not fit"
    if record is None:
        return None, "it cannot be read, or is of another day"
    if checked is None and plain(record) != text:
        return None, "it was changed, for it is not as version 0.2.0 wrote it"
    return record, ""


def _refuse_special(path: Path) -> None:
    """Refuses a pipe or a device as the system refuses a folder: to open one may wait for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise IsADirectoryError(errno.EISDIR, "It is no file", str(path))


def _marked(directory: Path, kind: type[Marker], date: dt.date) -> Marker | None:
    record = read_marker(directory / SUCCESS, kind, date)
    try:
        with os.scandir(directory) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries if entry.is_file(follow_symlinks=False)}
    except _ABSENT:
        return None
    except OSError as error:
        raise StorageError.of(error, directory) from error
    if record is None or any(sizes.get(file.name) != file.bytes for file in record.files):
        return None
    return record


def _decoded(text: bytes, kind: type[Record], date: dt.date, path: Path) -> Record | None:
    try:
        record: Record = _DECODERS[kind].decode(text)
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
