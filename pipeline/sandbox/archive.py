"""The export ZIP as Amplitude writes it: a stream of STORED members with data descriptors, never seeking back."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.sandbox.generator import Member


class _Pipe:
    """What `zipfile` writes to. It has no seek and no tell, so that sizes and CRC follow each member's data."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> Iterator[bytes]:
        chunks, self._chunks = self._chunks, []
        return iter(chunks)


def stream(members: Iterable[Member], written: tuple[int, int, int, int, int, int]) -> Iterator[bytes]:
    """A ZIP of ``members`` in chunks, each made when it is asked for; one member at a time is in memory.

    Args:
        members: In the order of the archive.
        written: The time that each member carries: year, month, day, hour, minute, second. Never
            the time of day, so that two answers to one request are the same bytes.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for member in members:
            archive.writestr(zipfile.ZipInfo(member.name, written), member.data)
            yield from pipe.take()
    yield from pipe.take()
