"""A day's load: every line is a row, a duplicate or a reject; nothing half is visible; what stood is not lost."""

import datetime as dt
import json
import os
import resource
import subprocess
import sys
import uuid

import duckdb
import loading
import msgspec
import pytest
from archives import APP, DAY, name
from loading import extracted, line, load, loaded, rejected, rows
from projects import ROOT

from pipeline.errors import DamagedError, LoadError, StorageError
from pipeline.store import days, digests, partition
from pipeline.warehouse import parquet
from pipeline.warehouse.events import ROW, SCHEMA
from pipeline.warehouse.rows import MOST_NAMES, OTHERS

NULL = {"uuid": None}
TWICE = line(1)[:-1] + b',"city":"a","city":"b"}'


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_manifest_says_what_became_of_each_line(tmp_path):
    layout = extracted(tmp_path, {
        name(9): [line(0), line(1), line(1), b"{", line(2, colour="red", app="x")],
        name(10): [line(0, event_type="closed"), line(3, uuid=None), line(4, event_time=None)],
    })  # fmt: skip
    record = load(layout, max_rejected=1.0)
    counts = record.counts
    assert (counts.rows, counts.uuids, counts.duplicates, counts.conflicts, counts.rejects) == (5, 4, 2, 1, 1)
    assert counts.apart == {"app": 1, "colour": 1}
    assert (counts.no_uuid, counts.no_event_time) == (1, 1)
    events = days.events_record(layout, DAY)
    assert (record.extraction.id, record.extraction.totals) == (events.id, events.totals)
    assert (record.export, record.hours, record.app, record.schema) == (events.export, events.hours, APP, SCHEMA)
    assert record.id not in (events.id, events.export.id)
    (file,) = record.files
    path = layout.parquet_dir(DAY) / file.name
    assert (file.rows, file.bytes, file.sha256) == (5, *digests.sha256(path))
    assert record.rejected.lines == 2
    assert record.rejected.sha256 == digests.sha256(layout.rejected_dir(DAY) / record.rejected.name)[1]
    assert record.event_time.first == record.event_time.last == dt.datetime(2026, 1, 15, 9)
    assert record.server_upload_time.first == dt.datetime(2026, 1, 15, 9, 30)
    assert days.is_loaded(layout, DAY)
    assert list(layout.leftovers()) == []


def test_an_empty_day_is_a_parquet_of_0_rows_with_every_column(tmp_path):
    layout = extracted(tmp_path, {})
    record = load(layout)
    assert record.counts.rows == 0
    assert (record.event_time.first, record.server_upload_time.last) == (None, None)
    path = layout.parquet_dir(DAY) / record.files[0].name
    found = duckdb.execute("DESCRIBE FROM read_parquet(?)", [str(path)]).fetchall()
    assert [(each[0], each[1]) for each in found] == [(column.name, column.kind.value) for column in ROW]


def test_late_future_and_P25_rows_of_another_day_are_counted_and_kept(tmp_path):
    record, found = loaded(
        tmp_path,
        line(0, event_time="2026-01-14 23:59:59.999999"),
        line(1, event_time="2026-01-15 09:31:00.000000"),  # a minute is what Amplitude does not correct
        line(2, event_time="2026-01-15 09:31:00.000001"),
        line(3, server_upload_time="2026-01-16 00:00:00.000000", event_time="2026-01-15 00:00:00.000000"),
        line(4, server_upload_time="2026-01-14 23:59:59.999999", event_time="1970-01-01 00:00:00"),
    )
    assert (record.counts.late, record.counts.future, record.counts.outside) == (2, 1, 2)
    assert len(found) == 5
    assert {row["date"] for row in found} == {DAY}


# Deduplication


@pytest.mark.parametrize("files", [{9: [0, 0]}, {9: [0, 1], 10: [0]}], ids=["in a file", "in two hours"])
def test_P24_a_line_that_comes_twice_is_one_row(tmp_path, files):
    layout = extracted(tmp_path, {name(hour): [line(n) for n in of] for hour, of in files.items()})
    record = load(layout)
    assert (record.counts.duplicates, record.counts.conflicts, record.rejected) == (1, 0, None)
    assert sorted(row["uuid"].int for row in rows(layout)) == sorted({n + 1 for of in files.values() for n in of})
    assert not layout.rejected_dir(DAY).exists()


def test_P24_the_latest_upload_time_is_kept_and_the_others_stand_in_rejected(tmp_path):
    times = ["2026-01-15 09:30:00", "2026-01-15 09:30:00.000001", None, "2026-01-15 09:29:59.999999"]
    layout = extracted(tmp_path, {name(9): [line(0, server_upload_time=time) for time in times]})
    load(layout)
    (row,) = rows(layout)
    assert row["server_upload_time"] == dt.datetime(2026, 1, 15, 9, 30, 0, 1)
    found = rejected(layout)
    assert [(each["kind"], each["line"]) for each in found] == [("conflict", 1), ("conflict", 3), ("conflict", 4)]
    assert [each["text"].encode() for each in found] == [line(0, server_upload_time=times[n]) for n in (0, 2, 3)]
    assert "line 2 of" in found[0]["reason"]


