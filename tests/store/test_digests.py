"""The SHA-256 of a file, whatever its length."""

import hashlib

import pytest
from archives import write

from pipeline.store.digests import sha256


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, 3_000_001])
def test_a_files_bytes_and_digest(tmp_path, size):
    data = b"ab7" * (size // 3) + b"c" * (size % 3)
    pieces = []
    assert sha256(write(tmp_path / "a", data), pieces.append) == (size, hashlib.sha256(data).hexdigest())
    assert (sum(pieces), max(pieces, default=0)) == (size, min(size, 1 << 20))


def test_a_file_that_is_gone_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        sha256(tmp_path / "a")
