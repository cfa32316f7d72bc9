"""Lines of one day that have one uuid: which is kept, and what becomes of the others."""

import codecs
import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import duckdb
import msgspec

from pipeline.warehouse import duck
from pipeline.warehouse.duck import RefusedError
from pipeline.warehouse.rejected import CONFLICT, encode_rejected
from pipeline.warehouse.rows import RejectedError, Row, read_row

_PIECE = 1 << 20
_AT_HAND = 8  # lines: those of a uuid are looked at twice
_FETCHED = 10_000  # rows of DuckDB's answer at a time


class Place(msgspec.Struct, frozen=True):
    """Where a line stands: the file's index, bytes before it, its number from 1."""

    file: int
    offset: int
    line: int


class Duplicates(msgspec.Struct, kw_only=True, frozen=True):
    """What came of the repeated uuids of a day.

    Attributes:
        kept: The file with the row that is kept of each, or None where none is repeated.
        longest: Bytes of its longest line.
        apart: The file of the lines that differ from the one that is kept, or None.
        dropped: Lines left out.
        conflicts: Those of them that differ from the line that is kept.
    """

    kept: Path | None = None
    longest: int = 0
    apart: Path | None = None
    dropped: int = 0
    conflicts: int = 0


def find_repeated(connection: duckdb.DuckDBPyConnection, uuids: Sequence[Path]) -> int:
    """Makes the table `repeated`: each uuid that stands in more than one line of the day.

    Args:
        connection: Where the table is made; it holds nothing where no uuid repeats.
        uuids: The scan's files of uuids.

    Returns:
        How many there are.
    """
    connection.execute("CREATE OR REPLACE TABLE repeated (uuid UUID)")
    if uuids:
        connection.execute(f"INSERT INTO repeated SELECT uuid FROM {_csv(uuids)} GROUP BY uuid HAVING count(*) > 1")
    found = connection.execute("SELECT count(*) FROM repeated").fetchone()
    return int(found[0]) if found else 0


def resolve(
    connection: duckdb.DuckDBPyConnection,
    uuids: Sequence[Path],
    files: Sequence[Path],
    kept: Path,
    apart: Path,
    max_bytes: int,
) -> Duplicates:
    """Chooses, for each uuid in `repeated`, the row with the latest upload time; the first line of those alike.

    Args:
        connection: Has the table `repeated`.
        uuids: The scan's files of uuids; their names begin with the index of the source.
        files: The sources, by that index.
        kept: Where the rows that are kept are written, in the form of `Row.encode`.
        apart: Where the lines are written, as rejected, that differ from the one that is kept.
        max_bytes: What an event may have.

    Raises:
        RefusedError: A line that the scan let pass is no event.
    """
    longest = dropped = conflicts = 0
    with _Lines(files) as lines, kept.open("wb") as out, apart.open("wb") as others:
        for places in _groups(connection, uuids):
            best, row = _best(places, lines, max_bytes)
            text = row.encode()
            out.write(text)
            longest = max(longest, len(text))
            dropped += len(places) - 1
            winner = lines.read(best)
            reason = f"it differs from line {best.line} of {files[best.file].name}, which has its uuid and is kept"
            for place in places:
                other = lines.read(place)
                if other != winner:
                    name = files[place.file].name
                    others.write(encode_rejected(name, place.line, CONFLICT, reason, other, len(other)))
                    conflicts += 1
    return Duplicates(kept=kept, apart=apart, longest=longest, dropped=dropped, conflicts=conflicts)


def _best(places: Sequence[Place], lines: "_Lines", max_bytes: int) -> tuple[Place, Row]:
    """Returns the line that is kept, and its row."""
    best, text = places[0], lines.read(places[0])
    row = _row(text, max_bytes)
    for place in places[1:]:
        other = lines.read(place)
        if other != text:
            rival = _row(other, max_bytes)
            if (rival.server_upload_time or "") > (row.server_upload_time or ""):
                best, text, row = place, other, rival
    return best, row


class _Lines:
    """Reads single lines of files by their offsets."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._open: dict[int, int] = {}
        self.read = functools.lru_cache(maxsize=_AT_HAND)(self._read)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            os.close(file)

    def _read(self, place: Place) -> bytes:
        """Returns a line without the whitespace around it."""
        if place.file not in self._open:
            if len(self._open) > 200:  # noqa: PLR2004 - far below what a process may open
                os.close(self._open.pop(next(iter(self._open))))
            self._open[place.file] = os.open(self._files[place.file], os.O_RDONLY)
        pieces, at, size = [], place.offset, 8192
        while piece := os.pread(self._open[place.file], size, at):
            line, newline, _ = piece.partition(b"\n")
            pieces.append(line)
            if newline:
                break
            at, size = at + len(piece), _PIECE
        return b"".join(pieces).removeprefix(codecs.BOM_UTF8).strip()


def _groups(connection: duckdb.DuckDBPyConnection, uuids: Sequence[Path]) -> Iterator[list[Place]]:
    """Yields the places of each repeated uuid, by file and line."""
    answer = connection.execute(
        f"SELECT uuid, CAST(split_part(parse_filename(filename), '.', 1) AS INTEGER) AS file, \"offset\", line"
        f" FROM {_csv(uuids)} SEMI JOIN repeated USING (uuid) ORDER BY ALL"
    )
    batches = iter(lambda: answer.fetchmany(_FETCHED), [])
    rows = itertools.chain.from_iterable(batches)
    for _, group in itertools.groupby(rows, key=lambda row: row[0]):
        yield [Place(file, offset, line) for _, file, offset, line in group]


def _row(text: bytes, max_bytes: int) -> Row:
    try:
        return read_row(text, max_bytes)
    except RejectedError as error:  # the scan looks less closely: a key may stand twice
        raise RefusedError(error.reason) from error


def _csv(uuids: Sequence[Path]) -> str:
    return (
        f"read_csv({duck.paths(uuids)}, header = false, auto_detect = false, filename = true,"
        " columns = {'uuid': 'UUID', 'offset': 'BIGINT', 'line': 'BIGINT'})"
    )
