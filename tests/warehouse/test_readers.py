"""Several processes that read: the same as one, and none of them outlives a failure."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import msgspec
import pytest
from lines import line
from processes import background, members, wait_for

from pipeline import threads
from pipeline.errors import DamagedError, LoadError, StorageError
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.store.records import EventsFile
from pipeline.warehouse.readers import INLINE_BYTES, scan_files


def events_file(path: Path, text: bytes = b"", **changes: object) -> tuple[Path, EventsFile]:
    values = {"bytes": len(text), "crc32": f"{zlib.crc32(text):08x}", **changes}
    return path, EventsFile(name=path.name, app=1, hour=0, part=0, lines=0, blank_lines=0, events=0, **values)


def day(folder: Path, files: int = 9) -> list[tuple[Path, EventsFile]]:
    """Writes a day that is large enough for several processes, with all that a line can be."""
    chance = random.Random(5)
    found = []
    for number in range(files):
        kinds = [b"", b"garbage", line(1, new=1), line(2), line(3, city="x" * 5000), line(4, data=b"1.10")]
        text = b"\n".join(chance.choices(kinds, [1, 1, 1, 50, 9, 1], k=chance.randrange(300, 700)))
        path = folder / f"{number}.json"
        path.write_bytes(text)
        found.append(events_file(path, text, bytes=INLINE_BYTES))
    return found


def fifos(folder: Path) -> list[tuple[Path, EventsFile]]:
    """Makes two files that never end."""
    found = []
    for number in range(2):
        path = folder / f"fifo{number}"
        os.mkfifo(path)
        found.append(events_file(path, bytes=INLINE_BYTES))
    return found


def end_of_fifos(folder: Path) -> None:
    """Ends each fifo that somebody reads."""
    for path in folder.glob("fifo*"):
        with contextlib.suppress(OSError):  # nobody reads it yet, or any more
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def scan(files, folder: Path, cores: int = 3, told=None, **options):
    (staging := folder / f"staging{cores}").mkdir(exist_ok=True)
    report = (lambda share, text: told.append((share, text))) if told is not None else (lambda *_: None)
    return scan_files(files, staging, Settings(threads=cores), Progress(report, "reading"), **options), staging


def workers() -> list[int]:
    """Returns the processes that this one has started and that live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if (
                int(parent) == os.getpid()
                and state != "Z"
                and b"warehouse.worker" in (stat.parent / "cmdline").read_bytes()
            ):
                found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize("thorough", [False, True])
def test_several_processes_find_what_one_finds(tmp_path, thorough):
    files = day(tmp_path)
    one, first = scan(files, tmp_path, 1, thorough=thorough)
    many, second = scan(files, tmp_path, 3, thorough=thorough)
    assert sum(found.odd_rows for found in one) > 9
    assert sum(found.rejected for found in one) > 9
    assert msgspec.json.encode(many) == msgspec.json.encode(one).replace(str(first).encode(), str(second).encode())
    assert {path.name: path.read_bytes() for path in second.iterdir()} == {
        path.name: path.read_bytes() for path in first.iterdir()
    }
    assert workers() == []


def test_the_scans_come_in_the_order_of_the_files_and_the_progress_ends_at_its_share(tmp_path):
    told = []
    found, _ = scan(day(tmp_path), tmp_path, told=told, share=0.4)
    assert [scan.index for scan in found] == list(range(9))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(0.4)
    assert told[-1][1].startswith("file 9 of 9")


def test_a_day_without_files_or_bytes_is_read_too(tmp_path):
    assert scan([], tmp_path)[0] == []
    (tmp_path / "0.json").write_bytes(b"")
    told = []
    found, _ = scan([events_file(tmp_path / "0.json")], tmp_path, told=told)
    assert (found[0].lines, found[0].clean) == (0, None)
    assert told[-1][0] == 1


