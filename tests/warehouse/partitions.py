"""Loaded days that the tests make: real Parquet and a real marker, without the stages before."""

import datetime as dt
import hashlib
import itertools
import random
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from pipeline.store import manifest
from pipeline.store.paths import Layout
from pipeline.store.records import (
    EXPORTED,
    Counts,
    EventsRef,
    ExportRef,
    Hour,
    LoadRecord,
    ParquetFile,
    Span,
    Totals,
)
from pipeline.warehouse import duck, events

APP = 100011471
DAY = dt.date(2026, 1, 15)

_ids = itertools.count(1)


def day(number: int) -> dt.date:
    """Returns a day by its distance from the first."""
    return DAY + dt.timedelta(days=number)


def at(date: dt.date, seconds: float = 0) -> dt.datetime:
    """Returns a moment of a day."""
    return dt.datetime.combine(date, dt.time()) + dt.timedelta(seconds=seconds)


def row(date: dt.date, **values: object) -> dict[str, object]:
    """Returns an event of a day, with a uuid of its own and nothing else but what is given."""
    return {"uuid": uuid.uuid4(), "app": APP, "server_upload_time": at(date, 3600), "event_time": at(date), **values}


def load(layout: Layout, date: dt.date, rows: Sequence[Mapping[str, object]] = (), **changes: object) -> LoadRecord:
    """Puts a day's partition where a load publishes it; a day that stands is replaced as a load replaces it."""
    with duckdb.connect() as connection:
        connection.execute(events.ddl("rows"))
        names = sorted({name for row in rows for name in row})
        if rows:
            columns = ", ".join(map(events.quoted, [*names, "date"]))
            marks = ", ".join("?" * (len(names) + 1))
            values = [[*(row.get(name) for name in names), date] for row in rows]
            connection.executemany(f"INSERT INTO rows ({columns}) VALUES ({marks})", values)
        return publish(connection, layout, date, **changes)


def publish(connection: duckdb.DuckDBPyConnection, layout: Layout, date: dt.date, **changes: object) -> LoadRecord:
    """Publishes the table `rows` as a day's partition."""
    folder = layout.parquet_dir(date)
    folder.mkdir(parents=True, exist_ok=True)
    load_id = str(changes.pop("id", None) or f"{next(_ids):08d}{random.getrandbits(96):024x}")
    path = folder / f"events-{load_id[:8]}.parquet"
    connection.execute(f"COPY rows TO {duck.text(str(path))} (FORMAT parquet, COMPRESSION zstd)")
    record = _record(connection, date, load_id, path, **changes)
    marker = layout.parquet_marker(date)
    part = marker.with_name("._SUCCESS.part")
    part.write_bytes(manifest.encode(record))
    part.replace(marker)
    for old in folder.glob("events-*.parquet"):
        if old != path:
            old.unlink()
    return record


def unload(layout: Layout, date: dt.date) -> None:
    """Takes a partition away, as a person does."""
    for path in layout.parquet_dir(date).iterdir():
        path.unlink()
    layout.parquet_dir(date).rmdir()


def _record(
    connection: duckdb.DuckDBPyConnection, date: dt.date, load_id: str, path: Path, **changes: object
) -> LoadRecord:
    counted = connection.execute(
        "SELECT count(*), count(DISTINCT uuid), count(*) FILTER (uuid IS NULL), count(*) FILTER (event_time IS NULL),"
        " min(server_upload_time), max(server_upload_time), min(event_time), max(event_time) FROM rows"
    ).fetchone()
    assert counted
    rows, uuids, no_uuid, no_event_time, *times = counted
    counts = {
        "rows": rows, "uuids": uuids, "duplicates": 0, "conflicts": 0, "rejects": 0, "apart": {},
        "no_uuid": no_uuid, "no_event_time": no_event_time, "late": 0, "future": 0, "outside": 0,
    }  # fmt: skip
    counts |= {name: changes.pop(name) for name in list(changes) if name in counts}
    lines = int(counts["rows"]) + int(counts["duplicates"]) + int(counts["rejects"])
    totals = Totals(files=24, bytes=1000 * lines, lines=lines, blank_lines=0, events=lines)
    data = path.read_bytes()
    values = {
        "id": load_id,
        "date": date,
        "app": APP,
        "host": "loopback",
        "redo": None,
        "export": ExportRef(id="export-1", bytes=100 * lines, sha256="", source="api"),
        "extraction": EventsRef(id="events-1", totals=totals),
        "hours": hours(range(24)),
        "schema": events.SCHEMA,
        "files": [ParquetFile(name=path.name, rows=rows, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())],
        "rejected": None,
        "counts": Counts(**counts),
        "server_upload_time": Span(first=times[0], last=times[1]),
        "event_time": Span(first=times[2], last=times[3]),
        "pipeline": "test",
        "seconds": {},
    }
    return LoadRecord(**{**values, **changes})


def hours(filled: Iterable[int]) -> list[Hour]:
    """Returns a day's hours, of which some have a file."""
    filled = set(filled)
    return [Hour(hour=hour, status=EXPORTED if hour in filled else "empty") for hour in range(24)]
