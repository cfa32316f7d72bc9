"""Verification: whatever is changed in what is published is found, and named by its file; what holds is called whole."""

import datetime as dt
import re
import threading

import msgspec
import pytest
from archives import DAY, day_zip, name, write, zipped
from loading import extracted, load
from stored import KINDS, STAGES, damaged, file, flip, flipped, look, whole
from truth import FULL, Damage

from pipeline.errors import ConfigError, LimitError
from pipeline.operations.readers import Readers
from pipeline.operations.reading import read_day
from pipeline.operations.verify import is_wrong, verify, warehouse_note
from pipeline.store import days, locks, manifest
from pipeline.warehouse import catalog

NEXT = DAY + dt.timedelta(days=1)
STEP = 1 if FULL else 64
"""Of the bits, every so manyth is flipped; `make faults` flips each."""


@pytest.fixture
def layout(project):
    return whole(project)


def test_a_whole_day_is_read_to_its_last_byte_and_left_as_it_is(project, layout):
    before = project.tree()
    (day,) = look(project)
    assert (day.date, day.damage, day.notes, day.is_stored, day.is_complete) == (DAY, [], [], True, True)
    assert day.bytes == sum(len(data) for path, data in before.items() if not path.endswith("_SUCCESS"))
    assert project.tree() == before
    assert not is_wrong(day, asked=True)


@pytest.mark.parametrize("kind", KINDS)
def test_F15_no_flipped_bit_of_anything_published_passes(project, layout, tally, kind):
    path = file(layout, kind)
    whole_bytes, readers = path.read_bytes(), Readers(project.settings)
    stages = frozenset() if "marker" in kind else frozenset({STAGES[kind]})
    here = (STAGES[kind], path.relative_to(layout.root))
    seen = []
    for data in flipped(whole_bytes, STEP):
        path.write_bytes(data)
        found = read_day(layout, DAY, project.settings, readers, stages).damage
        seen.append(here in {(damage.stage, damage.path) for damage in found})
    passed = [number for number, is_seen in enumerate(seen) if not is_seen]
    tally.injected(len(seen), Damage(lost=len(passed)))
    assert seen
    assert passed == []


@pytest.mark.parametrize("kind", KINDS)
def test_F15_O9_the_damaged_file_is_named_and_no_other(project, layout, kind):
    path = file(layout, kind)
    flip(path)
    assert damaged(project) == {(STAGES[kind], str(path.relative_to(layout.root)))}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", ["cut", "longer", "empty", "a directory"])
def test_F15_a_file_of_another_length_or_none_at_all_is_damage(project, layout, kind, change):
    path = file(layout, kind)
    data = path.read_bytes()
    if change == "a directory":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"cut": data[:-1], "longer": data + b"\n", "empty": b""}[change])
    assert (STAGES[kind], str(path.relative_to(layout.root))) in damaged(project)


@pytest.mark.parametrize("kind", ["json", "parquet", "rejected"])
@pytest.mark.parametrize("change", ["gone", "a link"])
def test_F15_a_file_that_is_named_and_not_there_is_damage(project, layout, kind, change):
    path = file(layout, kind)
    moved = path.rename(project.path / path.name)
    if change == "a link":
        path.symlink_to(moved)
    (day,) = look(project)
    said = {"gone": "it is missing", "a link": "it is no plain file"}[change]
    assert [(damage.stage, damage.what) for damage in day.damage] == [(STAGES[kind], said)]


def test_a_zip_may_lie_elsewhere_with_a_link_to_it(project, layout):
    path = layout.raw_zip(DAY)
    path.symlink_to(path.rename(project.path / path.name))
    assert damaged(project) == set()


def test_F7_what_the_disk_does_not_read_is_damage_and_the_rest_is_read_all_the_same(project, layout):
    path = layout.raw_zip(DAY)
    path.unlink()
    path.symlink_to("/proc/self/mem")  # its first byte is an I/O error
    flip(file(layout, "json"))
    try:
        (day,) = look(project)
    finally:
        path.unlink()  # nor can whoever looks for secrets read it
    assert {(damage.stage, damage.what[:24]) for damage in day.damage} == {
        ("raw", "the disk does not read i"), ("events", "its CRC-32 is not the re"),
    }  # fmt: skip


def test_the_damaged_member_of_a_zip_is_named(project, layout):
    path = layout.raw_zip(DAY)
    flip(path, path.read_bytes().index(b"\x1f\x8b") + 20)
    (damage,) = look(project)[0].damage
    assert "SHA-256" in damage.what
    assert name(9) in damage.what


