"""A file of JSON lines, each line looked at: what DuckDB reads as it is, what is read for it, and what is no event."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from isal import isal_zlib

from pipeline.errors import DamagedError, storage_errors
from pipeline.warehouse.blocks import PIECE, Block, LongLine, blocks
from pipeline.warehouse.clean import LONGEST, Sieve
from pipeline.warehouse.rejected import KEPT_BYTES, REJECT, encode_rejected
from pipeline.warehouse.rows import RejectedError, read_row, too_long


class FileScan(msgspec.Struct, kw_only=True, frozen=True):
    """What stands in a file of JSON lines; each place is None where nothing is.

    Attributes:
        index: The file's place among the day's.
        clean: The lines that DuckDB's typed `read_json` reads exactly, none longer than `clean.LONGEST`: the file
            itself, or a copy without the others.
        odd: The other events, each as `rows.Row.encode` writes it.
        uuids: `uuid,offset,line` of each event that has one, without a header: bytes before its line in the file, and
            the line's number, from 1.
        longest_odd: Bytes of the longest line of `odd`.
        rejects: The lines that are no event, each as `rejected.encode_rejected` writes it.
        lines: Lines that are not blank: clean rows, odd rows and rejected lines.
    """

    index: int
    clean: str | None
    odd: str | None
    uuids: str | None
    rejects: str | None
    lines: int
    clean_rows: int
    odd_rows: int
    longest_odd: int
    rejected: int


def scan_file(path: Path, index: int, crc32: str, staging: Path, max_event_bytes: int, sieve: Sieve | None) -> FileScan:
    """Looks at each line of a file.

    Args:
        path: The file.
        index: Its place among the day's; names in the staging directory begin with it.
        crc32: What its bytes must have, in hex.
        staging: Where the side files are written.
        max_event_bytes: What an event may have; a longer line is never held whole.
        sieve: Tells what DuckDB may read; one for many files knows the objects that they share. None leaves it no line.

    Raises:
        DamagedError: Its bytes are not those that were extracted.
        StorageError: The system refused to read or write.
    """
    scan = _Scan(path, index, staging, max_event_bytes, sieve)
    try:
        return scan.run(crc32)
    finally:
        scan.abandon()


class _Output:
    """A file that is made when something is written to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        with storage_errors(self._path):
            if self._file is None:
                self._file = self._path.open("wb")
            self._file.write(data)

    def finish(self) -> str | None:
        """Closes the file; returns its path where there is one."""
        if self._file is None:
            return None
        with storage_errors(self._path):
            self._file.close()
        return str(self._path)

    def abandon(self) -> None:
        """Closes the file for good or bad."""
        if self._file:
            with contextlib.suppress(OSError):  # what is in it is of no more use, and why is known
                self._file.close()


