"""Pruning: only what is old, loaded, verified and still there in another form goes; the day stays complete."""

import datetime as dt
import sys

import msgspec
import pytest
from amplitude import Amplitude, stored, uuids
from archives import DAY, write
from processes import PIPELINE
from stored import file, flip, look

from pipeline import logs
from pipeline.export.settled import last_settled
from pipeline.operations.prune import prune
from pipeline.store import days, manifest

NEXT = DAY + dt.timedelta(days=1)


@pytest.fixture
def amplitude(project):
    """Two days that are stored."""
    found = Amplitude(project)
    found.has(*range(10))
    found.has(*range(20, 30), day=NEXT)
    for day in (DAY, NEXT):
        assert project.run_day(day).scheduling_succeeded
    found.sandbox.requests.clear()
    return found


def pruned(project, what, *, keep=0, yes=False):
    logs.setup(project.logs)
    return prune(project.settings, keep, what, lambda _share, _text: None, yes=yes)


def size(path):
    return sum(each.stat().st_size for each in path.iterdir()) if path.is_dir() else path.stat().st_size


@pytest.mark.parametrize("what", ["events", "raw"])
def test_a_pruned_day_stays_complete_asks_nothing_and_keeps_its_counts(project, amplitude, what):
    layout = project.layout
    places = [(layout.events_dir if what == "events" else layout.raw_zip)(day) for day in (DAY, NEXT)]
    sizes, before = [size(place) for place in places], days.load_record(layout, DAY)
    results = pruned(project, what, yes=what == "raw")
    assert [(result.date, result.path, result.bytes, result.kept, result.is_removed) for result in results] == [
        (day, place, taken, "", True) for day, place, taken in zip((DAY, NEXT), places, sizes, strict=True)
    ]
    assert not any(place.exists() for place in places)
    after = days.load_record(layout, DAY)
    assert (after.id, after.hours, after.counts, after.extraction) == (
        before.id, before.hours, before.counts, before.extraction,
    )  # fmt: skip
    tree = project.tree()
    assert project.run_day(DAY).scheduling_succeeded
    assert (project.tree(), amplitude.sandbox.requests) == (tree, [])
    said = "its JSON lines are" if what == "events" else "its ZIP is"
    found = look(project, DAY, NEXT)
    assert [(day.damage, day.notes, day.is_complete) for day in found] == [
        ([], [f"{said} gone: pruned on {dt.datetime.now(dt.UTC):%Y-%m-%d}"], True)
    ] * 2
    assert stored(project) == uuids(*range(10))
    assert (pruned(project, what, yes=True), project.leftovers()) == ([], [])


def test_both_go_and_a_day_of_parquet_alone_is_complete(project, amplitude):
    assert all(result.is_removed for what in ("events", "raw") for result in pruned(project, what, yes=True))
    assert days.is_loaded(project.layout, DAY)
    assert [len(day.notes) for day in look(project)] == [2, 2]
    assert days.project(project.layout, DAY).app == days.load_record(project.layout, DAY).app


def test_zips_are_only_named_without_the_word(project, amplitude):
    before = project.tree()
    results = pruned(project, "raw")
    assert [(result.date, result.kept, result.is_removed) for result in results] == [
        (DAY, "", False),
        (NEXT, "", False),
    ]
    assert sum(result.bytes for result in results) == sum(size(project.layout.raw_zip(day)) for day in (DAY, NEXT))
    assert project.tree() == before


def test_the_newest_settled_days_are_kept(project, amplitude):
    ago = (last_settled(project.settings) - DAY).days
    assert pruned(project, "events", keep=ago + 1) == []
    assert [result.date for result in pruned(project, "events", keep=ago)] == [DAY]
    assert project.layout.events_dir(NEXT).exists()


KEPT = {
    "parquet": ("parquet/date=2026-01-15/events-", "REPAIR=1"),
    "load marker": ("the day is not complete", "make run DATE=2026-01-15"),
    "zip": ("raw/2026-01-15.zip is damaged", "REPAIR=1"),
}


