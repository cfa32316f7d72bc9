"""A file's SHA-256."""

import hashlib
from collections.abc import Callable
from pathlib import Path

_READ = 1 << 20  # bytes; hashlib lets other threads work meanwhile


def sha256(path: Path, counted: Callable[[int], None] = lambda _size: None) -> tuple[int, str]:
    """Returns a file's bytes and their SHA-256 in hex.

    Args:
        path: The file.
        counted: Told the bytes of each piece that was read.

    Raises:
        OSError: It cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    piece = memoryview(bytearray(_READ))
    with path.open("rb", buffering=0) as file:
        while length := file.readinto(piece):
            digest.update(piece[:length])
            size += length
            counted(length)
    return size, digest.hexdigest()
