"""Publishing: in the order that outlives a power cut, never a moment without what stood, and a failure leaves it."""

import ctypes
import errno
import itertools
import os
import stat
import sys
import threading
from pathlib import Path

import pytest
from archives import write

from pipeline.errors import StorageError, storage_errors
from pipeline.store import publish
from pipeline.store.publish import make_dirs, publish_directory, publish_file, remove, staging

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="renameat2 is Linux's")


def names(path):
    return sorted(entry.name for entry in path.iterdir())


def directory(path, text):
    write(path / "events.json", text)
    write(path / "_SUCCESS", text)
    return path


@pytest.fixture
def calls(monkeypatch):
    """Records what is synced and renamed, in order, while it happens; `calls.fail` makes the nth of a kind fail."""

    class Calls(list):
        fail = None

        def note(self, kind, path):
            self.append(f"{kind} {path.name}")
            if self.fail == self[-1]:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    seen = Calls()

    def wrap(name, told):
        real = getattr(os, name)

        def call(*arguments, **options):
            seen.note(name, told(arguments))
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    wrap("fsync", lambda arguments: Path(f"/proc/self/fd/{arguments[0]}").readlink())
    wrap("rename", lambda arguments: Path(arguments[1]))
    wrap("replace", lambda arguments: Path(arguments[1]))
    return seen


@LINUX
def test_a_file_is_synced_before_it_is_renamed_and_the_rename_after(tmp_path, calls):
    publish_file(write(tmp_path / ".a.part", b"new"), tmp_path / "a")
    assert calls == ["fsync .a.part", "replace a", f"fsync {tmp_path.name}"]
    assert (tmp_path / "a").read_bytes() == b"new"


@LINUX
def test_a_directory_is_synced_before_it_is_renamed_and_the_rename_after(tmp_path, calls):
    publish_directory(directory(tmp_path / ".a.tmp", b"new"), tmp_path / "a")
    assert calls == ["fsync .a.tmp", "rename a", f"fsync {tmp_path.name}"]


@LINUX
def test_each_new_directory_is_synced_in_its_parent(tmp_path, calls):
    make_dirs(tmp_path / "data" / "raw")
    assert calls == [f"fsync {tmp_path.name}", "fsync data"]
    make_dirs(tmp_path / "data" / "raw")
    assert len(calls) == 2


@LINUX
@pytest.mark.parametrize("failing", ["fsync .a.part", "replace a"])
def test_F7_F8_a_failed_sync_or_rename_of_a_file_leaves_what_stood_and_is_not_repeated(tmp_path, calls, failing):
    final = write(tmp_path / "a", b"old")
    part = write(tmp_path / ".a.part", b"new")
    calls.fail = failing
    with pytest.raises(StorageError, match=r"Input/output error \(.* free\)"), storage_errors(final):
        publish_file(part, final)
    assert final.read_bytes() == b"old"
    assert calls.count(failing) == 1
    assert calls[-1] == failing


@LINUX
@pytest.mark.parametrize("failing", ["fsync .a.tmp", "rename .a.old.tmp"])
def test_F7_F8_a_failed_sync_or_rename_of_a_directory_leaves_what_stood(tmp_path, calls, failing, no_exchange):
    final = directory(tmp_path / "a", b"old")
    part = directory(tmp_path / ".a.tmp", b"new")
    calls.fail = failing
    with pytest.raises(OSError, match="Input/output"):
        publish_directory(part, final)
    assert (final / "events.json").read_bytes() == b"old"
    assert calls.count(failing) == 1
    calls.fail = None
    publish_directory(part, final)
    assert (final / "events.json").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


@pytest.fixture
def no_exchange(monkeypatch):
    """A system without renameat2."""
    monkeypatch.setattr(sys, "platform", "darwin")


def test_without_renameat2_a_standing_directory_is_moved_aside_and_replaced(tmp_path, no_exchange):
    directory(tmp_path / "a", b"old")
    publish_directory(directory(tmp_path / ".a.tmp", b"new"), tmp_path / "a")
    assert (tmp_path / "a" / "events.json").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_without_renameat2_a_failed_rename_puts_the_old_directory_back(tmp_path, no_exchange, monkeypatch):
    final = directory(tmp_path / "a", b"old")
    part = directory(tmp_path / ".a.tmp", b"new")
    real, tries = os.rename, itertools.count(1)

    def second_fails(source, target):
        if next(tries) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(OSError, match="No space"):
        publish_directory(part, final)
    assert (final / "events.json").read_bytes() == b"old"
    assert (part / "events.json").read_bytes() == b"new"


@pytest.mark.parametrize("stands", [True, False], ids=["while_another_stands", "while_none_stands"])
def test_F19_a_directory_moved_aside_by_a_killed_run_is_gone_after_the_next(tmp_path, no_exchange, stands):
    directory(tmp_path / ".a.old.tmp", b"older")
    if stands:
        directory(tmp_path / "a", b"old")
    publish_directory(directory(tmp_path / ".a.tmp", b"new"), tmp_path / "a")
    assert names(tmp_path) == ["a"]


