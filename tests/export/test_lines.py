"""Lines are counted as a plain split counts them, wherever the pieces are cut."""

import random

import pytest

from pipeline.export.lines import LineCounter


def counted(*pieces):
    counter = LineCounter()
    for piece in pieces:
        counter.add(piece)
    return counter.lines, counter.blank_lines


def by_split(text):
    lines = text.split(b"\n")
    lines = lines[:-1] if not lines[-1] else lines
    return len(lines), sum(not line.strip() for line in lines)


@pytest.mark.parametrize(
    ("text", "lines", "blank"),
    [
        (b"", 0, 0),
        (b"\n", 1, 1),
        (b"{}\n", 1, 0),
        (b"{}", 1, 0),
        (b"{}\n{}", 2, 0),
        (b"{}\r\n{}\r\n", 2, 0),
        (b"{}\n\n{}\n", 3, 1),
        (b"{}\r\n\r\n \t\x0b\x0c\n{}", 4, 2),
        (b"{}\n  ", 2, 1),
        (b" {}\n", 1, 0),
    ],
)
def test_the_last_line_may_lack_its_newline_and_white_space_is_blank(text, lines, blank):
    assert counted(*([text] if text else [])) == (lines, blank)


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\u0085", "\x1c", "\x1d", "\x1e", "\r", "\x0b", "\x0c"])
def test_P11_only_a_newline_byte_ends_a_line(inside):
    event = f'{{"text":"a{inside}b"}}\n'.encode()
    assert counted(event * 2) == (2, 0)
    assert counted(*(bytes([byte]) for byte in event * 2)) == (2, 0)


@pytest.mark.parametrize("seed", range(20))
def test_every_cut_counts_as_the_whole(seed):
    chance = random.Random(seed)
    words = [b"\n", b"\n", b"\r\n", b" ", b"\t", b"{}", b'{"a":"\xe2\x80\xa8"}', b"\x1c", b"x" * 200]
    for _ in range(300):
        text = b"".join(chance.choices(words, k=chance.randrange(20)))
        cuts = sorted(chance.randrange(len(text) + 1) for _ in range(chance.randrange(8)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert counted(*filter(None, pieces)) == by_split(text), pieces
    short = b"".join(chance.choices(words[:6], k=8))
    for cut in range(len(short) + 1):
        assert counted(*filter(None, (short[:cut], short[cut:]))) == by_split(short)
    assert counted(*(short[n : n + 1] for n in range(len(short)))) == by_split(short)