@pytest.mark.parametrize("kind", KEPT)
def test_events_of_a_day_that_does_not_hold_are_kept(project, amplitude, kind):
    path = file(project.layout, kind)
    flip(path, path.read_bytes().index(b"\x1f\x8b") + 20 if kind == "zip" else -1)
    before = {path: data for path, data in project.tree().items() if str(NEXT) not in path}
    first, second = pruned(project, "events")
    assert (first.is_removed, second.is_removed) == (False, True)
    assert all(word in first.kept for word in KEPT[kind])
    assert {path: data for path, data in project.tree().items() if str(NEXT) not in path} == before
    assert f"is kept: {first.kept}" in project.logged()


@pytest.mark.parametrize("kind", ["zip", "json", "parquet"])
def test_zips_of_a_day_of_which_something_does_not_hold_are_kept(project, amplitude, kind):
    path = file(project.layout, kind)
    flip(path, path.read_bytes().index(b"\x1f\x8b") + 20 if kind == "zip" else -1)
    first, second = pruned(project, "raw", yes=True)
    assert (first.is_removed, second.is_removed) == (False, True)
    assert f"{path.relative_to(project.data)} is damaged" in first.kept
    assert project.layout.raw_zip(DAY).exists()


@pytest.mark.parametrize("what", ["events", "raw"])
def test_a_stage_that_is_a_link_is_kept_with_what_it_leads_to(project, amplitude, what):
    place = project.layout.events_dir(DAY) if what == "events" else project.layout.raw_zip(DAY)
    elsewhere = place.rename(project.path / place.name)
    place.symlink_to(elsewhere)
    first, second = pruned(project, what, yes=True)
    assert (first.is_removed, second.is_removed) == (False, True)
    assert "it is a link" in first.kept
    assert place.is_symlink()
    assert elsewhere.exists()


@pytest.mark.parametrize("trouble", ["newer", "lock"])
def test_a_day_that_fails_is_kept_and_the_others_go_on(project, amplitude, trouble):
    layout = project.layout
    if trouble == "newer":
        newer = msgspec.structs.replace(days.load_record(layout, DAY), format=2)
        layout.parquet_marker(DAY).write_bytes(manifest.encode(newer))
    else:
        layout.lock(DAY).unlink()
        layout.lock(DAY).mkdir()
    first, second = pruned(project, "events")
    assert (first.is_removed, second.is_removed) == (False, True)
    assert ("git pull" if trouble == "newer" else "Is a directory") in first.kept
    assert layout.events_dir(DAY).exists()
    assert "is kept: " in project.logged()


def test_events_without_a_zip_without_a_marker_or_with_a_file_of_somebody_are_kept(project, amplitude):
    project.layout.raw_zip(DAY).unlink()
    mine = write(project.layout.events_dir(NEXT) / "mine.txt", b"mine")
    first, second = pruned(project, "events")
    assert (first.is_removed, first.kept) == (False, "its ZIP is gone")
    assert (second.is_removed, mine.read_bytes()) == (False, b"mine")
    assert "mine.txt" in second.kept
    mine.unlink()
    project.layout.events_marker(NEXT).unlink()
    assert [result.is_removed for result in pruned(project, "events")] == [False, False]


def test_a_day_that_is_asked_for_again_is_kept(project, amplitude):
    days.ask_redo(project.layout, DAY)
    assert [result.is_removed for result in pruned(project, "raw", yes=True)] == [False, True]


DIES = """
import os, shutil
from pipeline import settings
from pipeline.operations.prune import prune
rmtree = shutil.rmtree
shutil.rmtree = lambda path: os._exit(9) if path.parent.name == "events" else rmtree(path)
prune(settings.load(), 0, "events", lambda *_: None, yes=False)
"""


@pytest.mark.parametrize("ended_by", ["run", "prune"])
def test_K1_a_kill_in_the_middle_shows_no_half_a_directory_and_leaves_nothing_for_good(project, amplitude, ended_by):
    done = project.command(sys.executable, "-c", DIES)
    assert done.returncode == 9
    assert not project.layout.events_dir(DAY).exists()
    assert [path.name for path in project.leftovers()] == [f".{DAY}.tmp"]
    assert [(day.damage, len(day.notes)) for day in look(project)] == [([], 1), ([], 0)]
    if ended_by == "run":
        assert project.command(*PIPELINE, "run", "--date", str(DAY)).returncode == 0
    else:
        assert [result.date for result in pruned(project, "events")] == [NEXT]
    assert project.leftovers() == []
    assert not project.layout.events_dir(DAY).exists()
