"""`killat.c`, built and steered: a fault at the n-th call by which a command changes its data folder."""

import dataclasses
import errno
import fcntl
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("killat.c")

KILLS = ("before", "after", "torn")
WRITES = ("write", "pwrite", "pwrite64", "writev", "pwritev", "sendfile", "sendfile64", "copy_file_range")
"""The calls that can be torn: half of them done, the other half not."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong, and at which call.

    Attributes:
        mode: "before", "after" or "torn" kill the process; "once" and "sticky" fail the call, or all from it on.
        at: The call, from 1 on; 0 for none.
        error: What a call fails with: the name of an errno.
        calls: "changes" of the data folder, or "reads" of what is in it.
    """

    mode: str = "before"
    at: int = 0
    error: str = "ENOSPC"
    calls: str = "changes"

    @property
    def kills(self) -> bool:
        return self.mode in KILLS

    def __str__(self) -> str:
        return f"{self.mode if self.kills else f'{self.error} {self.mode}'} at {self.at} of the {self.calls}"


@dataclasses.dataclass(frozen=True)
class Call:
    """A call that was counted: its number, whether it met a fault, its name, its bytes and its path."""

    number: int
    failed: bool
    name: str
    bytes: int
    path: str

    @property
    def is_torn(self) -> bool:
        """Whether it can be: it writes two bytes or more."""
        return self.name in WRITES and self.bytes > 1


class Shim:
    """The library around one run of a command.

    Args:
        library: What `build` made.
        folder: Where its counters and its log go; it is made.
        root: The data folder.
        fault: What goes wrong.
    """

    def __init__(self, library: Path, folder: Path, root: Path, fault: Fault) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log, self._state = folder / "calls", folder / "state"
        self._log.write_bytes(b"")
        self._state.write_bytes(bytes(16))
        self.env = {
            "KILLAT_ROOT": str(root.resolve()),
            "KILLAT_STATE": str(self._state),
            "KILLAT_LOG": str(self._log),
            "KILLAT_CALLS": fault.calls,
            "KILLAT_AT": str(fault.at),
            "KILLAT_MODE": fault.mode,
            "KILLAT_ERRNO": str(getattr(errno, fault.error)),
        }
        self.options = {"preload": library, **self.env}

    @property
    def faults(self) -> int:
        """How many calls met the fault."""
        return struct.unpack("QQ", self._state.read_bytes())[1]

    @property
    def calls(self) -> Sequence[Call]:
        """The calls, in order."""
        fields = [line.split("\t") for line in self._log.read_text(encoding="utf-8").splitlines()]
        return sorted(
            (Call(int(number), failed == "!", name, int(size), path) for number, failed, name, size, path in fields),
            key=lambda call: call.number,
        )


def build(folder: Path) -> Path:
    """Compiles the library, once for all who ask for it in the same folder; skips where that cannot be."""
    if not sys.platform.startswith("linux"):
        pytest.skip(f"the sweep's library is for Linux, and this is {sys.platform}")
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (cc) to build the sweep's library with")
    made = folder / "killat.so"
    with (folder / "killat.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            part = made.with_suffix(".part")
            subprocess.run(
                (compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", part, SOURCE, "-ldl"),
                check=True,
            )
            part.rename(made)
    return made
