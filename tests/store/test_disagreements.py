"""Whether the records of a day agree: every count that one has, another has too."""

import msgspec
import pytest
from archives import DAY, name
from loading import extracted, line, load

from pipeline.store import days
from pipeline.store.chain import disagreements


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The records of a day with two files, a reject, and two duplicates, one of which differs."""
    files = {name(9): [line(0), b"no event", line(1), line(1)], name(10): [line(0, city="Bonn"), b""]}
    layout = extracted(tmp_path_factory.mktemp("day"), files)
    load(layout, max_rejected=1.0)
    return tuple(read(layout, DAY) for read in (days.export_record, days.events_record, days.load_record))


def of(record, **changes):
    return msgspec.structs.replace(record, **changes)


def test_the_records_of_an_honest_day_agree(records):
    counts = records[2].counts
    assert (counts.rows, counts.duplicates, counts.conflicts, counts.rejects) == (2, 2, 1, 1)
    assert list(disagreements(*records)) == []
    assert list(disagreements(None, None, None)) == []
    assert [list(disagreements(*(None if n == left else r for n, r in enumerate(records)))) for left in range(3)] == [
        []
    ] * 3


EVENTS = {
    "its totals are not the sums over its files": lambda e: {"totals": of(e.totals, bytes=1)},
    "a file's events are not its lines without the blank ones": lambda e: {
        "files": [of(e.files[0], lines=5), *e.files[1:]], "totals": of(e.totals, lines=e.totals.lines + 1),
    },
    "it names a file twice": lambda e: {"files": [e.files[0], of(e.files[1], name=e.files[0].name)]},
    "a file is of another project": lambda e: {"files": [of(e.files[0], app=7), *e.files[1:]]},
    "its hours have other counts than its files": lambda e: {"hours": [of(h, events=0) for h in e.hours]},
    "its hours are not those of the ZIP": lambda e: {
        "hours": [of(e.hours[0], status="empty" if e.hours[0].status != "empty" else "exported"), *e.hours[1:]]
    },
    "it is of another project or host than the ZIP": lambda _: {"host": "elsewhere"},
}  # fmt: skip
LOAD = {
    "its rows, duplicates and rejects do not add up to the events": lambda r: {"counts": of(r.counts, duplicates=3)},
    "its rows are not the sum over its files": lambda r: {"files": [of(r.files[0], rows=3)]},
    "its rows are not as many as their uuids": lambda r: {"counts": of(r.counts, uuids=1)},
    "its rejected lines are not as many as its rejects and conflicts": lambda _: {"rejected": None},
    "its totals of the events are not the events' own": lambda r: {
        "extraction": of(r.extraction, totals=of(r.extraction.totals, bytes=1))
    },
    "its hours are not those of the events": lambda r: {"hours": r.hours[1:]},
    "it names another ZIP than the events do": lambda r: {"export": of(r.export, sha256="0" * 64)},
    "it is of another project or host than the events": lambda _: {"app": 7},
}


@pytest.mark.parametrize("what", EVENTS)
def test_a_count_of_the_events_that_is_not_so_is_named(records, what):
    export, events, _ = records
    assert ("events", what) in disagreements(export, of(events, **EVENTS[what](events)), None)


@pytest.mark.parametrize("what", LOAD)
def test_a_count_of_the_load_that_is_not_so_is_named(records, what):
    export, events, loaded = records
    assert list(disagreements(export, events, of(loaded, **LOAD[what](loaded)))) == [("parquet", what)]


def test_records_of_two_generations_are_not_compared(records):
    export, events, loaded = records
    newer = of(export, id="another", host="elsewhere")
    assert (
        list(disagreements(newer, events, of(loaded, extraction=of(loaded.extraction, id="another"), hours=[]))) == []
    )
