"""What the server's answers mean, word by word."""

import datetime as dt
import email.utils
import json
import time

import pytest
from asking import DAY, answers, asked, assert_whole, failure, fetch

from pipeline.errors import CredentialsError, RequestError, TooLargeError, TransientError
from pipeline.export.answers import error_of, is_no_data, names_another_reason, retry_after, words

JSON, TEXT, HTML = "application/json", "text/plain; charset=utf-8", "text/html"

SIZE_WORDS = (
    "The file size of the exported data is too large. Shorten the time ranges and try again. The limit size is 4GB"
)
AIRBYTE_46712 = (
    b'{"error":{"http_code":400,"type":"invalid","message":"Invalid chart definition",'
    b'"metadata":{"details":"Invalid user property country"}}}'
)
NGINX_400 = (
    b"<html>\r\n<head><title>400 Bad Request</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
EMPTY_WORDS = "Raw data files were not found."


def envelope(message, details=""):
    content = {"http_code": 400, "type": "invalid", "message": message, "metadata": {"details": details}}
    return json.dumps({"error": content}).encode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", TEXT),
        (b"   \r\n", HTML),
        (b"Bad Request", TEXT),
        (SIZE_WORDS.encode(), TEXT),
        (envelope(SIZE_WORDS), JSON),
        (envelope("Bad Request", SIZE_WORDS), JSON),
        (b'{"code":400,"error":"' + SIZE_WORDS.encode() + b'"}', JSON),
        (b"<html><body><p>" + SIZE_WORDS.encode() + b"</p></body></html>", HTML),
        (NGINX_400, HTML),
        (b"{}", JSON),
        (b"null", JSON),
        (b"[400]", JSON),
        (b'{"error":', JSON),
        (b"\xff\xfe\x00binary", "application/octet-stream"),
        (b"Bad Request: the requested time range is too long", TEXT),
        (b"The export would exceed 4 GB", TEXT),
        (b"Invalid request: file size exceeds the limit", TEXT),
        (b'{"type":"invalid","code":"invalid_argument"}', JSON),
        (b"Too much data. Unexpected end of export", TEXT),
    ],
)
def test_H5_a_400_for_size_or_without_a_plain_reason_halves(body, kind):
    assert not names_another_reason(words(body, kind))
    assert isinstance(error_of(400, {"Content-Type": kind}, body, "host"), TooLargeError)


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (AIRBYTE_46712, JSON, "Invalid chart definition; Invalid user property country"),
        (AIRBYTE_46712, TEXT, "Invalid user property country"),
        (envelope("Bad Request", "Invalid API Key"), JSON, "Invalid API Key"),
        (envelope("Missing required parameter: start"), JSON, "Missing required parameter: start"),
        (b"Invalid start '2026-01-15': expected YYYYMMDDTHH", TEXT, "expected YYYYMMDDTHH"),
        (b"Invalid range: the maximum time range is 365 days", TEXT, "365 days"),
        (
            b"<html><title>Oops</title><body>Unknown parameter <b>end</b></body></html>",
            HTML,
            "Oops Unknown parameter end",
        ),
        (b'{"error":"Project not found"}', JSON, "Project not found"),
        (b'{"errors":[{"detail":"Time must be in UTC"},{"detail":"malformed end"}]}', JSON, "malformed end"),
        (b"This API is deprecated", TEXT, "deprecated"),
        (b"Your organization was suspended", TEXT, "suspended"),
        (b"Permission to export this project is missing", TEXT, "Permission"),
    ],
)
def test_H6_a_400_that_plainly_names_another_reason_is_refused_in_the_servers_words(body, kind, said):
    error = error_of(400, {"Content-Type": kind}, body, "analytics.amplitude.com")
    assert isinstance(error, RequestError)
    assert error.what.startswith("analytics.amplitude.com answered 400: ")
    assert said in error.what


def test_H6_a_400_for_another_reason_costs_one_request(project):
    sandbox = project.sandbox(faults=[f"status:400,message={AIRBYTE_46712.decode()}"])
    said = failure(project, RequestError)
    assert asked(sandbox) == ["00-05"]
    assert said.startswith(
        "hours 00-05: loopback answered 400: Invalid chart definition; Invalid user property country"
    )


@pytest.mark.parametrize("body", ["json", "text", "html", "empty"])
def test_H5_the_body_for_size_is_known_in_each_form(project, body):
    sandbox = project.sandbox(faults=[f"status:400,body={body},over=3"])
    fetch(project)
    assert asked(sandbox)[:2] == ["00-05", "00-02"]
    assert len(asked(sandbox)) == 9
    assert_whole(project)


def test_H12_words_are_one_short_line_without_control_characters_or_secrets(project):
    project.sandbox()
    key = "canary-key-5d1f"
    fetch(project)  # the credentials are known to the redaction from here on
    said = words(f"bad\x1b[31m\n\n\u202ered {key} {'x' * 999}".encode(), TEXT)
    assert said.isprintable()
    assert len(said) <= 320
    assert key not in said
    assert said.startswith("bad\\x1b[31m \\u202ered **** x")


