"""A day's members in one published ZIP: as they are, its record first, checked before it is visible."""

import contextlib
import datetime as dt
import zipfile
import zlib

import pytest
from archives import APP, DAY, Entry, by_hand, export, export_record, name, write, zipped

from pipeline.errors import ArchiveError, StorageError
from pipeline.export.archive import Archive
from pipeline.export.merge import Source, publish_day
from pipeline.settings import Settings
from pipeline.store import days, manifest
from pipeline.store.manifest import EXPORT_RECORD
from pipeline.store.paths import Layout

MEMBERS = {
    name(hour, part): zipped(b'{"hour":%d,"part":%d}\n' % (hour, part)) for hour, part in [(7, 3), (0, 0), (7, 1)]
}


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "data")


def source(hour, data, part=0, app=APP, stored=None):
    size = len(data) if stored is None else stored
    return Source(name(hour, part, app=app), app, hour, part, size, lambda: iter([data]))


def publish(layout, *windows, **changes):
    """Publishes the members of windows' ZIPs as one day."""
    with contextlib.ExitStack() as stack:
        paths = [write(layout.root.parent / f"{n}.zip", window) for n, window in enumerate(windows)]
        archives = [stack.enter_context(Archive(path, Settings())) for path in paths]
        sources = [Source.of(archive, member) for archive in archives for member in archive.members]
        return publish_day(layout, Settings(), export_record(**changes), sources)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_the_members_stand_stored_and_as_they_are_behind_the_record(layout, method):
    record = publish(layout, export({name(9): zipped(b"")}, method), export(MEMBERS, method), app=None)
    with zipfile.ZipFile(layout.raw_zip(DAY)) as archive:
        assert archive.namelist() == [EXPORT_RECORD, name(0), name(7, 1), name(7, 3), name(9)]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {member: archive.read(member) for member in MEMBERS} == MEMBERS
        assert archive.read(EXPORT_RECORD) == manifest.encode(record)
    assert record.app == APP
    assert days.export_record(layout, DAY) == record
    assert list(layout.leftovers()) == []


def test_the_same_members_make_the_same_bytes_but_for_the_record(layout, tmp_path):
    publish(layout, export(MEMBERS), id="a" * 8)
    first = layout.raw_zip(DAY).read_bytes()
    publish(layout, *(export({member: data}) for member, data in MEMBERS.items()), id="b" * 8)
    second = layout.raw_zip(DAY).read_bytes()
    publish(layout, export(MEMBERS), id="a" * 8)
    assert layout.raw_zip(DAY).read_bytes() == first
    begin = first.index(b"PK\x03\x04", 4)
    assert first[begin : first.index(b"PK\x01\x02")] == second[begin : second.index(b"PK\x01\x02")]


def test_an_empty_day_is_a_zip_of_its_record_alone(layout):
    record = publish(layout)
    with zipfile.ZipFile(layout.raw_zip(DAY)) as archive:
        assert archive.namelist() == [EXPORT_RECORD]
    assert record.app is None
    assert days.export_record(layout, DAY) == record


def test_A23_a_day_of_more_than_65535_files_is_published_and_read(layout):
    gz = zipped(b"{}\n")
    publish_day(layout, Settings(), export_record(), [source(n % 24, gz, part=n) for n in range(65_600)])
    assert days.is_exported(layout, DAY)
    with Archive(layout.raw_zip(DAY), Settings()) as archive:
        archive.verify()
        assert len(archive.of_day(DAY, range(24))) == 65_600


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ([source(0, b"x" * 10, stored=11)], "does not hold what was written"),
        ([source(0, b"a"), source(0, b"b")], "it is there twice"),
        ([source(0, b"a"), source(1, b"b", app=7)], "are of two projects"),
    ],
)
def test_A12_A26_members_that_make_no_day_leave_what_stood(layout, sources, words):
    publish(layout, export(MEMBERS))
    before = layout.raw_zip(DAY).read_bytes()
    with pytest.raises(ArchiveError, match=words):
        publish_day(layout, Settings(), export_record(), sources)
    assert layout.raw_zip(DAY).read_bytes() == before
    assert list(layout.leftovers()) == []


def test_a_member_of_another_day_is_not_published(layout):
    with pytest.raises(ArchiveError, match="is not of 2026-01-16"):
        publish(layout, export(MEMBERS), date=DAY + dt.timedelta(days=1))
    assert layout.dates() == []


@pytest.mark.parametrize("place", [0, 20, -1], ids=["first", "middle", "last"])
def test_a_member_that_is_damaged_while_it_is_copied_is_not_published(layout, tmp_path, place):
    data = zipped(b"{}\n")
    damaged = bytearray(data)
    damaged[place] ^= 1
    with pytest.raises(ArchiveError, match="do not match the ZIP's CRC"):
        publish(layout, by_hand([Entry(name(0).encode(), bytes(damaged), crc=zlib.crc32(data))]))
    assert layout.dates() == []
    assert list(layout.leftovers()) == []


@pytest.mark.parametrize(
    "stands",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="0_bytes"),
        pytest.param(lambda path: path.write_bytes(b"PK\x03\x04 foreign"), id="a_foreign_file"),
        pytest.param(lambda path: path.mkdir(), id="a_directory"),
        pytest.param(lambda path: path.symlink_to("nowhere"), id="a_dangling_link"),
    ],
)
def test_F14_what_stands_there_and_is_no_zip_of_ours_makes_room(layout, stands):
    final = layout.raw_zip(DAY)
    final.parent.mkdir(parents=True)
    stands(final)
    publish(layout, export(MEMBERS))
    assert final.is_file()
    assert not final.is_symlink()
    assert days.is_exported(layout, DAY)
    reasons = [path.read_text() for path in layout.quarantine(DAY).glob("*.reason.txt")]
    assert reasons in ([], ["it was no whole ZIP of this pipeline\n"])


def test_F19_what_fifty_killed_runs_left_is_gone_after_a_good_one(layout):
    for number in range(50):
        write(layout.raw_part(DAY), b"half" * number)
    publish(layout, export(MEMBERS))
    assert list(layout.leftovers()) == []


def test_F7_a_disk_that_refuses_leaves_what_stood_and_says_where(layout, tmp_path):
    publish(layout, export(MEMBERS))
    before = layout.raw_zip(DAY).read_bytes()

    def failing():
        yield b"half"
        raise OSError(28, "No space left on device")

    bad = Source(name(1), APP, 1, 0, 10, failing)
    with pytest.raises(StorageError, match=r"2026-01-15\.zip: No space left on device \(.* free\)"):
        publish_day(layout, Settings(), export_record(), [bad])
    assert layout.raw_zip(DAY).read_bytes() == before
    assert list(layout.leftovers()) == []
