"""The Parquet beside Python's own json, row for row and property for property."""

import gzip
import json
import random
import re
import uuid
import zipfile

import loading
import pytest
from archives import DAY, name

from pipeline.sandbox import generator
from pipeline.warehouse.events import COLUMNS, Kind

KINDS = {column.name: column.kind for column in COLUMNS}


def as_amplitude_wrote(row: dict[str, object]) -> dict[str, object]:
    """Puts a row back into Amplitude's keys, with the values that Python's json reads of the line."""
    back = {}
    for key, kind in KINDS.items():
        value = row[key]
        if value is None:
            continue
        if kind is Kind.JSON:
            back[key] = json.loads(value)
        elif kind is Kind.TIME:
            back[key] = f"{value:%Y-%m-%d %H:%M:%S.%f}"
        else:
            back[key] = str(value) if kind is Kind.UUID else value
    return back | json.loads(row["extra"] or "{}")


def as_json_reads(line: bytes) -> dict[str, object]:
    """Reads a line with Python's json: without its nulls, and as columns hold what has two forms."""
    event = {key: value for key, value in json.loads(line).items() if value is not None}
    if isinstance(event.get("paying"), bool):
        event["paying"] = str(event["paying"]).lower()
    for key, kind in KINDS.items():
        value = event.get(key)
        if kind is Kind.TIME and isinstance(value, str) and re.fullmatch(r"[\d-]{10} [\d:]{8}(\.\d{1,6})?", value):
            event[key] = f"{value}{'' if '.' in value else '.'}".ljust(26, "0")
        if kind is Kind.UUID and value:
            event[key] = value.lower()
    return event


def dirt(chance: random.Random, line: bytes) -> bytes:
    """Makes an event of a line that DuckDB's reader would change, lose or refuse."""
    event = json.loads(line)
    change = chance.randrange(14)
    if change == 0:
        return json.dumps(event, ensure_ascii=True, separators=(", ", " : ")).encode()
    if change == 1:
        odd = b'"event_properties":{"x": 1.50, "y":1E5,"z":-0 ,'
        return b"  " + line.replace(b'"event_properties":{"', odd + b'"') + b"\r"
    texts = {
        2: {"new key": {"a": [1.10]}, "UUID": "x"},
        3: {"amplitude_id": "12", "city": 5, "os_version": 18.5, "session_id": 1.0},
        4: {"event_time": chance.choice(["", "yesterday", "2026-02-30 00:00:00.000000", 5])},
        5: {"event_properties": chance.choice(["text", [1, 2], 5, True])},
        6: {"user_properties": {"a.b": 2**64, "$c": -(10**30), "d": 1e-7, "e": 1e22, "[f]": 0.087394}},
        7: {"location_lat": 2**53 + 1, "location_lng": 51},
        8: {"is_attribution_event": chance.choice([True, "true", 1])},
        9: {"event_properties": {"u": "\u2028\x00\x1f\x7f\U0001f375", 'q"\\/': "\ud7ff"}},
        10: {"event_time": "2026-01-15 07:00:00", "processed_time": "2026-01-15 07:00:00.5"},
        11: {"uuid": event["uuid"].upper(), "paying": chance.choice([True, "true", False])},
        12: {"amplitude_attribution_ids": chance.choice(["abc", ["a", "b"], None]), "app": 2**63},
        13: {key: None for key in list(event)[::3] if key != "uuid"},
    }[change]
    event |= texts
    kept = {key: value for key, value in event.items() if value is not None or chance.random() < 0.5}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()


def check(layout, lines: list[bytes]) -> None:
    found = {row["uuid"]: row for row in loading.rows(layout)}
    assert len(found) == len(lines)
    for line in lines:
        expected = as_json_reads(line)
        assert as_amplitude_wrote(found[uuid.UUID(expected["uuid"])]) == expected


@pytest.mark.parametrize("seed", range(3))
def test_a_generated_dirty_day_is_row_for_row_what_pythons_json_reads(tmp_path, seed):
    chance = random.Random(seed)
    files: dict[str, list[bytes]] = {}
    seen: dict[str, bytes] = {}
    for hour, member in enumerate(generator.members(DAY, range(24), 20)):
        lines = files[name(hour % 24, hour // 24)] = []
        for line in gzip.decompress(member.data).split(b"\n"):
            if not line.strip():
                continue
            text = dirt(chance, line) if chance.random() < 0.4 else line
            key = json.loads(text)["uuid"].lower()
            if key not in seen:
                seen[key] = text
                lines.append(text)
    layout = loading.extracted(tmp_path, files)
    record = loading.load(layout, max_rejected=1.0)
    assert (record.counts.rejects, record.counts.duplicates) == (0, 0)
    check(layout, list(seen.values()))


def test_the_real_days_are_row_for_row_what_pythons_json_reads(project, real_exports):
    sandbox = project.sandbox(exports=real_exports)
    lines = []
    for path in sorted(real_exports.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            members = [gzip.decompress(archive.read(member)) for member in archive.namelist()]
        lines += [line for text in members for line in text.split(b"\n") if line]
    for path in sorted(real_exports.glob("*.zip")):
        project.run_day(loading.day(path.name[:8]))
    rows = [row for date in project.layout.partitions() for row in loading.rows(project.layout, date)]
    assert len(rows) == len({row["uuid"] for row in rows}) == len(lines) == 46
    by_uuid = {str(row["uuid"]): row for row in rows}
    for line in lines:
        expected = as_json_reads(line)
        assert as_amplitude_wrote(by_uuid[expected["uuid"]]) == expected
    assert all(loading.rejected(project.layout, date) == [] for date in project.layout.partitions())
    assert sandbox.requests
    first = by_uuid["a8b6b648-a2f1-11ed-b981-774fa598444a"]["event_properties"]
    assert '"ad_metrics.cost":0.087394,' in first
    assert '"ad_group_id":144799120517,' in first
