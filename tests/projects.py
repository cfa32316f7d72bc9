"""What the tests share by name: a project of a test's own, and the canary that stands for its secrets."""

import base64
import contextlib
import html
import json
import os
import shlex
import subprocess
import sys
import urllib.parse
from contextlib import ExitStack
from pathlib import Path

import luigi
import pytest

from pipeline import logs, settings
from pipeline.sandbox import Sandbox
from pipeline.store.paths import Layout
from pipeline.tasks import LAST

ROOT = Path(__file__).parent.parent
REAL_EXPORTS = ROOT.parent / "shared" / "real-exports"

KEY = "canary-key-5d1f"
SECRET = "canary S3cr3t/+$#\"=%20'ü"
"""Characters that one reader or another of .env, of URLs or of headers is known to change."""

_QUOTED = (
    str,
    lambda value: urllib.parse.quote(value, safe=""),
    lambda value: urllib.parse.quote_plus(value, safe=""),
    lambda value: json.dumps(value)[1:-1],
    lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    lambda value: repr(value)[1:-1],
    html.escape,
    lambda value: shlex.quote(value).removeprefix("'").removesuffix("'"),
)
"""How a text holds a value; what stands around it is left out."""

FORMS = {
    *(quoted(value) for value in (KEY, SECRET) for quoted in _QUOTED),
    base64.b64encode(f"{KEY}:{SECRET}".encode()).decode(),
    base64.b64encode(SECRET.encode()).decode().rstrip("="),
}

FAST = {
    "AMP_BACKOFF": "0.01",
    "AMP_BACKOFF_CAP": "0.05",
    "AMP_CONNECT_TIMEOUT": "2",
    "AMP_FIRST_BYTE_TIMEOUT": "5",
    "AMP_READ_TIMEOUT": "1",
    "AMP_DEADLINE": "20",
    "AMP_RETRY_AFTER_CAP": "1",
}
"""Times that a test can wait for."""


def leaks(text: str) -> list[str]:
    """Returns the forms of the canary that a text holds."""
    return [form for form in FORMS if form in text]


_READ_WHOLE = 100_000_000  # bytes: beyond it stand sparse gigabytes alone
_ITS_PLACES = {".env", ".netrc"}


def left_in(*folders: Path) -> list[str]:
    """Returns what holds a form of the canary in its name or in its bytes, of all that lies below folders."""
    every = ((path, str(path.relative_to(folder))) for folder in folders for path in folder.rglob("*"))
    return [name for path, name in every if leaks(name) or _holds_it(path)]


def _holds_it(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):  # a process that is about to end took it away
        if path.name not in _ITS_PLACES and path.is_file() and path.stat().st_size < _READ_WHOLE:
            data = path.read_bytes()
            return any(form.encode() in data for form in FORMS)
    return False


class Project:
    """A data folder, a log folder and an environment of one test's own."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack) -> None:
        self.path = tmp_path
        self.data = tmp_path / "data"
        self.logs = tmp_path / "logs"
        self.layout = Layout(self.data)
        self._monkeypatch = monkeypatch
        self._stack = stack
        self.set(PIPELINE_DATA_DIR=str(self.data), PIPELINE_LOGS_DIR=str(self.logs), **FAST)

    def set(self, **values: object) -> None:
        """Sets environment variables; the settings are read anew."""
        for name, value in values.items():
            self._monkeypatch.setenv(name, str(value))
        settings.load.cache_clear()

    def unset(self, *names: str) -> None:
        for name in names:
            self._monkeypatch.delenv(name, raising=False)
        settings.load.cache_clear()

    def sandbox(self, **options: object) -> Sandbox:
        """Starts a sandbox with the canary as its secret, and points the project at it."""
        options = {"key": KEY, "secret": SECRET, "events_per_hour": 5, **options}
        sandbox = self._stack.enter_context(Sandbox(**options))
        self.use(sandbox)
        return sandbox

    def use(self, sandbox: Sandbox) -> None:
        self.set(AMP_BASE_URL=sandbox.url, AMP_API_KEY=KEY, AMP_SECRET_KEY=SECRET)

    @property
    def settings(self) -> settings.Settings:
        return settings.load()

    def run(self, *tasks: luigi.Task, workers: int = 1) -> luigi.execution_summary.LuigiRunResult:
        """Runs tasks with Luigi's own worker, in this process, with the project's luigi.cfg."""
        luigi.task_register.Register.clear_instance_cache()
        logs.setup(self.logs)
        return luigi.build(tasks, local_scheduler=True, workers=workers, detailed_summary=True)

    def run_day(self, date: object) -> luigi.execution_summary.LuigiRunResult:
        return self.run(LAST(date=date))

    def command(
        self, *arguments: str, cwd: Path = ROOT, timeout: float = 60, typed: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command as a process, with `python -m pipeline` before arguments that begin with a word of it."""
        done = subprocess.run(
            arguments, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=timeout, check=False,
            input=typed,
        )  # fmt: skip
        assert not leaks(done.stdout + done.stderr)
        return done

    def pipeline(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs `python -m pipeline ...` as a process."""
        return self.command(sys.executable, "-m", "pipeline", *arguments, **options)

    def doctor(self, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs what `make doctor` runs."""
        return self.command(sys.executable, "-m", "pipeline.commands.doctor", **options)

    def logged(self) -> str:
        """Returns everything that the log files hold."""
        return "\n".join(path.read_text(encoding="utf-8") for path in sorted(self.logs.glob("*.log")))

    def tree(self) -> dict[str, bytes]:
        """Returns every file below the data folder, the locks left out."""
        return {
            str(path.relative_to(self.data)): path.read_bytes()
            for path in sorted(self.data.rglob("*"))
            if path.is_file() and ".locks" not in path.parts
        }

    def leftovers(self) -> list[Path]:
        return list(self.layout.leftovers())
