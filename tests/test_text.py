"""Foreign words made fit for one line; bytes and counts for people."""

import pytest

from pipeline.text import count, printable, replaced, size


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("plain äöü €", "plain äöü €"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb\u2066", "a\\u202eb\\u2066"),
        ("\u2028\u0085", "\\u2028\\x85"),
        ("\0", "\\x00"),
        ("\ud800", "\\ud800"),
    ],
)
def test_A9_foreign_text_stays_on_one_line(foreign, shown):
    assert printable(foreign) == shown
    assert printable(foreign).isprintable()


def test_foreign_text_is_cut_to_its_limit():
    assert printable("x" * 300) == "x" * 300
    assert printable("x" * 301) == "x" * 299 + "…"
    assert printable("abcdef", limit=4) == "abc…"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (4_000_000_000, "4.0 GB"),
        (5e15, "5000.0 TB"),
    ],
)
def test_bytes_for_people(number, shown):
    assert size(number) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "0 days"), (1, "1 day"), (1200, "1,200 days")])
def test_a_number_with_its_noun(number, shown):
    assert count(number, "day") == shown


@pytest.mark.parametrize(("old", "new", "change"), [(1180, 1200, "(+20)"), (5, 2, "(-3)"), (2, 2, "(+0)")])
def test_O11_a_replacement_says_what_it_changes(old, new, change):
    assert replaced("rows", old, new) == f"{new:,} rows take the place of {old:,} {change}"