@LINUX
def test_K6_a_standing_directory_is_exchanged_without_a_moment_without_it(tmp_path):
    final, missing, torn, done = directory(tmp_path / "a", b"0"), [], [], threading.Event()

    def watch():
        while not done.is_set():
            try:
                opened = os.open(final, os.O_RDONLY)
            except FileNotFoundError as error:
                missing.append(error)
                continue
            try:
                inside = set(os.listdir(opened))  # noqa: PTH208 - pathlib takes no descriptor
            finally:
                os.close(opened)
            if inside not in ({"events.json", "_SUCCESS"}, {"events.json"}, {"_SUCCESS"}, set()):
                torn.append(inside)

    readers = [threading.Thread(target=watch) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(200):
        publish_directory(directory(tmp_path / ".a.tmp", str(number).encode()), final)
    done.set()
    for reader in readers:
        reader.join()
    assert (missing, torn) == ([], [])
    assert (final / "_SUCCESS").read_bytes() == b"199"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("kind", ["file", "empty_directory", "dangling_link", "link_to_a_directory"])
def test_F14_whatever_stands_at_a_directorys_place_is_replaced(tmp_path, kind):
    final, elsewhere = tmp_path / "a", directory(tmp_path / "elsewhere", b"untouched")
    {
        "file": lambda: final.write_bytes(b""),
        "empty_directory": final.mkdir,
        "dangling_link": lambda: final.symlink_to("nowhere"),
        "link_to_a_directory": lambda: final.symlink_to(elsewhere),
    }[kind]()
    publish_directory(directory(tmp_path / ".a.tmp", b"new"), final)
    assert (final / "events.json").read_bytes() == b"new"
    assert not final.is_symlink()
    assert (elsewhere / "events.json").read_bytes() == b"untouched"
    assert names(tmp_path) == ["a", "elsewhere"]


@pytest.mark.parametrize(("umask", "file", "folder"), [(0o077, 0o600, 0o700), (0o022, 0o644, 0o755), (0, 0o664, 0o775)])
def test_F21_what_is_published_is_never_open_for_everybody_to_write(tmp_path, umask, file, folder):
    before = os.umask(umask)
    try:
        make_dirs(tmp_path / "data")
        publish_file(write(tmp_path / "data" / ".z.part", b""), tmp_path / "data" / "z")
        publish_directory(directory(tmp_path / "data" / ".a.tmp", b""), tmp_path / "data" / "a")
    finally:
        os.umask(before)

    def mode(*place):
        return stat.S_IMODE(tmp_path.joinpath("data", *place).stat().st_mode)

    assert [mode("z"), mode("a", "_SUCCESS"), mode("a", "events.json")] == [file] * 3
    assert [mode(), mode("a")] == [folder] * 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT, errno.ESTALE])
def test_F1_F22_what_failed_to_be_written_is_cleared_and_told_with_path_and_free_space(tmp_path, code):
    part = tmp_path / ".a.part"
    with pytest.raises(StorageError) as error, storage_errors(tmp_path / "a"), staging(part):  # noqa: PT012
        part.write_bytes(b"half")
        raise OSError(code, os.strerror(code))
    assert str(tmp_path / "a") in str(error.value)
    assert os.strerror(code) in str(error.value)
    assert "free)" in str(error.value)
    assert names(tmp_path) == []


def test_staging_clears_what_an_earlier_run_left_and_keeps_what_was_written(tmp_path):
    part = directory(tmp_path / ".a.tmp", b"left")
    with staging(part):
        assert not part.exists()
        part.write_bytes(b"new")
    assert part.read_bytes() == b"new"


def test_remove_takes_files_directories_and_links_but_not_what_they_point_to(tmp_path):
    kept = directory(tmp_path / "kept", b"")
    (tmp_path / "link").symlink_to(kept)
    for path in (tmp_path / "link", directory(tmp_path / "d", b""), write(tmp_path / "f", b""), tmp_path / "missing"):
        remove(path)
    assert names(tmp_path) == ["kept"]
    assert names(kept) == ["_SUCCESS", "events.json"]


def test_F1_what_cannot_be_removed_is_named_with_its_whole_path(tmp_path, monkeypatch):
    def full(name, **_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    folder = directory(tmp_path / "d", b"")
    monkeypatch.setattr(os, "unlink", full)
    with pytest.raises(OSError, match="No space left") as error:
        remove(folder)
    assert error.value.filename == str(folder)


@LINUX
def test_this_system_can_exchange_two_names(tmp_path):
    assert hasattr(ctypes.CDLL(None), "renameat2")
    one, other = write(tmp_path / "1", b"1"), write(tmp_path / "2", b"2")
    assert publish._exchange(one, other)
    assert (one.read_bytes(), other.read_bytes()) == (b"2", b"1")
