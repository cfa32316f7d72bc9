"""What stands of an export on the disk, read again and held against what was recorded of it."""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterable
from pathlib import Path

from isal import isal_zlib

from pipeline.errors import ArchiveError, LimitError
from pipeline.export.archive import Archive
from pipeline.export.lines import LineCounter
from pipeline.export.windows import HOURS
from pipeline.settings import Settings
from pipeline.store import digests
from pipeline.store.records import EventsFile, ExportRef
from pipeline.text import count

_READ = 1 << 20  # bytes at a time


def check_zip(
    path: Path, date: dt.date, ref: ExportRef | None, settings: Settings, counted: Callable[[int], None]
) -> str:
    """Reads a day's ZIP whole.

    Args:
        path: The ZIP.
        date: Its day.
        ref: Its size and SHA-256 as they were recorded; None where they were not: then each member is read to the end
            of its gzip.
        settings: The archive's limits.
        counted: Told the bytes that were read.

    Returns:
        What is wrong with it; nothing where it holds.

    Raises:
        LimitError: It is larger than the settings allow, and may be honest.
        OSError: It cannot be read.
    """
    changed = ""
    if ref:
        if digests.sha256(path, counted) == (ref.bytes, ref.sha256):
            return ""
        changed = "its SHA-256 is not the recorded one"
    try:
        with Archive(path, settings) as archive:
            for member in archive.of_day(date, range(HOURS)):
                for _ in archive.json(member)[1]:
                    pass
                counted(0 if ref else member.stored)
    except LimitError as error:
        raise LimitError(f"{path}: {error.what}", error.todo) from None
    except ArchiveError as error:
        return f"{changed}; {error.what}" if changed else error.what
    return changed


def check_members(path: Path, files: list[EventsFile], settings: Settings) -> str:
    """Tells what is wrong where a ZIP does not hold exactly the members that the files were extracted from.

    Raises:
        LimitError: It is larger than the settings allow.
        StorageError: It cannot be read.
    """
    try:
        with Archive(path, settings) as archive:
            names = {member.file_name for member in archive.members}
    except LimitError as error:
        raise LimitError(f"{path}: {error.what}", error.todo) from None
    except ArchiveError as error:
        return error.what
    return "" if names == {file.name for file in files} else "its members are not the files that were extracted of it"


def count_readable(paths: Iterable[Path]) -> int:
    """Returns the events in files of JSON lines, as far as they can be read, whatever was recorded of them."""
    found = 0
    for path in paths:
        lines = LineCounter()
        with contextlib.suppress(OSError), path.open("rb", buffering=0) as stream:
            while piece := stream.read(_READ):
                lines.add(piece)
        found += lines.lines - lines.blank_lines
    return found


def check_json(path: Path, file: EventsFile, counted: Callable[[int], None]) -> str:
    """Reads a file of JSON lines whole.

    Args:
        path: The file.
        file: What was recorded of it.
        counted: Told the bytes that were read.

    Returns:
        What is wrong with it; nothing where it holds.

    Raises:
        OSError: It cannot be read.
    """
    lines, crc, size = LineCounter(), 0, 0
    with path.open("rb", buffering=0) as stream:
        while piece := stream.read(_READ):
            crc = isal_zlib.crc32(piece, crc)
            lines.add(piece)
            size += len(piece)
            counted(len(piece))
    if size != file.bytes:
        return f"it has {count(size, 'byte')}, not {file.bytes:,}"
    if f"{crc:08x}" != file.crc32:
        return "its CRC-32 is not the recorded one"
    if (lines.lines, lines.blank_lines) != (file.lines, file.blank_lines):
        return f"it has {count(lines.lines, 'line')}, {lines.blank_lines:,} of them blank, which are other numbers"
    return ""
