"""Records: read back as they were written, and none where anything of them is torn, foreign or newer."""

import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
import zipfile

import archives
import msgspec
import pytest
from archives import DAY, day_zip, export, export_record, flips, name, write, zipped
from projects import ROOT

from pipeline.errors import ConfigError
from pipeline.store import manifest
from pipeline.store.manifest import read_events_record
from pipeline.store.paths import Layout
from pipeline.store.records import EventsFile, EventsRecord, ExportRef, FetchedWindow, Totals

WINDOW = FetchedWindow(
    first=0, last=5, status=200, tries=2, bytes=99, requested_at=dt.datetime(2026, 1, 16, 4, tzinfo=dt.UTC), seconds=1.5
)
RECORD = export_record(windows=[WINDOW])


def events_record(**changes):
    values = {
        "id": "events-1",
        "date": DAY,
        "app": archives.APP,
        "host": "loopback",
        "redo": None,
        "export": ExportRef(id="export-1", bytes=1, sha256="0" * 64, source="api"),
        "hours": RECORD.hours,
        "files": [
            EventsFile(
                name="a.json", app=1, hour=0, part=0, bytes=3, lines=1, blank_lines=0, events=1, crc32="00000000"
            )
        ],
        "totals": Totals(files=1, bytes=3, lines=1, blank_lines=0, events=1),
        "pipeline": "test",
        "seconds": {"extract": 0.1},
    }
    return EventsRecord(**{**values, **changes})


@pytest.fixture
def events(tmp_path):
    """The directory of a whole day of one file."""
    write(tmp_path / "day" / "a.json", b"{}\n")
    return write(tmp_path / "day" / "_SUCCESS", manifest.encode(events_record())).parent


def read(path):
    return manifest.read_export_record(path, DAY)


def test_the_records_read_back_as_they_were_written(tmp_path, events):
    assert read(day_zip(Layout(tmp_path), {name(0): zipped(b"")}, windows=[WINDOW])) == RECORD
    assert read_events_record(events, DAY) == events_record()
    assert read_events_record(events, DAY + dt.timedelta(days=1)) is None


FIRST_READ_BY_MANY = """
import datetime as dt, sys, threading
from pathlib import Path
from pipeline.store import manifest
sys.setswitchinterval(1e-6)
barrier, found = threading.Barrier(12), []

def read():
    barrier.wait()
    found.append(manifest.read_events_record(Path(sys.argv[1]), dt.date.fromisoformat(sys.argv[2])))

threads = [threading.Thread(target=read) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(found) == 12 and None not in found
"""


def test_many_threads_may_be_the_first_to_read_a_record(events):
    for _ in range(3):
        code = [sys.executable, "-c", FIRST_READ_BY_MANY, str(events), str(DAY)]
        done = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_record_is_indented_json_that_ends_with_a_newline():
    text = manifest.encode(RECORD)
    assert text.endswith(b"\n}\n")
    assert json.loads(text)["windows"][0]["requested_at"] == "2026-01-16T04:00:00Z"


def test_K1_no_cut_of_a_zip_has_a_record(tmp_path):
    path = day_zip(Layout(tmp_path), {name(0): zipped(b"{}\n")})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read(path) is None


def test_A2_no_flipped_bit_of_a_zip_changes_its_record(tmp_path):
    path = day_zip(Layout(tmp_path), {name(0): zipped(b"{}\n")}, hours=RECORD.hours[:1])
    whole, record, refused = path.read_bytes(), read(path), 0
    for flipped in flips(whole):
        path.write_bytes(flipped)
        try:
            found = read(path)
        except ConfigError as error:
            pytest.fail(str(error))
        refused += found is None
        assert found in (None, record)
    assert refused > len(manifest.encode(record)) * 8


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(b"", id="F14_0_bytes"),
        pytest.param(b"PK", id="2_bytes"),
        pytest.param(export({name(0): b""}), id="no_record"),
        pytest.param(export({"_export.json": b"{}"}), id="an_empty_record"),
        pytest.param(export({"_export.json": b"[]"}), id="a_list"),
        pytest.param(export({"_export.json": b"\xff"}), id="no_text"),
        pytest.param(export({name(0): b"", "_export.json": manifest.encode(RECORD)}), id="not_first"),
        pytest.param(export({"_export.json": manifest.encode(RECORD)}, zipfile.ZIP_DEFLATED), id="deflated"),
        pytest.param(export({"_export.json": manifest.encode(RECORD)}) + b"x", id="something_follows"),
        pytest.param(export({"_export.json": manifest.encode(export_record(date=DAY.replace(day=1)))}), id="other_day"),
    ],
)
def test_F14_what_is_no_zip_of_ours_has_no_record(tmp_path, other):
    assert read(write(tmp_path / "a.zip", other)) is None


@pytest.mark.parametrize("place", ["the ZIP", "the marker", "the damaged marker"])
def test_F14_a_pipe_has_no_record_and_nothing_waits_for_it(tmp_path, place):
    path = tmp_path / "a"
    os.mkfifo(path)
    code = {
        "the ZIP": "m.read_export_record(path, day)",
        "the marker": "m.read_marker(path, m.LoadRecord, day)",
        "the damaged marker": "m.salvage_marker(path, m.LoadRecord)",
    }[place]
    program = (
        "import datetime, pathlib, sys, pipeline.store.manifest as m;"
        f"path, day = pathlib.Path(sys.argv[1]), datetime.date(2026, 1, 15); assert {code} is None"
    )
    subprocess.run((sys.executable, "-c", program, str(path)), check=True, timeout=10, cwd=ROOT)


