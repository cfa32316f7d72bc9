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
from pipeline.store.records import Counts, EventsRef, ExportRef, LoadRecord, ParquetFile, RejectedFile, Span, Totals

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
    for name, folder in [*((file.name, final) for file in files), (f"rejected-{TWO}.jsonl", aside)]:
        (moved,) = (place for place, call in enumerate(before) if call.endswith(f" {folder / name}"))
        assert f"fsync {part / name}" in before[:moved]
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


def test_names_are_numbered_where_there_are_several():
    assert partition.events_name("0123456789", 0, 1) == "events-01234567.parquet"
    assert partition.events_name("0123456789", 11, 12) == "events-01234567-11.parquet"
