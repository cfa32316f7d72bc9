"""A ZIP's directory, checked before a word of it is believed.

Our own checks stand beside the standard library's: before 3.11.8, 3.12.2 and 3.13 it expands overlapping entries
(CVE-2024-0450), and a flipped bit in the directory's length fields makes whole entries vanish from it in silence.
"""

import os
import struct
import zipfile
from typing import IO

from pipeline.errors import ArchiveError, LimitError
from pipeline.store.endrecord import LOCAL_HEADER, read_end_record
from pipeline.text import printable

_ENTRY_BYTES = 512  # of the directory, for an entry: three times what an honest name takes
_ENCRYPTED = 0x1


def read_directory(file: IO[bytes], max_entries: int) -> list[tuple[int, zipfile.ZipInfo]]:
    """Reads what a ZIP lists.

    Args:
        file: The ZIP, open.
        max_entries: How many entries it may list.

    Returns:
        Each entry, and where its bytes begin in the file; none overlaps another or the directory.

    Raises:
        ArchiveError: It is damaged or hostile.
        OSError: It cannot be read.
    """
    entries, start = _listed(file, max_entries)
    found = [(_place(file.fileno(), entry), entry) for entry in entries]
    _refuse_overlap(found, start)
    return found


def _listed(file: IO[bytes], max_entries: int) -> tuple[list[zipfile.ZipInfo], int]:
    """Reads the directory, and where it starts, once the end record says that it is whole and small enough to list."""
    if os.pread(file.fileno(), 4, 0) != b"PK\x03\x04":
        raise ArchiveError("it does not begin as a ZIP with a file in it")
    try:
        entries, length, start = read_end_record(file.fileno())
    except zipfile.BadZipFile as error:
        raise ArchiveError(str(error)) from None
    if entries > max_entries:
        raise LimitError(
            f"its directory lists {entries} files",
            f"If it is honest, raise PIPELINE_MAX_ENTRIES (now {max_entries}), then run it again.",
        )
    if length > entries * _ENTRY_BYTES:
        raise ArchiveError(f"its directory lists {entries} files in {length} bytes: their names are no export's")
    try:
        listed = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeDecodeError, struct.error) as error:
        if isinstance(error.__context__, OSError):  # to zipfile, a disk that does not read is no ZIP
            raise error.__context__ from None
        raise ArchiveError(f"its directory is damaged ({printable(str(error))})") from None
    if len(listed) != entries:
        raise ArchiveError(f"its directory lists {len(listed)} files, its end record {entries}")
    if any(entry.header_offset >= start for entry in listed):
        raise ArchiveError("its directory points past the files")
    return listed, start


def _place(file: int, entry: zipfile.ZipInfo) -> int:
    """Returns where an entry's bytes begin, once its local header agrees with the directory."""
    name = printable(entry.orig_filename)
    try:
        head = LOCAL_HEADER.unpack(os.pread(file, LOCAL_HEADER.size, entry.header_offset))
    except struct.error:
        raise ArchiveError(f"{name}: its local header is missing") from None
    local = os.pread(file, head[9], entry.header_offset + LOCAL_HEADER.size)
    encoding = "utf-8" if head[2] & 0x800 else "cp437"
    if head[0] != b"PK\x03\x04" or local != entry.orig_filename.encode(encoding, "replace"):
        raise ArchiveError(f"{name}: its local header has another name")
    if entry.flag_bits & _ENCRYPTED or head[2] & _ENCRYPTED:
        raise ArchiveError(f"{name}: it is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or head[3] != entry.compress_type:
        raise ArchiveError(f"{name}: its compression method is {entry.compress_type}, not 0 or 8")
    if entry.compress_type == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
        raise ArchiveError(f"{name}: it is stored, yet its two lengths differ")
    return entry.header_offset + LOCAL_HEADER.size + int(head[9]) + int(head[10])


def _refuse_overlap(found: list[tuple[int, zipfile.ZipInfo]], directory: int) -> None:
    end = 0
    for start, entry in sorted(found, key=lambda pair: pair[1].header_offset):
        if entry.header_offset < end:
            raise ArchiveError(f"{printable(entry.orig_filename)}: it overlaps another file of the ZIP")
        end = start + entry.compress_size
        if end > directory:
            raise ArchiveError(f"{printable(entry.orig_filename)}: it overlaps the ZIP's directory")