class _Scan:
    """One file on its way through."""

    def __init__(self, path: Path, index: int, staging: Path, max_event_bytes: int, sieve: Sieve | None) -> None:
        self._path = path
        self._index = index
        self._max_event_bytes = max_event_bytes
        self._sieve = sieve
        self._outputs = [
            _Output(staging / f"{index}.{name}") for name in ("clean.json", "odd.json", "uuids.csv", "rejects.jsonl")
        ]
        self._clean, self._odd, self._uuids, self._rejects = self._outputs
        self._copies = False  # whether a line was left out, so that the clean ones need a file of their own
        self._crc32 = 0
        self._lines = self._blank = self._odd_rows = self._rejected = self._longest = 0

    def run(self, crc32: str) -> FileScan:
        for part in blocks(self._pieces(), self._max_event_bytes, KEPT_BYTES):
            if isinstance(part, Block):
                self._add(part)
            else:
                self._skip(part)
        if f"{self._crc32:08x}" != crc32:
            raise DamagedError(
                f"{self._path}: its bytes are not those that were extracted",
                f"Remove {self._path.parent}, then run it again: the day is extracted anew.",
            )
        clean, odd, uuids, rejects = (output.finish() for output in self._outputs)
        clean_rows = self._lines - self._blank - self._odd_rows - self._rejected
        return FileScan(
            index=self._index,
            clean=(clean if self._copies else str(self._path)) if clean_rows else None,
            odd=odd,
            uuids=uuids,
            rejects=rejects,
            lines=self._lines - self._blank,
            clean_rows=clean_rows,
            odd_rows=self._odd_rows,
            longest_odd=self._longest,
            rejected=self._rejected,
        )

    def abandon(self) -> None:
        for output in self._outputs:
            output.abandon()

    def _pieces(self) -> Iterator[bytes]:
        with storage_errors(self._path):
            file = self._path.open("rb", buffering=0)
        with file:
            while True:
                with storage_errors(self._path):
                    piece = file.read(PIECE)
                if not piece:
                    return
                self._crc32 = isal_zlib.crc32(piece, self._crc32)
                yield piece

    def _add(self, block: Block) -> None:
        lines = block.text.split(b"\n")
        if not lines[-1]:
            lines.pop()
        uuids: list[str | None] = [None] * len(lines)
        others: Sequence[int] = range(len(lines))
        if self._sieve:
            uuids, others = self._sieve.sift(lines, min(LONGEST, self._max_event_bytes))
        left_out = []
        for place in others:
            line = lines[place]
            if line.strip():
                uuids[place] = self._read(line, self._lines + place + 1)
                left_out.append(place)
            else:
                self._blank += 1  # DuckDB passes over it too
        self._lines += len(lines)
        starts = list(itertools.accumulate((len(line) + 1 for line in lines), initial=block.offset))
        first = self._lines - len(lines) + 1
        found = [
            f"{uuid},{start},{number}\n"
            for number, (uuid, start) in enumerate(zip(uuids, starts, strict=False), first)
            if uuid
        ]
        if found:
            self._uuids.write("".join(found).encode())
        if left_out or self._copies:
            self._copy(block, [(starts[place], starts[place + 1]) for place in left_out])

    def _skip(self, line: LongLine) -> None:
        self._lines += 1
        if line.blank:
            self._blank += 1
        else:
            self._reject(self._lines, too_long(line.size, self._max_event_bytes), line.head, line.size)
        self._begin_copy(line.offset)

    def _read(self, line: bytes, number: int) -> str | None:
        """Reads a line carefully, and puts it where it belongs; returns the uuid of an event."""
        try:
            row = read_row(line, self._max_event_bytes)
        except RejectedError as error:
            kept = line if len(line) <= self._max_event_bytes else line[:KEPT_BYTES]
            self._reject(number, error.reason, kept, len(line))
            return None
        self._odd_rows += 1
        text = row.encode()
        self._longest = max(self._longest, len(text))
        self._odd.write(text)
        return row.uuid

    def _reject(self, number: int, reason: str, text: bytes, size: int) -> None:
        self._rejected += 1
        self._rejects.write(encode_rejected(self._path.name, number, REJECT, reason, text, size))

    def _copy(self, block: Block, left_out: Sequence[tuple[int, int]]) -> None:
        """Copies a block's lines but for those left out, which are given by where they begin and end in the file."""
        self._begin_copy(block.offset)
        if self._sieve is None:
            return
        begin = block.offset
        for start, end in [*left_out, (block.offset + len(block.text), 0)]:
            if start > begin:
                self._clean.write(block.text[begin - block.offset : start - block.offset])
            begin = end

    def _begin_copy(self, end: int) -> None:
        """Copies what stands before the first line that is left out."""
        if self._copies or self._sieve is None:
            return
        self._copies = True
        with storage_errors(self._path), self._path.open("rb") as source:
            while end and (piece := source.read(min(PIECE, end))):
                self._clean.write(piece)
                end -= len(piece)
