"""A file looked at line by line: what is clean, odd or rejected, and that every value stays as it was written."""

import datetime as dt
import json
import random
import struct
import subprocess
import sys
import uuid as uuids_of_python

import msgspec
import pytest
from lines import MOST, TIME, event, line, rejects, rows, scan, uuid, uuids
from processes import ROOT

from pipeline.errors import DamagedError, StorageError
from pipeline.export.lines import LineCounter
from pipeline.warehouse.clean import LONGEST, Sieve
from pipeline.warehouse.scan import scan_file

CLEAN, ODD, REJECTED = "clean", "odd", "rejected"


def expected(number: int, **changes: object) -> dict[str, object]:
    """Returns an event's row as DuckDB gives it."""
    row = {**event(number), "extra": None}
    for name in ("data", "event_properties", "group_properties", "groups", "plan", "user_properties"):
        row[name] = json.dumps(row[name], ensure_ascii=False, separators=(",", ":"))
    row["event_time"] = row["server_upload_time"] = dt.datetime.fromisoformat(TIME)
    row["uuid"] = uuids_of_python.UUID(uuid(number))
    return {**row, **changes}


def same(text: str, name: str = "event_properties") -> tuple[dict[str, bytes], dict[str, str]]:
    """Returns a change of a value's text, and that it comes out as it went in."""
    return {name: text.encode()}, {name: text}


def apart(name: str, text: str) -> tuple[dict[str, bytes], dict[str, str | None]]:
    """Returns a change of a value's text, and that it comes out in `extra`."""
    return {name: text.encode()}, {name: None, "extra": f'{{"{name}":{text}}}'}


