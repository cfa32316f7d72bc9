"""The file of rejected lines: each as it came, readable by DuckDB and by Python."""

import base64
import json

import duckdb
import pytest

from pipeline.warehouse.rejected import CONFLICT, REJECT, encode_rejected

TEXTS = {
    "plain": b'{"a":1,}',
    "P11_line_separators": "a\u2028b\u0085c".encode(),
    "P12_surrogate_escape": b'{"a":"\\ud800"}',
    "P13_nul": b'\0"\x1f\\u0000',
    "P23_carriage_return": b"x\r",
    "formula": b"=1+1",
    "empty": b"",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_P9_a_line_comes_back_as_it_was(tmp_path, text):
    path = tmp_path / "rejected.jsonl"
    path.write_bytes(
        encode_rejected("a#0.json", 7, REJECT, "why", text, len(text))
        + encode_rejected("a#1.json", 8, CONFLICT, "how", text, len(text))
    )
    want = {"file": "a#0.json", "line": 7, "kind": "reject", "reason": "why", "bytes": len(text), "cut": False}
    first, second = map(json.loads, path.read_bytes().splitlines())
    assert first == {**want, "text": text.decode(), "base64": None}
    assert (second["file"], second["line"], second["kind"], second["text"]) == (
        "a#1.json",
        8,
        "conflict",
        text.decode(),
    )
    answer = duckdb.connect().execute(
        f"SELECT text, line FROM read_json('{path}', columns = {{'text': 'VARCHAR', 'line': 'INT'}})"
    )
    assert answer.fetchall() == [(text.decode(), 7), (text.decode(), 8)]


@pytest.mark.parametrize("text", [b"\xff", b"caf\xc3", b"\xed\xa0\x80"])
def test_P10_what_is_not_utf8_is_kept_as_base64(text):
    rejected = json.loads(encode_rejected("a", 1, REJECT, "why", text, len(text)))
    assert rejected["text"] is None
    assert base64.b64decode(rejected["base64"]) == text


def test_P18_a_cut_line_says_so_and_may_be_cut_in_the_middle_of_a_character():
    rejected = json.loads(encode_rejected("a", 1, REJECT, "why", "é☕".encode()[:-1], 5_000_000))
    assert (rejected["text"], rejected["base64"], rejected["cut"], rejected["bytes"]) == ("é", None, True, 5_000_000)
    rejected = json.loads(encode_rejected("a", 1, REJECT, "why", b"\xff\xc3", 5_000_000))
    assert (rejected["text"], rejected["cut"]) == (None, True)
