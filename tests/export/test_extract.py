"""A day's ZIP to JSON lines: every event, counted; nothing visible of a damaged or hostile one."""

import datetime as dt
import gzip
import hashlib
import json
import random
import shutil
import subprocess
import sys
import uuid
import zlib

import archives
import pytest
from archives import APP, DAY, day_zip, export, name, write, zipped
from luigi import LuigiStatusCode

from pipeline import __version__
from pipeline.errors import ArchiveError, LimitError, StorageError
from pipeline.export.archive import Archive
from pipeline.export.extract import extract_day, write_events
from pipeline.settings import Settings
from pipeline.store import days
from pipeline.store.paths import Layout
from pipeline.store.records import EMPTY, EXPORTED, FetchedWindow, Hour

HOURS = [Hour(hour=hour, status=EXPORTED if hour in (0, 7) else EMPTY) for hour in range(24)]
ODD = '{"text":"a\u2028b\u0085c\x1cd\\re"}\n\r\n{"crlf":1}\r\n  \n{"last":true}'.encode()
MEMBERS = {name(7, 3): zipped(ODD), name(0): zipped(b"{}\n") + zipped(b"{}\n"), name(7): zipped(b"")}


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "data")


def extract(layout, **settings):
    return extract_day(DAY, Settings(data_dir=layout.root, **settings), lambda _share, _text: None)


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def file_name(hour, part=0):
    return f"{APP}_{DAY}_{hour}#{part}.json"


def test_each_member_becomes_a_file_under_its_own_name_without_gz(layout):
    day_zip(layout, MEMBERS)
    extract(layout)
    assert {place: text for place, text in tree(layout.events_dir(DAY)).items() if place != "_SUCCESS"} == {
        file_name(0): b"{}\n{}\n",
        file_name(7): b"",
        file_name(7, 3): ODD,
    }
    assert list(layout.leftovers()) == []


def test_the_manifest_says_what_was_extracted_from_what(layout):
    path = day_zip(layout, MEMBERS, hours=HOURS)
    record = extract(layout)
    assert days.events_record(layout, DAY) == record
    marker = json.loads(layout.events_marker(DAY).read_bytes())
    assert marker["id"] == record.id != "export-1"
    assert (marker["date"], marker["app"], marker["pipeline"]) == (str(DAY), APP, __version__)
    assert marker["export"] == {
        "id": "export-1",
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "source": "api",
    }
    assert marker["hours"] == [
        {"hour": h, "status": "exported" if h in (0, 7) else "empty", "events": {0: 2, 7: 3}.get(h, 0)}
        for h in range(24)
    ]
    assert marker["files"] == [
        {
            "name": file_name(hour, part), "app": APP, "hour": hour, "part": part, "bytes": len(text), "lines": lines,
            "blank_lines": blank, "events": lines - blank, "crc32": f"{zlib.crc32(text):08x}",
        }
        for hour, part, text, lines, blank in [(0, 0, b"{}\n{}\n", 2, 0), (7, 0, b"", 0, 0), (7, 3, ODD, 5, 2)]
    ]  # fmt: skip
    size = 6 + len(ODD)
    assert marker["totals"] == {"files": 3, "bytes": size, "lines": 7, "blank_lines": 2, "events": 5}
    assert 0 <= marker["seconds"]["extract"] < 60


def test_an_empty_day_is_a_marker_of_0_events_alone(layout):
    day_zip(layout, {}, app=None, hours=[Hour(hour=hour, status=EMPTY) for hour in range(24)])
    record = extract(layout)
    assert list(tree(layout.events_dir(DAY))) == ["_SUCCESS"]
    assert record.totals.events == 0
    assert {(hour.status, hour.events) for hour in record.hours} == {(EMPTY, 0)}


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_any_number_of_threads_makes_the_same_files(layout, threads):
    chance = random.Random(threads)
    texts = {name(n % 24, n): b"{}\n" * chance.randrange(1, 5000) for n in range(60)}
    day_zip(layout, {member: zipped(text) for member, text in texts.items()})
    record = extract(layout, threads=threads)
    assert record.totals.events == sum(map(len, texts.values())) // 3
    assert [(file.hour, file.part) for file in record.files] == sorted((n % 24, n) for n in range(60))
    for member, text in texts.items():
        assert (layout.events_dir(DAY) / member.split("/")[1].removesuffix(".gz")).read_bytes() == text


