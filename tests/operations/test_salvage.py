"""A marker that alone is damaged is made anew where the files prove it, and nowhere else."""

import json

import msgspec
import pytest
from archives import DAY
from stored import damaged, file, flip, flipped, whole

from pipeline.store import days, manifest
from pipeline.store.publish import remove
from pipeline.store.records import LoadRecord
from pipeline.warehouse.salvage import remake_marker

UNPROVEN = ("id", "redo", "export", "extraction", "pipeline", "seconds", "rechecks", "pruned", "app", "host")
"""What no sum and no row proves bit by bit; project and host are held against what is known of them instead."""


@pytest.fixture
def day(project):
    """A day whose Parquet alone stands, with a rejected line; its marker's path."""
    layout = whole(project)
    project.set(AMP_BASE_URL="http://127.0.0.1:9")  # the host that its record names is this machine
    layout.raw_zip(DAY).unlink()
    remove(layout.events_dir(DAY))
    return layout.parquet_marker(DAY)


def remade(project) -> bool:
    return remake_marker(project.layout, DAY, project.settings)


def proven(record) -> dict[str, object]:
    found = msgspec.to_builtins(record)
    counts = found["extraction"]["totals"]
    return {name: found[name] for name in found if name not in UNPROVEN} | {"lines": counts["lines"]}


def test_F15_whatever_bit_is_flipped_a_marker_made_anew_tells_the_truth(project, day):
    text, before, done = day.read_bytes(), days.load_record(project.layout, DAY), 0
    for changed in flipped(text, 151):
        day.write_bytes(changed)
        if manifest.read_marker(day, LoadRecord, DAY) is None and remade(project):
            found, done = days.load_record(project.layout, DAY), done + 1
            assert proven(found) == proven(before)
            assert (found.app, found.host, found.extraction.totals.events) == (before.app, before.host, 4)
        else:
            assert day.read_bytes() == changed
    assert done > 5


def hours(status="exported", **events):
    """Returns the hours as they are stored, but for the status of one and the events of some."""
    of = {"9": 3, "10": 1, **events}
    return [{"hour": n, "status": status if n == 9 else "exported", "events": of.get(str(n), 0)} for n in range(24)]


CHANGES = {
    "nothing but the check": ({"hours": hours()}, True),
    "seconds": ({"seconds": {"load": 7.0}}, True),
    "a count over the rows": ({"counts": {"late": 77}}, True),
    "date": ({"date": "2026-01-14"}, False),
    "form": ({"format": 0}, False),
    "schema": ({"schema": 77}, False),
    "project": ({"app": 77}, False),
    "host": ({"host": "analytics.eu.amplitudf.com"}, False),
    "duplicates": ({"counts": {"duplicates": 77}}, False),
    "conflicts": ({"counts": {"conflicts": 77}}, False),
    "lines": ({"extraction": {"totals": {"lines": 77}}}, False),
    "hours": ({"hours": hours(**{"9": 2})}, False),
    "an hour's status": ({"hours": hours("dxported")}, False),
    "no file": ({"files": []}, False),
}


def merged(old, new):
    return old | {key: merged(old[key], value) if isinstance(value, dict) else value for key, value in new.items()}


@pytest.mark.parametrize("case", CHANGES)
def test_F15_only_what_is_proven_is_made_anew(project, day, case):
    change, accepted = CHANGES[case]
    before = days.load_record(project.layout, DAY)
    text = json.dumps(merged(json.loads(day.read_bytes()), change))  # its check, that of before, does not matter
    day.write_text(text, encoding="utf-8")
    assert remade(project) == accepted
    if accepted:
        assert proven(days.load_record(project.layout, DAY)) == proven(before)
        assert damaged(project) == set()
    else:
        assert day.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("kind", ["parquet", "rejected"])
def test_F15_a_damaged_file_proves_nothing(project, day, kind):
    path = file(project.layout, kind)
    day.write_bytes(day.read_bytes().replace(b'"check": "', b'"check": "0'))
    flip(path)
    assert not remade(project)
    path.unlink()
    assert not remade(project)
