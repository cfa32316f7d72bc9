"""One request: what is sent, what is accepted, and everything that can go wrong on its way."""

import gzip
import threading
import time
import tracemalloc

import pytest
from asking import DAY, SIX_HOURS, Endless, answers, asked, assert_whole, failure, fetch

from pipeline import __version__
from pipeline.errors import ArchiveError, PipelineError, RequestError, TooLargeError, TransientError
from pipeline.export.client import Client
from pipeline.export.windows import Window
from pipeline.sandbox import Sandbox
from pipeline.settings import load_credentials

IMPATIENT = {"AMP_READ_TIMEOUT": 0.7, "AMP_FIRST_BYTE_TIMEOUT": 0.7, "AMP_CONNECT_TIMEOUT": 0.2}

FAULTS = [
    pytest.param("cut:0.4", TransientError, "ended the answer before its declared end", id="N5"),
    pytest.param("reset:0.4", TransientError, "loopback reset the connection", id="N6"),
    pytest.param("drop", TransientError, "loopback closed the connection without an answer", id="N6_before_the_head"),
    pytest.param("stall:0.4", TransientError, "loopback sent nothing for 0.7 s", id="N7"),
    pytest.param("drip:0.05", TransientError, "slower than AMP_MIN_SPEED", id="N8"),
    pytest.param("slow-headers:0.1", TransientError, "no answer of loopback in 0.7 s", id="N9"),
    pytest.param("wait:30", TransientError, "no answer of loopback in 0.7 s", id="N10_too_long"),
    pytest.param("html", TransientError, "status 200 with text/html; charset=utf-8, which is no export ZIP; it begins: <!DOCTYPE html>\\n<html><head><title>Log in to Amplitude", id="H11"),
    pytest.param("json", TransientError, 'application/json, which is no export ZIP; it begins: {"error": {"http_code": 200', id="H12"),
    pytest.param("no-bytes", TransientError, "it begins: nothing", id="H13"),
    pytest.param("cut:0.4,framing=none", ArchiveError, "it does not end as a ZIP", id="H14"),
    pytest.param("cut:0.4,framing=chunked", TransientError, "ended the answer before its declared end", id="H15"),
    pytest.param("short-zip", ArchiveError, "it does not end as a ZIP", id="H16"),
    pytest.param("flip", ArchiveError, "damaged", id="H16_flipped"),
    pytest.param("length:short", ArchiveError, "it does not end as a ZIP", id="H23"),
    pytest.param("length:abc", TransientError, "declares the length abc", id="H24_abc"),
    pytest.param("length:two", TransientError, "broke off (InvalidHeader: Content-Length contained multiple", id="H24_two"),
    pytest.param("long-header", TransientError, "broke off (LineTooLong: got more than 65536 bytes", id="H26_long"),
    pytest.param("many-headers", TransientError, "broke off (HTTPException: got more than 100 headers", id="H26_many"),
    pytest.param("endless-header", TransientError, "broke off (LineTooLong", id="H26_endless"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "kind", "said"), FAULTS)
def test_N5_to_N10_H11_to_H26_in_vain_it_is_tried_three_times_and_the_next_run_is_whole(project, spec, kind, said):
    sandbox = project.sandbox(faults=[spec])
    project.set(**IMPATIENT)
    what = failure(project, kind)
    assert what.startswith("hours 00-05, tried 3 times: ")
    assert said in what or kind is ArchiveError
    assert asked(sandbox) == ["00-05"] * 3
    sandbox.faults.clear()
    fetch(project)
    assert_whole(project)


@pytest.mark.parametrize(("spec", "kind", "said"), FAULTS)
def test_N5_to_N10_H11_to_H26_once_it_is_nothing_but_a_try(project, spec, kind, said):
    sandbox = project.sandbox(faults=[f"{spec},times=1"])
    project.set(**IMPATIENT)
    record = fetch(project)
    assert answers(record)[0] == ("00-05", 200, 2)
    assert len(sandbox.requests) == 5
    assert_whole(project)


@pytest.mark.parametrize("spec", ["drip:0.05", "stall:0.4", "stall:0", "wait:30", "slow-headers:0.2"])
def test_N8_T6_the_deadline_ends_all_that_is_patient(project, spec):
    sandbox = project.sandbox(faults=[spec])
    project.set(
        AMP_DEADLINE=1, AMP_MIN_SPEED=0, AMP_READ_TIMEOUT=60, AMP_FIRST_BYTE_TIMEOUT=60, AMP_CONNECT_TIMEOUT=0.2
    )
    began = time.monotonic()
    said = failure(project, TransientError)
    assert time.monotonic() - began >= 1
    assert "AMP_DEADLINE" in said or "no answer of loopback in 1 s" in said
    assert len(sandbox.requests) <= 2


def test_H27_H29_there_is_no_resume_no_range_is_ever_asked_for(project):
    sandbox = project.sandbox(faults=["cut:0.9,times=1", "reset:0.5,times=1"])
    fetch(project)
    assert not any(name.lower() in ("range", "if-range") for request in sandbox.requests for name in request.headers)
    assert_whole(project)


