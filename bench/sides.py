"""What runs in a process of its own: each function is a side, and prints its seconds.

python bench/sides.py NAME ARGUMENT...
"""

import datetime as dt
import gzip
import shutil
import sys
import time
import zipfile
from pathlib import Path

from pipeline.export.client import Client
from pipeline.export.extract import extract_day, write_events
from pipeline.export.windows import Window
from pipeline.settings import load, load_credentials

_PIECE = 1 << 20


def stdlib(zip_path: str, out: str) -> None:
    """What a script does: zipfile, gzip.open, shutil.copyfileobj, and a count of the lines."""
    directory = Path(out)
    lines = 0
    with zipfile.ZipFile(zip_path) as archive:
        for name in archive.namelist():
            if not name.endswith(".json.gz"):
                continue
            target = directory / Path(name).name.removesuffix(".gz")
            with archive.open(name) as stored, gzip.open(stored) as text, target.open("wb") as file:
                shutil.copyfileobj(text, file)
            with target.open("rb") as file:
                while piece := file.read(_PIECE):
                    lines += piece.count(b"\n")


def ours(zip_path: str, out: str) -> None:
    """Our extraction, nothing synced: files, counts, every check, the ZIP's digest."""
    write_events(Path(zip_path), _date(zip_path), Path(out), load(), lambda *_: None, durable=False)


def published(zip_path: str) -> None:
    """Our extraction as the task does it: synced and published."""
    extract_day(_date(zip_path), load(), lambda *_: None)


def fetch(date: str, out: str) -> None:
    """Our fetch alone: a whole day to a file, unverified, as curl leaves it."""
    client = Client(load(), load_credentials())
    client.fetch_window(dt.date.fromisoformat(date), Window(0, 23), Path(out), lambda _: None, 600)


def _date(zip_path: str) -> dt.date:
    return dt.date.fromisoformat(Path(zip_path).stem)


if __name__ == "__main__":
    side = {function.__name__: function for function in (stdlib, ours, published, fetch)}[sys.argv[1]]
    began = time.perf_counter()
    side(*sys.argv[2:])
    print(time.perf_counter() - began)
