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

import duckdb

from pipeline.export.client import Client
from pipeline.export.extract import extract_day, write_events
from pipeline.export.windows import Window
from pipeline.settings import load, load_credentials
from pipeline.warehouse import catalog, duck, events
from pipeline.warehouse.load import load_day

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


def published(date: str) -> None:
    """Our extraction as the task does it: synced and published."""
    extract_day(dt.date.fromisoformat(date), load(), lambda *_: None)


def fetch(date: str, out: str) -> None:
    """Our fetch alone: a whole day to a file, unverified, as curl leaves it."""
    client = Client(load(), load_credentials())
    client.fetch_window(dt.date.fromisoformat(date), Window(0, 23), Path(out), lambda _: None, 600)


def loaded(date: str) -> None:
    """Our load as the task does it: typed, deduplicated, counted back, synced and published."""
    load_day(dt.date.fromisoformat(date), load(), lambda *_: None)


def refreshed() -> None:
    """Our warehouse file, brought to what the markers say."""
    catalog.refresh(load())


def one_liner(pattern: str, database: str) -> None:
    """What one types first: every type found out by DuckDB; duplicates stay, nothing is counted."""
    with duckdb.connect(database) as connection:
        connection.execute(f"CREATE TABLE e AS SELECT * FROM read_json({duck.text(pattern)})")


def floor(pattern: str, out: str) -> None:
    """The least that there is to do: DuckDB's own COPY with our types; duplicates stay, nothing is checked."""
    columns = ", ".join(f"'{column.name}': '{column.kind.value}'" for column in events.COLUMNS)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (FROM read_json({duck.text(pattern)}, format = 'newline_delimited', columns = {{{columns}}}))"
            f" TO {duck.text(out)} (FORMAT parquet, COMPRESSION zstd)"
        )


def _date(zip_path: str) -> dt.date:
    return dt.date.fromisoformat(Path(zip_path).stem)


SIDES = (stdlib, ours, published, fetch, loaded, refreshed, one_liner, floor)

if __name__ == "__main__":
    side = {function.__name__: function for function in SIDES}[sys.argv[1]]
    began = time.perf_counter()
    side(*sys.argv[2:])
    print(time.perf_counter() - began)
