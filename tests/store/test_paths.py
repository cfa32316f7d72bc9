"""The layout under the data folder: each place beside its stage, and the days that are stored."""

import datetime as dt

from archives import DAY, write

from pipeline.store.paths import Layout


def test_F10_each_stage_is_staged_hidden_beside_its_final_place(tmp_path):
    layout = Layout(tmp_path)
    for part, final in [
        (layout.raw_part(DAY), layout.raw_zip(DAY)),
        (layout.windows_dir(DAY), layout.raw_zip(DAY)),
        (layout.events_part(DAY), layout.events_dir(DAY)),
    ]:
        assert part.parent == final.parent
        assert part.name.startswith(f".{DAY}")
    assert layout.events_marker(DAY) == tmp_path / "events" / "2026-01-15" / "_SUCCESS"
    assert layout.raw_zip(DAY) == tmp_path / "raw" / "2026-01-15.zip"


def test_the_stored_days_are_told_oldest_first_and_strangers_are_none(tmp_path):
    layout = Layout(tmp_path)
    assert layout.dates() == []
    for day in ("2026-01-16", "2026-01-14"):
        write(layout.raw_zip(dt.date.fromisoformat(day)), b"")
    (tmp_path / "events" / "2026-01-15").mkdir(parents=True)
    for stranger in ("20260117.zip", "2026-02-30.zip", "x.zip", ".2026-01-18.zip.part", "2026-W03-1.zip"):
        write(tmp_path / "raw" / stranger, b"")
    assert [str(day) for day in layout.dates()] == ["2026-01-14", "2026-01-15", "2026-01-16"]


def test_leftovers_are_what_is_staged_and_nothing_else(tmp_path):
    layout = Layout(tmp_path)
    for path in (layout.raw_zip(DAY), layout.events_marker(DAY), layout.lock(DAY), layout.redo(DAY)):
        write(path, b"")
    assert list(layout.leftovers()) == []
    staged = [layout.raw_part(DAY), layout.windows_dir(DAY), layout.events_part(DAY)]
    for path in staged:
        write(path / "x", b"")
    recheck = layout.recheck(DAY)
    write(recheck.windows_dir(DAY) / "x", b"")
    assert set(layout.leftovers()) == {*staged, recheck.root}


def test_a_recheck_is_staged_hidden_below_the_data_and_no_day_of_it(tmp_path):
    layout = Layout(tmp_path)
    recheck = layout.recheck(DAY)
    assert recheck.raw_zip(DAY) == tmp_path / ".recheck" / "2026-01-15" / "raw" / "2026-01-15.zip"
    write(recheck.raw_zip(DAY), b"")
    write(recheck.events_marker(DAY), b"")
    assert layout.dates() == []
    assert not any(place.is_relative_to(recheck.root) for place in layout.staged(DAY))


def test_the_locks_that_were_ever_taken_are_listed(tmp_path):
    layout = Layout(tmp_path)
    assert layout.locks() == []
    write(layout.lock(DAY), b"")
    assert layout.locks() == [layout.lock(DAY)]
