"""What a trustworthy export ZIP is: its directory, checked, and its members' gzip bytes.

Our own checks stand beside the standard library's: before 3.11.8, 3.12.2 and 3.13 it expands overlapping entries
(CVE-2024-0450), and a flipped bit in the directory's length fields makes whole entries vanish from it in silence.
"""

import dataclasses
import datetime as dt
import itertools
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from isal import isal_zlib

from pipeline.errors import ArchiveError, storage_errors
from pipeline.export.gunzip import PIECE, Gunzip
from pipeline.settings import Settings
from pipeline.store.manifest import EXPORT_RECORD
from pipeline.text import printable

NAME = re.compile(
    r"(?P<app>\d{1,18})/(?P=app)_(?P<date>\d{4}-\d\d-\d\d)_(?P<hour>\d\d?)#(?P<part>\d{1,9})\.json\.gz", re.ASCII
)
"""A member's name: the project, the upload day and hour in UTC, a part number (source: Amplitude's S3 export page)."""

READ = 128 << 10
"""Bytes of gzip that are read at a time."""

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_END_RECORD = struct.Struct("<4s4H2IH")
_ZIP64_LOCATOR = struct.Struct("<4sIQI")
_ZIP64_END = struct.Struct("<4sQ2H2I4Q")
_ENTRY_BYTES = 512  # of the directory, for an entry: three times what an honest name takes
_ENCRYPTED = 0x1


@dataclasses.dataclass(frozen=True)
class Member:
    """A file of gzipped JSON lines in an export ZIP.

    Attributes:
        name: Its name in the ZIP.
        app: The project's id.
        date: The upload day (UTC) that its name says.
        hour: The upload hour, 0 to 23.
        part: The part number; they have gaps.
        deflated: Whether the ZIP deflates it; Amplitude stores.
        start: Where its bytes begin in the file.
        stored: Bytes in the ZIP.
        bytes: Bytes of gzip.
        crc: CRC-32 of the gzip bytes.
    """

    name: str
    app: int
    date: dt.date
    hour: int
    part: int
    deflated: bool
    start: int
    stored: int
    bytes: int
    crc: int

    @property
    def file_name(self) -> str:
        """The name of its JSON lines: its own, without the folder and `.gz`."""
        return self.name.rpartition("/")[2].removesuffix(".gz")


def parse_name(name: str) -> tuple[int, dt.date, int, int] | None:
    """Returns project, upload day, hour and part of a member's name, or None where it is no such name."""
    match = NAME.fullmatch(name)
    if not match or int(match["hour"]) > 23:  # noqa: PLR2004 - a day's last hour
        return None
    try:
        date = dt.date.fromisoformat(match["date"])
    except ValueError:
        return None
    return int(match["app"]), date, int(match["hour"]), int(match["part"])


class Archive:
    """An export ZIP on disk, open, its directory checked.

    Attributes:
        path: The file.
        members: Its members, by hour and part.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        """Opens a ZIP and checks its directory; the members' bytes are checked when they are read.

        Raises:
            ArchiveError: The directory is damaged or hostile, or a name is no export's.
            StorageError: The file cannot be read.
        """
        self.path = path
        self._settings = settings
        with storage_errors(path):
            self._file: IO[bytes] = path.open("rb")
        try:
            entries = _directory(self._file, settings.max_entries)
            found = [(_place(self._file.fileno(), entry), entry) for entry in entries]
            _refuse_overlap(found)
            self.members = sorted(
                (_member(entry, start) for start, entry in found if not _is_ours_to_pass(entry)),
                key=lambda member: (member.hour, member.part),
            )
            _refuse_twins(self.members)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def of_day(self, date: dt.date, hours: range) -> list[Member]:
        """Returns the members, after checking that all are of one project and of these hours of a day.

        Raises:
            ArchiveError: A member is of another project, day or hour.
        """
        for member in self.members:
            if member.date != date or member.hour not in hours:
                raise ArchiveError(
                    f"{printable(member.name)} is not of {date}, hours {hours.start} to {hours.stop - 1}"
                )
            if member.app != self.members[0].app:
                raise ArchiveError(f"{printable(member.name)} and {self.members[0].name} are of two projects")
        return self.members

    def stored(self, member: Member) -> Iterator[bytes]:
        """Yields a member's gzip bytes in pieces, and checks length and CRC at the end. For any thread.

        Raises:
            ArchiveError: They are damaged.
            StorageError: The file cannot be read.
        """
        crc = size = 0
        for piece in _inflated(self._raw(member), member) if member.deflated else self._raw(member):
            crc = isal_zlib.crc32(piece, crc)
            size += len(piece)
            yield piece
        if (size, crc) != (member.bytes, member.crc):
            raise ArchiveError(f"{member.name}: its bytes do not match the ZIP's CRC and length")

    def json(self, member: Member) -> tuple[Gunzip, Iterator[bytes]]:
        """Returns a member's gunzip and the JSON it yields; both are checked to their ends. For any thread."""
        gunzip = Gunzip(member.name, member.bytes, self._settings.max_member_bytes, self._settings.max_ratio)
        return gunzip, gunzip.pieces(self.stored(member))

    def verify(self) -> None:
        """Reads every member to its end.

        Raises:
            ArchiveError: One is damaged.
        """
        for member in self.members:
            for _ in self.json(member)[1]:
                pass

    def _raw(self, member: Member) -> Iterator[bytes]:
        place, left = member.start, member.stored
        while left:
            with storage_errors(self.path):
                piece = os.pread(self._file.fileno(), min(left, READ), place)
            if not piece:
                raise ArchiveError(f"{member.name}: the ZIP ends inside it")
            place += len(piece)
            left -= len(piece)
            yield piece


