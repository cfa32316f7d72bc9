"""Refused archives are put aside with their reason; the newest three stay."""

import errno
import os

import pytest
from archives import DAY, write

from pipeline.redaction import Secret, remember_pair
from pipeline.store.paths import Layout
from pipeline.store.quarantine import copy_aside, put_aside


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path)


def test_an_archive_is_moved_with_its_reason_beside_it(layout):
    kept = put_aside(layout, DAY, write(layout.raw_zip(DAY), b"bad"), "it is cut")
    assert kept.parent == layout.quarantine(DAY)
    assert kept.name.endswith("_2026-01-15.zip")
    assert kept.read_bytes() == b"bad"
    assert kept.with_name(kept.name + ".reason.txt").read_text() == "it is cut\n"
    assert not layout.raw_zip(DAY).exists()


def test_a_staged_archive_is_put_aside_under_a_visible_name(layout):
    kept = put_aside(layout, DAY, write(layout.raw_part(DAY), b""), "")
    assert kept.name.endswith("_2026-01-15.zip")
    assert not kept.name.startswith(".")


def test_the_newest_three_of_a_day_are_kept_and_no_other_days_are_touched(layout):
    other = put_aside(layout, DAY.replace(day=1), write(layout.raw_zip(DAY.replace(day=1)), b"other"), "other")
    for number in range(6):
        put_aside(layout, DAY, write(layout.raw_zip(DAY), b"%d" % number), f"reason {number}")
    files = sorted(layout.quarantine(DAY).iterdir())
    assert [path.read_bytes() for path in files[::2]] == [b"3", b"4", b"5"]
    assert [path.read_text() for path in files[1::2]] == ["reason 3\n", "reason 4\n", "reason 5\n"]
    assert other.exists()


@pytest.mark.parametrize("kind", ["directory", "dangling_link"])
def test_F14_whatever_stands_at_the_place_is_put_aside_and_in_time_removed(layout, kind):
    place = layout.raw_zip(DAY)
    for _ in range(5):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir() if kind == "directory" else place.symlink_to("nowhere")
        put_aside(layout, DAY, place, "it was no file")
    assert len(list(layout.quarantine(DAY).iterdir())) == 6


def test_C10_a_secret_in_a_reason_is_redacted(layout):
    remember_pair(Secret("some-key-123"), Secret("some-secret-456"))
    kept = put_aside(layout, DAY, write(layout.raw_zip(DAY), b""), "said some-secret-456")
    assert "some-secret-456" not in kept.with_name(kept.name + ".reason.txt").read_text()


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_of_what_is_damaged_stays_whatever_is_put_aside_later(layout, monkeypatch, links):
    if not links:

        def refused(*_places):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refused)
    file = write(layout.events_dir(DAY) / "a.json", b"{}")
    raw = write(layout.raw_zip(DAY), b"damaged")
    folder, zip_ = (copy_aside(layout, DAY, place, "a bit was flipped") for place in (layout.events_dir(DAY), raw))
    for number in range(5):
        put_aside(layout, DAY, write(layout.raw_part(DAY), b"%d" % number), "cut")
    assert (file.read_bytes(), raw.read_bytes()) == (b"{}", b"damaged")
    assert ((folder / "a.json").read_bytes(), zip_.read_bytes()) == (b"{}", b"damaged")
    assert zip_.samefile(raw) == links
    assert zip_.with_name(zip_.name + ".reason.txt").read_text() == "a bit was flipped\n"
    again = [copy_aside(layout, DAY, place, "once more") for place in (layout.events_dir(DAY), raw)]
    assert again == [folder, zip_]
    assert zip_.with_name(zip_.name + ".reason.txt").read_text() == "a bit was flipped\n"


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_what_differs_from_its_last_copy_is_copied_again(layout, kind):
    file = write(layout.events_dir(DAY) / "a.json", b"{}")
    place = file.parent if kind == "directory" else file
    first = copy_aside(layout, DAY, place, "one")
    file.unlink()
    write(file, b"[]")
    second = copy_aside(layout, DAY, place, "two")
    kept = [copy / "a.json" if kind == "directory" else copy for copy in (first, second)]
    assert [path.read_bytes() for path in kept] == [b"{}", b"[]"]


def test_K1_a_copy_that_was_killed_half_way_is_none(layout, monkeypatch):
    write(layout.events_dir(DAY) / "a.json", b"{}")

    def killed(part, _kept):
        raise KeyboardInterrupt(part)

    with monkeypatch.context() as patch:
        patch.setattr(type(layout.root), "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            copy_aside(layout, DAY, layout.events_dir(DAY), "a bit was flipped")
    kept = copy_aside(layout, DAY, layout.events_dir(DAY), "a bit was flipped")
    assert sorted(path.name for path in layout.quarantine(DAY).iterdir()) == [kept.name, f"{kept.name}.reason.txt"]
    assert (kept / "a.json").read_bytes() == b"{}"
