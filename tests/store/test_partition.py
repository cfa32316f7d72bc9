"""A partition: the marker says which files count; replacing it is the commit."""

import datetime as dt
import os
import sys
from pathlib import Path

import msgspec
import pytest
from archives import APP, DAY

from pipeline.store import days, manifest, partition
from pipeline.store.paths import SUCCESS, Layout
from pipeline.store.records import (
    Counts,
    EventsRef,
    ExportRef,
    LoadRecord,
    ParquetFile,
    Recheck,
    RejectedFile,
    Span,
    Totals,
)  # fmt: skip

NEVER = Span(first=None, last=None)


def record(generation: str, **changes: object) -> LoadRecord:
    values = {
        "id": generation * 4,
        "date": DAY,
        "app": APP,
        "host": "loopback",
        "redo": None,
        "export": ExportRef(id="export-1", bytes=1, sha256="", source="api"),
        "extraction": EventsRef(id="events-1", totals=Totals(files=0, bytes=0, lines=0, blank_lines=0, events=0)),
        "hours": [],
        "schema": 1,
        "files": [ParquetFile(name=f"events-{generation}.parquet", rows=0, bytes=4, sha256="")],
        "rejected": RejectedFile(name=f"rejected-{generation}.jsonl", lines=1, bytes=3, sha256=""),
        "counts": Counts(**dict.fromkeys(Counts.__struct_fields__, 0) | {"apart": {}}),
        "server_upload_time": NEVER,
        "event_time": NEVER,
        "pipeline": "test",
        "seconds": {},
    }
    return LoadRecord(**{**values, **changes})


def publish(layout: Layout, of: LoadRecord) -> None:
    part = layout.parquet_part(of.date)
    part.mkdir(parents=True)
    for file in of.files:
        (part / file.name).write_bytes(b"rows")
    if of.rejected:
        (part / of.rejected.name).write_bytes(b"{}\n")
    partition.publish_partition(layout, of, part)
    part.rmdir()


def names(layout: Layout) -> set[str]:
    folders = (layout.parquet_dir(DAY), layout.rejected_dir(DAY))
    return {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}


ONE, TWO, THREE = (f"{n}" * 8 for n in (1, 2, 3))


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path)


def test_the_marker_names_the_files_that_count(layout):
    publish(layout, record(ONE))
    assert days.load_record(layout, DAY) == record(ONE)
    assert names(layout) == {SUCCESS, f"events-{ONE}.parquet", f"rejected-{ONE}.jsonl"}
    assert partition.superseded(layout, DAY) == []


def test_the_generation_before_stays_and_the_one_before_that_goes(layout):
    for generation in (ONE, TWO, THREE):
        publish(layout, record(generation))
    assert days.load_record(layout, DAY) == record(THREE)
    assert names(layout) == {SUCCESS} | {
        f"{kind}" for n in (TWO, THREE) for kind in (f"events-{n}.parquet", f"rejected-{n}.jsonl")
    }
    assert {path.name for path in partition.superseded(layout, DAY)} == {
        f"events-{TWO}.parquet", f"rejected-{TWO}.jsonl",
    }  # fmt: skip


def test_a_day_without_rejects_leaves_no_folder_of_them(layout):
    for generation in (ONE, TWO, THREE):
        publish(layout, record(generation, rejected=None))
    assert not layout.rejected_dir(DAY).exists()


@pytest.mark.parametrize("number", ["", "-0", "-3", "-12"])
def test_files_of_a_load_that_was_killed_before_its_marker_do_not_count_and_go(layout, number):
    publish(layout, record(ONE))
    stray = layout.parquet_dir(DAY) / f"events-{THREE}{number}.parquet"
    stray.write_bytes(b"rows")
    assert days.load_record(layout, DAY) == record(ONE)
    assert partition.superseded(layout, DAY) == [stray]
    publish(layout, record(TWO))
    assert not stray.exists()


@pytest.fixture
def calls(layout, monkeypatch):
    """Records what is synced, and what is renamed to where, in order, as paths below the data folder."""
    seen = []

    def wrap(name, told):
        real = getattr(os, name)

        def call(*arguments, **options):
            real(*arguments, **options)
            seen.append(f"{name} {told(arguments).relative_to(layout.root)}")

        monkeypatch.setattr(os, name, call)

    wrap("fsync", lambda arguments: Path(f"/proc/self/fd/{arguments[0]}").readlink())
    wrap("rename", lambda arguments: Path(arguments[1]))
    wrap("replace", lambda arguments: Path(arguments[1]))
    return seen


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is open is told by Linux's /proc")
def test_F7_what_the_marker_names_outlives_a_power_cut_before_the_marker_counts(layout, calls):
    files = [ParquetFile(name=f"events-{TWO}-{n}.parquet", rows=0, bytes=4, sha256="") for n in range(2)]
    publish(layout, record(ONE))
    calls.clear()
    publish(layout, record(TWO, files=files))
    part, final, aside = (
        path.relative_to(layout.root)
        for path in (layout.parquet_part(DAY), layout.parquet_dir(DAY), layout.rejected_dir(DAY))
    )
    committed = calls.index(f"replace {final / SUCCESS}")
    before, after = calls[:committed], calls[committed + 1 :]
    rejected = (layout.rejected_part(DAY).relative_to(layout.root), aside / f"rejected-{TWO}.jsonl")
    for staged, at in [*((part / file.name, final / file.name) for file in files), rejected]:
        folder = at.parent
        (moved,) = (place for place, call in enumerate(before) if call.endswith(f" {at}"))
        assert f"fsync {staged}" in before[:moved]
        assert f"fsync {folder}" in before[moved:]
    assert f"fsync {part / SUCCESS}" in before
    assert after == [f"fsync {final}"]


