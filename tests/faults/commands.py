"""The pipeline's real commands as processes, with what is to go wrong around them: a library, a prefix, a defect."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from projects import FAST, KEY, ROOT, SECRET, leaks

SEEDED = Path(__file__).with_name("seeded.py")


class Commands:
    """A project of its own in a folder, and the commands on it; for several threads at once.

    Args:
        path: The folder; data and logs lie in it.
        sandbox: Is asked for the days, with the canary's key; it may be set later.
        env: More of the environment.

    Attributes:
        data: The data folder.
        logs: The folder of the logs.
        env: What its commands find in their environment, beside the tests' own.
        sandbox: Whom it asks.
    """

    def __init__(self, path: Path, sandbox=None, **env: object) -> None:
        self.path = path
        self.data = path / "data"
        self.logs = path / "logs"
        self.env = {
            "PIPELINE_DATA_DIR": str(self.data),
            "PIPELINE_LOGS_DIR": str(self.logs),
            "PYTHONPATH": str(ROOT),
            **FAST,
            **{name: str(value) for name, value in env.items()},
        }
        if sandbox is not None:
            self.use(sandbox)

    def use(self, sandbox) -> None:
        """Points the project at a sandbox."""
        self.sandbox = sandbox
        self.env |= {"AMP_BASE_URL": sandbox.url, "AMP_API_KEY": KEY, "AMP_SECRET_KEY": SECRET}

    def run(self, date: object, **options) -> subprocess.CompletedProcess[str]:
        """Does what `make run` calls."""
        return self.pipeline("run", "--date", str(date), **options)

    def force(self, date: object, **options) -> subprocess.CompletedProcess[str]:
        """Does what `make force` calls."""
        return self.pipeline("force", "--date", str(date), **options)

    def pipeline(self, *arguments: str, defect: str = "", **options) -> subprocess.CompletedProcess[str]:
        """Runs `python -m pipeline ...`, or the same with one of its safeguards taken away (see `seeded.py`)."""
        return self.execute(*pipeline(*arguments, defect=defect), **options)

    def luigi(self, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
        """Runs Luigi's own command: `luigi --module pipeline.tasks ...`."""
        return self.execute(*luigi(*arguments), **options)

    def execute(
        self,
        *arguments: str,
        prefix: Sequence[str] = (),
        preload: Path | None = None,
        timeout: float = 120,
        **env: object,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end, and to that of all that holds its output; kills its group when it takes too long.

        Args:
            arguments: The command.
            prefix: What it is started by: strace, prlimit, unshare, ... with their options.
            preload: A library that is loaded before all others.
            timeout: Seconds.
            env: More of the environment.
        """
        with self.started(*prefix, *arguments, preload=preload, **env) as process:
            out, err = process.communicate(timeout=timeout)
            done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        assert not leaks(done.stdout + done.stderr)
        return done

    @contextlib.contextmanager
    def started(self, *arguments: str, preload: Path | None = None, **env: object) -> Iterator[subprocess.Popen[str]]:
        """Starts a command in a process group of its own; what is left of the group at the end is killed."""
        more = {name: str(value) for name, value in env.items()}
        if preload is not None:
            more["LD_PRELOAD"] = str(preload)
        process = subprocess.Popen(
            arguments, cwd=ROOT, env={**os.environ, **self.env, **more}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def pipeline(*arguments: str, defect: str = "") -> tuple[str, ...]:
    """Returns the command of `python -m pipeline ...`, with a seeded defect if one is named."""
    return (
        (sys.executable, str(SEEDED), defect, *arguments) if defect else (sys.executable, "-m", "pipeline", *arguments)
    )


def luigi(*arguments: str) -> tuple[str, ...]:
    """Returns the command of `luigi --module pipeline.tasks ...`."""
    return (str(Path(sys.executable).parent / "luigi"), "--module", "pipeline.tasks", *arguments)