@pytest.mark.parametrize("harm", [None, 20])
def test_a_zip_of_which_no_digest_is_known_yet_is_read_to_the_end_of_each_gzip(project, harm):
    path = day_zip(project.layout, {name(0): zipped(b"{}\n" * 99)})
    if harm:
        flip(path, path.read_bytes().index(b"\x1f\x8b") + harm)
    (day,) = look(project)
    assert [damage.stage for damage in day.damage] == (["raw"] if harm else [])
    assert day.notes == ([] if harm else [f"it is not complete: make run DATE={DAY}"])
    assert is_wrong(day, asked=False)


def test_an_honest_zip_beyond_a_limit_is_not_called_damaged(project):
    day_zip(project.layout, {name(0): zipped(b"{}\n"), name(1): zipped(b"{}\n")})
    project.set(PIPELINE_MAX_ENTRIES=1)
    (day,) = look(project)
    assert isinstance(day.error, LimitError)
    assert re.search(rf"{DAY}\.zip.*PIPELINE_MAX_ENTRIES", str(day.error))
    assert (day.damage, is_wrong(day, asked=False)) == ([], True)


def test_O8_a_zip_or_events_that_somebody_took_away_are_no_damage_and_told(project, layout):
    layout.raw_zip(DAY).unlink()
    for path in layout.events_dir(DAY).iterdir():
        path.unlink()
    (day,) = look(project)
    assert (day.damage, day.is_complete) == ([], True)
    assert day.notes == [
        "its ZIP is gone, and not by make prune (make force DATE= fetches the day anew, as Amplitude has it by then)", "its JSON lines are gone, and not by make prune (no command needs them)",
    ]  # fmt: skip
    assert not is_wrong(day, asked=True)


def test_a_file_that_somebody_put_among_the_events_is_told(project, layout):
    mine = write(layout.events_dir(DAY) / "mine.json", b"{}\n")
    write(layout.events_dir(DAY) / ".DS_Store", b"")
    (day,) = look(project)
    assert (day.damage, day.notes) == ([], [f"{mine} is none of its files"])


def test_O14_a_record_of_a_newer_version_is_its_days_error_and_the_others_are_read(project, layout):
    record = msgspec.structs.replace(days.load_record(layout, DAY), date=NEXT, files=[], rejected=None)
    write(layout.parquet_marker(NEXT), manifest.encode(record))
    newer = msgspec.structs.replace(days.load_record(layout, DAY), format=2)
    layout.parquet_marker(DAY).write_bytes(manifest.encode(newer))
    before = project.tree()
    day, other = look(project)
    assert isinstance(day.error, ConfigError)
    assert re.search(r"date=2026-01-15/_SUCCESS was written by a newer version.*git pull", str(day.error))
    assert (day.date, day.damage, is_wrong(day, asked=False)) == (DAY, [], True)
    assert (other.date, other.error, bool(other.damage)) == (NEXT, None, True)
    assert project.tree() == before


@pytest.mark.parametrize("kind", ["events marker", "load marker"])
def test_F15_a_flipped_form_is_not_taken_for_a_newer_version(project, layout, kind):
    path = file(layout, kind)
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 3'))
    assert damaged(project) == {(STAGES[kind], str(path.relative_to(layout.root)))}


def test_O15_a_data_folder_that_was_moved_holds(project, layout):
    moved = layout.root.rename(project.path / "elsewhere")
    project.set(PIPELINE_DATA_DIR=moved)
    (day,) = look(project)
    assert (day.damage, day.notes) == ([], [])


@pytest.mark.parametrize("kind", ["events marker", "load marker"])
def test_markers_of_version_0_2_0_hold_and_one_that_was_changed_is_found(project, layout, kind):
    path = file(layout, kind)
    record = (days.events_record if kind == "events marker" else days.load_record)(layout, DAY)
    path.write_bytes(manifest.plain(record))
    assert damaged(project) == set()
    path.write_bytes(manifest.plain(record).replace(b'"redo"', b'"rddo"'))
    assert damaged(project) == {(STAGES[kind], str(path.relative_to(layout.root)))}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("events marker", lambda record: {"files": record.files[:1]}),
        ("events marker", lambda record: {"totals": msgspec.structs.replace(record.totals, lines=7)}),
        ("load marker", lambda record: {"counts": msgspec.structs.replace(record.counts, duplicates=1)}),
        ("load marker", lambda record: {"hours": record.hours[1:]}),
    ],
)
def test_counts_that_do_not_add_up_along_the_chain_are_damage(project, layout, kind, change):
    record = (days.events_record if kind == "events marker" else days.load_record)(layout, DAY)
    path = file(layout, kind)
    path.write_bytes(manifest.encode(msgspec.structs.replace(record, **change(record))))
    assert (STAGES[kind], str(path.relative_to(layout.root))) in damaged(project)