def test_the_progress_ends_at_1_and_never_goes_back(layout):
    day_zip(layout, {name(hour): zipped(b"{}\n" * 99) for hour in range(24)})
    told = []
    extract_day(DAY, Settings(data_dir=layout.root), lambda share, text: told.append((share, text)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert "file 24 of 24" in told[-1][1]


DAMAGED = {
    "P1_cut_trailer": (zipped(b"{}\n")[:-8], "gzip ends too soon"),
    "P2_header_only": (zipped(b"{}\n")[:10], "gzip ends too soon"),
    "P3_0_bytes": (b"", "0 bytes are no gzip"),
    "P4_plain_json": (b'{"plain":"json"}\n', "gzip is damaged"),
    "P6_junk_behind": (zipped(b"{}\n") + b"junk" * 9, "gzip is damaged"),
}


@pytest.mark.parametrize(("data", "words"), DAMAGED.values(), ids=DAMAGED)
def test_P1_P2_P3_P4_P6_of_a_damaged_day_nothing_is_published_and_its_zip_is_put_aside(layout, data, words):
    good = {name(n % 24, n): zipped(b"{}\n" * 50_000) for n in range(1, 30)}
    bad = day_zip(layout, {**good, name(0): data}).read_bytes()
    with pytest.raises(ArchiveError, match=words) as error:
        extract(layout, threads=4)
    assert f"{name(0)}: " in str(error.value)
    kept, reason = sorted(layout.quarantine(DAY).iterdir())
    assert str(kept) in str(error.value)
    assert kept.read_bytes() == bad
    assert words in reason.read_text()
    assert set(tree(layout.root)) == {str(path.relative_to(layout.root)) for path in (kept, reason)}
    assert layout.dates() == []


def test_A20_a_bomb_is_not_published_and_stays_where_it_is_for_it_may_be_honest(layout):
    day_zip(layout, {name(0): zipped(bytes(20_000_000))})
    before = tree(layout.root)
    with pytest.raises(LimitError, match=r"becomes more than .* raise PIPELINE_MAX_RATIO"):
        extract(layout)
    assert tree(layout.root) == before
    assert extract(layout, max_ratio=2000).totals.bytes == 20_000_000


@pytest.mark.parametrize("whole", [True, False])
def test_a_file_of_somebody_elses_is_never_replaced(layout, whole):
    day_zip(layout, {name(0): zipped(b"{}\n")})
    extract(layout)
    note = write(layout.events_dir(DAY) / "notes.txt", b"mine")
    write(layout.events_dir(DAY) / ".DS_Store", b"the system's")
    if not whole:
        layout.events_marker(DAY).unlink()
    with pytest.raises(StorageError, match=r"notes.txt is no file of this pipeline.* Move it elsewhere"):
        extract(layout)
    assert note.read_bytes() == b"mine"
    note.unlink()
    assert extract(layout).totals.events == 1


def test_the_share_grows_while_one_large_member_runs(layout):
    day_zip(layout, {name(0): zipped(b"{}\n" * 150_000_000)})
    told = []
    extract_day(DAY, Settings(data_dir=layout.root, max_ratio=5000), lambda share, text: told.append((share, text)))
    assert any(0 < share < 1 and text.startswith("file 0 of 1, ") for share, text in told)


@pytest.mark.parametrize("attempt", range(5))
def test_a_failure_among_many_threads_is_told_as_it_is_and_leaves_nothing(layout, attempt):
    long = {name(n % 24, n): zipped(b"{}\n" * 400_000) for n in range(1, 9)}
    day_zip(layout, {**long, name(0): zipped(b"{}\n" * 800_000)[:-8]})
    with pytest.raises(ArchiveError, match="gzip ends too soon"):
        extract(layout, threads=8, max_ratio=2000)
    assert list(layout.leftovers()) == []


HOSTILE = {
    "A5_up": "../../escaped",
    "A5_up_to_an_honest_name": f"../{name(1)}",
    "A6_absolute": "/tmp/escaped",
    "A9_newline": "a\nb",
    "A14_below_a_file": f"{name(0)}/x",
    "A25_stranger": "README",
}


@pytest.mark.parametrize("evil", HOSTILE.values(), ids=HOSTILE)
def test_A5_A6_A9_A14_A25_a_hostile_name_writes_nothing_anywhere(layout, tmp_path, evil):
    day_zip(layout, {name(0): zipped(b"{}\n"), evil: zipped(b"evil")})
    with pytest.raises(ArchiveError, match="it is no file of an Amplitude export"):
        extract(layout)
    assert {place.split("/")[:2][1] for place in tree(tmp_path)} == {"quarantine"}


@pytest.mark.parametrize(("threads", "cap"), [(1, 3_000_000), (4, 3_000_000), (4, 10_000)])
def test_A20_a_day_that_becomes_too_large_stops_at_its_cap(layout, tmp_path, threads, cap):
    path = day_zip(layout, {name(hour): zipped(random.Random(hour).randbytes(2_000_000)) for hour in range(6)})
    (part := tmp_path / "out").mkdir()
    conf = Settings(max_day_bytes=cap, threads=threads)
    with pytest.raises(ArchiveError, match=rf"more than {cap} bytes. .*PIPELINE_MAX_DAY_BYTES"):
        write_events(path, DAY, part, conf, lambda _share, _text: None, durable=False)
    assert sum(file.stat().st_size for file in part.iterdir()) <= cap


def test_O11_a_day_done_again_replaces_the_old_whole(layout):
    day_zip(layout, MEMBERS)
    extract(layout)
    day_zip(layout, {name(1): zipped(b"{}\n")}, id="export-2")
    extract(layout)
    assert set(tree(layout.events_dir(DAY))) == {"_SUCCESS", file_name(1)}
    assert list(layout.leftovers()) == []


def test_K6_a_day_done_again_that_fails_leaves_the_old_whole(layout):
    day_zip(layout, MEMBERS)
    extract(layout)
    before = tree(layout.events_dir(DAY))
    day_zip(layout, {name(1): b"damaged"}, id="export-2")
    with pytest.raises(ArchiveError):
        extract(layout)
    assert tree(layout.events_dir(DAY)) == before
    assert days.is_extracted(layout, DAY)


def test_F19_what_killed_runs_left_is_gone_after_a_good_one(layout):
    write(layout.events_part(DAY) / file_name(9), b"half")
    day_zip(layout, MEMBERS)
    extract(layout)
    assert file_name(9) not in tree(layout.events_dir(DAY))
    assert list(layout.leftovers()) == []


def test_F1_a_full_disk_leaves_what_stood_and_gives_its_room_back(layout):
    day_zip(layout, MEMBERS)
    extract(layout)
    before = tree(layout.events_dir(DAY))
    day_zip(layout, {name(1): zipped(b"{}\n" * 3_000_000)}, id="export-2")
    limited = f"""
import datetime, pathlib, resource, signal
from pipeline.errors import StorageError
from pipeline.export.extract import extract_day
from pipeline.settings import Settings
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    extract_day(datetime.date(2026, 1, 15), Settings(data_dir=pathlib.Path({str(layout.root)!r})), lambda *_: None)
except StorageError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", limited], check=True, capture_output=True, text=True).stdout
    assert "File too large" in said
    assert "free)" in said
    assert tree(layout.events_dir(DAY)) == before
    assert list(layout.leftovers()) == []
    assert layout.raw_zip(DAY).exists()
    assert days.is_exported(layout, DAY)


def test_a_zip_that_is_gone_is_told_with_its_path(layout):
    with pytest.raises((ArchiveError, StorageError), match="2026-01-15"):
        extract(layout)
    assert layout.dates() == []


def test_memory_stays_flat_whatever_the_size(layout):
    line = b'{"event":"%s"}\n' % (b"x" * 1000)
    path = day_zip(layout, {name(hour): gzip.compress(line * 75_000, 1) for hour in range(4)})
    peak = f"""
import datetime, pathlib, resource
from pipeline.export.extract import extract_day
from pipeline.settings import Settings
conf = Settings(data_dir=pathlib.Path({str(layout.root)!r}), max_ratio=2000, threads=4)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
record = extract_day(datetime.date(2026, 1, 15), conf, lambda *_: None)
print(record.totals.bytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", peak], check=True, capture_output=True, text=True)
    size, grown = map(int, done.stdout.split())
    for folder in (layout.events_dir(DAY), path.parent):
        for file in folder.iterdir():
            file.unlink()  # 300 MB that nobody needs to search for secrets
    assert size == 300_000 * len(line) > 300_000_000
    assert grown < 48 << 10  # KiB


@pytest.mark.parametrize("number", [0, 9, -1])
def test_a_zip_damaged_on_disk_is_put_aside_and_the_next_run_fetches_it(project, number):
    sandbox = project.sandbox()
    project.run_day(DAY)
    whole, asked = project.tree(), len(sandbox.requests)
    path = project.layout.raw_zip(DAY)
    with Archive(path, project.settings) as archive:
        member = archive.members[number]
    damaged = bytearray(path.read_bytes())
    damaged[member.start + member.stored // 2] ^= 0x10
    path.write_bytes(damaged)
    for folder in (project.layout.events_dir(DAY), project.layout.parquet_dir(DAY)):
        shutil.rmtree(folder)
    assert project.run_day(DAY).status == LuigiStatusCode.FAILED
    assert len(sandbox.requests) == asked
    assert "it is kept as" in project.logged()
    assert project.run_day(DAY).status == LuigiStatusCode.SUCCESS
    assert len(sandbox.requests) > asked
    after = project.tree()
    assert {p: after[p] for p in whole if p.endswith(".json")} == {p: whole[p] for p in whole if p.endswith(".json")}
    assert len(list(project.layout.quarantine(DAY).glob("*.reason.txt"))) == 1
    assert not project.leftovers()


def test_a_zip_whose_record_is_damaged_is_fetched_again_by_the_same_run(project):
    sandbox = project.sandbox()
    project.run_day(DAY)
    asked, path = len(sandbox.requests), project.layout.raw_zip(DAY)
    path.write_bytes(path.read_bytes().replace(b'"status"', b'"statuz"', 1))
    for folder in (project.layout.events_dir(DAY), project.layout.parquet_dir(DAY)):
        shutil.rmtree(folder)
    assert project.run_day(DAY).status == LuigiStatusCode.SUCCESS
    assert len(sandbox.requests) > asked
    assert [p.read_text() for p in project.layout.quarantine(DAY).glob("*.reason.txt")] == [
        "it was no whole ZIP of this pipeline\n"
    ]


def test_A22_an_archive_in_an_archive_is_not_opened(layout):
    day_zip(layout, {name(0): zipped(export({"x": b"inner"}))})
    assert extract(layout).files[0].crc32 == f"{zlib.crc32(export({'x': b'inner'})):08x}"


def test_the_record_of_another_day_is_refused(layout):
    day_zip(layout, MEMBERS, date=DAY + dt.timedelta(days=1))
    with pytest.raises(ArchiveError, match="does not begin with this pipeline's record of the day"):
        extract(layout)
    assert archives.DATE in str(next(layout.quarantine(DAY).iterdir()))


def test_T9_events_of_any_time_stay_in_the_day_of_their_upload(project, tmp_path):
    times = ("1970-01-01 00:00:00", "2019-12-31 23:59:59", "2026-01-15 07:00:00", "2038-01-19 03:14:08")
    text = archives.lines(
        *(
            f'{{"event_time":"{time}","server_upload_time":"2026-01-15 07:30:00","uuid":"{uuid.UUID(int=n)}"}}'
            for n, time in enumerate(times)
        )
    )
    write(tmp_path / "exports" / "day.zip", export({name(7): zipped(text)}))
    sandbox = project.sandbox(exports=tmp_path / "exports")
    assert project.run_day(DAY).status == LuigiStatusCode.SUCCESS
    assert (project.layout.events_dir(DAY) / file_name(7)).read_bytes() == text
    assert days.events_record(project.layout, DAY).totals.events == len(times)
    assert project.layout.dates() == [DAY]
    assert {request.start[:8] for request in sandbox.requests} == {f"{DAY:%Y%m%d}"}


def test_the_record_says_when_the_newest_answered_window_was_asked_for(layout):
    asked = [dt.datetime(2026, 1, 16, hour, tzinfo=dt.UTC) for hour in (3, 5, 4, 9)]
    windows = [
        FetchedWindow(first=0, last=5, status=status, tries=1, bytes=9, requested_at=at, seconds=1.0)
        for at, status in zip(asked, (200, 404, 200, 504), strict=True)
    ]
    day_zip(layout, MEMBERS, windows=windows)
    assert extract(layout).export.fetched_at == asked[1]
    assert days.events_record(layout, DAY).export.fetched_at == asked[1]
    day_zip(layout, MEMBERS, windows=[], source="import")
    assert extract(layout).export.fetched_at is None