@pytest.mark.parametrize("piece", [b"<head", b"<!--", b"<title", b"<script>", b"<", b"[", b'{"a":'])
def test_H30_hostile_words_take_no_time(piece):
    began = time.process_time()
    words(piece * (65_536 // len(piece)), HTML)
    assert time.process_time() - began < 1  # the square of 64 KiB took 7 s


@pytest.mark.parametrize(
    ("body", "kind", "empty"),
    [
        (EMPTY_WORDS.encode(), TEXT, True),
        (b'{"error":{"http_code":404,"message":"Raw data files were not found."}}', JSON, True),
        (b'{"message":"No data for this range"}', JSON, True),
        (b"RAW DATA FILES WERE NOT FOUND", "", True),
        (b"", TEXT, False),
        (b"404 page not found", TEXT, False),
        (b'{"message":"Not Found"}', JSON, False),
        (b"<html>Raw data files were not found.</html>", TEXT, False),
        (EMPTY_WORDS.encode(), HTML, False),
        (b" \n<!DOCTYPE html><title>No data</title>", JSON, False),
    ],
)
def test_H3_H4_only_amplitudes_own_404_is_an_empty_window(body, kind, empty):
    assert is_no_data(body, kind) is empty


@pytest.mark.parametrize("body", ["text", "json"])
def test_H3_a_404_of_amplitude_is_an_empty_window(project, body):
    project.sandbox(faults=[f"status:404,hour=7,body={body}"])
    record = fetch(project)
    assert ("06-11", 404, 1) in answers(record)
    assert [hour.hour for hour in record.hours if hour.status == "empty"] == [3, 4, *range(6, 12)]


@pytest.mark.parametrize(
    "form", ["body=html", "body=text,message=404 page not found", "body=empty", "body=json,message=Not Found"]
)
def test_H4_C8_any_other_404_is_no_empty_day(project, form):
    sandbox = project.sandbox(faults=[f"status:404,{form}"])
    said = failure(project, RequestError)
    assert "answered 404" in said
    assert "not Amplitude's word for an empty hour" in said
    assert "AMP_REGION" in said
    assert len(sandbox.requests) == 1


def test_H3_a_404_whose_words_are_cut_off_is_tried_again(project):
    sandbox = project.sandbox(exports=project.path, faults=["cut:0.4,times=1"])
    record = fetch(project)
    assert answers(record)[0] == ("00-05", 404, 2)
    assert len(sandbox.requests) == 5


@pytest.mark.parametrize(
    ("spec", "kind", "said"),
    [
        pytest.param("status:401", CredentialsError, "Unauthorized", id="H1"),
        pytest.param("status:403", CredentialsError, "Invalid API Key", id="H2"),
        pytest.param("status:206", RequestError, "answered 206", id="H17"),
        pytest.param("status:204", RequestError, "answered 204", id="H18"),
        pytest.param("status:402,message=Pay first", RequestError, "402: Pay first", id="402"),
        pytest.param("status:405", RequestError, "answered 405", id="405"),
        pytest.param("encoding:gzip", RequestError, "encoding gzip, which was not asked for", id="H22_whole"),
        pytest.param("encoding:gzip,cut=1", RequestError, "encoding gzip", id="H22_cut"),
    ],
)
def test_H1_H2_H17_H18_H22_what_would_be_refused_again_is_asked_once(project, spec, kind, said):
    sandbox = project.sandbox(faults=[spec])
    assert said in failure(project, kind)
    assert len(sandbox.requests) == 1
    assert not list(project.data.rglob("*.part"))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 507, 599])
def test_H9_a_status_that_passes_is_tried_three_times_and_no_more(project, status):
    sandbox = project.sandbox(faults=[f"status:{status},message=Come back later"])
    said = failure(project, TransientError)
    assert asked(sandbox) == ["00-05"] * 3
    assert said.startswith(f"hours 00-05, tried 3 times: loopback answered {status}: Come back later")
    sandbox.faults.clear()
    fetch(project)
    assert_whole(project)


@pytest.mark.parametrize("status", [401, 403])
def test_H1_H2_C7_C8_refused_credentials_say_where_to_look(project, status):
    project.sandbox(faults=[f"status:{status}"])
    said = failure(project, CredentialsError)
    for word in ("AMP_API_KEY", "AMP_SECRET_KEY", "swapped", "AMP_REGION", "US project", "EU host"):
        assert word in said


def test_C7_swapped_keys_are_refused_with_one_request(project):
    sandbox = project.sandbox()
    environment = {"AMP_API_KEY": "canary S3cr3t/+$#\"=%20'ü", "AMP_SECRET_KEY": "canary-key-5d1f"}
    project.set(**environment)
    assert "are they swapped?" in failure(project, CredentialsError)
    assert [request.status for request in sandbox.requests] == [403]


NOW = dt.datetime(2026, 1, 16, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("5", 5.0),
        (" 5 ", 5.0),
        ("1000000000", 1e9),
        ("9" * 400, float("inf")),
        ("-5", None),
        ("1.5", None),
        ("nan", None),
        ("soon", None),
        (email.utils.format_datetime(NOW + dt.timedelta(seconds=90), usegmt=True), 90.0),
        (email.utils.format_datetime(NOW - dt.timedelta(days=1), usegmt=True), 0.0),
        ("Fri, 16 Jan 2026 12:00:30 -0000", None),
        ("Fri, 99 Foo 99999 00:00:00 GMT", None),
    ],
)
def test_H7_H8_retry_after_is_a_number_or_a_date_or_nothing(value, seconds):
    assert retry_after(value, NOW) == seconds


def test_a_quoted_server_never_puts_a_redirects_query_into_a_message():
    location = "https://user:pass@login.example.com:8443/path?token=t0ken"
    error = error_of(302, {"Location": location}, b"", "host")
    assert "login.example.com" in error.what
    for part in ("user", "pass", "t0ken", "8443"):
        assert part not in error.what


def test_H9_the_day_is_untouched_by_a_failure(project):
    project.sandbox(faults=["status:500"])
    failure(project, TransientError)
    assert not project.layout.raw_zip(DAY).parent.joinpath(f".{DAY}.zip.part").exists()
