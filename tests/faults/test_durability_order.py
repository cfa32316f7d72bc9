"""The reader of strace logs: each broken order in a log made up for it, and right ones beside them."""

from pathlib import Path

import order
import pytest

ROOT = Path("/data")

WHOLE = """
7 mkdir("/data/raw", 0777) = 0
7 openat(AT_FDCWD</x>, "/data", O_RDONLY|O_CLOEXEC) = 3</data>
7 fsync(3</data>) = 0
7 openat(AT_FDCWD</x>, "/data/raw/.a.part", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 3</data/raw/.a.part>
7 write(3</data/raw/.a.part>, ""..., 10) = 10
7 fsync(3</data/raw/.a.part>) = 0
7 rename("/data/raw/.a.part", "/data/raw/a") = 0
7 fsync(3</data/raw>) = 0
7 +++ exited with 0 +++
"""

DIRECTORY = """
7 mkdir("/data/events", 0777) = 0
7 fsync(3</data>) = 0
7 mkdir("/data/events/.a.tmp", 0777) = 0
7 openat(5</data/events/.a.tmp>, "one", O_WRONLY|O_CREAT, 0666) = 3</data/events/.a.tmp/one>
7 write(3</data/events/.a.tmp/one>, ""..., 10) = 10
7 fsync(3</data/events/.a.tmp/one>) = 0
7 fsync(4</data/events/.a.tmp>) = 0
7 renameat2(AT_FDCWD</x>, "/data/events/.a.tmp", AT_FDCWD</x>, "/data/events/a", RENAME_EXCHANGE) = 0
7 fsync(3</data/events>) = 0
7 unlinkat(5</data/events/.a.tmp>, "old", 0) = 0
7 rmdir("/data/events/.a.tmp") = 0
"""

PARTITION = """
7 mkdir("/data/p", 0777) = 0
7 fsync(3</data>) = 0
7 openat(AT_FDCWD</x>, "/data/.p.tmp/one", O_WRONLY|O_CREAT, 0666) = 3</data/.p.tmp/one>
7 fsync(3</data/.p.tmp/one>) = 0
7 openat(AT_FDCWD</x>, "/data/.p.tmp/_SUCCESS", O_WRONLY|O_CREAT, 0666) = 3</data/.p.tmp/_SUCCESS>
7 fsync(3</data/.p.tmp/_SUCCESS>) = 0
7 rename("/data/.p.tmp/one", "/data/p/one") = 0
7 fsync(3</data/p>) = 0
7 rename("/data/.p.tmp/_SUCCESS", "/data/p/_SUCCESS") = 0
7 fsync(3</data/p>) = 0
"""


def problems(log: str) -> list[str]:
    return order.problems(order.calls(log.strip().splitlines()), ROOT)


def without(log: str, *lines: str) -> str:
    for line in lines:
        assert line in log
        log = log.replace(f"{line}\n", "", 1)
    return log


@pytest.mark.parametrize("log", [WHOLE, DIRECTORY, PARTITION])
def test_a_right_order_is_no_problem(log):
    assert problems(log) == []


@pytest.mark.parametrize(
    ("log", "line", "words"),
    [
        (WHOLE, "7 fsync(3</data/raw/.a.part>) = 0", "/data/raw/.a.part was not synced before it was renamed"),
        (WHOLE, "7 fsync(3</data/raw>) = 0", "/data/raw/a: its name was never synced"),
        (WHOLE, "7 fsync(3</data>) = 0", "the name of /data/raw was not synced before"),
        (DIRECTORY, "7 fsync(3</data/events/.a.tmp/one>) = 0", "/data/events/.a.tmp/one was not synced"),
        (DIRECTORY, "7 fsync(4</data/events/.a.tmp>) = 0", "/data/events/.a.tmp was not synced"),
        (DIRECTORY, "7 fsync(3</data/events>) = 0", "removed before the name of /data/events/a was synced"),
        (PARTITION, "7 fsync(3</data/.p.tmp/one>) = 0", "/data/.p.tmp/one was not synced"),
        (PARTITION, "7 fsync(3</data/p>) = 0", "_SUCCESS: the name of /data/p/one was not synced before"),
    ],
)
def test_each_sync_that_is_missing_is_a_problem(log, line, words):
    assert words in "\n".join(problems(without(log, line)))