NAMED = "location_lat"
DIRT = {
    "plain": (CLEAN, {}, {}),
    "mixed_types_in_a_property": (CLEAN, *same('{"p":["x",5,5.5,true,null,{"y":[]}]}')),
    "nested_object_as_text": (CLEAN, *same('{"p":"{\\"a\\":1}"}')),
    "P20_properties_are_a_text": (CLEAN, *same('"text"')),
    "P20_properties_are_a_list": (CLEAN, *same("[1,2]")),
    "P20_properties_are_a_number": (CLEAN, *same("5")),
    "P20_properties_are_an_object": (CLEAN, *same('{"a.b":1}')),
    "null_properties": (CLEAN, {"event_properties": b"null"}, {"event_properties": None}),
    "P15_nested_integer_2_53_and_1": (CLEAN, *same('{"n":9007199254740993}')),
    "P15_nested_integer_2_64": (CLEAN, *same('{"n":18446744073709551616}')),
    "P15_nested_integer_of_5000_digits": (ODD, *same('{"n":%s}' % ("7" * 5000))),
    "nested_float_0.087394": (CLEAN, *same('{"n":0.087394}')),
    "nested_float_1.10": (ODD, *same('{"n":1.10}')),
    "nested_float_1E5": (ODD, *same('{"n":1E5}')),
    "nested_float_1e5": (ODD, *same("1e5")),
    "nested_float_1e16": (ODD, *same('{"n":1e16}')),
    "nested_float_of_20_digits": (ODD, *same('{"n":0.12345678901234567890}')),
    "nested_minus_0": (ODD, *same('{"n":-0}')),
    "integer_2_53_and_1": (CLEAN, {"amplitude_id": b"9007199254740993"}, {"amplitude_id": 2**53 + 1}),
    "P15_integer_2_63": (ODD, *apart("amplitude_id", "9223372036854775808")),
    "P15_integer_of_5000_digits": (ODD, *apart("session_id", "1" * 5000)),
    "integer_as_text": (ODD, *apart("amplitude_id", '"12"')),
    "integer_as_float": (ODD, *apart("amplitude_id", "12.0")),
    "integer_as_truth": (ODD, *apart("amplitude_id", "true")),
    "truth_as_text": (ODD, *apart("is_attribution_event", '"true"')),
    "truth_as_integer": (ODD, *apart("is_attribution_event", "1")),
    "truth": (CLEAN, {"is_attribution_event": b"false"}, {"is_attribution_event": False}),
    "paying_truth": (CLEAN, {"paying": b"true"}, {"paying": "true"}),
    "paying_text": (CLEAN, {"paying": b'"false"'}, {"paying": "false"}),
    "paying_number": (ODD, *apart("paying", "1")),
    "text_as_number": (ODD, *apart("city", "1.50")),
    "text_as_truth": (ODD, *apart("city", "true")),
    "text_as_object": (ODD, *apart("city", '{"a": 1}')),
    "bad_timestamp": (ODD, *apart("event_time", '"not a date"')),
    "empty_timestamp": (ODD, *apart("event_time", '""')),
    "date_alone": (ODD, *apart("event_time", '"2026-01-15"')),
    "timestamp_with_a_zone": (ODD, *apart("event_time", '"2026-01-15 07:00:00+02"')),
    "timestamp_in_UTC": (ODD, *apart("event_time", '"2026-01-15 07:00:00Z"')),
    "timestamp_with_a_zone_of_minutes": (ODD, *apart("event_time", '"2026-01-15 07:00:00+02:00"')),
    "timestamp_24_00": (ODD, *apart("event_time", '"2026-01-15 24:00:00"')),
    "timestamp_infinity": (ODD, *apart("event_time", '"infinity"')),
    "timestamp_as_number": (ODD, *apart("event_time", "1768460400000")),
    "timestamp_without_fraction": (CLEAN, {"event_time": b'"2026-01-15T07:00:00"'}, {"event_time": dt.datetime(2026, 1, 15, 7)}),
    "float_as_text": (ODD, *apart(NAMED, '"n/a"')),
    "float_as_integer": (CLEAN, {NAMED: b"51"}, {NAMED: 51.0}),
    "float_as_integer_2_53_and_1": (ODD, *apart(NAMED, "9007199254740993")),
    "float_as_integer_minus_2_53_and_1": (ODD, *apart(NAMED, "-9007199254740993")),
    "float_as_integer_minus_2_53": (ODD, {NAMED: b"-9007199254740992"}, {NAMED: -(2.0**53)}),
    "float_as_integer_2_53": (ODD, {NAMED: b"9007199254740992"}, {NAMED: 2.0**53}),
    "float_1e300": (ODD, {NAMED: b"1e300"}, {NAMED: 1e300}),
    "uuid_in_capitals": (CLEAN, {"uuid": b'"%s"' % uuid(1).upper().encode()}, {}),
    "uuid_without_dashes": (ODD, *apart("uuid", '"a8b6b648a2f111edb981000000000001"')),
    "uuid_of_36_characters": (ODD, *apart("uuid", '"%s"' % ("x" * 36))),
    "uuid_of_36_wide_characters": (ODD, *apart("uuid", '"%s"' % ("é" * 36))),
    "uuid_empty": (ODD, *apart("uuid", '""')),
    "P26_uuid_null": (CLEAN, {"uuid": b"null"}, {"uuid": None}),
    "surrogate_pair_in_a_text": (CLEAN, {"city": b'"\\ud83c\\udf75"'}, {"city": "🍵"}),
    "surrogate_pair_in_a_property": (ODD, *same('{"t":"\\ud83c\\udf75"}')),
    "P13_nul_in_a_text": (CLEAN, {"city": b'"x\\u0000y"'}, {"city": "x\0y"}),
    "P13_nul_in_a_property": (ODD, *same('{"t":"x\\u0000y"}')),
    "escapes_in_a_property": (ODD, *same('{"t":"caf\\u00e9 \\/"}')),
    "whitespace_in_a_property": (ODD, *same('{"x": [1 , 2] }')),
    "P11_line_separators": (CLEAN, *same('{"t":"a\u2028b\u0085c"}')),
    "P11_escaped_newlines": (CLEAN, *same('{"t":"a\\nb\\r"}')),
    "P19_a_property_twice": (ODD, *same('{"k":1,"k":2}')),
    "P21_unknown_key": (ODD, {"new key": b"[1.0]"}, {"extra": '{"new key":[1.0]}'}),
    "P22_uuid_in_another_case": (ODD, {"UUID": b'"x"'}, {"extra": '{"UUID":"x"}'}),
    "P16_100_levels": (CLEAN, *same("[" * 99 + "]" * 99)),
    "P18_15_MB": (ODD, *same('{"t":"%s"}' % ("x" * 15_000_000))),
    "escaped_key": (ODD, {"c\\ity": b"1"}, {"extra": '{"c\\\\ity":1}'}),
    "P12_half_a_pair_in_a_text": (REJECTED, {"city": b'"x\\ud800y"'}, "surrogate"),
    "P12_half_a_pair_in_a_property": (REJECTED, {"event_properties": b'{"t":"x\\ud800y"}'}, "surrogate"),
    "P12_half_a_pair_in_capitals_in_a_text": (REJECTED, {"city": b'"x\\uD800y"'}, "surrogate"),
    "P12_half_a_pair_in_capitals_in_a_property": (REJECTED, {"event_properties": b'{"t":"x\\uDC00y"}'}, "surrogate"),
    "P10_not_utf8_in_a_text": (REJECTED, {"city": b'"\xff"'}, "not UTF-8"),
    "P10_not_utf8_in_a_property": (REJECTED, {"event_properties": b'{"t":"\xff"}'}, "not UTF-8"),
    "control_character_in_a_text": (REJECTED, {"city": b'"a\tb"'}, "not JSON"),
    "control_character_in_a_property": (REJECTED, {"event_properties": b'{"t":"a\tb"}'}, "not JSON"),
    "trailing_comma_in_a_property": (REJECTED, {"event_properties": b'{"t":1,}'}, "not JSON"),
    "P14_NaN": (REJECTED, {NAMED: b"NaN"}, "NaN"),
    "P14_NaN_in_a_property": (REJECTED, {"event_properties": b'{"t":NaN}'}, "NaN"),
    "P14_Infinity": (REJECTED, {"event_properties": b'{"t":-Infinity}'}, "-Infinity"),
    "P14_1e999": (REJECTED, {NAMED: b"1e999"}, "range of a double"),
    "P14_minus_1e999": (REJECTED, {NAMED: b"-1e999"}, "range of a double"),
    "P14_minus_1e400_in_a_property": (REJECTED, {"event_properties": b'{"t":-1e400}'}, "range of a double"),
    "P14_1e400_in_a_property": (REJECTED, {"event_properties": b'{"t":1e400}'}, "range of a double"),
    "P16_101_levels": (REJECTED, {"event_properties": b"[" * 100 + b"]" * 100}, "deeper"),
    "P16_600_levels": (REJECTED, {"event_properties": b'{"x":' * 600 + b"1" + b"}" * 600}, "deeper"),
    "P16_100000_levels": (REJECTED, {"event_properties": b"[" * 100_000 + b"]" * 100_000}, "deeper"),
    "P18_20_MB": (REJECTED, {"event_properties": b'"%s"' % (b"x" * 20_000_000)}, "an event may have 16000000"),
}  # fmt: skip


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize(("fate", "changes", "result"), DIRT.values(), ids=DIRT)
def test_each_dirt_leaves_its_neighbours_as_they_are_and_every_value_as_it_was_written(
    tmp_path, fate, changes, result, thorough
):
    bad = line(1, **changes)
    found = scan(tmp_path, b"\n".join((line(0), bad, line(2), b"")), thorough=thorough)
    counts = {CLEAN: (3, 0, 0), ODD: (2, 1, 0), REJECTED: (2, 0, 1)}[fate]
    if thorough:
        counts = (0, counts[0] + counts[1], counts[2])
    assert (found.clean_rows, found.odd_rows, found.rejected) == counts
    assert found.lines == 3
    good = [expected(0), expected(2)]
    if fate == REJECTED:
        assert rows(found) == good
        assert [(each["line"], each["kind"], each["bytes"]) for each in rejects(found)] == [(2, "reject", len(bad))]
        assert result in rejects(found)[0]["reason"]
    else:
        assert rows(found) == [good[0], expected(1, **result), good[1]]
        assert rejects(found) == []
    if not thorough:
        assert (found.clean == str(tmp_path / "source.json")) == (fate == CLEAN)


