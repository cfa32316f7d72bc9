"""gzip to bytes, checked to its end: isal's igzip, which releases the GIL."""

from collections.abc import Iterable, Iterator

from isal import igzip_lib, isal_zlib

from pipeline.errors import ArchiveError, LimitError
from pipeline.text import printable

PIECE = 1 << 20
"""Bytes that are gunzipped at a time; larger pieces leave the processor's cache."""

_FREE = 1 << 20  # the first MiB may have any ratio: tiny files of like events compress without bound


class Gunzip:
    """Gunzips one member of an export, piece by piece, and checks CRC, length and end of each gzip in it.

    Attributes:
        read: Bytes of gzip so far.
        bytes: Bytes of JSON so far.
        crc32: After the end, the CRC-32 of the whole JSON: the gzip's own, checked.
    """

    def __init__(self, name: str, stored: int, most_bytes: int, most_ratio: int) -> None:
        self._name = printable(name)
        self._cap = min(most_bytes, stored * most_ratio + _FREE)
        self.read = 0
        self.bytes = 0
        self.crc32 = 0

    def pieces(self, stored: Iterable[bytes]) -> Iterator[bytes]:
        """Yields the JSON of a member.

        Args:
            stored: The member's gzip bytes, in pieces of any size. Several gzips in a row are one text; zeros after
                the last one are padding.

        Yields:
            Pieces of at most 1 MiB.

        Raises:
            ArchiveError: The bytes are no gzip, are damaged or end too soon, or become more than is allowed.
        """
        member: igzip_lib.IgzipDecompressor | None = None
        seen = False
        for piece in stored:
            rest = piece
            self.read += len(piece)
            while rest or (member and not member.needs_input):
                if member is None:
                    rest = rest.lstrip(b"\0") if seen else rest
                    if not rest:
                        break
                    member, seen, before = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), True, self.bytes
                out = self._decompressed(member, rest)
                rest = b""
                if out:
                    yield out
                if member.eof:
                    rest = member.unused_data
                    self.crc32 = isal_zlib.crc32_combine(self.crc32, member.crc, self.bytes - before)
                    member = None
        if member is not None or not seen:
            raise ArchiveError(
                f"{self._name}: the gzip ends too soon" if seen else f"{self._name}: 0 bytes are no gzip"
            )

    def _decompressed(self, member: igzip_lib.IgzipDecompressor, piece: bytes) -> bytes:
        try:
            out: bytes = member.decompress(piece, PIECE)
        except (isal_zlib.IsalError, EOFError) as error:  # type: ignore[misc]  # its stub says no class
            raise ArchiveError(f"{self._name}: the gzip is damaged ({error})") from None
        self.bytes += len(out)
        if self.bytes > self._cap:
            raise LimitError(
                f"{self._name}: the gzip becomes more than {self._cap} bytes",
                "If it is honest, raise PIPELINE_MAX_RATIO or PIPELINE_MAX_MEMBER_BYTES, then run it again.",
            )
        return out