def test_where_the_marker_cannot_be_read_nothing_counts_as_superseded(layout):
    publish(layout, record(ONE))
    layout.parquet_marker(DAY).write_bytes(b"{torn")
    assert partition.superseded(layout, DAY) == []


@pytest.mark.parametrize("change", ["gone", "cut", "of another day", "torn marker"])
def test_F14_a_partition_that_is_not_what_its_marker_says_is_not_whole(layout, change):
    publish(layout, record(ONE))
    file = layout.parquet_dir(DAY) / f"events-{ONE}.parquet"
    if change == "gone":
        file.unlink()
    elif change == "cut":
        file.write_bytes(b"row")
    elif change == "torn marker":
        layout.parquet_marker(DAY).write_bytes(layout.parquet_marker(DAY).read_bytes()[:-9])
    else:
        other = msgspec.structs.replace(record(ONE), date=DAY + dt.timedelta(days=1))
        layout.parquet_marker(DAY).write_bytes(manifest.encode(other))
    assert days.load_record(layout, DAY) is None


AGAIN = [
    Recheck(at=dt.datetime(2026, 1, n, 3, tzinfo=dt.UTC), events=9, grown=n, shrunk=0, replaced=False) for n in (17, 19)
]


def test_rechecks_are_noted_behind_each_other_and_the_load_stays_what_it_is(layout):
    publish(layout, record(ONE))
    before = names(layout)
    for again in AGAIN:
        partition.note_recheck(layout, days.load_record(layout, DAY), again)
    assert days.load_record(layout, DAY) == record(ONE, rechecks=AGAIN)
    assert partition.rechecks(layout, DAY) == AGAIN
    assert (names(layout), list(layout.leftovers())) == (before, [])


def test_what_was_pruned_is_noted_with_its_time(layout):
    publish(layout, record(ONE, rechecks=AGAIN))
    from_then = dt.datetime.now(dt.UTC)
    for stage in ("events", "raw"):
        partition.note_pruned(layout, days.load_record(layout, DAY), stage)
    found = days.load_record(layout, DAY)
    assert (list(found.pruned), found.rechecks, found.id) == (["events", "raw"], AGAIN, ONE * 4)
    assert from_then <= found.pruned["events"] <= found.pruned["raw"] <= dt.datetime.now(dt.UTC)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is open is told by Linux's /proc")
def test_F7_a_note_is_synced_before_it_counts_and_its_folder_after(layout, calls):
    publish(layout, record(ONE))
    calls.clear()
    partition.note_recheck(layout, record(ONE), AGAIN[0])
    final = layout.parquet_dir(DAY).relative_to(layout.root)
    part = layout.parquet_part(DAY).relative_to(layout.root)
    assert calls == [f"fsync {part / SUCCESS}", f"replace {final / SUCCESS}", f"fsync {final}"]


def test_F1_a_note_that_cannot_be_written_leaves_the_marker_as_it_was(layout, monkeypatch):
    publish(layout, record(ONE))

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        partition.note_recheck(layout, record(ONE), AGAIN[0])
    assert days.load_record(layout, DAY) == record(ONE)
    assert list(layout.leftovers()) == []


def test_what_was_noted_is_known_where_the_files_are_gone_and_not_from_a_torn_marker(layout):
    publish(layout, record(ONE, rechecks=AGAIN))
    (layout.parquet_dir(DAY) / f"events-{ONE}.parquet").unlink()
    assert days.load_record(layout, DAY) is None
    assert partition.rechecks(layout, DAY) == AGAIN
    layout.parquet_marker(DAY).write_bytes(b"{torn")
    assert partition.rechecks(layout, DAY) == []


def test_the_files_of_a_damaged_load_stay_until_the_next_one_counts(layout):
    files = [ParquetFile(name=f"events-{ONE}-{n}.parquet", rows=0, bytes=4, sha256="") for n in range(2)]
    publish(layout, record(ONE, files=files))
    (layout.parquet_dir(DAY) / files[0].name).write_bytes(b"row")
    publish(layout, record(TWO))
    assert {file.name for file in files} <= names(layout)
    assert {path.name for path in partition.superseded(layout, DAY)} >= {file.name for file in files}


def test_names_are_numbered_where_there_are_several():
    assert partition.events_name("0123456789", 0, 1) == "events-01234567.parquet"
    assert partition.events_name("0123456789", 11, 12) == "events-01234567-11.parquet"
