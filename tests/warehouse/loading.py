"""Days for the load: their events as an export would bring them, extracted; and what then stands in the Parquet."""

import datetime as dt
import json
import uuid
from pathlib import Path

import duckdb
import msgspec
from archives import APP, DAY, day_zip, name, zipped

from pipeline.export.extract import extract_day
from pipeline.settings import Settings
from pipeline.store import days
from pipeline.store.paths import Layout
from pipeline.store.records import LoadRecord
from pipeline.warehouse.load import load_day


def event(number: int = 0, **changes: object) -> dict[str, object]:
    """Returns an event of the day; each number has a uuid of its own."""
    return {
        "app": APP,
        "device_id": f"device-{number % 7}",
        "event_properties": {},
        "event_time": "2026-01-15 09:00:00.000000",
        "event_type": "opened",
        "server_upload_time": "2026-01-15 09:30:00.000000",
        "uuid": str(uuid.UUID(int=number + 1)),
        **changes,
    }


def line(number: int = 0, **changes: object) -> bytes:
    """Returns such an event as Amplitude writes it."""
    return json.dumps(event(number, **changes), ensure_ascii=False, separators=(",", ":")).encode()


def extracted(root: Path, files: dict[str, list[bytes]], **record: object) -> Layout:
    """Puts a day's ZIP in place and extracts it.

    Args:
        root: The data folder.
        files: The lines of each member, by its name in the ZIP.
        record: What differs in the ZIP's record.
    """
    layout = Layout(root)
    day_zip(layout, {member: zipped(b"".join(text + b"\n" for text in of)) for member, of in files.items()}, **record)
    extract_day(DAY, Settings(data_dir=root), lambda _share, _text: None)
    return layout


def load(layout: Layout, **settings: object) -> LoadRecord:
    return load_day(DAY, Settings(data_dir=layout.root, **settings), lambda _share, _text: None)


def loaded(root: Path, *lines_: bytes, **settings: object) -> tuple[LoadRecord, list[dict[str, object]]]:
    """Loads a day of one file; returns its manifest and its rows, all of which may be rejected."""
    layout = extracted(root, {name(9): list(lines_)})
    record = load(layout, **{"max_rejected": 1.0, **settings})
    assert days.load_record(layout, DAY) == record
    return record, rows(layout)


def day(text: str) -> dt.date:
    """Reads a day as the names of exports have it: 20230202."""
    return dt.date.fromisoformat(f"{text[:4]}-{text[4:6]}-{text[6:8]}")


def rows(layout: Layout, date: dt.date = DAY) -> list[dict[str, object]]:
    """Returns the rows that the marker names, values as DuckDB gives them to Python."""
    record = days.load_record(layout, date)
    paths = [str(layout.parquet_dir(date) / file.name) for file in record.files]
    found = duckdb.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [paths])
    names = [column[0] for column in found.description]
    return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


def rejected(layout: Layout, date: dt.date = DAY) -> list[dict[str, object]]:
    """Returns the lines of the rejected file that the marker names."""
    record = days.load_record(layout, date)
    if record is None or record.rejected is None:
        return []
    text = (layout.rejected_dir(date) / record.rejected.name).read_bytes()
    return [msgspec.json.decode(each) for each in text.splitlines()]
