"""What a day's record says is pruned: only what is gone, also where the removal fails or is killed, and as long."""

import shutil
import sys
from pathlib import Path

import pytest
from amplitude import Amplitude
from archives import DAY
from stored import damaged, file, flip, look, mend

from pipeline import logs
from pipeline.operations.prune import Pruned, prune
from pipeline.operations.removal import take_back
from pipeline.store import days, partition
from pipeline.store.publish import remove

WHATS = ("events", "raw")


@pytest.fixture
def amplitude(project):
    """A day that is stored."""
    found = Amplitude(project)
    found.has(*range(10))
    assert project.run_day(DAY).scheduling_succeeded
    return found


def pruned(project, what) -> list[Pruned]:
    logs.setup(project.logs)
    return prune(project.settings, 0, what, lambda _share, _text: None, yes=True)


def noted(project) -> set[str]:
    return set(days.load_record(project.layout, DAY).pruned)


def place(project, what) -> Path:
    return project.layout.events_dir(DAY) if what == "events" else project.layout.raw_zip(DAY)


def refuse(monkeypatch, function: str, *at: Path) -> None:
    """Makes the disk refuse to remove or to rename these paths."""
    real = getattr(Path, function)

    def refused(self, *arguments, **options):
        if self in at:
            raise PermissionError(1, "Operation not permitted", str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, function, refused)


@pytest.mark.parametrize("what", WHATS)
def test_what_the_disk_does_not_remove_is_not_noted_as_pruned(project, amplitude, monkeypatch, what):
    before = project.tree()
    with monkeypatch.context() as patch:
        refuse(patch, "rename" if what == "events" else "unlink", place(project, what))
        (result,) = pruned(project, what)
    assert (result.is_removed, "Operation not permitted" in result.kept) == (False, True)
    assert noted(project) == set()
    assert project.tree() == before
    assert [day.notes for day in look(project)] == [[]]
    assert [result.is_removed for result in pruned(project, what)] == [True]
    assert noted(project) == {what}


def test_json_lines_that_are_only_half_removed_are_pruned_all_the_same(project, amplitude, monkeypatch):
    rmtree = shutil.rmtree

    def refused(path):
        if path == project.layout.events_part(DAY):
            raise OSError(5, "Input/output error", str(path))
        rmtree(path)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", refused)
        pruned(project, "events")
    assert not place(project, "events").exists()
    assert noted(project) == {"events"}
    pruned(project, "events")
    assert project.leftovers() == []


DIES = """
import os
from pipeline import settings
from pipeline.operations import prune, removal
removal.remove_stage = lambda *_: os._exit(9)
prune.prune(settings.load(), 0, {what!r}, lambda *_: None, yes=True)
"""


def killed_before_the_removal(project, what) -> None:
    assert project.command(sys.executable, "-c", DIES.format(what=what)).returncode == 9
    assert noted(project) == {what}
    assert place(project, what).exists()


@pytest.mark.parametrize("what", WHATS)
def test_K1_what_a_kill_left_noted_and_standing_is_removed_by_the_next_prune(project, amplitude, what):
    killed_before_the_removal(project, what)
    at = days.load_record(project.layout, DAY).pruned[what]
    assert [day.notes for day in look(project)] == [[]]
    assert [result.is_removed for result in pruned(project, what)] == [True]
    assert not place(project, what).exists()
    assert days.load_record(project.layout, DAY).pruned[what] > at


@pytest.mark.parametrize("what", WHATS)
def test_K1_what_a_kill_left_noted_and_the_next_prune_keeps_is_noted_no_more(project, amplitude, what):
    killed_before_the_removal(project, what)
    flip(file(project.layout, "parquet"))
    assert [result.is_removed for result in pruned(project, what)] == [False]
    assert noted(project) == set()


def test_K1_a_loss_after_a_note_was_taken_back_does_not_seem_a_prune(project, amplitude):
    killed_before_the_removal(project, "raw")
    take_back(project.layout, DAY)
    place(project, "raw").unlink()
    assert [day.notes for day in look(project)] == [
        ["its ZIP is gone, and not by make prune (make force DATE= fetches the day anew, as Amplitude has it by then)"]
    ]


def test_what_is_gone_stays_noted_where_another_stage_is_taken_back(project, amplitude):
    pruned(project, "events")
    partition.note_pruned(project.layout, days.load_record(project.layout, DAY), "raw")
    take_back(project.layout, DAY)
    assert noted(project) == {"events"}
    before = project.tree()
    take_back(project.layout, DAY)
    assert project.tree() == before


def test_a_day_without_a_record_has_nothing_to_take_back(project, amplitude):
    remove(project.layout.parquet_dir(DAY))
    take_back(project.layout, DAY)
    assert not project.layout.parquet_dir(DAY).exists()


def test_a_zip_that_was_pruned_stays_so_when_the_day_is_loaded_anew(project, amplitude):
    pruned(project, "raw")
    flip(file(project.layout, "parquet"))
    (result,) = mend(project)
    assert (result.error, damaged(project)) == (None, set())
    (day,) = look(project)
    assert len(day.notes) == 1
    assert day.notes[0].startswith("its ZIP is gone: pruned on ")


def test_json_lines_that_were_pruned_and_are_there_again_are_so_no_more(project, amplitude):
    pruned(project, "events")
    flip(file(project.layout, "parquet"))
    (result,) = mend(project)
    assert (result.error, damaged(project)) == (None, set())
    assert noted(project) == set()
    remove(place(project, "events"))
    assert [day.notes for day in look(project)] == [
        ["its JSON lines are gone, and not by make prune (no command needs them)"]
    ]