def test_P24_of_those_alike_in_time_the_first_by_file_then_line_is_kept(tmp_path):
    layout = extracted(tmp_path, {
        name(10): [line(0, city="third")],
        name(9): [b"", line(7), line(0, city="first"), line(0, city="second")],
    })  # fmt: skip
    load(layout)
    assert {row["city"] for row in rows(layout)} == {None, "first"}
    assert [(each["file"], each["line"]) for each in rejected(layout)] == [
        (f"{APP}_{DAY}_9#0.json", 4), (f"{APP}_{DAY}_10#0.json", 1),
    ]  # fmt: skip


def test_P24_a_uuid_in_more_files_than_may_be_open_at_once_is_one_row(tmp_path):
    names = [name(number % 24, number // 24) for number in range(300)]
    layout = extracted(tmp_path, {each: [line(n, city=each) for n in range(2)] for each in names})
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (280, before[1]))
    try:
        record = load(layout)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert (record.counts.rows, record.counts.duplicates, record.counts.conflicts) == (2, 598, 598)
    assert len(rejected(layout)) == 598


def test_P24_a_null_uuid_is_never_a_duplicate(tmp_path):
    record, found = loaded(tmp_path, line(0, **NULL), line(0, **NULL), line(1, uuid="no uuid"), line(1, uuid="no uuid"))
    assert (len(found), record.counts.duplicates, record.counts.no_uuid) == (4, 0, 4)


def test_P24_lines_read_carefully_and_clean_ones_are_one_row_in_either_order(tmp_path):
    odd = line(0, colour="red")
    small, capital = (line(1, uuid=f"{letter}{str(uuid.UUID(int=2))[1:]}") for letter in "aA")
    record, found = loaded(tmp_path, line(0), odd, capital, small, "\ufeff".encode() + line(2), line(2))
    assert sorted(row["uuid"].int for row in found) == [1, 3, uuid.UUID(f"a{str(uuid.UUID(int=2))[1:]}").int]
    assert (record.counts.duplicates, record.counts.conflicts) == (3, 2)


# What refuses a day


def test_P9_one_bad_line_in_a_hundred_is_kept_apart_and_two_refuse_the_day(tmp_path):
    good = [line(n) for n in range(98)]
    record = load(extracted(tmp_path / "one", {name(9): [*good, line(99), b"{"]}))
    assert (record.counts.rows, record.counts.rejects) == (99, 1)
    layout = extracted(tmp_path / "two", {name(9): [*good, b"[", b"{"]})
    with pytest.raises(LoadError, match=r"2 of 100 lines are no events.*more than 1 %.*PIPELINE_MAX_REJECTED"):
        load(layout)
    assert not layout.parquet_dir(DAY).exists()
    (place,) = layout.rejected_dir(DAY).iterdir()
    assert [json.loads(each)["line"] for each in place.read_text().splitlines()] == [99, 100]
    assert load(layout, max_rejected=0.02).counts.rejects == 2
    assert len(list(layout.rejected_dir(DAY).iterdir())) == 1


@pytest.mark.parametrize("key", ["uuid", "event_time"])
def test_P26_rows_without_uuid_or_event_time_are_kept_and_counted_and_over_1_percent_refuse_the_day(tmp_path, key):
    good = [line(n) for n in range(99)]
    record = load(extracted(tmp_path / "one", {name(9): [*good, line(99, **{key: None})]}))
    assert (record.counts.rows, getattr(record.counts, f"no_{key}")) == (100, 1)
    layout = extracted(tmp_path / "two", {name(9): [*good[:-1], line(99, **{key: None}), line(98, **{key: ""})]})
    with pytest.raises(LoadError, match=f"2 of 100 lines have no {key.replace('_', ' ')}"):
        load(layout)
    assert not layout.parquet_dir(DAY).exists()


@pytest.mark.parametrize("field", ["rows", "uuids"])
def test_P28_rows_that_do_not_add_up_are_not_published(tmp_path, monkeypatch, field):
    layout = extracted(tmp_path, {name(9): [line(n) for n in range(3)]})
    load(layout)
    before = tree(layout.root)
    honest = parquet.read_back

    def short(*arguments):
        written = honest(*arguments)
        return msgspec.structs.replace(written, **{field: getattr(written, field) - 1})

    monkeypatch.setattr(parquet, "read_back", short)
    with pytest.raises(LoadError, match="3 lines became 2 rows" if field == "rows" else "only 2 have a uuid"):
        load(layout)
    assert tree(layout.root) == before


def test_P7_a_bit_flipped_in_the_json_is_found_and_the_day_is_extracted_anew(tmp_path):
    layout = extracted(tmp_path, {name(9): [line(n) for n in range(3)]})
    path = next(layout.events_dir(DAY).glob("*.json"))
    text = bytearray(path.read_bytes())
    text[text.index(b"opened")] ^= 1
    path.write_bytes(text)
    with pytest.raises(DamagedError, match="extracted anew from its ZIP"):
        load(layout)
    assert not layout.parquet_dir(DAY).exists()
    assert not days.is_extracted(layout, DAY)


@pytest.mark.parametrize("how", ["gone", "damaged too"])
def test_P7_damaged_json_without_its_zip_is_left_as_it_is_for_a_repair(tmp_path, how):
    layout = extracted(tmp_path, {name(9): [line(0)]})
    path = next(layout.events_dir(DAY).glob("*.json"))
    path.write_bytes(path.read_bytes().replace(b"opened", b"opener"))
    zip_path = layout.raw_zip(DAY)
    if how == "gone":
        zip_path.unlink()
    else:
        zip_path.write_bytes(zip_path.read_bytes()[:-3])
    before = tree(layout.root)
    with pytest.raises(LoadError) as refused:
        load(layout)
    assert refused.value.todo == f"Its ZIP is {how}. To mend the day: make verify FROM={DAY} TO={DAY} REPAIR=1"
    assert tree(layout.root) == before


# What was noted of the day before


@pytest.mark.parametrize("absent", [(), ("raw",)])
def test_of_what_was_pruned_only_what_is_absent_stays_noted(tmp_path, absent):
    layout = extracted(tmp_path, {name(9): [line(0)]})
    load(layout)
    for stage in ("raw", "events"):
        partition.note_pruned(layout, days.load_record(layout, DAY), stage)
    before = days.load_record(layout, DAY).pruned
    if absent:
        layout.raw_zip(DAY).unlink()
    (layout.parquet_dir(DAY) / days.load_record(layout, DAY).files[0].name).unlink()  # the note outlives the files
    load(layout)
    assert days.load_record(layout, DAY).pruned == {stage: before[stage] for stage in absent}


# What DuckDB does not read


def test_a_time_with_7_digits_is_no_clean_line_after_all_and_none_of_them_is_cut_off(tmp_path):
    record, found = loaded(tmp_path, line(0), line(1, event_time="2026-01-15 09:00:00.1234567"))
    assert (record.counts.rows, record.counts.no_event_time, record.counts.apart) == (2, 1, {"event_time": 1})
    assert [(row["uuid"].int, row["event_time"], row["extra"]) for row in found] == [
        (1, dt.datetime(2026, 1, 15, 9), None),
        (2, None, '{"event_time":"2026-01-15 09:00:00.1234567"}'),
    ]


def test_P19_a_line_with_a_key_twice_is_no_clean_line_after_all_and_is_rejected(tmp_path):
    record, found = loaded(tmp_path, line(0), TWICE)
    assert (record.counts.rows, record.counts.rejects, record.counts.apart) == (1, 1, {})
    assert [row["uuid"].int for row in found] == [1]


def test_a_day_that_is_read_again_line_by_line_has_each_reject_once(tmp_path):
    layout = extracted(tmp_path, {name(9): [line(0), b"{", TWICE], name(10): [line(2), b"["]})
    record = load(layout, max_rejected=1.0)
    assert (record.counts.rows, record.counts.rejects, record.rejected.lines) == (2, 3, 3)
    found = rejected(layout)
    assert [(each["file"], each["line"]) for each in found] == [
        (f"{APP}_{DAY}_9#0.json", 2), (f"{APP}_{DAY}_9#0.json", 3), (f"{APP}_{DAY}_10#0.json", 2),
    ]  # fmt: skip
    assert found[1]["text"].encode() == TWICE
    assert 'the key "city" stands twice' in found[1]["reason"]


def test_P19_a_line_with_a_key_twice_is_rejected_also_where_its_uuid_stands_in_another(tmp_path):
    twice = line(1)[:-1] + b',"event_type":"x"}'
    record, found = loaded(tmp_path, line(0), line(1), twice)
    assert (record.counts.rows, record.counts.duplicates, record.counts.rejects) == (2, 0, 1)
    assert [row["uuid"].int for row in found] == [1, 2]


def test_a_large_day_goes_on_in_other_files_that_are_numbered_in_the_order_of_writing(tmp_path, monkeypatch):
    rows_of_a_group = 2048  # the fewest of DuckDB's; a file ends with a group
    monkeypatch.setattr(parquet, "_ROW_GROUP", rows_of_a_group)
    monkeypatch.setattr(parquet, "FILE_BYTES", 1)
    layout = extracted(tmp_path, {name(9): [line(n) for n in range(13 * rows_of_a_group)]})
    record = load(layout, threads=1)  # several threads would write in an order of their own
    assert len(record.files) > 10
    assert [file.name for file in record.files] == [
        f"events-{record.id[:8]}-{n}.parquet" for n in range(len(record.files))
    ]
    assert sum(file.rows for file in record.files) == record.counts.rows
    assert [row["uuid"].int for row in rows(layout)] == [n + 1 for n in range(record.counts.rows)]


def test_P21_an_event_of_10000_unknown_keys_is_kept_exactly_and_1000_of_them_are_counted_by_name(tmp_path):
    unknown = {f"key {n:05}": n for n in range(10_000)}
    record, found = loaded(tmp_path, line(0), line(1, **unknown), line(2, **{"key 00007": 7}))
    assert [row["extra"] for row in found] == [None, json.dumps(unknown, separators=(",", ":")), '{"key 00007":7}']
    named = dict.fromkeys(list(unknown)[:MOST_NAMES], 1) | {"key 00007": 2}
    assert record.counts.apart == {**named, OTHERS: 10_000 - MOST_NAMES}


# A day that is loaded again


def test_a_day_loaded_again_keeps_the_old_files_for_their_readers_until_they_are_cleared(tmp_path):
    layout = extracted(tmp_path, {name(9): [line(0)]})
    first = load(layout)
    extracted(tmp_path, {name(9): [line(0), line(1)]}, id="export-2")
    assert not days.is_loaded(layout, DAY)
    second = load(layout)
    assert days.is_loaded(layout, DAY)
    old = layout.parquet_dir(DAY) / first.files[0].name
    assert duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(old)]).fetchall() == [(1,)]
    assert partition.superseded(layout, DAY) == [old]
    third = load(layout)
    names = {path.name for path in layout.parquet_dir(DAY).glob("*.parquet")}
    assert names == {second.files[0].name, third.files[0].name}


