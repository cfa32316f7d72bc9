"""A file's lines in blocks, with memory that does not grow with it: a line ends at a newline byte, and nowhere else."""

from collections.abc import Iterable, Iterator

import msgspec

PIECE = 1 << 18
"""Bytes that are read at a time."""


class Block(msgspec.Struct, frozen=True):
    """Whole lines; the file's last may lack its newline.

    Attributes:
        offset: Bytes before it in the file.
        text: The lines with their newlines.
    """

    offset: int
    text: bytes


class LongLine(msgspec.Struct, frozen=True):
    """A line that was not held, for it is too long.

    Attributes:
        offset: Bytes before it in the file.
        size: Its bytes, without the newline.
        head: The first of them.
        blank: Whether it is white space alone.
    """

    offset: int
    size: int
    head: bytes
    blank: bool


def blocks(pieces: Iterable[bytes], most: int, head: int) -> Iterator[Block | LongLine]:
    """Yields a file's lines in order.

    Args:
        pieces: The file's bytes; none is empty.
        most: Bytes from which on a line is too long to be held; one that stands in a single piece is held all the same.
        head: Bytes that are kept of such a line.
    """
    offset = 0
    line = _OpenLine(most, head)
    for piece in pieces:
        end, last = piece.find(b"\n"), piece.rfind(b"\n") + 1
        if end < 0:
            line.add(piece)
            continue
        line.add(piece[:end])
        if line.is_long:
            yield line.long(offset)
            offset += line.size + 1
            text = piece[end + 1 : last]
        else:
            text = b"".join((*line.pieces, piece[end:last]))
        if text:
            yield Block(offset, text)
        offset += len(text)
        line = _OpenLine(most, head)
        line.add(piece[last:])
    if line.size:
        yield line.long(offset) if line.is_long else Block(offset, b"".join(line.pieces))


class _OpenLine:
    """A line whose end has not come yet."""

    def __init__(self, most: int, head: int) -> None:
        self._most = most
        self._head = head
        self._blank = True
        self.size = 0
        self.pieces: list[bytes] = []

    @property
    def is_long(self) -> bool:
        return self.size > self._most

    def add(self, piece: bytes) -> None:
        was_long = self.is_long
        self.size += len(piece)
        self._blank = self._blank and not piece.strip()
        if not was_long:
            self.pieces.append(piece)
            if self.is_long:
                self.pieces = [b"".join(self.pieces)[: self._head]]

    def long(self, offset: int) -> LongLine:
        return LongLine(offset, self.size, b"".join(self.pieces), self._blank)