def test_K11_K12_K20_a_worker_that_is_killed_is_told_and_the_others_end(tmp_path):
    files = fifos(tmp_path)
    done = threads.start(scan, files, tmp_path)
    wait_for(lambda: len(workers()) == 2)
    os.kill(workers()[0], signal.SIGKILL)
    with pytest.raises(
        LoadError, match=r"fifo[01]: the process that read it was ended by SIGKILL\. .*PIPELINE_THREADS"
    ):
        done.result(20)
    assert workers() == []


def test_P7_F15_a_file_that_changed_is_told_by_the_worker_and_the_others_end(tmp_path):
    files = [*fifos(tmp_path)[:1], *day(tmp_path, 1)]
    files[1][0].write_bytes(files[1][0].read_bytes() + b"\n")
    with pytest.raises(DamagedError, match=r"0.json: its bytes are not those that were extracted"):
        scan(files, tmp_path)
    assert workers() == []


@pytest.mark.parametrize("cores", [1, 3])
def test_F1_a_full_disk_is_the_same_error_from_a_worker(tmp_path, cores):
    files = day(tmp_path)
    (staging := tmp_path / f"staging{cores}").mkdir()
    (staging / "4.odd.json").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"4.odd.json: No space left on device \(.* free\)\. Make room"):
        scan(files, tmp_path, cores)
    assert workers() == []


def test_C10_a_worker_has_no_secret_and_imports_nothing_from_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("AMP_SECRET_KEY", "hush")
    monkeypatch.setenv("PIPELINE_LOGS_DIR", "x")
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    (tmp_path / "msgspec.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    files = fifos(tmp_path)
    done = threads.start(scan, [(Path(path.name), file) for path, file in files], Path())
    wait_for(lambda: len(workers()) == 2)
    seen = b"".join(Path(f"/proc/{pid}/environ").read_bytes() for pid in workers())
    wait_for(lambda: end_of_fifos(tmp_path) or done.done())
    assert [found.lines for found in done.result(20)[0]] == [0, 0]
    assert b"PIPELINE_LOGS_DIR" in seen
    assert b"AMP_" not in seen
    assert b"hush" not in seen


PARENT = """
import sys
from pathlib import Path
from test_readers import events_file, fifos, scan
folder = Path(sys.argv[1])
print("begun", flush=True)
scan(fifos(folder), folder)
"""


@contextlib.contextmanager
def parent(folder: Path):
    """Starts a process whose workers read fifos."""
    here = Path(__file__).parent
    path = os.pathsep.join((str(here), str(here.parent), str(here.parent.parent)))
    with background(sys.executable, "-c", PARENT, str(folder), PYTHONPATH=path) as process:
        wait_for(lambda: len(members(process.pid)) == 3)
        yield process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_K7_K8_a_signal_to_the_whole_group_ends_all_at_once_and_without_a_word_of_theirs(tmp_path, number):
    with parent(tmp_path) as process:
        os.killpg(process.pid, number)
        _, said = process.communicate(timeout=20)
        assert said.count("Traceback") == (number == signal.SIGINT)
        wait_for(lambda: members(process.pid) == [])


def test_K8_ctrl_c_to_the_parent_alone_ends_its_workers(tmp_path):
    with parent(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert members(process.pid) == []


def test_K8_ctrl_c_means_nothing_to_a_worker(tmp_path):
    files = fifos(tmp_path)
    done = threads.start(scan, files, tmp_path)
    wait_for(lambda: len(workers()) == 2)
    for pid in workers():
        os.kill(pid, signal.SIGINT)
    time.sleep(0.2)
    assert len(workers()) == 2
    wait_for(lambda: end_of_fifos(tmp_path) or done.done())
    assert [found.lines for found in done.result(20)[0]] == [0, 0]


def test_K13_workers_of_a_killed_parent_end_with_their_file(tmp_path):
    with parent(tmp_path) as process:
        process.kill()
        process.wait()
        wait_for(lambda: end_of_fifos(tmp_path) or members(process.pid) == [])


def test_a_worker_starts_quickly_for_it_imports_little():
    command = (sys.executable, "-c", "import sys, pipeline.warehouse.worker; print(*sys.modules)")
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert not {"luigi", "duckdb", "requests", "loguru", "pipeline.settings", "asyncio"} & set(loaded)
