"""An answer's body: how long each part of it is waited for, how slow it may be, and what is read of one that is none."""

import time

import pytest
from asking import DAY, Endless, assert_whole, failure, fetch

from pipeline.errors import RequestError, TransientError
from pipeline.export.client import Client
from pipeline.export.windows import Window
from pipeline.settings import load_credentials


def test_N7_once_an_answer_has_begun_the_read_timeout_holds(project):
    project.sandbox(faults=["stall:0.4"])
    project.set(AMP_READ_TIMEOUT=0.3, AMP_FIRST_BYTE_TIMEOUT=60, AMP_TRIES=1)
    assert "loopback sent nothing for 0.3 s" in failure(project, TransientError)


def test_N10_it_waits_while_amplitude_builds_the_zip(project):
    sandbox = project.sandbox(faults=["wait:0.8"])
    project.set(AMP_READ_TIMEOUT=0.5, AMP_CONNECT_TIMEOUT=0.2, AMP_FIRST_BYTE_TIMEOUT=5)
    fetch(project)
    assert len(sandbox.requests) == 4
    assert_whole(project)


def test_N10_it_waits_also_where_the_head_comes_before_the_zip(project):
    sandbox = project.sandbox(faults=["stall:0,times=1"])
    project.set(AMP_READ_TIMEOUT=0.1, AMP_FIRST_BYTE_TIMEOUT=0.7, AMP_CONNECT_TIMEOUT=0.2, AMP_TRIES=1)
    assert "no answer of loopback in 0.7 s" in failure(project, TransientError)
    assert len(sandbox.requests) == 1


def test_N8_a_slow_line_that_keeps_the_minimum_is_borne(project):
    project.sandbox(faults=["rate:30000,hour=0"])
    project.set(AMP_READ_TIMEOUT=0.1, AMP_MIN_SPEED=100)
    fetch(project)
    assert_whole(project)


def test_N8_a_body_that_becomes_slow_is_given_up_after_the_next_look(project):
    project.sandbox(faults=["drip:0.05"])
    project.set(AMP_READ_TIMEOUT=0.3, AMP_MIN_SPEED=1000, AMP_TRIES=1)
    began = time.monotonic()
    assert "bytes a second, slower than AMP_MIN_SPEED" in failure(project, TransientError)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("status", [402, 451])
def test_of_a_body_that_is_no_export_the_beginning_is_read_and_no_more(project, status):
    head = f"HTTP/1.1 {status} No\r\nContent-Type: text/plain\r\n\r\n".encode()
    with Endless(head, b"sorry " * 1000) as server:
        project.use(server)
        client = Client(project.settings, load_credentials())
        with pytest.raises(RequestError, match="sorry sorry") as caught:
            client.fetch_window(DAY, Window(0, 0), project.path / "part", lambda _size: None, 10)
    assert len(caught.value.what) < 500
    assert server.sent < 32 << 20  # what the sockets' buffers hold
    assert not (project.path / "part").exists()


def test_the_first_piece_is_waited_for_as_long_as_the_deadline_lets_and_that_is_what_is_said(project):
    project.sandbox(faults=["stall:0"])
    project.set(AMP_FIRST_BYTE_TIMEOUT=60, AMP_CONNECT_TIMEOUT=5)
    client, said = Client(project.settings, load_credentials()), set()
    for _ in range(12):  # the read's own end and the cut come at the same moment: now one is first, now the other
        with pytest.raises(TransientError) as caught:
            client.fetch_window(DAY, Window(0, 0), project.path / "part", lambda _size: None, 0.1)
        said.add(caught.value.what)
    assert said <= {"no answer of loopback in 0.1 s", "the answer did not end within AMP_DEADLINE"}
