"""gzip to bytes: whole texts whatever the pieces, and no byte of a damaged one unnoticed."""

import gzip
import random
import tracemalloc
import zlib

import pytest
from archives import flips, lines, zipped

from pipeline.errors import ArchiveError
from pipeline.export.gunzip import PIECE, Gunzip

TEXT = lines(*(f'{{"n":{n},"uuid":"{n * 7919:x}"}}' for n in range(30)))
GZ = zipped(TEXT)


def gunzip(stored, *, piece=1 << 17, most_bytes=1 << 40, most_ratio=300):
    """Returns the text of gzip bytes that come in pieces of a size, and the gunzip that made it."""
    work = Gunzip("a.json.gz", len(stored), most_bytes, most_ratio)
    text = b"".join(work.pieces(stored[place : place + piece] for place in range(0, len(stored), piece)))
    assert work.bytes == len(text)
    return text, work


def refusal(stored, **options):
    with pytest.raises(ArchiveError) as error:
        gunzip(stored, **options)
    assert str(error.value).startswith("a.json.gz: ")
    return str(error.value)


@pytest.mark.parametrize("piece", [1, 2, 7, 18, 1000])
@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([TEXT], id="one"),
        pytest.param([b""], id="of_nothing"),
        pytest.param([TEXT, b'{"last":1}\n'], id="P5_two"),
        pytest.param([b"", TEXT, b"", b"", TEXT[:99]], id="P5_with_empty_ones"),
        pytest.param([b"x" * 50] * 200, id="P5_many"),
    ],
)
def test_P5_gzips_in_a_row_are_one_text_in_pieces_of_any_size(texts, piece):
    whole = b"".join(texts)
    text, work = gunzip(b"".join(map(zipped, texts)), piece=piece)
    assert text == whole
    assert work.crc32 == zlib.crc32(whole)


def test_a_text_of_several_mebibytes_comes_in_pieces_of_at_most_one():
    text = random.Random(1).randbytes(3 * PIECE + 17)
    work = Gunzip("a", len(text), 1 << 40, 300)
    pieces = list(work.pieces([gzip.compress(text, 1), zipped(b"tail")]))
    assert b"".join(pieces) == text + b"tail"
    assert max(map(len, pieces)) <= PIECE
    assert work.crc32 == zlib.crc32(text + b"tail")


def test_a_gzip_with_every_optional_header_field_is_read():
    head = b"\x1f\x8b\x08\x1e" + bytes(6) + b"\x03\x00abc" + b"name\0" + b"comment\0"
    whole = head + (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") + GZ[10:]
    assert gunzip(whole)[0] == gzip.decompress(whole) == TEXT


def test_a_gzip_that_says_its_name_is_read_in_pieces_of_any_size():
    named = b"\x1f\x8b\x08\x08" + bytes(6) + b"1_2026-01-15_0#0.json\0" + GZ[10:]
    assert [gunzip(named + named, piece=piece)[0] for piece in (1, 9, 11, 99)] == [TEXT * 2] * 4


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        pytest.param(GZ[:-8], "the gzip ends too soon", id="P1_without_its_last_8_bytes"),
        pytest.param(GZ[:-1], "the gzip ends too soon", id="P1_without_its_last_byte"),
        pytest.param(GZ[: len(GZ) // 2], "the gzip ends too soon", id="P2_half"),
        pytest.param(GZ[:10], "the gzip ends too soon", id="P2_header_only"),
        pytest.param(GZ + GZ[:15], "the gzip ends too soon", id="P2_the_second_one"),
        pytest.param(b"", "0 bytes are no gzip", id="P3_nothing"),
        pytest.param(TEXT, "the gzip is damaged", id="P4_plain_json"),
        pytest.param(GZ + b"junk" * 5, "the gzip is damaged", id="P6_junk_behind"),
        pytest.param(GZ + bytes(100) + b"junk" * 5, "the gzip is damaged", id="P6_junk_behind_zeros"),
        pytest.param(bytes(100), "the gzip is damaged", id="P6_zeros_alone"),
        pytest.param(bytes(1) + GZ, "the gzip is damaged", id="P6_zeros_before"),
    ],
)
@pytest.mark.parametrize("piece", [1, 1 << 17])
def test_P1_P2_P3_P4_P6_what_is_no_whole_gzip_is_refused(cut, words, piece):
    assert words in refusal(cut, piece=piece)


@pytest.mark.parametrize("piece", [1, 64, 1 << 17])
def test_P6_zeros_behind_are_padding(piece):
    text, work = gunzip(GZ + bytes(1000), piece=piece)
    assert (text, work.crc32) == (TEXT, zlib.crc32(TEXT))


@pytest.mark.parametrize("length", range(0, len(GZ), 7))
def test_P1_P2_no_cut_passes(length):
    refusal(GZ[:length])


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(zipped(TEXT[:300]), id="dynamic_block"),
        pytest.param(gzip.compress(TEXT[:200], 0, mtime=0), id="stored_block"),
        pytest.param(zipped(TEXT[:60]) + zipped(TEXT[60:120]), id="two_members"),
    ],
)
def test_P7_no_flipped_bit_changes_the_text(whole):
    text, unchanged = gzip.decompress(whole), 0
    for flipped in flips(whole):
        try:
            assert gunzip(flipped, most_ratio=1 << 20)[0] == text
            unchanged += 1
        except ArchiveError:
            continue
    assert unchanged <= whole.count(b"\x1f\x8b\x08") * 8 * 7 + 8  # time, flags and system of the header


@pytest.mark.parametrize(
    ("options", "cap"),
    [({"most_ratio": 10}, 10), ({"most_bytes": 2_000_000}, None)],
    ids=["ratio", "bytes"],
)
def test_A20_a_bomb_is_stopped_at_its_cap_with_flat_memory(options, cap):
    bomb = zipped(bytes(100_000_000))
    limits = {"most_bytes": 1 << 40, "most_ratio": 1 << 20, **options}
    work = Gunzip("bomb", len(bomb), **limits)
    expanded = 0
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=r"becomes more than .* PIPELINE_MAX_MEMBER_BYTES"):  # noqa: PT012
            for piece in work.pieces([bomb]):
                expanded += len(piece)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert expanded <= (len(bomb) * cap + (1 << 20) if cap else 2_000_000)


def test_the_first_mebibyte_may_have_any_ratio():
    alike = lines("{}") * 300_000
    assert gunzip(zipped(alike), most_ratio=2)[0] == alike
