"""A load fits its memory, however many cores there are and whatever the lines are like."""

import os

import pytest
from archives import DAY, name
from loading import extracted, line, load, rejected


@pytest.mark.parametrize("threads", [8, 64])
def test_many_cores_share_the_memory(tmp_path, threads):
    layout = extracted(tmp_path, {
        name(hour): [line(1000 * hour + n, **({"new": 1} if n % 10 == 0 else {})) for n in range(100)]
        for hour in range(24)
    })  # fmt: skip
    record = load(layout, threads=threads)
    assert (record.counts.rows, record.counts.apart) == (2400, {"new": 240})


def test_what_is_too_much_for_several_threads_is_done_with_one(tmp_path):
    text = os.urandom(7_000_000).hex()
    layout = extracted(tmp_path, {name(hour): [line(hour, new=text)] for hour in range(4)})
    record = load(layout, threads=4, load_memory=400_000_000)
    assert (record.counts.rows, record.counts.apart) == (4, {"new": 4})


def test_P24_thousands_of_lines_with_one_uuid_are_one_row_and_each_other_one_stands_in_rejected(tmp_path):
    layout = extracted(tmp_path, {name(hour): [line(5, city=f"{hour} {n}") for n in range(500)] for hour in (1, 2)})
    record = load(layout)
    assert (record.counts.rows, record.counts.duplicates, record.counts.conflicts) == (1, 999, 999)
    assert [each["line"] for each in rejected(layout)] == [*range(2, 501), *range(1, 501)]


def test_max_event_bytes_holds_for_clean_lines_too(tmp_path):
    layout = extracted(tmp_path, {name(9): [line(0), line(1, city="x" * 2000), line(2)]})
    record = load(layout, max_event_bytes=1500, max_rejected=1.0)
    assert (record.counts.rows, record.counts.rejects) == (2, 1)
    assert rejected(layout)[0]["line"] == 2
    assert layout.parquet_dir(DAY).exists()
