"""One line read carefully: exact values, in their column or apart, or refused with a reason."""

import json
import time

import pytest
from lines import MOST, TIME, line, uuid

from pipeline.warehouse.events import COLUMNS, Kind
from pipeline.warehouse.rows import (
    DEEPEST,
    MOST_NAMES,
    ODD_TYPES,
    OTHERS,
    RejectedError,
    count_apart,
    read_row,
)  # fmt: skip


def fate(text: bytes, most: int = MOST) -> str:
    with pytest.raises(RejectedError) as error:
        read_row(text, most)
    return error.value.reason


FITS = {
    Kind.TEXT: [(b'"x"', "x"), (b'""', ""), (b'"\\u0000\\u00e9"', "\0é"), (b'"\\ud83c\\udf75"', "🍵")],
    Kind.INTEGER: [(b"12", 12), (b"-0", 0), (b"%d" % (2**63 - 1), 2**63 - 1), (b"-%d" % 2**63, -(2**63))],
    Kind.NUMBER: [(b"51", "51"), (b"1.10", "1.1"), (b"1E5", "100000.0"), (b"-0.0", "-0.0"), (b"%d" % 2**53, str(2**53))],
    Kind.FLAG: [(b"true", True), (b"false", False)],
    Kind.TIME: [
        (b'"2026-01-15 07:00:00"', "2026-01-15 07:00:00.000000"), (b'"2026-01-15t07:00:00.5"', "2026-01-15 07:00:00.500000"),
        (b'"0001-01-01T00:00:00.123456"', "0001-01-01 00:00:00.123456"), (b'"\\u0032026-01-15 07:00:00"', "2026-01-15 07:00:00.000000"),
    ],
    Kind.UUID: [(f'"{uuid(1).upper()}"'.encode(), uuid(1))],
    Kind.JSON: [(b'{"a" : 1.10}', '{"a" : 1.10}'), (b"1E5", "1E5"), (b'"\\u00e9\\/"', '"\\u00e9\\/"'), (b"9" * 5000, "9" * 5000)],
}  # fmt: skip
MISFITS = {
    Kind.TEXT: [b"12", b"true", b"{}", b"[]", b"1.50"],
    Kind.INTEGER: [b"12.0", b"1e2", b'"12"', b"true", b"{}", b"%d" % 2**63, b"-%d" % (2**63 + 1), b"1" * 5000],
    Kind.NUMBER: [b'"1.5"', b'"n/a"', b"true", b"[]", b"%d" % (2**53 + 1), b"1" * 400],
    Kind.FLAG: [b'"true"', b"1", b"0", b"{}"],
    Kind.TIME: [
        b'""', b'"not a date"', b'"2026-01-15"', b'"infinity"', b'"2026-01-15 07:00"', b'"2026-01-15 07:00:00Z"', b"1675238400",
        b'"2026-01-15 07:00:00+02"', b'"2026-01-15 24:00:00"', b'"2026-02-29 07:00:00"', b'"2026-01-15 07:00:00.1234567"',
        b'" 2026-01-15 07:00:00"', b'"2026-01-15 07:00:60"', b'"0000-01-01 00:00:00"', '"\uff12026-01-15 07:00:00"'.encode(),
    ],
    Kind.UUID: [b'""', b'"{a8b6b648-a2f1-11ed-b981-000000000001}"', b'"a8b6b648a2f111edb981000000000001"', b"5", b'"' + b"g" * 36 + b'"'],
}  # fmt: skip
NAMES = {kind: next(column.name for column in COLUMNS if column.kind is kind) for kind in (*FITS, *MISFITS)}


@pytest.mark.parametrize("kind", FITS, ids=lambda kind: kind.name)
def test_P20_what_fits_a_column_is_in_it(kind):
    for text, value in FITS[kind]:
        row = read_row(line(**{NAMES[kind]: text}), MOST)
        assert row.values[NAMES[kind]] == value, text
        assert type(row.values[NAMES[kind]]) is type(value)
        assert "extra" not in row.values