@pytest.mark.parametrize("status", [206, 416])
def test_H17_H29_a_part_is_no_answer(project, status):
    sandbox = project.sandbox(faults=[f"status:{status}"])
    assert f"answered {status}" in failure(project, RequestError)
    assert len(sandbox.requests) == 1


def test_H28_two_generations_of_an_export_are_never_joined(project):
    sandbox = project.sandbox(faults=["cut:0.6,times=1", "rebuild,times=1", "cut:0.6,times=1", "rebuild"])
    project.set(AMP_TRIES=5)
    fetch(project)
    assert len(sandbox.requests) > 4
    assert_whole(project)


@pytest.mark.parametrize("spec", ["encoding:gzip", "encoding:gzip,cut=1", "encoding:gzip,times=1"])
def test_H22_H30_an_encoding_is_refused_before_anything_is_decoded(project, spec):
    sandbox = project.sandbox(faults=[spec])
    said = failure(project, RequestError)
    assert "loopback answered in the encoding gzip, which was not asked for" in said
    assert "proxy" in said
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("spec", ["big:3000000,declare=1", "big:3000000"])
def test_H25_an_answer_above_the_cap_is_not_written_past_it(project, spec):
    project.sandbox(faults=[spec])
    project.set(AMP_MAX_WINDOW_BYTES=1_500_000)
    part, received = project.path / "part", []
    client = Client(project.settings, load_credentials())
    with pytest.raises(TooLargeError, match="larger than 1500000 bytes") as caught:
        client.fetch_window(DAY, Window(0, 5), part, received.append, 20)
    assert caught.value.status == 413
    assert sum(received) <= 1_500_000
    assert not part.exists() or part.stat().st_size <= 1_500_000
    assert part.exists() is ("declare" not in spec)


@pytest.mark.parametrize("place", ["{other}/api/2/export", "{itself}/api/2/export?start=20260115T00&end=20260115T05", "/login", "//{other_host}/x"])  # fmt: skip
def test_H19_H21_a_redirect_is_not_followed(project, place):
    sandbox = project.sandbox()
    with Sandbox() as other:
        place = place.format(other=other.url, itself=sandbox.url, other_host=other.url.removeprefix("http://"))
        sandbox.faults.append(f"redirect:{place}")
        said = failure(project, RequestError)
        assert not other.requests
    assert len(sandbox.requests) == 1
    assert "answered 302, a redirect to" in said
    assert ("127.0.0.1" in said) is ("//" in place)
    assert "not followed" in said


def test_what_is_sent(project):
    sandbox = project.sandbox()
    fetch(project)
    for request in sandbox.requests:
        assert request.path == "/api/2/export"
        assert request.headers["Accept-Encoding"] == "identity"
        assert request.user_agent == f"amplitude-export-pipeline/{__version__}"
        assert request.headers.keys() == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert sorted(asked(sandbox)) == SIX_HOURS


def test_closing_ends_a_request_that_waits_and_lets_none_begin(project):
    sandbox = project.sandbox(faults=["wait:30"])
    project.set(AMP_FIRST_BYTE_TIMEOUT=60)
    client = Client(project.settings, load_credentials())
    part, errors = project.path / "part", []

    def work():
        with pytest.raises(TransientError) as caught:
            client.fetch_window(DAY, Window(0, 0), part, lambda _: None, 20)
        errors.append(str(caught.value))

    thread = threading.Thread(target=work)
    thread.start()
    while not sandbox.requests:
        time.sleep(0.01)
    client.close()
    thread.join(5)
    assert not thread.is_alive()
    work()
    assert all("the run was stopped" in error for error in errors)
    assert len(errors) == 2
    assert len(sandbox.requests) == 1


BOMB = gzip.compress(bytes(50_000_000), 1, mtime=0)
SIX = ", ".join(["gzip"] * 6)


@pytest.mark.parametrize("encoding", ["identity", "gzip", SIX], ids=["identity", "gzip", "six_in_a_row"])
@pytest.mark.parametrize("status", ["200 OK", "302 Found", "400 Bad Request", "404 Not Found", "503 Busy"])
def test_H30_of_a_bomb_no_more_than_its_beginning_is_read_and_nothing_is_decoded(project, status, encoding):
    head = f"HTTP/1.1 {status}\r\nLocation: https://other.example/\r\nContent-Encoding: {encoding}\r\n\r\n"
    project.set(AMP_TRIES=1, AMP_BACKOFF=0)
    tracemalloc.start()
    try:
        with Endless(head.encode(), BOMB) as server:
            project.use(server)
            with pytest.raises(PipelineError) as caught:
                Client(project.settings, load_credentials()).fetch_window(DAY, Window(0, 0), project.path / "p", len, 5)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert server.sent < 32 << 20  # what the sockets' buffers hold
    assert "AMP_DEADLINE" not in str(caught.value)
    assert "no answer" not in str(caught.value)
