"""Locks between processes: one works, the other waits and says for whom; the dead hold nothing."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from loguru import logger

from pipeline.errors import StorageError
from pipeline.store import locks

HOLD = """
import sys, pathlib
from pipeline.store import locks
with locks.hold(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds `tmp_path / "lock"` until its stdin ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def said():
    lines = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="INFO")
    yield lines
    logger.remove(sink)


def test_K14_a_second_process_waits_and_says_once_who_holds_it(tmp_path, other, said):
    lock, got = tmp_path / "lock", threading.Event()

    def wait():
        with locks.hold(lock):
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not got.wait(0.3)
    assert len(said) == 1
    assert f"lock is in use by process {other.pid}, since 20" in said[0]
    assert locks.holder(lock).startswith(f"process {other.pid}, since ")
    other.stdin.close()
    waiting.join(10)
    assert got.is_set()
    assert len(said) == 1


def test_K16_K17_a_killed_holder_leaves_nothing_but_a_file_that_means_nothing(tmp_path, other, said):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / "lock").read_text().startswith(f"process {other.pid}, since ")
    assert locks.holder(tmp_path / "lock") is None
    with locks.hold(tmp_path / "lock"):
        pass
    assert said == []


def test_a_lock_that_is_free_or_was_never_taken_has_no_holder(tmp_path):
    assert locks.holder(tmp_path / "lock") is None
    with locks.hold(tmp_path / "locks" / "lock"):
        assert "process" in locks.holder(tmp_path / "locks" / "lock")
    assert locks.holder(tmp_path / "locks" / "lock") is None


def test_who_only_looks_is_no_holder_to_another_who_looks_nor_to_who_takes_it(tmp_path, monkeypatch, other, said):
    other.send_signal(signal.SIGKILL)
    other.wait()
    looking = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert locks.holder(tmp_path / "lock") is None
    monkeypatch.setattr(time, "sleep", lambda _: os.close(looking))  # the look is over in a moment
    with locks.hold(tmp_path / "lock"):
        pass
    assert said == []


def test_an_error_inside_lets_go(tmp_path):
    with pytest.raises(ZeroDivisionError), locks.hold(tmp_path / "lock"):
        raise ZeroDivisionError
    assert locks.holder(tmp_path / "lock") is None


def test_K16_a_child_of_the_holder_does_not_inherit_the_lock(tmp_path):
    with locks.hold(tmp_path / "lock"):
        child = subprocess.Popen(
            [sys.executable, "-c", "print(flush=True); import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False,
        )  # fmt: skip
    child.stdout.readline()  # it runs: what closes on exec is closed
    try:
        assert locks.holder(tmp_path / "lock") is None
    finally:
        child.communicate()


def test_A9_a_holder_that_left_junk_is_shown_on_one_line(tmp_path, other):
    (tmp_path / "lock").write_bytes(b"\x1b[2Jx\nprocess \xff")
    assert locks.holder(tmp_path / "lock").isprintable()


def test_a_lock_that_cannot_be_opened_is_told_with_its_path(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(StorageError, match="lock: Is a directory"), locks.hold(tmp_path / "lock"):
        raise AssertionError


@pytest.mark.parametrize("call", ["ftruncate", "pwrite"])
def test_F1_a_full_disk_is_told_with_the_locks_path_and_the_lock_is_let_go(tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(StorageError, match=f"{tmp_path}/lock: No space left"), locks.hold(tmp_path / "lock"):
            pass
    assert locks.holder(tmp_path / "lock") is None