@pytest.mark.parametrize("harm", [{"lines": 9}, {"blank_lines": 1}, {"crc32": "00000000"}, {"name": "other.json"}])
def test_a_files_lines_and_the_zips_members_are_counted_again(project, layout, harm):
    record = days.events_record(layout, DAY)
    first = msgspec.structs.replace(record.files[0], **harm)
    layout.events_marker(DAY).write_bytes(
        manifest.encode(msgspec.structs.replace(record, files=[first, *record.files[1:]]))
    )
    place = "raw/2026-01-15.zip" if "name" in harm else f"events/{DAY}/{first.name}"
    assert place in {path for _, path in damaged(project)}


def test_the_rows_of_a_parquet_file_are_read_from_the_file(project, layout):
    record = days.load_record(layout, DAY)
    files = [msgspec.structs.replace(record.files[0], rows=2)]
    layout.parquet_marker(DAY).write_bytes(manifest.encode(msgspec.structs.replace(record, files=files)))
    whats = {damage.what for damage in look(project)[0].damage}
    assert whats == {"it has 3 rows, not 2", "its rows are not the sum over its files"}


def test_the_lines_of_the_rejected_file_are_counted_again(project, layout):
    record = days.load_record(layout, DAY)
    rejected = msgspec.structs.replace(record.rejected, lines=2)
    layout.parquet_marker(DAY).write_bytes(manifest.encode(msgspec.structs.replace(record, rejected=rejected)))
    assert "it has 1 line, not 2" in {damage.what for damage in look(project)[0].damage}


def test_a_day_of_a_range_that_is_not_there_is_wrong_and_no_lock_tells_of_it(project, layout):
    found = look(project, DAY, NEXT)
    assert [(day.date, day.is_stored, is_wrong(day, asked=True)) for day in found] == [
        (DAY, True, False), (NEXT, False, True),
    ]  # fmt: skip
    assert not layout.lock(NEXT).exists()
    assert [day.date for day in look(project, DAY)][-1] > NEXT
    assert [day.date for day in look(project, None, NEXT)] == [DAY, NEXT]


def test_where_nothing_is_stored_nothing_is_found(project):
    assert look(project) == []
    assert not project.data.exists()


def test_days_are_reported_in_order_with_how_far_it_is(project, layout):
    for distance in (3, 1, 2):
        date = DAY + dt.timedelta(days=distance)
        record = msgspec.structs.replace(days.load_record(layout, DAY), date=date, files=[], rejected=None)
        write(layout.parquet_marker(date), manifest.encode(record))
    told = []
    found = verify(project.settings, None, None, lambda share, text: told.append((share, text)))
    assert [(day.date - DAY).days for day in found] == [0, 1, 2, 3]
    assert told[-1][0] == 1
    assert told[-1][1].startswith("4 of 4 days, ")
    assert sum(bool(day.damage) for day in found) == 3


def test_a_day_that_is_worked_on_is_waited_for(project, layout):
    found = []
    with locks.hold(layout.lock(DAY)):
        waiting = threading.Thread(target=lambda: found.extend(look(project)))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        layout.raw_zip(DAY).unlink()  # what the one who holds it does is seen whole
    waiting.join()
    assert [day.notes for day in found] == [
        ["its ZIP is gone, and not by make prune (make force DATE= fetches the day anew, as Amplitude has it by then)"]
    ]


def test_the_warehouse_is_derived_and_a_stale_one_is_a_note(project, layout):
    assert "make status" in warehouse_note(project.settings)
    catalog.refresh(project.settings)
    assert warehouse_note(project.settings) == ""
    flip(layout.warehouse(), 4096)
    load(layout, max_rejected=1.0)
    assert "warehouse.duckdb is not up to date" in warehouse_note(project.settings)


def test_an_empty_day_is_whole(project):
    load(extracted(project.data, {}))
    (day,) = look(project)
    assert (day.damage, day.notes, day.is_complete) == ([], [], True)