def test_a_load_that_fails_leaves_what_stood(tmp_path):
    layout = extracted(tmp_path, {name(9): [line(0)]})
    load(layout)
    before = tree(layout.parquet_dir(DAY))
    extracted(tmp_path, {name(9): [b"{"]}, id="export-2")
    with pytest.raises(LoadError):
        load(layout)
    assert tree(layout.parquet_dir(DAY)) == before
    assert list(layout.leftovers()) == []


def test_a_file_of_somebody_else_in_the_partition_stays(tmp_path):
    layout = extracted(tmp_path, {name(9): [line(0)]})
    load(layout)
    note = layout.parquet_dir(DAY) / "note.txt"
    note.write_text("mine")
    load(layout)
    assert note.read_text() == "mine"


def test_a_redo_is_answered_by_the_load(tmp_path):
    layout = extracted(tmp_path, {name(9): [line(0)]})
    load(layout)
    days.ask_redo(layout, DAY)
    token = days.redo_asked(layout, DAY)
    assert not days.is_loaded(layout, DAY)
    extracted(tmp_path, {name(9): [line(0)]}, id="export-2", redo=token)
    assert days.redo_asked(layout, DAY) == token
    load(layout)
    assert days.is_loaded(layout, DAY)
    assert days.redo_asked(layout, DAY) is None


