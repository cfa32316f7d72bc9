"""Power cuts: an ext4 file system on a file of its own, stopped at a call so that it forgets what was not synced."""

import contextlib
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import disks
import pytest
from commands import Commands
from projects import left_in
from scenarios import LENIENT
from shim import Call, Fault, Shim
from truth import Damage, Truth, complete, look

from pipeline.sandbox import Sandbox

SIZE = 48 << 20
_SHUTDOWN, _WITHOUT_THE_LOG = 0x8004587D, 2  # EXT4_IOC_SHUTDOWN and its flag, of the kernel's fs/ext4
_OPTIONS = "noauto_da_alloc,commit=300"
"""No file is written out because it is renamed over another, and nothing is for its age: only what is synced is safe."""
_EVERY = 0.003  # seconds


def image(path: Path) -> Path:
    """Makes a file with an empty ext4 in it; skips where that cannot be."""
    if not shutil.which("mkfs.ext4"):
        pytest.skip("there is no mkfs.ext4 (e2fsprogs)")
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(("mkfs.ext4", "-q", "-F", "-J", "size=4", "-E", "lazy_itable_init=0", path), check=True)
    return path


@contextlib.contextmanager
def _device(image: Path) -> Iterator[str]:
    """Yields a block device that is the file; skips where there is none to have.

    `mount -o loop` would look for one that the file has already, and may find one that is just being given to another.
    """
    if os.geteuid() or not shutil.which("losetup"):
        pytest.skip("only root may have a loop device" if os.geteuid() else "there is no losetup (util-linux)")
    done = subprocess.run(("losetup", "--find", "--show", image), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine has no loop device: {done.stderr.strip()}")
    device = done.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(("losetup", "--detach", device), check=True)


class Machine:
    """A disk that can lose its power.

    Args:
        image: The file that holds it.
        place: Where it is mounted.
    """

    def __init__(self, image: Path, place: Path) -> None:
        self._image = image
        self.place = place

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Has it mounted for the block."""
        self.place.mkdir(exist_ok=True)
        with _device(self._image) as device:
            disks.mount("-t", "ext4", "-o", _OPTIONS, device, str(self.place))
            try:
                yield
            finally:
                disks.unmount(self.place)

    def lose_power(self) -> None:
        """Forgets what was not synced; nothing can be written any more."""
        folder = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, struct.pack("I", _WITHOUT_THE_LOG))
        finally:
            os.close(folder)

    def is_out(self) -> bool:
        """Tells whether it has lost its power."""
        try:
            os.close(os.open(self.place / "probe", os.O_WRONLY | os.O_CREAT))
        except OSError as error:
            return error.errno == errno.EIO
        return False

    @contextlib.contextmanager
    def neighbour(self) -> Iterator[None]:
        """Has somebody else write and sync on the disk all the while: each time, the names of all that is there become
        safe, and the bytes of nobody else. Without it, a power cut takes the names with the bytes, and hides the fault.
        """
        over = threading.Event()

        def work() -> None:
            with contextlib.suppress(OSError), (self.place / "neighbour").open("wb", buffering=0) as file:
                while not over.wait(_EVERY):
                    file.write(b"x")
                    os.fsync(file)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class PowerLoss:
    """One command on one project, whose disk loses its power at any of its calls.

    Args:
        library: What `shim.build` made.
        path: A folder of its own.
        date: The day.
        truths: What may be seen of it: its events, and those of an earlier generation.
        sandbox: Is asked.
    """

    def __init__(self, library: Path, path: Path, date: str, truths: list[Truth], sandbox: Sandbox) -> None:
        self._library = library
        self._path = path
        self._date = date
        self._truths = truths
        self._base = image(path / "base.ext4")
        self._image = path / "disk.ext4"
        self.machine = Machine(self._image, path / "disk")
        self.commands = Commands(path, sandbox, **LENIENT, PIPELINE_DATA_DIR=self.machine.place / "data")
        self.commands.data = self.machine.place / "data"

    def before(self, do: Callable[[], CompletedProcess[str]]) -> None:
        """Does something that stands on the disk before each cut."""
        base = Machine(self._base, self.machine.place)
        with base.on():
            done = do()
        assert done.returncode == 0, done.stderr

    def count(self, do: Callable[..., CompletedProcess[str]]) -> list[Call]:
        """Returns the calls by which a command changes the disk."""
        with self._fresh():
            shim = self._shim(0)
            done = do(**shim.options)
            assert done.returncode == 0, done.stderr
            return list(shim.calls)

    def at(
        self, number: int, do: Callable[..., CompletedProcess[str]], again: Callable[[], CompletedProcess[str]]
    ) -> Damage:
        """Cuts the power at a call; judges what is found when it is back, and what a run then makes of it.

        Args:
            number: The call; 0 for the moment at which the command has ended well.
            do: The command.
            again: The command that has to make it good.
        """
        with self._fresh():
            shim = self._shim(number)
            with self.machine.neighbour():
                done = do(**shim.options)
            if shim.faults:
                assert done.returncode != 0
            else:
                assert done.returncode == 0, f"call {number}: {done.stderr}"
                self.machine.lose_power()
            assert self.machine.is_out()
        with self.machine.on():
            data, replaced = self.commands.data, len(self._truths) > 1
            assert not left_in(data, self.commands.logs)
            if shim.faults:
                damage = look(data, self._date, *self._truths)
            else:
                damage = complete(data, self._date, self._truths[-1], replaced=replaced)
            asked = not replaced or not shim.faults or (data / ".redo" / self._date).exists()
            done = again()
            if done.returncode:
                return damage + Damage(half_written=[f"the rerun exited {done.returncode}: {done.stderr}"])
            assert not left_in(data, self.commands.logs)
            # A redo that was asked for a moment ago may not have been heard of: then the old day is what there is to have.
            after = [
                complete(data, self._date, truth, replaced=replaced) for truth in self._truths[-1 if asked else 0 :]
            ]
            return damage + min(after, key=lambda each: each.lost + each.duplicated)

    @contextlib.contextmanager
    def _fresh(self) -> Iterator[None]:
        subprocess.run(("cp", "--sparse=always", self._base, self._image), check=True)
        shutil.rmtree(self.commands.logs, ignore_errors=True)
        with self.machine.on():
            yield

    def _shim(self, number: int) -> Shim:
        return Shim(self._library, self._path / "shim", self.machine.place, Fault("power", at=number))
