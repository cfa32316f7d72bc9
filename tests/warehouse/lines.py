"""Lines as Amplitude writes them, with what is odd about one said by name; and what DuckDB makes of a scan."""

import json
import zlib
from pathlib import Path

import duckdb

from pipeline.warehouse.clean import Sieve
from pipeline.warehouse.events import COLUMNS, EXTRA, quoted
from pipeline.warehouse.rows import ODD_TYPES
from pipeline.warehouse.scan import FileScan, scan_file

TIME = "2026-01-15 07:00:00.123000"
MOST = 16_000_000


def uuid(number: int) -> str:
    return f"a8b6b648-a2f1-11ed-b981-{number:012x}"


def event(number: int = 0, **changes: object) -> dict[str, object]:
    """Returns an event with all its keys; `event_id` and `uuid` tell which it is."""
    values = {
        **{column.name: None for column in COLUMNS},
        "$insert_id": f"insert-{number}",
        "amplitude_id": 1238554004088,
        "app": 100011471,
        "city": "Köln",
        "data": {"path": "/2/httpapi", "group_ids": {}},
        "data_type": "event",
        "event_id": number,
        "event_properties": {"[Amplitude] Page Counter": number, "price": 0.087394},
        "event_time": TIME,
        "event_type": "Viewed",
        "group_properties": {},
        "groups": {},
        "location_lat": 51.5072,
        "plan": {},
        "server_upload_time": TIME,
        "session_id": -1,
        "user_properties": {"Plan": "free"},
        "uuid": uuid(number),
    }
    return {**values, **changes}


def line(number: int = 0, **changes: object) -> bytes:
    """Returns an event as a line without its newline; a change that is bytes is the value's own text."""
    parts = []
    for key, value in event(number, **changes).items():
        text = (
            value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        )
        parts.append(json.dumps(key).encode() + b":" + text)
    return b"{" + b",".join(parts) + b"}"


def scan(folder: Path, text: bytes, *, most: int = MOST, thorough: bool = False) -> FileScan:
    """Scans a file of the given bytes."""
    path = folder / "source.json"
    path.write_bytes(text)
    (staging := folder / "staging").mkdir(exist_ok=True)
    return scan_file(path, 0, f"{zlib.crc32(text):08x}", staging, most, None if thorough else Sieve())


def rows(found: FileScan) -> list[dict[str, object]]:
    """Returns the rows of a scan, as DuckDB reads them, by event_id."""
    with duckdb.connect() as connection:
        read = [*_read(connection, found.clean, clean=True), *_read(connection, found.odd, clean=False)]
    return sorted(read, key=lambda row: (row["event_id"] is None, row["event_id"]))


def rejects(found: FileScan) -> list[dict[str, object]]:
    return [json.loads(text) for text in Path(found.rejects).read_bytes().splitlines()] if found.rejects else []


def uuids(found: FileScan) -> list[tuple[str, int, int]]:
    text = Path(found.uuids).read_text() if found.uuids else ""
    return [
        (uuid, int(offset), int(number)) for uuid, offset, number in (each.split(",") for each in text.splitlines())
    ]


def _read(connection, place, *, clean):
    if place is None:
        return []
    types = {column.name: column.kind.value for column in COLUMNS} if clean else ODD_TYPES
    casts = [f"{quoted(each.name)}::{each.kind.value} AS {quoted(each.name)}" for each in (*COLUMNS, EXTRA)]
    if clean:
        casts[-1] = "NULL AS extra"
    answer = connection.execute(
        f"SELECT {', '.join(casts)} FROM read_json(?, format = 'newline_delimited', columns = {types!r},"
        f" maximum_object_size = {2_000_000 if clean else 40_000_000})",
        [place],
    )
    names = [each[0] for each in answer.description]
    return [dict(zip(names, values, strict=True)) for values in answer.fetchall()]
