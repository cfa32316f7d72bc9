"""No form of a secret leaves the program."""

import base64
import copy
import html
import json
import pickle
import urllib.parse

import pytest
from projects import KEY, SECRET, leaks

from pipeline import logs
from pipeline.redaction import Secret, redact, remember_pair

FORMS = {
    "raw": SECRET,
    "in a url": urllib.parse.quote(SECRET, safe=""),
    "in a query": urllib.parse.quote_plus(SECRET),
    "in a list": repr([SECRET]),
    "basic": base64.b64encode(f"{KEY}:{SECRET}".encode()).decode(),
    "alone in base64": base64.b64encode(SECRET.encode()).decode(),
    "json": json.dumps({"secret": SECRET}),
    "html": html.escape(SECRET),
    "the key": KEY,
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_C10_each_form_is_blackened(text):
    remember_pair(Secret(KEY), Secret(SECRET))
    shown = redact(f"before {text} after")
    assert not leaks(shown)
    assert "S3cr3t" not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


def test_C10_a_key_that_a_secret_begins_with_leaves_no_rest():
    Secret("abcd-key")
    Secret("abcd-key-and-the-rest")
    assert redact("abcd-key-and-the-rest") == "****"


def test_C10_a_secret_across_the_cut_of_a_long_error_leaves_no_half():
    remember_pair(Secret(KEY), Secret(SECRET))
    said = logs.plain(ValueError("x" * 290 + KEY))
    assert KEY[:6] not in said


@pytest.mark.parametrize("way", [pickle.dumps, copy.deepcopy])
def test_C10_a_secret_is_never_written_or_copied(way):
    with pytest.raises(TypeError, match="never written"):
        way(Secret("canary-other"))


def test_a_short_value_blackens_no_log_line():
    Secret("a")
    assert redact("a day") == "a day"