@pytest.mark.parametrize("kind", MISFITS, ids=lambda kind: kind.name)
def test_P15_P20_what_does_not_fit_a_column_stands_in_extra_as_it_was_written(kind):
    for text in MISFITS[kind]:
        row = read_row(line(5, **{NAMES[kind]: text}), MOST)
        assert NAMES[kind] not in row.values, text
        assert row.values["extra"] == f'{{"{NAMES[kind]}":{text.decode()}}}'
        assert row.values["event_id"] == 5


def test_P26_a_null_and_an_absent_key_are_null():
    row = read_row(b'{"uuid":null,"event_properties":null,"city":"Nice"}', MOST)
    assert (row.values, row.uuid, row.server_upload_time) == ({"city": "Nice"}, None, None)


def test_the_duplicates_are_compared_by_uuid_and_upload_time():
    row = read_row(line(uuid=uuid(3).upper(), server_upload_time="2026-01-15T07:00:00"), MOST)
    assert (row.uuid, row.server_upload_time) == (uuid(3), "2026-01-15 07:00:00.000000")
    assert read_row(line(), MOST).server_upload_time == TIME


def test_paying_is_a_text_or_a_truth_value():
    assert [read_row(line(paying=text), MOST).values["paying"] for text in (b"true", b"false", b'"true"')] == [
        "true", "false", "true",
    ]  # fmt: skip
    assert read_row(line(paying=b"1"), MOST).values["extra"] == '{"paying":1}'


def test_P22_keys_in_another_case_and_unknown_ones_are_kept_apart_in_their_order():
    row = read_row(b'{"UUID":"x","b":null,"Event_Type":1,"uuid":null,"extra":[1, 2],"date":1,"\\u00e9\\"":{}}', MOST)
    assert row.values == {"extra": '{"UUID":"x","b":null,"Event_Type":1,"extra":[1, 2],"date":1,"é\\"":{}}'}


def test_P21_10000_new_keys_are_kept_and_counted_without_bound_to_none():
    row = read_row(json.dumps({f"k{n}": n for n in range(10_000)}).encode(), MOST)
    assert json.loads(row.values["extra"]) == {f"k{n}": n for n in range(10_000)}
    total = {}
    count_apart(total, dict.fromkeys(json.loads(row.values["extra"]), 2))
    count_apart(total, {"k5": 3, "new": 4})
    assert (len(total), total["k5"], total[OTHERS]) == (MOST_NAMES + 1, 5, 2 * (10_000 - MOST_NAMES) + 4)


