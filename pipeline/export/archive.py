"""What a trustworthy export ZIP is: its members' names, and their gzip bytes, checked to their ends."""

import dataclasses
import datetime as dt
import itertools
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from isal import isal_zlib

from pipeline.errors import ArchiveError, storage_errors
from pipeline.export.directory import read_directory
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
        members: Its members, by project, day, hour and part.
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
            with storage_errors(path):
                found = read_directory(self._file, settings.max_entries)
            self.members = sorted(
                (_member(entry, start) for start, entry in found if not _is_ours_to_pass(entry)),
                key=lambda member: (member.app, member.date, member.hour, member.part),
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
                if size > member.bytes or inflate.unused_data:
                    raise ArchiveError(f"{member.name}: its deflated bytes are not of the length that it declares")
                yield out
                rest = inflate.unconsumed_tail
        yield inflate.flush()  # what a full piece left inside: less than a match
    except zlib.error as error:
        raise ArchiveError(f"{member.name}: it does not inflate ({error})") from None


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
