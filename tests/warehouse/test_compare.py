"""Two generations of a day: what is in one of them only, by uuid, or by all values where there is none."""

import msgspec
import pytest
from archives import DAY, name
from loading import extracted, line, load

from pipeline.errors import LoadError, MemoryLimitError
from pipeline.settings import Settings
from pipeline.store import days
from pipeline.warehouse.compare import Difference, compare_day

BAD = b"{no event"


def compare(tmp_path, before: list[bytes], now: list[bytes], **settings: object) -> Difference:
    """Stores a day, extracts another generation of it beside, and compares the two."""
    home = extracted(tmp_path / "data", {name(9): before})
    record = load(home, max_rejected=1.0)
    fetched = extracted(home.recheck(DAY).root, {name(9): now})
    events = days.events_record(fetched, DAY)
    conf = Settings(data_dir=home.root, **{"max_rejected": 1.0, **settings})
    found = compare_day(home, record, fetched, events, conf, lambda _share, _text: None)
    assert not fetched.parquet_part(DAY).exists()
    assert days.load_record(home, DAY) == record
    return found


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([], [], Difference(0)),
        ([], [line(1)], Difference(1, grown=1)),
        ([line(1)], [], Difference(0, shrunk=1)),
        ([line(1), line(2)], [line(2), line(1)], Difference(2)),
        ([line(1)], [line(1), line(1)], Difference(1)),  # a duplicate is no event more
        ([line(1), line(2)], [line(2), line(3), line(4)], Difference(3, grown=2, shrunk=1)),
        ([line(1), line(2)], [line(1), line(2, city="Bonn")], Difference(2, changed=1)),
        ([line(1)], [line(1, new_key=1)], Difference(1, changed=1)),  # also in what fits no column
        ([line(1)], [line(1, city=None)], Difference(1)),  # null and absent are one
        ([line(1, city="")], [line(1, city=None)], Difference(1, changed=1)),
        ([line(1, uuid=None)] * 3, [line(1, uuid=None)] * 5, Difference(5, grown=2)),
        ([line(1, uuid=None)] * 3 + [line(2)], [line(2)], Difference(1, shrunk=3)),
        ([line(n, uuid=None) for n in (1, 2, 2)], [line(n, uuid=None) for n in (2, 1, 2)], Difference(3)),
        ([line(n, uuid=None) for n in (1, 2, 3)], [line(n, uuid=None) for n in (4, 5, 6)], Difference(3, 3, 3)),
        ([line(1, uuid=None)] * 2 + [line(2, uuid=None)], [line(1, uuid=None)] * 3, Difference(3, 1, 1)),
        ([line(1, uuid=None)], [line(1, uuid=None, new_key=1), line(2)], Difference(2, 2, 1)),
        ([line(1)], [line(1, uuid=None)], Difference(1, 1, 1)),
        ([line(1)], [line(1), BAD], Difference(1)),  # what is no event is not compared
        ([line(1), BAD, BAD], [line(1), BAD], Difference(1, fewer_rejects=1)),  # only counted
        ([line(1), line(1, city="Bonn")], [line(1)], Difference(1, fewer_conflicts=1)),  # so is what differs
        ([line(1)], [line(1), line(1, city="Bonn")], Difference(1)),
    ],
)
def test_T8_events_are_compared_by_uuid_and_those_without_one_by_all_their_values(tmp_path, before, now, expected):
    found = compare(tmp_path, before, now)
    assert found == expected
    assert found.is_none is not (expected.grown or expected.shrunk or expected.changed)


def test_each_event_that_is_alone_is_counted_over_several_row_groups(tmp_path):
    before, now = range(40_000), range(17, 40_005)
    found = compare(tmp_path, [line(n) for n in before], [line(n) for n in now])
    assert found == Difference(len(now), grown=5, shrunk=17)


def test_events_without_a_uuid_are_counted_over_several_row_groups(tmp_path):
    before, now = range(40_000), range(17, 40_005)

    def many(numbers: range) -> list[bytes]:
        return [line(n, uuid=None, event_id=n) for n in numbers]

    found = compare(tmp_path, many(before), many(now))
    assert found == Difference(len(now), grown=5, shrunk=17)


def test_what_cannot_be_loaded_is_told_and_leaves_nothing(tmp_path):
    with pytest.raises(LoadError) as refused:
        compare(tmp_path, [line(1)], [line(1), BAD], max_rejected=0.1)
    assert "what Amplitude has of it now cannot be loaded: 1 of 2 lines are no events" in refused.value.what
    assert refused.value.todo == "What is stored is untouched."
    assert not list((tmp_path / "data" / ".recheck").rglob("*.tmp"))


def test_too_little_memory_is_told_as_such(tmp_path):
    many = [line(n, text="x" * 200) for n in range(20_000)]
    with pytest.raises(MemoryLimitError):
        compare(tmp_path, many, many[1:], load_memory=1_000_000)


@pytest.mark.parametrize("damage", ["changed", "schema"])
def test_stored_rows_that_are_none_to_compare_with_are_refused(tmp_path, damage):
    home = extracted(tmp_path / "data", {name(9): [line(1)]})
    record = load(home)
    fetched = extracted(home.recheck(DAY).root, {name(9): [line(2)]})
    file = home.parquet_dir(DAY) / record.files[0].name
    if damage == "changed":
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    else:
        record = msgspec.structs.replace(record, schema=0)
    with pytest.raises(LoadError, match="damaged" if damage == "changed" else "of schema 0") as refused:
        compare_day(
            home, record, fetched, days.events_record(fetched, DAY), Settings(data_dir=home.root), lambda *_: None
        )
    assert f"{DAY}" in refused.value.todo