REFUSED = {
    "P8_cut_short": (b'{"a":1,"b":"x', "not JSON"),
    "P9_garbage": (b"garbage", "not JSON at character 1"),
    "P9_two_objects": (b'{"a":1}{"a":2}', "not JSON at character 8"),
    "P9_trailing_comma": (b'{"a":1,}', "not JSON"),
    "P9_unclosed": (b'{"a":"x}', "not JSON"),
    "P9_control_character": (b'{"a":"x\ty"}', "not JSON"),
    "P9_nul": (b'{"a":1}\0', "not JSON"),
    "P9_vertical_tab": (b'{"a":1}\x0b', "not JSON"),
    "P9_leading_zero": (b'{"a":01}', "not JSON"),
    "P9_single_quotes": (b"{'a':1}", "not JSON"),
    "P9_comment": (b'{"a":1} // b', "not JSON"),
    "P10_bytes": (b'{"a":"\xff"}', "not UTF-8 at byte 7"),
    "P10_key": (b'{"\xc3":1}', "not UTF-8"),
    "P10_surrogate_as_bytes": (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
    "P12_high_half": (b'{"a":{"b":"x\\ud800y"}}', "surrogate"),
    "P12_low_half_in_a_key": (b'{"a":{"\\udf75":1}}', "surrogate"),
    "P12_halves_reversed": (b'{"a":"\\udf75\\ud83c"}', "surrogate"),
    "P12_half_before_a_pair": (b'{"a":"\\ud83c\\ud83c\\udf75"}', "surrogate"),
    "P12_in_what_a_later_key_hides": (b'{"a":{"k":"\\ud800","k":1}}', "surrogate"),
    "P14_nan": (b'{"a":{"b":NaN}}', "NaN is not JSON"),
    "P14_infinity": (b'{"a":[Infinity]}', "Infinity is not JSON"),
    "P14_minus_infinity": (b'{"location_lat":-Infinity}', "-Infinity is not JSON"),
    "P14_1e999": (b'{"a":1e999}', "beyond the range of a double"),
    "P14_400_digits_and_a_fraction": (b'{"a":%s.0}' % (b"9" * 400), "beyond the range of a double"),
    "P16_deep": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper than 100 levels"),
    "P16_deep_and_unclosed": (b"[" * 5_000_000, "nested deeper than 100 levels"),
    "P17_null": (b"null", "not an object"),
    "P17_list": (b"[1]", "not an object"),
    "P17_list_of_an_event": (b'[{"a":1}]', "not an object"),
    "P17_text": (b'"x"', "not an object"),
    "P17_number": (b"5", "not an object"),
    "P19_a_key_twice": (b'{"b":1,"a":1,"a":null}', 'the key "a" stands twice'),
    "P19_a_key_twice_once_escaped": (b'{"a":1,"\\u0061":2}', 'the key "a" stands twice'),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_P8_P9_P10_P12_P14_P16_P17_P19_what_is_no_event_is_refused_with_its_reason(text, reason):
    assert reason in fate(text)
    assert len(fate(text)) < 200


def test_P12_an_escaped_backslash_before_ud800_is_no_surrogate():
    assert read_row(b'{"a":"\\\\ud800 \\ud83c\\udf75"}', MOST).values == {"extra": '{"a":"\\\\ud800 \\ud83c\\udf75"}'}


def test_P16_the_deepest_event_is_kept_and_brackets_in_texts_are_none():
    deep = b"[" * (DEEPEST - 1) + b"]" * (DEEPEST - 1)
    assert read_row(b'{"data":%s}' % deep, MOST).values["data"] == deep.decode()
    assert "nested" in fate(b'{"data":[%s]}' % deep)
    text = b'"' + b'[{\\"' * 500 + b'"'
    assert read_row(b'{"data":%s}' % text, MOST).values["data"] == text.decode()


@pytest.mark.parametrize("text", [b'"' + b'\\"' * 1_000_000, b'{"' + b"\\" * 2_000_001, b"[{" * 50 + b'"[' * 700_000])
def test_P16_the_depth_of_any_text_is_found_in_linear_time(text):
    began = time.process_time()
    fate(b"[" * 101 + text)
    fate(text + b"[" * 101)
    assert time.process_time() - began < 2


def test_P18_a_line_over_the_limit_is_refused_with_both_numbers():
    assert read_row(line(), len(line()))
    reason = fate(line(), len(line()) - 1)
    assert reason == f"{len(line())} bytes, and an event may have {len(line()) - 1} (PIPELINE_MAX_EVENT_BYTES)"


def test_P23_a_byte_order_mark_is_no_part_of_an_event():
    assert read_row(b"\xef\xbb\xbf" + line(7), MOST) == read_row(line(7), MOST)


def test_a_row_encodes_to_a_line_of_the_types_it_names():
    text = line(city=b'"%s"' % (b'\\"' * 100_000), data=b'"%s"' % (b"\\\\" * 100_000), **{"\\\n\0" * 9999: "\x7f\0"})
    encoded = read_row(text, MOST).encode()
    assert encoded.count(b"\n") == 1
    types = {str: "VARCHAR", int: "BIGINT", bool: "BOOLEAN"}
    assert all(ODD_TYPES[name] == types[type(value)] for name, value in json.loads(encoded).items())


def test_a_reason_tells_nothing_of_the_content_but_a_keys_name_made_printable():
    reason = fate(b'{"\\u001b[31m%s":"secret","\\u001b[31m%s":1}' % (b"k" * 500, b"k" * 500))
    assert "secret" not in reason
    assert reason.isprintable()
    assert len(reason) < 200