OTHER = {
    "P8_the_last_line_is_cut": (line(0) + b"\n" + line(1)[:-9], [0], [2]),
    "P9_garbage": (line(0) + b"\ngarbage\n" + line(1), [0, 1], [2]),
    "P9_two_objects": (line(0) + b"\n" + line(1) + line(2) + b"\n" + line(3), [0, 3], [2]),
    "P9_an_object_on_two_lines": (line(0) + b'\n{"event_id":\n1}\n' + line(3), [0, 3], [2, 3]),
    "P9_a_text_on_two_lines": (line(0) + b"\n" + line(1, city=b'"a\nb"') + b"\n" + line(3), [0, 3], [2, 3]),
    "P9_carriage_return_between_two": (line(0) + b"\r" + line(1) + b"\n" + line(3), [3], [1]),
    "P17_null_list_text_number": (b'null\n[1]\n"x"\n5\n' + line(0), [0], [1, 2, 3, 4]),
    "P23_crlf": (line(0) + b"\r\n" + line(1) + b"\r\n", [0, 1], []),
    "P23_blank_lines": (b"\n \r\n\x0b\x0c\n" + line(0) + b"\n\n\n" + line(1) + b"\n\t", [0, 1], []),
    "P23_blank_lines_and_a_bad_one": (b"\n\n" + line(0) + b"\n\n5\n\n" + line(1), [0, 1], [5]),
    "P23_no_newline_at_the_end": (line(0) + b"\n" + line(1), [0, 1], []),
    "P23_byte_order_mark": (b"\xef\xbb\xbf" + line(0) + b"\n" + line(1), [0, 1], []),
    "P23_byte_order_mark_alone": (b"\xef\xbb\xbf\n" + line(1), [1], [1]),
    "P23_whitespace_around": (b" \t" + line(0) + b" \r \n" + line(1), [0, 1], []),
    "empty": (b"", [], []),
    "blank": (b"\n \n", [], []),
    "a_long_blank_line": (line(0) + b"\n" + b" " * 3_000_000 + b"\n" + line(1) + b"\n", [0, 1], []),
    "a_blank_line_over_the_limit": (line(0) + b"\n" + b" " * 17_000_000 + b"\n" + line(1) + b"\n", [0, 1], []),
    "bad_lines_alone": (b"5\n6\n", [], [1, 2]),
    "empty_objects": (b"{}\n{ }\n", [None, None], []),
}  # fmt: skip


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize(("text", "ids", "bad"), OTHER.values(), ids=OTHER)
def test_P8_P9_P17_P23_lines_are_what_stands_between_newline_bytes(tmp_path, text, ids, bad, thorough):
    found = scan(tmp_path, text, thorough=thorough)
    assert [row["event_id"] for row in rows(found)] == ids
    assert [each["line"] for each in rejects(found)] == bad
    counter = LineCounter()
    for start in range(0, len(text), 1 << 20):
        counter.add(text[start : start + (1 << 20)])
    assert found.lines == counter.lines - counter.blank_lines == found.clean_rows + found.odd_rows + found.rejected
    begins = {n: text.rfind(b"\n", 0, text.index(line(n))) + 1 for n in ids if n is not None}
    assert uuids(found) == [(uuid(n), begin, text.count(b"\n", 0, begin) + 1) for n, begin in begins.items()]
    assert (found.clean is None) == (found.clean_rows == 0)


