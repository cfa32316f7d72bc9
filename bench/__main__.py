"""`make bench`: a generated day, fetched and extracted by us and by what one would run instead, in one run."""

import argparse
import datetime as dt
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from bench.measure import Side, compare, measure, python
from pipeline.sandbox import Sandbox, generator
from pipeline.store import days
from pipeline.store.paths import Layout

DATE = dt.date(2026, 11, 1)
KEY, SECRET = "sandbox-key", "sandbox-secret"
_HERE = Path(__file__).parent
_HOME = _HERE.parent


def main() -> None:
    """Makes the day, then prints a table for each comparison."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the day (1,000,000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison (5)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=_HOME / "data") as place:
        Bench(Path(place), chosen.rounds).run(chosen.events)


class Bench:
    """One run of the benchmark in a folder of its own."""

    def __init__(self, place: Path, rounds: int) -> None:
        self._place = place
        self._rounds = rounds
        self._exports = place / "exports"
        self._data = place / "data"
        self._out = place / "out"
        self._env = {
            **os.environ,
            "PYTHONPATH": str(_HOME),
            "AMP_API_KEY": KEY,
            "AMP_SECRET_KEY": SECRET,
            "PIPELINE_DATA_DIR": str(self._data),
            "PIPELINE_LOGS_DIR": str(place / "logs"),
        }

    def run(self, events: int) -> None:
        """Prints the tables."""
        print(
            f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores, {self._rounds} rounds, medians."
        )
        with Sandbox(events_per_hour=_per_hour(events), key=KEY, secret=SECRET) as sandbox:
            self._pipeline(sandbox.url)
        record = days.events_record(Layout(self._data), DATE)
        if record is None:
            raise SystemExit("the day did not come home")
        size, text = record.export.bytes / 1e6, record.totals.bytes / 1e6
        print(f"A day of {record.totals.events:,} events: {size:.0f} MB of ZIP, {text:.0f} MB of JSON.")
        self._extraction(text)
        self._serve_verbatim()
        with _sandbox_process(self._exports) as url:
            self._fetch(url, size)
            self._chain(url)

    def _pipeline(self, url: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "pipeline", "run", "--date", str(DATE)],
            cwd=_HOME, env={**self._env, "AMP_BASE_URL": url}, check=True,
        )  # fmt: skip

    def _extraction(self, amount: float) -> None:
        zip_path = str(self._data / "raw" / f"{DATE}.zip")
        sides = [
            Side(
                "zipfile + gzip.open + copyfileobj",
                self._side("stdlib", zip_path, str(self._out)),
                self._clear,
                self._env,
            ),
            Side("ours, nothing synced", self._side("ours", zip_path, str(self._out)), self._clear, self._env),
            Side("ours, synced and published", self._side("published", zip_path), self._clear, self._env),
        ]
        compare("A day's ZIP to JSON lines, counted (MB of JSON)", sides, amount, self._rounds)

    def _fetch(self, url: str, amount: float) -> None:
        out = self._out / "day.zip"
        address = f"{url}/api/2/export?start={DATE:%Y%m%d}T00&end={DATE:%Y%m%d}T23"
        curl = [
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            "--user",
            f"{KEY}:{SECRET}",
            "--output",
            str(out),
            "--write-out",
            "%{time_total}",
            address,
        ]
        env = {**self._env, "AMP_BASE_URL": url}
        sides = [
            Side("curl, to a file", curl, self._clear, env),
            Side("ours, the fetch alone", self._side("fetch", str(DATE), str(out)), self._clear, env),
        ]
        compare("A day from loopback to a file (MB of ZIP)", sides, amount, self._rounds)

    def _chain(self, url: str) -> None:
        env = {**self._env, "AMP_BASE_URL": url}
        command = [sys.executable, "-m", "pipeline", "run", "--date", str(DATE)]
        first = measure(Side("run", command, self._forget, env, tells=False))
        again = measure(Side("run again", command, self._clear, env, tells=False))
        print("\n### The whole chain, from HTTP to published JSON lines (the process from its start to its end)\n")
        print("| run | s | peak MB of the tree |\n| --- | --- | --- |")
        print(f"| a new day | {first.seconds:.2f} | {first.peak / 1e6:.0f} |")
        print(f"| the same day again | {again.seconds:.2f} | {again.peak / 1e6:.0f} |")

    def _side(self, name: str, *arguments: str) -> list[str]:
        return python(_HERE / "sides.py", name, *arguments)

    def _clear(self) -> None:
        shutil.rmtree(self._out, ignore_errors=True)
        self._out.mkdir()
        os.sync()

    def _forget(self) -> None:
        shutil.rmtree(self._data)
        self._clear()

    def _serve_verbatim(self) -> None:
        """Writes the day as Amplitude would send it whole: a file that the sandbox serves byte for byte."""
        self._exports.mkdir()
        with (
            zipfile.ZipFile(self._data / "raw" / f"{DATE}.zip") as stored,
            zipfile.ZipFile(self._exports / f"{DATE:%Y%m%d}T00_{DATE:%Y%m%d}T23.zip", "w") as served,
        ):
            for entry in stored.infolist()[1:]:
                served.writestr(entry.filename, stored.read(entry))


def _per_hour(events: int) -> int:
    """Returns the setting that gives the day so many events: a weekday has more than the average, a Sunday fewer."""
    share = generator.count(DATE, events).rows / (events * 24)
    return math.ceil(1.01 * events / 24 / share)


class _sandbox_process:  # noqa: N801 - used as a function is
    """A sandbox in a process of its own, so that it shares no interpreter with what is measured."""

    def __init__(self, exports: Path) -> None:
        command = [sys.executable, "-m", "pipeline.sandbox", "--exports", str(exports), "--port", "0"]
        self._process = subprocess.Popen(command, cwd=_HOME, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        return next(word.rstrip(",") for word in line.split() if word.startswith("http"))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


if __name__ == "__main__":
    main()
