"""Repair: what is damaged is made anew from what is whole, and nothing that stands is given up for it."""

import datetime as dt

import msgspec
import pytest
from amplitude import Amplitude, noted, stored, uuids
from archives import APP, DAY, write
from loading import rows
from stored import KINDS, damaged, file, flip, look, whole

from pipeline import logs
from pipeline.errors import CredentialsError, LoadError, StorageError
from pipeline.operations.recheck import recheck
from pipeline.operations.repair import repair
from pipeline.store import days, manifest, quarantine
from pipeline.store.publish import remove

NEXT = DAY + dt.timedelta(days=1)
EVENTS, LOAD = "events marker", "load marker"


def mend(project):
    """Repairs what a verification finds."""
    found = look(project)
    logs.setup(project.logs)
    return repair(project.settings, found, lambda _share, _text: None)


@pytest.fixture
def layout(project):
    return whole(project)


@pytest.fixture
def amplitude(project):
    """A day of ten events that is stored, and the Amplitude that it came from."""
    found = Amplitude(project)
    found.has(*range(10))
    assert project.run_day(DAY).scheduling_succeeded
    found.sandbox.requests.clear()
    return found


def by_uuid(layout):
    return sorted(rows(layout), key=lambda row: str(row["uuid"]))


MENDED = [(kind,) for kind in KINDS if kind != "zip"] + [
    KINDS[1:],
    ("json", "parquet"),
    (EVENTS, LOAD),
    ("rejected", LOAD),
]


@pytest.mark.parametrize("kinds", MENDED, ids="+".join)
def test_F15_what_is_damaged_is_made_anew_from_the_stage_before_without_a_request(project, layout, kinds):
    before, raw = by_uuid(layout), layout.raw_zip(DAY).read_bytes()
    for path in [file(layout, kind) for kind in kinds]:
        flip(path)
    (result,) = mend(project)
    assert (result.date, result.must_run, result.error) == (DAY, False, None)
    (day,) = look(project)
    assert (day.damage, day.notes, day.is_complete) == ([], [], True)
    assert by_uuid(layout) == before
    assert days.load_record(layout, DAY).counts.rejects == 1
    assert layout.raw_zip(DAY).read_bytes() == raw
    assert project.leftovers() == []


@pytest.mark.parametrize("kind", ["json", "parquet", "rejected"])
def test_F15_a_file_that_is_gone_is_made_anew(project, layout, kind):
    before = by_uuid(layout)
    file(layout, kind).unlink()
    (result,) = mend(project)
    assert (result.error, damaged(project), by_uuid(layout)) == (None, set(), before)


@pytest.mark.parametrize("kinds", [(EVENTS,), (LOAD,), (EVENTS, LOAD)], ids="+".join)
def test_F15_a_flipped_form_does_not_make_every_command_refuse_the_day_for_ever(project, layout, kinds):
    before = by_uuid(layout)
    for path in [file(layout, kind) for kind in kinds]:
        path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 3'))
    (result,) = mend(project)
    assert (result.error, damaged(project), by_uuid(layout)) == (None, set(), before)
    assert len(list(layout.quarantine(DAY).glob("*_SUCCESS"))) == len(kinds)


def test_parquet_without_events_is_made_anew_from_the_zip(project, layout):
    before = by_uuid(layout)
    remove(layout.events_dir(DAY))
    flip(file(layout, "parquet"))
    (result,) = mend(project)
    assert (result.error, result.must_run, damaged(project), by_uuid(layout)) == (None, False, set(), before)


def test_a_day_that_is_whole_by_now_is_left_as_it_is(project, layout):
    path = file(layout, "parquet")
    data = flip(path)
    found = look(project)
    path.write_bytes(data)
    before = project.tree()
    (result,) = repair(project.settings, found, lambda _share, _text: None)
    assert (result.must_run, result.error) == (False, None)
    assert project.tree() == before


def test_what_stands_stays_where_the_new_cannot_be_made(project, layout):
    flip(file(layout, "json"))
    mine = write(layout.events_dir(DAY) / "mine.txt", b"mine")
    before = project.tree()
    (result,) = mend(project)
    assert isinstance(result.error, StorageError)
    assert "mine.txt" in result.error.what
    assert (project.tree(), mine.read_bytes()) == (before, b"mine")
    assert "mine.txt" in project.logged()


def test_what_was_noted_of_a_day_outlives_its_repair(project, amplitude):
    amplitude.has(*range(12))
    recheck(project.settings, [DAY], lambda _share, _text: None, replace=False)
    before = noted(project)
    flip(file(project.layout, "parquet"))
    (result,) = mend(project)
    assert result.error is None
    assert [(again.grown, again.replaced) for again in noted(project)] == [(2, False)]
    assert noted(project) == before


