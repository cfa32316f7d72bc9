"""A file's lines in blocks: whole, in order, and long ones never held."""

import random

import pytest

from pipeline.warehouse.blocks import Block, LongLine, blocks


@pytest.mark.parametrize("seed", range(5))
def test_P11_P18_any_pieces_give_the_same_lines(seed):
    chance = random.Random(seed)
    for _ in range(300):
        lines = [
            bytes(chance.choices(b"a \r\x0b\x1c", k=chance.choice([0, 1, 5, 30, 80])))
            for _ in range(chance.randrange(9))
        ]
        text = b"\n".join(lines)
        size = chance.choice([1, 7, 40, 1000])
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        at = 0
        for part in blocks(pieces, 20, 4):
            assert part.offset == at
            if isinstance(part, Block):
                assert text[at:].startswith(part.text)
                at += len(part.text)
                assert at == len(text) or part.text.endswith(b"\n")
            else:
                long = text[at:].partition(b"\n")[0]
                assert part == LongLine(at, len(long), long[:4], not long.strip())
                assert len(long) > 20
                at = min(at + len(long) + 1, len(text))
        assert at == len(text)


def test_P18_a_long_line_is_held_no_longer_than_the_limit():
    held = max(len(part.text) for part in blocks([b"x" * 10] * 10_000 + [b"\nend"], 95, 3) if isinstance(part, Block))
    assert held < 100
