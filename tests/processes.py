"""Commands as a person types them: Luigi's own, make, on a terminal, in the background; and luigid."""

import contextlib
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

LUIGI = (str(BIN / "luigi"), "--module", "pipeline.tasks")
PIPELINE = (sys.executable, "-m", "pipeline")


def luigi(project, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
    """Runs Luigi's own command, as the README types it."""
    return project.command(*LUIGI, *arguments, PYTHONPATH=str(ROOT), **options)


def make(project, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
    """Runs make on the project's Makefile; it never installs anything."""
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("there is no .venv: make test makes it")
    clean = dict.fromkeys(("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL"), "")
    done = ("-o", ".venv/.setup", "-o", ".venv/.setup-dev")
    return project.command("make", *done, *arguments, **clean, **options)


def home(project, **files: str) -> Path:
    """Makes a project's folder with its luigi.cfg and, as it is told, a `.env`; commands may run there."""
    path = project.path / "home"
    path.mkdir(exist_ok=True)
    for name in ("luigi.cfg", "luigi.central.cfg"):
        shutil.copy(ROOT / name, path / name)
    if "env" in files:
        (path / ".env").write_text(files["env"], encoding="utf-8")
        (path / ".env").chmod(0o600)
    return path


@contextlib.contextmanager
def background(*arguments: str, cwd: Path = ROOT, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Starts a command in a process group of its own, as a shell does; what is left of the group at the end is killed."""
    process = subprocess.Popen(
        arguments, cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def members(group: int) -> list[int]:
    """Returns the processes of a group that still live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state != "Z":
                found.append(int(stat.parent.name))
    return found


def terminal(*arguments: str, cwd: Path = ROOT, **env: str) -> tuple[int, str]:
    """Runs a command on a terminal; returns its status and all that it showed."""
    leader, follower = pty.openpty()
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "200", **env}
    with subprocess.Popen(
        arguments, cwd=cwd, env=variables, stdin=follower, stdout=follower, stderr=follower
    ) as process:
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: the other side is closed
            while piece := os.read(leader, 65536):
                shown += piece
        os.close(leader)
    return process.returncode, shown.decode()


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.02)


class Luigid:
    """A luigid on a free port of loopback, and the overlay that makes runs report to it."""

    def __init__(self, path: Path, address: str) -> None:
        self._path = path
        self._address = address
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.overlay = path / "central.cfg"
        text = (ROOT / "luigi.central.cfg").read_text(encoding="utf-8")
        self.overlay.write_text(text.replace("8082", str(self.port)), encoding="utf-8")

    def start(self) -> None:
        self.process = subprocess.Popen(
            (str(BIN / "luigid"), "--address", self._address, "--port", str(self.port),
             "--state-path", str(self._path / "state")),
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(self._answers)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, what: str, **data: object) -> object:
        query = urllib.parse.urlencode({"data": json.dumps(data)})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/{what}?{query}", timeout=10) as answer:
            return json.load(answer)["response"]

    def tasks(self, status: str = "") -> dict[str, dict[str, object]]:
        return self.ask("task_list", status=status, upstream_status="")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            self.ask("task_list", status="", upstream_status="")
            return True
        return False


@contextlib.contextmanager
def luigid(path: Path, address: str = "127.0.0.1") -> Iterator[Luigid]:
    daemon = Luigid(path, address)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.kill()