def test_bytes_that_follow_the_sync_are_not_synced():
    late = '7 fsync(3</data/raw/.a.part>) = 0\n7 pwrite64(3</data/raw/.a.part>, ""..., 1, 0) = 1'
    assert (
        "was not synced before it was renamed" in problems(WHOLE.replace("7 fsync(3</data/raw/.a.part>) = 0", late))[0]
    )


@pytest.mark.parametrize(
    "copy",
    [
        "copy_file_range(3</x>, NULL, 4</data/raw/.a.part>, NULL, 9, 0) = 9",
        "sendfile(4</data/raw/.a.part>, 3</x>, NULL, 9) = 9",
        "ftruncate(4</data/raw/.a.part>, 0) = 0",
    ],
)
def test_copied_bytes_are_written_bytes(copy):
    log = WHOLE.replace('7 rename("/data', f'7 {copy}\n7 rename("/data')
    assert "was not synced before it was renamed" in problems(log)[0]


def test_a_sync_that_failed_is_none():
    failed = "7 fsync(3</data/raw/.a.part>) = -1 EIO (Input/output error)"
    assert problems(WHOLE.replace("7 fsync(3</data/raw/.a.part>) = 0", failed))


def test_a_sync_that_began_before_the_last_byte_was_written_does_not_cover_it():
    sync = """7 fsync(3</data/raw/.a.part> <unfinished ...>
8 write(4</data/raw/.a.part>, ""..., 10) = 10
7 <... fsync resumed>)              = 0"""
    assert "was not synced before" in problems(WHOLE.replace("7 fsync(3</data/raw/.a.part>) = 0", sync))[0]


def test_a_rename_that_begins_before_the_sync_has_ended_is_too_early():
    log = WHOLE.replace("7 fsync(3</data/raw/.a.part>) = 0", "8 fsync(3</data/raw/.a.part> <unfinished ...>")
    early = log.replace(
        '7 rename("/data/raw/.a.part", "/data/raw/a") = 0',
        '7 rename("/data/raw/.a.part", "/data/raw/a" <unfinished ...>\n'
        "8 <... fsync resumed>)              = 0\n7 <... rename resumed>)             = 0",
    )
    assert "was not synced yet when it was renamed" in problems(early)[0]


def test_what_is_written_at_its_final_name_is_a_problem():
    log = '7 openat(AT_FDCWD</x>, "/data/raw/a", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</data/raw/a>'
    assert "it is written in place" in problems(log)[0]


def test_a_later_stage_may_not_come_before_the_earlier_ones_name_is_safe():
    later = (
        without(WHOLE, "7 fsync(3</data/raw>) = 0")
        + "\n".join(PARTITION.splitlines()[3:])
        + "\n7 fsync(3</data/raw>) = 0"
    )
    assert any("the name of /data/raw/a was not synced before" in each for each in problems(later))


def test_locks_staged_windows_and_other_folders_are_none_of_it():
    log = """
7 openat(AT_FDCWD</x>, "/data/.locks/api", O_RDWR|O_CREAT, 0666) = 3</data/.locks/api>
7 write(3</data/.locks/api>, ""..., 10) = 10
7 rename("/data/raw/.d.windows/1.part", "/data/raw/.d.windows/1.zip") = 0
7 openat(AT_FDCWD</x>, "/database/a", O_WRONLY|O_CREAT, 0666) = 3</database/a>
7 rename("/elsewhere/.a", "/elsewhere/a") = 0
7 symlink("a", "/elsewhere/b") = 0
"""
    assert problems(log) == []


def test_a_token_of_a_redo_is_a_final_name():
    log = '7 mkdir("/data/.redo", 0777) = 0\n7 rename("/data/.redo/.d.part", "/data/.redo/d") = 0'
    assert [each.partition(":")[0] for each in problems(log)[-2:]] == ["/data/.redo", "/data/.redo/d"]


def test_a_link_has_no_order_that_is_known():
    assert "link is not judged here" in problems('7 link("/data/raw/.a.part", "/data/raw/a") = 0')[0]