@pytest.mark.parametrize("kinds", [("zip",), ("zip", "json"), ("zip", "parquet"), ("zip", EVENTS)], ids="+".join)
def test_F15_a_damaged_zip_is_fetched_again_and_the_chain_makes_the_rest(project, amplitude, kinds):
    for path in [file(project.layout, kind) for kind in kinds]:
        flip(path)
    (result,) = mend(project)
    assert (result.must_run, result.error) == (True, None)
    assert stored(project) == uuids(*range(10))
    assert project.run_day(DAY).scheduling_succeeded
    (day,) = look(project)
    assert (day.damage, day.notes, day.is_complete) == ([], [], True)
    assert stored(project) == uuids(*range(10))


@pytest.mark.parametrize("kind", ["zip", "json"])
def test_F15_a_day_of_which_amplitude_has_less_by_now_stays_as_it_is(project, amplitude, kind):
    amplitude.has(*range(3, 10))
    if kind == "json":
        project.layout.raw_zip(DAY).unlink()
    flip(file(project.layout, kind))
    broken, wrong = file(project.layout, kind).read_bytes(), damaged(project)
    (result,) = mend(project)
    assert isinstance(result.error, LoadError)
    assert "3 events of it no more" in result.error.what
    assert "REPLACE=1" in result.error.todo
    assert (file(project.layout, kind).read_bytes(), damaged(project)) == (broken, wrong)
    assert stored(project) == uuids(*range(10))


def test_F7_a_zip_that_the_disk_does_not_read_is_put_aside_and_fetched_again(project, amplitude):
    path = project.layout.raw_zip(DAY)
    path.unlink()
    path.symlink_to("/proc/self/mem")  # its first byte is an I/O error
    try:
        (result,) = mend(project)
    finally:
        for link in (path, *project.data.rglob("*.zip")):
            if link.is_symlink():  # nor can whoever looks for secrets read it
                link.unlink()
    assert (result.error, result.must_run) == (None, True)
    assert project.run_day(DAY).scheduling_succeeded
    assert damaged(project) == set()


@pytest.mark.parametrize("pruned", [False, True])
def test_F15_where_nothing_is_whole_the_day_is_fetched_and_what_was_damaged_is_kept(project, amplitude, pruned):
    layout = project.layout
    if pruned:
        layout.raw_zip(DAY).unlink()
        remove(layout.events_dir(DAY))
    paths = [file(layout, kind) for kind in (("parquet",) if pruned else ("zip", "json", "parquet"))]
    for path in paths:
        flip(path)
    broken = [path.read_bytes() for path in paths]
    for _ in range(2):  # a second one before the chain has run keeps no second copy
        (result,) = mend(project)
        assert (result.must_run, result.error) == (True, None)
        assert [path.read_bytes() for path in paths] == broken
    assert project.run_day(DAY).scheduling_succeeded
    assert (damaged(project), stored(project)) == (set(), uuids(*range(10)))
    for number in range(quarantine.KEPT + 1):  # nor do refused archives drive them out
        quarantine.put_aside(layout, DAY, write(project.path / f"{number}.zip", b"x"), "a test")
    kept = [path for path in layout.quarantine(DAY).rglob("*") if path.is_file()]
    for path, data in zip(paths, broken, strict=True):
        assert [k.read_bytes() for k in kept if path.name in k.name and not k.name.endswith(".txt")] == [data]


def test_rejected_lines_alone_of_a_pruned_day_are_fetched_again(project, amplitude):
    layout = project.layout
    record = days.load_record(layout, DAY)
    layout.raw_zip(DAY).unlink()
    remove(layout.events_dir(DAY))
    one = msgspec.structs.replace(record.counts, rejects=1, rows=10)
    (name,) = [f"rejected-{record.id[:8]}.jsonl"]
    totals = msgspec.structs.replace(record.extraction.totals, events=11)
    rejected = {"name": name, "lines": 1, "bytes": 3, "sha256": "0" * 64}
    changed = msgspec.structs.replace(
        record,
        counts=one,
        rejected=msgspec.convert(rejected, type(record).__annotations__["rejected"]),
        extraction=msgspec.structs.replace(record.extraction, totals=totals),
    )
    layout.parquet_marker(DAY).write_bytes(manifest.encode(changed))
    write(layout.rejected_dir(DAY) / name, b"{}\n")
    assert {stage for stage, _ in damaged(project)} == {"rejected"}
    (result,) = mend(project)
    assert (result.must_run, result.error) == (True, None)
    assert project.run_day(DAY).scheduling_succeeded
    assert damaged(project) == set()


def test_wrong_credentials_end_it_and_a_day_of_its_own_trouble_does_not(project, amplitude):
    amplitude.has(*range(20, 24), day=NEXT)
    assert project.run_day(NEXT).scheduling_succeeded
    for day in (DAY, NEXT):
        flip(file(project.layout, "zip", day))
    amplitude.has(*range(4))
    first, second = mend(project)
    assert isinstance(first.error, LoadError)
    assert (second.must_run, second.error) == (True, None)
    assert project.run_day(NEXT).scheduling_succeeded
    flip(file(project.layout, "zip", NEXT))
    project.set(AMP_SECRET_KEY="canary-of-another-project")
    (only,) = mend(project)
    assert isinstance(only.error, CredentialsError)
    assert days.load_record(project.layout, DAY).app == APP
