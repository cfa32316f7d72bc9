"""Defects of what reaches the disk and of what is taken for whole."""

import contextlib
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator

from pipeline.errors import ArchiveError
from pipeline.export import directory
from pipeline.export.archive import Archive, Member
from pipeline.export.gunzip import Gunzip

_fsync = os.fsync
_read_end_record = directory.read_end_record


def _no_fsync_of(kind: Callable[[int], bool]) -> Callable[[], None]:
    def sync(file: int) -> None:
        if not kind(os.fstat(file).st_mode):
            _fsync(file)

    def take_away() -> None:
        os.fsync = sync

    return take_away


def _no_entry_count() -> None:
    """A directory lists what zipfile lists, however many entries its end record speaks of."""

    def believed(file: int) -> tuple[int, int, int]:
        entries, length, start = _read_end_record(file)
        with open(f"/dev/fd/{file}", "rb") as archive, contextlib.suppress(Exception):  # noqa: PTH123
            entries = len(zipfile.ZipFile(archive).infolist())
        return entries, length, start

    directory.read_end_record = believed


def _no_crc() -> None:
    """Neither the ZIP's checksums nor those of gzip are looked at."""

    def stored(self: Archive, member: Member) -> Iterator[bytes]:
        return self._raw(member)

    def pieces(self: Gunzip, stored: Iterable[bytes]) -> Iterator[bytes]:
        data = b"".join(stored)
        try:
            text = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[10:])
        except zlib.error as error:
            raise ArchiveError(f"it does not inflate ({error})") from None
        self.read, self.bytes, self.crc32 = len(data), len(text), zlib.crc32(text)
        yield text

    Archive.stored, Gunzip.pieces = stored, pieces


DEFECTS: dict[str, Callable[[], None]] = {
    "fsync-data": _no_fsync_of(stat.S_ISREG),
    "fsync-directory": _no_fsync_of(stat.S_ISDIR),
    "entry-count": _no_entry_count,
    "crc": _no_crc,
}
