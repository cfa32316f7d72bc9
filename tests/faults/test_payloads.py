"""Hostile lines through the real command: each becomes a row or is kept apart, the honest ones beside them are untouched."""

import json
import uuid
from collections.abc import Iterator

import archives
import duckdb
import pytest
from archives import APP, DATE, export, name, zipped
from commands import Commands
from projects import left_in

HONEST = 40


def line(number: int, **changes: object) -> bytes:
    """Returns an event of the day; each number has a uuid of its own."""
    event = {
        "app": APP,
        "event_type": "opened",
        "event_time": f"{DATE} 09:00:00.000000",
        "server_upload_time": f"{DATE} 09:30:00.000000",
        "uuid": str(uuid.UUID(int=number)),
        **changes,
    }
    return json.dumps(event, separators=(",", ":")).encode()


def put(number: int, text: bytes) -> bytes:
    """Returns such an event whose `event_properties` are this text."""
    return line(number, event_properties="@").replace(b'"@"', text)


ROWS = {
    "P11_line_separators": put(101, '{"a":"\u2028\u0085\\u001c"}'.encode()),
    "P13_nul": put(102, rb'{"a":"\u0000"}'),
    "P15_integers": put(103, b'{"a":' + b"9" * 5000 + b',"b":18446744073709551616}'),
    "P20_a_text": put(104, b'{"a":"1"}'),
    "P20_a_number": put(105, b'{"a":1}'),
    "P20_an_object": put(106, b'{"a":{"b":[]}}'),
    "P21_many_keys": put(107, json.dumps({f"key{n}": n for n in range(10_000)}).encode()),
    "P22_uuid_twice_but_for_case": line(108, UUID="x"),
    "P23_crlf": line(109) + b"\r",
    "P25_another_day": line(110, server_upload_time="2019-01-01 00:00:00.000000"),
    "P9_a_time_that_is_none": line(111, event_time="yesterday"),
}
REFUSED = {
    "P9_broken": line(201)[:-1],
    "P10_no_utf8": put(202, b'{"a":"\xff"}'),
    "P14_nan": put(203, b'{"a":NaN}'),
    "P14_infinity": put(204, b'{"a":-Infinity}'),
    "P16_deep": put(205, b"[" * 100_000 + b"]" * 100_000),
    "P17_null": b"null",
    "P17_array": b"[1]",
    "P17_text": b'"x"',
    "P18_long": put(206, b'{"a":"' + b"x" * 20_000_000 + b'"}'),
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> Iterator[Commands]:
    """A project with a day of which one file in two holds hostile lines."""
    ground = tmp_path_factory.mktemp("payloads")
    commands = Commands(ground, PIPELINE_MAX_REJECTED=1)
    honest = [line(number) for number in range(1, HONEST + 1)]
    hostile = [line(300), *ROWS.values(), b"", *REFUSED.values(), line(300)]
    members = {name(9): b"\n".join(honest), name(10): b"\n".join(hostile)}
    source = archives.write(ground / "export.zip", export({of: zipped(text) for of, text in members.items()}))
    done = commands.pipeline("import", "--date", DATE, "--from", str(source), PIPELINE_MAX_RATIO=100_000)
    assert done.returncode == 0, done.stderr
    yield commands
    assert not left_in(ground)


def test_each_line_is_a_row_a_duplicate_or_kept_apart(loaded, tally):
    record = json.loads((loaded.data / "parquet" / f"date={DATE}" / "_SUCCESS").read_bytes())
    counts = record["counts"]
    assert (counts["rows"], counts["duplicates"]) == (HONEST + len(ROWS) + 1, 1)
    assert counts["rejects"] == len(REFUSED)
    with duckdb.connect(str(loaded.data / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT uuid::VARCHAR FROM events").fetchall()
    numbers = sorted(uuid.UUID(each).int for (each,) in found)
    tally.injected(len(ROWS) + len(REFUSED))
    assert numbers == [*range(1, HONEST + 1), *range(101, 101 + len(ROWS)), 300]


def test_P9_what_is_kept_apart_says_which_line_it_was(loaded):
    (file,) = (loaded.data / "rejected" / f"date={DATE}").iterdir()
    kept = [json.loads(each) for each in file.read_bytes().splitlines()]
    first = 1 + len(ROWS) + 1 + 1
    assert [each["line"] for each in kept] == list(range(first, first + len(REFUSED)))
    assert {each["file"] for each in kept} == {f"{APP}_{DATE}_10#0.json"}


def test_P9_a_day_with_more_bad_lines_than_allowed_is_refused_and_what_stood_there_stands(loaded, tally):
    before = {path: path.read_bytes() for path in loaded.data.rglob("*.parquet")}
    source = archives.write(loaded.path / "bad.zip", export({name(9): zipped(b"\n".join(REFUSED.values()))}))
    more = {"PIPELINE_MAX_REJECTED": "0.01", "PIPELINE_MAX_RATIO": 100_000}
    done = loaded.pipeline("import", "--date", DATE, "--from", str(source), "--replace", **more)
    tally.injected()
    assert done.returncode == 30
    assert "9 of 9 lines are no events" in done.stderr
    assert {path: path.read_bytes() for path in loaded.data.rglob("*.parquet")} == before