@pytest.mark.parametrize("thorough", [False, True])
def test_the_uuids_file_says_where_each_line_begins(tmp_path, thorough):
    texts = [line(n, city="é" * (n % 700), **({"new": 1} if n % 7 == 3 else {})) for n in range(2000)]
    texts[100], texts[101], texts[1500] = b"", b"garbage", line(1500, uuid=None)
    text = b"\n".join(texts)
    found = scan(tmp_path, text, thorough=thorough)
    assert len(text) > 3 << 20
    assert len(uuids(found)) == 1997
    for name, offset, number in uuids(found):
        assert text.count(b"\n", 0, offset) == number - 1
        assert json.loads(text[offset : offset + 4000].partition(b"\n")[0])["uuid"] == name
    assert [row["event_id"] for row in rows(found)] == [n for n in range(2000) if n not in (100, 101)]


def test_P18_a_line_without_end_takes_no_memory(tmp_path):
    path = tmp_path / "source.json"
    with path.open("wb") as file:
        file.write(line(0) + b'\n{"event_id":1,"city":"')
        file.truncate(200_000_000)
    limited = """
import resource, sys
from pathlib import Path
from pipeline.errors import DamagedError
from pipeline.warehouse.clean import Sieve
from pipeline.warehouse.scan import scan_file
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    scan_file(Path(sys.argv[1]), 0, "00000000", Path(sys.argv[2]), 16_000_000, Sieve())
except DamagedError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    command = (sys.executable, "-c", limited, str(path), str(tmp_path))
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 80_000_000
    rejected = json.loads((tmp_path / "0.rejects.jsonl").read_bytes())
    assert (rejected["line"], rejected["bytes"], rejected["cut"]) == (2, 200_000_000 - len(line(0)) - 1, True)
    assert rejected["text"].startswith('{"event_id":1,"city":"\0\0')
    assert len(rejected["text"]) == 1000


def test_P7_F15_a_file_that_changed_is_told(tmp_path):
    text = line(0) + b"\n"
    path = tmp_path / "source.json"
    path.write_bytes(text)
    with pytest.raises(DamagedError, match=r"source.json: its bytes are not those that were extracted"):
        scan_file(path, 0, "12345678", tmp_path, MOST, Sieve())


def test_a_file_that_is_gone_is_told_with_its_path(tmp_path):
    with pytest.raises(StorageError, match=r"source.json: No such file"):
        scan_file(tmp_path / "source.json", 0, "00000000", tmp_path, MOST, Sieve())


@pytest.mark.parametrize("part", ["clean", "odd", "uuids", "rejects"])
def test_F1_a_full_disk_is_told_with_the_side_files_path(tmp_path, part):
    change = {"clean": b"5\n", "odd": b'{"new":1}\n', "uuids": b"", "rejects": b"5\n"}[part]
    name = {"clean": "clean.json", "odd": "odd.json", "uuids": "uuids.csv", "rejects": "rejects.jsonl"}[part]
    (staging := tmp_path / "staging").mkdir()
    (staging / f"0.{name}").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=rf"0.{name}: No space left on device"):
        scan(tmp_path, line(0) + b"\n" + change)


def test_the_longest_clean_line_is_under_what_duckdb_is_told(tmp_path):
    room = LONGEST - len(line(0, city=""))
    found = scan(tmp_path, b"\n".join(line(0, city="x" * (room + more)) for more in (0, 1)))
    assert (found.clean_rows, found.odd_rows) == (1, 1)
    assert [len(row["city"]) for row in rows(found)] == [room, room + 1]


STYLES = [(",", ":"), (", ", ": "), (" ,", " : ")]
ALPHABET = 'abeE059-+.,:[]{}"\\/ \b\f\n\r\t\0\x01\x1f\x7f\x80éß☕\u2028\ufeff🍵𐍈'


def integer(chance: random.Random) -> str:
    digits = chance.choice([3, 20, 40, 400, 4200])
    return str(chance.randrange(-(10**digits), 10**digits) // 10 ** chance.randrange(digits))


def double(chance: random.Random) -> str:
    value = struct.unpack("<d", chance.randbytes(8))[0]
    return repr(value) if abs(value) < 1e300 else "0.5"  # neither NaN nor Infinity


NUMBERS = [
    lambda chance: str(chance.randrange(-1000, 1000)),
    integer,
    double,
    lambda chance: repr(chance.uniform(-1, 1) * 10 ** chance.randrange(-8, 25)),
    lambda chance: msgspec.json.encode(round(chance.uniform(-1000, 1000), chance.randrange(9))).decode(),
    lambda chance: str(chance.randrange(100)) + chance.choice([".0", ".10", "e5", "E+5", ".5e-3", ".25"]),
    lambda chance: chance.choice(["0", "-0", "-0.0", "0.0", "1e-300", "1e16", "123456789012345680000.0", "0.0001", "0.00001"]),
]  # fmt: skip


def text_of(chance: random.Random, style: int) -> str:
    value = "".join(chance.choice(ALPHABET) for _ in range(chance.randrange(9)))
    if style == 0:
        return msgspec.json.encode(value).decode()
    return json.dumps(value, ensure_ascii=chance.random() < 0.3).replace("/", chance.choice(["/", "\\/"]))


def value_of(chance: random.Random, style: int, depth: int = 0) -> str:
    kind = chance.randrange(8 if depth < 4 else 5)
    if kind < 2:
        return chance.choice(NUMBERS)(chance)
    if kind < 4:
        return text_of(chance, style)
    if kind == 4:
        return chance.choice(["true", "false", "null"])
    comma, colon = STYLES[style]
    values = [value_of(chance, style, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 5:
        return f"[{comma.join(values)}]"
    return f"{{{comma.join(text_of(chance, style) + colon + value for value in values)}}}"


@pytest.mark.parametrize("seed", range(4))
def test_P15_P20_any_json_value_reaches_the_rows_as_it_was_written(tmp_path, seed):
    chance = random.Random(seed)
    texts = [value_of(chance, chance.choice([0, 0, 0, 1, 2])) for _ in range(3000)]
    lines = [b'{"event_id":%d,"event_properties":%s,"extra":1}' % (n, text.encode()) for n, text in enumerate(texts)]
    fast = [text.replace(b',"extra":1', b"") for text in lines]
    found = scan(tmp_path, b"\n".join(fast))
    assert found.rejected == 0
    assert found.clean_rows > 700
    assert found.odd_rows > 700
    want = [None if text == "null" else text for text in texts]
    assert [row["event_properties"] for row in rows(found)] == want
    (other := tmp_path / "careful").mkdir()
    assert [row["event_properties"] for row in rows(scan(other, b"\n".join(lines)))] == want
