"""Disks that are small, or closed: file systems in memory, made for a test and taken away after it."""

import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import left_in

REFUSED = re.compile(
    r"StorageError: (?P<path>/\S+): [A-Z].+?(?: \((?P<free>[\d.,]+ \w+) free\))?\. .*: what was there before is untouched\."
)
"""The line that says what the disk refused: path, cause, room where that is the cause, what to do."""

NOT_BEGUN = re.compile(
    r"StorageError: (?P<path>/\S+): [\d-]+ needs about (?P<needed>[\d.,]+ \w+) there, .* (?P<free>[\d.,]+ \w+) are free\."
    r" Nothing was asked for\."
)
"""The line that says that a day will not fit."""

_PATIENCE = 200  # tries, a twentieth of a second apart


class Disk:
    """A file system in memory.

    Args:
        path: Where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def remount(self, **options: object) -> None:
        """Changes it: `size=` in bytes, `nr_inodes=`, `ro=""`, `rw=""`."""
        mount("-o", f"remount,{written(options)}", str(self.path))

    def used(self) -> tuple[int, int]:
        """Returns the bytes and the inodes that are taken."""
        found = os.statvfs(self.path)
        return (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[int]]:
        """Yields a list that is, after the block, the most bytes and inodes that were taken at once, as often looked."""
        most, over = [0, 0], threading.Event()

        def look() -> None:
            while not over.is_set():
                most[:] = map(max, most, self.used())
                time.sleep(0.001)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield most
        finally:
            over.set()
            thread.join()


@contextlib.contextmanager
def small(path: Path, **options: object) -> Iterator[Disk]:
    """Mounts a file system in memory; it is gone after the block, whatever happens in it."""
    path.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", written(options), "tmpfs", str(path))
    try:
        yield Disk(path)
        assert not left_in(path)  # after the test there is nothing to be looked through
    finally:
        unmount(path)


def mount(*arguments: str) -> None:
    """Mounts; skips the test where that is not allowed."""
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root may mount a file system" if os.geteuid() else "there is no mount command")
    done = subprocess.run(("mount", *arguments), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine does not mount it: {done.stderr.strip()}")


def unmount(path: Path) -> None:
    """Unmounts, once nobody holds a file on it: a killed command's children may take a moment to go.

    One that is never given up goes out of sight all the same, and the test fails: it may live on, and be met again.
    """
    for _ in range(_PATIENCE):
        done = subprocess.run(("umount", str(path)), capture_output=True, text=True, check=False)
        if not done.returncode:
            return
        time.sleep(0.05)
    subprocess.run(("umount", "--lazy", str(path)), capture_output=True, check=True)
    raise OSError(f"{path} could not be unmounted: {done.stderr.strip()}")


def written(options: dict[str, object]) -> str:
    """Returns mount options as mount takes them."""
    return ",".join(f"{name}={value}" if value != "" else name for name, value in options.items())