def _inflated(pieces: Iterator[bytes], member: Member) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    try:
        for piece in pieces:
            rest = piece
            while rest:
                out = inflate.decompress(rest, PIECE)
                size += len(out)
                if size > member.bytes:
                    raise ArchiveError(f"{member.name}: it inflates to more than it declares")
                yield out
                rest = inflate.unconsumed_tail
    except zlib.error as error:
        raise ArchiveError(f"{member.name}: it does not inflate ({error})") from None


def _directory(file: IO[bytes], max_entries: int) -> list[zipfile.ZipInfo]:
    """Reads the directory, once the end record says that it is sound, whole and small enough to list."""
    size = os.fstat(file.fileno()).st_size
    if os.pread(file.fileno(), 4, 0) != b"PK\x03\x04":
        raise ArchiveError("it does not begin as a ZIP with a file in it")
    entries, length, start = _end_record(file.fileno(), size)
    if entries > max_entries or length > entries * _ENTRY_BYTES:
        raise ArchiveError(
            f"its directory lists {entries} files in {length} bytes",
            f"If it is honest, raise PIPELINE_MAX_ENTRIES (now {max_entries}), then run it again.",
        )
    try:
        listed = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeDecodeError, struct.error) as error:
        raise ArchiveError(f"its directory is damaged ({printable(str(error))})") from None
    if len(listed) != entries:
        raise ArchiveError(f"its directory lists {len(listed)} files, its end record {entries}")
    if any(entry.header_offset >= start for entry in listed):
        raise ArchiveError("its directory points past the files")
    return listed


def _end_record(file: int, size: int) -> tuple[int, int, int]:
    """Returns entries, length and start of the directory, which must end where the end record begins."""
    place = size - _END_RECORD.size
    try:
        sign, disk, cd_disk, here, entries, length, start, comment = _END_RECORD.unpack(
            os.pread(file, 22, max(place, 0))
        )
        if sign != b"PK\x05\x06" or disk or cd_disk or comment or here != entries:
            raise ArchiveError("it does not end as a ZIP: it is cut, or something follows it")
        locator = os.pread(file, _ZIP64_LOCATOR.size, max(place - _ZIP64_LOCATOR.size, 0))
        if locator[:4] == b"PK\x06\x07":
            place = _ZIP64_LOCATOR.unpack(locator)[2]
            end = _ZIP64_END.unpack(os.pread(file, _ZIP64_END.size, place))
            if end[0] != b"PK\x06\x06" or end[6] != end[7] or place + _ZIP64_END.size + 42 != size:
                raise ArchiveError("its ZIP64 end record is damaged")
            entries, length, start = end[7:]
    except (struct.error, OSError, OverflowError):
        raise ArchiveError("it does not end as a ZIP: it is cut, or something follows it") from None
    if start + length != place:
        raise ArchiveError("its directory is not where its end record says: something was put before or into it")
    return entries, length, start


def _place(file: int, entry: zipfile.ZipInfo) -> int:
    """Returns where an entry's bytes begin, once its local header agrees with the directory."""
    name = printable(entry.orig_filename)
    try:
        head = _LOCAL_HEADER.unpack(os.pread(file, _LOCAL_HEADER.size, entry.header_offset))
    except (struct.error, OSError):
        raise ArchiveError(f"{name}: its local header is missing") from None
    local = os.pread(file, head[9], entry.header_offset + _LOCAL_HEADER.size)
    encoding = "utf-8" if head[2] & 0x800 else "cp437"
    if head[0] != b"PK\x03\x04" or local != entry.orig_filename.encode(encoding, "replace"):
        raise ArchiveError(f"{name}: its local header has another name")
    if entry.flag_bits & _ENCRYPTED or head[2] & _ENCRYPTED:
        raise ArchiveError(f"{name}: it is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or head[3] != entry.compress_type:
        raise ArchiveError(f"{name}: its compression method is {entry.compress_type}, not 0 or 8")
    if entry.compress_type == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
        raise ArchiveError(f"{name}: it is stored, yet its two lengths differ")
    return entry.header_offset + _LOCAL_HEADER.size + int(head[9]) + int(head[10])


def _refuse_overlap(found: list[tuple[int, zipfile.ZipInfo]]) -> None:
    end = 0
    for start, entry in sorted(found, key=lambda pair: pair[1].header_offset):
        if entry.header_offset < end:
            raise ArchiveError(f"{printable(entry.orig_filename)}: it overlaps another file of the ZIP")
        end = start + entry.compress_size


def _is_ours_to_pass(entry: zipfile.ZipInfo) -> bool:
    """Tells whether an entry is no file of events, and rightly there: a directory, or our own record."""
    if entry.orig_filename.endswith("/") and not entry.file_size:
        return True
    return entry.orig_filename == EXPORT_RECORD and entry.header_offset == 0


def _member(entry: zipfile.ZipInfo, start: int) -> Member:
    name = printable(entry.orig_filename, limit=120)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise ArchiveError(f"{name}: it is no plain file")
    parsed = parse_name(entry.orig_filename)
    if parsed is None:
        raise ArchiveError(f"{name}: it is no file of an Amplitude export")
    app, date, hour, part = parsed
    return Member(
        name=entry.orig_filename,
        app=app,
        date=date,
        hour=hour,
        part=part,
        deflated=entry.compress_type == zipfile.ZIP_DEFLATED,
        start=start,
        stored=entry.compress_size,
        bytes=entry.file_size,
        crc=entry.CRC,
    )


def _refuse_twins(members: list[Member]) -> None:
    for one, other in itertools.pairwise(members):
        if (one.app, one.date, one.hour, one.part) == (other.app, other.date, other.hour, other.part):
            raise ArchiveError(f"{other.name}: it is there twice")
