"""What every comparison stands on: a project of the benchmark's own, its generated day, and a sandbox to fetch from."""

import datetime as dt
import math
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from bench.measure import Side, python
from pipeline.sandbox import Sandbox, generator
from pipeline.store import days
from pipeline.store.paths import Layout
from pipeline.store.records import EventsRecord

DATE = dt.date(2026, 11, 1)
"""The generated day."""

KEY, SECRET = "sandbox-key", "sandbox-secret"
HERE = Path(__file__).parent
HOME = HERE.parent


class Project:
    """Folders of one comparison's own.

    Args:
        place: Where they are made.

    Attributes:
        layout: Where the data lies.
        out: A folder for what a side writes; `clear` empties it.
    """

    def __init__(self, place: Path) -> None:
        self.layout = Layout(place / "data")
        self.out = place / "out"
        self._place = place

    def env(self, url: str = "") -> dict[str, str]:
        """Returns the environment of a side: nothing of the user's own project, and the API's address if it asks."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("AMP_", "PIPELINE_"))}
        ours |= {
            "PYTHONPATH": str(HOME),
            "PIPELINE_DATA_DIR": str(self.layout.root),
            "PIPELINE_LOGS_DIR": str(self._place / "logs"),
        }
        return ours | ({"AMP_BASE_URL": url, "AMP_API_KEY": KEY, "AMP_SECRET_KEY": SECRET} if url else {})

    def side(self, title: str, function: str, *arguments: object, url: str = "") -> Side:
        """Returns a side of sides.py, with an empty folder to write to."""
        return Side(title, python(HERE / "sides.py", function, *map(str, arguments)), self.clear, self.env(url))

    def run(self, url: str, date: dt.date = DATE) -> Side:
        """Returns the side that runs a day whole, from the process's start to its end."""
        command = [sys.executable, "-m", "pipeline", "run", "--date", str(date)]
        return Side("ours: `make run`", command, self.forget, self.env(url), tells=False)

    def make_day(self, events: int, date: dt.date = DATE) -> EventsRecord:
        """Generates a day and brings it home, by the pipeline itself."""
        with Sandbox(events_per_hour=per_hour(events, date), key=KEY, secret=SECRET) as sandbox:
            side = self.run(sandbox.url, date)
            subprocess.run(side.command, cwd=HOME, env=side.env, check=True)
        record = days.events_record(self.layout, date)
        if record is None:
            raise SystemExit("the day did not come home")
        return record

    def export(self, folder: Path, date: dt.date = DATE) -> None:
        """Writes a day as Amplitude would send it whole: a file that the sandbox serves byte for byte."""
        folder.mkdir(parents=True)
        name = f"{date:%Y%m%d}T00_{date:%Y%m%d}T23.zip"
        with zipfile.ZipFile(self.layout.raw_zip(date)) as stored, zipfile.ZipFile(folder / name, "w") as served:
            for entry in stored.infolist()[1:]:
                served.writestr(entry.filename, stored.read(entry))

    def clear(self) -> None:
        """Empties the folder that a side writes to; what was written before is on the disk then."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        os.sync()

    def forget(self) -> None:
        """Removes all data."""
        shutil.rmtree(self.layout.root, ignore_errors=True)
        self.clear()


class Serving:
    """A sandbox in a process of its own, so that it shares no interpreter with what is measured.

    Args:
        exports: The folder of ZIPs that it serves.
    """

    def __init__(self, exports: Path) -> None:
        command = [sys.executable, "-m", "pipeline.sandbox", "--exports", str(exports), "--port", "0"]
        self._process = subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        return next(word.rstrip(",") for word in line.split() if word.startswith("http"))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def whole_day(url: str, date: dt.date = DATE) -> str:
    """Returns the address of a day's export."""
    return f"{url}/api/2/export?start={date:%Y%m%d}T00&end={date:%Y%m%d}T23"


def per_hour(events: int, date: dt.date = DATE) -> int:
    """Returns the setting that gives the day so many events: a weekday has more than the average, a Sunday fewer."""
    share = generator.count(date, events).rows / (events * 24)
    return math.ceil(1.01 * events / 24 / share)
