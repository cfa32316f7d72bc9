"""The demo: the whole chain on the sandbox, and a look at what came out. No account, no network, folders of its own."""

import collections
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.sandbox import Sandbox

DATE = "2026-11-01"
EVENTS_PER_HOUR = 900
KEY, SECRET = "sandbox-key", "sandbox-secret"
DATA, LOGS = Path("data/demo"), Path("logs/demo")


def main() -> int:
    """Runs the demo; returns the exit status of the run in it."""
    for folder in (DATA, LOGS):
        shutil.rmtree(folder, ignore_errors=True)
    with Sandbox(events_per_hour=EVENTS_PER_HOUR, key=KEY, secret=SECRET) as sandbox:
        _say(f"A sandbox of Amplitude's Export API answers on {sandbox.url}, as long as this demo runs.")
        status = _run(sandbox.url)
        asked = len(sandbox.requests)
        if status == 0:
            _show()
            _say(f"The sandbox was asked {asked} times. The same command again asks for nothing:")
            status = _run(sandbox.url)
        again = len(sandbox.requests) - asked
    if status or again:
        _say(f"The demo failed (exit status {status}, {again} requests too many): look into {LOGS}/")
        return status or 1
    _say("Your own project: cp .env.example .env, write its two keys there, then: make run")
    return 0


def _run(url: str) -> int:
    """Runs one day as a user would, in the demo's own folders."""
    print(f"$ make run DATE={DATE}", flush=True)  # noqa: T201
    settings = {
        "AMP_BASE_URL": url,
        "AMP_API_KEY": KEY,
        "AMP_SECRET_KEY": SECRET,
        "PIPELINE_DATA_DIR": str(DATA),
        "PIPELINE_LOGS_DIR": str(LOGS),
    }
    command = [sys.executable, "-m", "pipeline", "run", "--date", DATE]
    return subprocess.run(command, env={**os.environ, **settings}, check=False).returncode  # noqa: S603 - our own words


def _show() -> None:
    files = sorted((DATA / "events" / DATE).glob("*.json"))
    events = [json.loads(line) for file in files for line in file.read_bytes().split(b"\n") if line.strip()]
    types = collections.Counter(event["event_type"] for event in events)
    users = {event["user_id"] or event["device_id"] for event in events}
    _say(
        f"{DATA}/raw/{DATE}.zip ({(DATA / 'raw' / f'{DATE}.zip').stat().st_size / 1e6:.1f} MB), as Amplitude sent it;\n"
        f"{DATA}/events/{DATE}/ ({len(files)} files of JSON lines, and _SUCCESS, which says what they hold):\n"
        f"{len(events):,} events of {len(users):,} users. The most frequent:"
    )
    for name, number in types.most_common(5):
        print(f"  {number:>7,}  {name}")  # noqa: T201
    shown = ("event_time", "event_type", "user_id", "platform", "country", "event_properties")
    _say("One of them, in part:\n" + json.dumps({key: events[0][key] for key in shown}, ensure_ascii=False, indent=2))


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