@pytest.mark.parametrize("kind", ["empty_directory", "dangling_link", "nothing"])
def test_F14_what_is_no_file_has_no_record(tmp_path, kind):
    path = tmp_path / "a"
    {"empty_directory": path.mkdir, "dangling_link": lambda: path.symlink_to("nowhere"), "nothing": lambda: None}[
        kind
    ]()
    assert read(path) is None
    assert read_events_record(path, DAY) is None


@pytest.mark.parametrize("gigabytes", [0, 1, 3, 5])
def test_A23_a_zip_of_gigabytes_has_its_record(tmp_path, gigabytes):
    path = tmp_path / "a.zip"
    with path.open("w+b") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("_export.json"), manifest.encode(RECORD))
        archive.start_dir += gigabytes << 30  # a hole in a sparse file
        archive.writestr(name(0), b"x")
    try:
        assert read(path) == RECORD
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 1)
        assert read(path) is None
    finally:
        path.unlink()


def damage(directory, text=None, **changes):
    text = manifest.encode(events_record(**changes)) if text is None else text
    (directory / "_SUCCESS").write_bytes(text)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda d: (d / "_SUCCESS").unlink(), id="no_marker"),
        pytest.param(lambda d: damage(d, b""), id="an_empty_marker"),
        pytest.param(lambda d: damage(d, manifest.encode(events_record())[:-9]), id="a_torn_marker"),
        pytest.param(lambda d: damage(d, date=DAY.replace(day=1)), id="of_another_day"),
        pytest.param(lambda d: (d / "a.json").unlink(), id="a_file_is_gone"),
        pytest.param(lambda d: (d / "a.json").write_bytes(b""), id="a_file_of_0_bytes"),
        pytest.param(lambda d: (d / "a.json").write_bytes(b"{}\n\n"), id="a_longer_file"),
        pytest.param(lambda d: ((d / "a.json").rename(d / "b"), (d / "a.json").symlink_to("b")), id="a_link"),
        pytest.param(lambda d: ((d / "a.json").unlink(), (d / "a.json").mkdir()), id="a_directory"),
    ],
)
def test_F14_F20_events_of_which_anything_is_missing_have_no_record(events, harm):
    assert read_events_record(events, DAY) is not None
    harm(events)
    assert read_events_record(events, DAY) is None


def test_T10_times_of_files_mean_nothing(events):
    for path in events.iterdir():
        os.utime(path, (0, 0))
    assert read_events_record(events, DAY) == events_record()


@pytest.mark.parametrize("form", [{"format": 2}, {"format": 2, "id": 7, "hours": "otherwise"}])
def test_O14_a_newer_form_is_refused_and_not_written_over(tmp_path, events, form):
    newer = {**json.loads(manifest.encode(RECORD)), **form}
    path = write(tmp_path / "a.zip", export({"_export.json": json.dumps(newer).encode()}))
    damage(events, json.dumps({**json.loads(manifest.encode(events_record())), **form}).encode())
    for reading in (lambda: read(path), lambda: read_events_record(events, DAY)):
        with pytest.raises(ConfigError, match=r"newer version of this pipeline \(form 2; this one knows 1\).*git pull"):
            reading()


def test_O14_fields_of_a_later_version_with_the_same_form_are_passed_over(tmp_path):
    later = {**json.loads(manifest.encode(RECORD)), "later": 1}
    path = write(tmp_path / "a.zip", export({"_export.json": json.dumps(later).encode()}))
    assert msgspec.structs.asdict(read(path)) == msgspec.structs.asdict(RECORD)


def test_a_markers_last_key_is_the_digest_of_the_text_without_it():
    text = manifest.encode(events_record())
    check = json.loads(text)["check"]
    assert list(json.loads(text))[-1] == "check"
    without = text.replace(f',\n "check": "{check}"'.encode(), b"")
    assert (without, hashlib.sha256(without).hexdigest()) == (manifest.plain(events_record()), check)
    assert b'"check"' not in manifest.encode(RECORD)


def test_F15_no_flipped_bit_of_a_marker_makes_another_record(events):
    marker, record, unread = events / "_SUCCESS", read_events_record(events, DAY), 0
    for flipped in flips(marker.read_bytes()):
        marker.write_bytes(flipped)
        try:
            found = read_events_record(events, DAY)
        except ConfigError:  # of a form that seems to be newer
            found = None
        assert found in (None, record)
        unread += found is None
    assert unread > 0.9 * 8 * len(marker.read_bytes())


def test_F15_what_is_changed_by_hand_in_a_marker_makes_it_none(events):
    text = manifest.encode(events_record())
    damage(events, text.replace(b'"events": 1', b'"events": 2'))
    assert read_events_record(events, DAY) is None


def test_O14_a_marker_without_a_check_is_of_version_0_2_0_and_counts(events):
    before = {**json.loads(manifest.plain(events_record()))}
    assert "fetched_at" not in before["export"]
    damage(events, manifest.plain(events_record()))
    assert read_events_record(events, DAY) == events_record()


def test_O14_fields_of_a_later_version_are_passed_over_and_its_check_holds(events):
    text = manifest.plain(events_record()).removesuffix(b"\n}\n") + b',\n "later": 1\n}\n'
    later = text.removesuffix(b"\n}\n") + b',\n "check": "%s"\n}\n' % hashlib.sha256(text).hexdigest().encode()
    damage(events, later)
    assert read_events_record(events, DAY) == events_record()
    damage(events, later.replace(b'"later": 1', b'"later": 2'))
    assert read_events_record(events, DAY) is None
    assert manifest.examine_marker(events / "_SUCCESS", EventsRecord, DAY)[1]