def test_F1_a_full_disk_publishes_nothing_and_names_its_cause(tmp_path):
    layout = extracted(tmp_path, {
        name(hour): [line(1000 * hour + n, event_properties={"text": os.urandom(200).hex()}) for n in range(1000)]
        for hour in range(12)
    })  # fmt: skip
    code = (
        "import resource, signal, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        f"sys.path.insert(0, {str(loading.__file__.rpartition('/')[0])!r})\n"
        f"sys.path.insert(0, {str(loading.__file__.rpartition('/warehouse/')[0])!r})\n"
        "import loading\nfrom pipeline.errors import StorageError\nfrom pipeline.store.paths import Layout\n"
        "from pathlib import Path\n"
        f"try: loading.load(Layout(Path({str(tmp_path)!r})))\n"
        "except StorageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert "untouched" in done.stdout, done.stdout + done.stderr
    assert not layout.parquet_dir(DAY).exists()
    assert list(layout.leftovers()) == []


def test_too_little_memory_is_a_storage_error_that_names_the_setting(tmp_path):
    layout = extracted(tmp_path, {name(9): [line(n) for n in range(10)]})
    with pytest.raises(StorageError, match="PIPELINE_LOAD_MEMORY"):
        load(layout, load_memory=1_000_000)
    assert not layout.parquet_dir(DAY).exists()
