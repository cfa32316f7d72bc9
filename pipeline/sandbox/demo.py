"""The demo: the whole chain on the sandbox, and a look at what came out. No account, no network, folders of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.sandbox import Sandbox
from pipeline.text import size

DATE = "2026-11-01"
EVENTS_PER_HOUR = 900
KEY, SECRET = "sandbox-key", "sandbox-secret"
DATA, LOGS = Path("data/demo"), Path("logs/demo")


TOP_EVENTS = """select event_type, count(*) as events, count(distinct coalesce(user_id, device_id)) as users
from events group by all order by events desc limit 5"""
TOP_USERS = """select coalesce(user_id, device_id) as who, any_value(country) as country, count(*) as events
from events group by all order by events desc, who limit 5"""


def main() -> int:
    """Runs the demo; returns the exit status of the first command in it that failed."""
    for folder in (DATA, LOGS):
        shutil.rmtree(folder, ignore_errors=True)
    with Sandbox(events_per_hour=EVENTS_PER_HOUR, key=KEY, secret=SECRET) as sandbox:
        _say(f"A sandbox of Amplitude's Export API answers on {sandbox.url}, as long as this demo runs.")
        status = _run(sandbox.url)
        asked = len(sandbox.requests)
        if status == 0:
            _say(f"The sandbox was asked {asked} times. The same command again asks for nothing:")
            status = _run(sandbox.url)
        again = len(sandbox.requests) - asked
    status = status or _show()
    if status or again:
        _say(f"The demo failed (exit status {status}, {again} requests too many): look into {LOGS}/")
        return status or 1
    _say("Your own project: cp .env.example .env, write its two keys there, then: make run")
    return 0


def _run(url: str) -> int:
    """Runs one day as a user would, in the demo's own folders."""
    print(f"$ make run DATE={DATE}", flush=True)  # noqa: T201
    return _pipeline(["run", "--date", DATE], AMP_BASE_URL=url, AMP_API_KEY=KEY, AMP_SECRET_KEY=SECRET)


def _show() -> int:
    """Shows where the day lies, and asks the warehouse about it."""
    layout = ((DATA / "raw" / f"{DATE}.zip", "as Amplitude sent it"),
              (DATA / "events" / DATE, "JSON lines, a file for each that Amplitude sends"),
              (DATA / "parquet" / f"date={DATE}", "typed, each event once"))  # fmt: skip
    _say("\n".join(f"{_size(place):>8}  {place}  {what}" for place, what in layout))
    for query in (TOP_EVENTS, TOP_USERS):
        _say(f'$ make sql Q="{query.replace(chr(10), " ")}"')
        status = _pipeline(["sql", "--query", query])
        if status:
            return status
    return 0


def _size(place: Path) -> str:
    files = [path for path in place.iterdir() if path.is_file()] if place.is_dir() else [place]
    return size(sum(path.stat().st_size for path in files))


def _pipeline(arguments: list[str], **environment: str) -> int:
    folders = {"PIPELINE_DATA_DIR": str(DATA), "PIPELINE_LOGS_DIR": str(LOGS)}
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(command, env={**os.environ, **folders, **environment}, check=False).returncode  # noqa: S603 - our own words


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)  # noqa: T201


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # as the shell has it for Ctrl-C; the command that ran has said so
