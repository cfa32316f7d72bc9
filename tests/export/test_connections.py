"""The connections: secrets in the Basic header alone, nothing leaked, nothing left open."""

import base64
import contextlib
import gc
import ssl
import sys
import threading
import time
from pathlib import Path

import pytest
import trustme
from asking import DAY, Proxy, assert_whole, failure, fetch

from pipeline.errors import PipelineError, RequestError
from pipeline.export.connections import Connections
from pipeline.sandbox import Sandbox

KEY = "canary-key-5d1f"
OPEN_FILES = Path("/proc/self/fd")


@pytest.mark.parametrize(
    "secret",
    ["a#b", "ab$cd", "${HOME}-x", 'say "yes"', "it's", "k=v=w", "two words", "100%25", "Größe€語🔑", "back\\slash", "a:b:c", "+/=&?", "`id`;"],
)  # fmt: skip
def test_C5_every_character_of_the_secret_arrives_as_it_is(project, secret):
    sandbox = project.sandbox(secret=secret)
    project.set(AMP_SECRET_KEY=secret)
    fetch(project)
    expected = "Basic " + base64.b64encode(f"{KEY}:{secret}".encode()).decode()
    assert {request.authorization for request in sandbox.requests} == {expected}
    assert_whole(project)


def test_C9_a_netrc_for_the_host_is_ignored(project, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("export.test").configure_cert(context)
    sandbox = project.sandbox(ssl_context=context)
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine export.test login wrong password wrong\nmachine 127.0.0.1 login wrong password wrong\n")
    netrc.chmod(0o600)
    with Proxy(sandbox.url) as proxy:
        project.set(
            NETRC=netrc, HOME=tmp_path, HTTPS_PROXY=proxy.url, AMP_BASE_URL="https://export.test",
            REQUESTS_CA_BUNDLE=tmp_path / "ca.pem",
        )  # fmt: skip
        fetch(project)
    assert all(request.authorized for request in sandbox.requests)
    assert_whole(project)


def test_C9_a_netrc_for_a_redirects_target_is_sent_nowhere(project, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password other-pass\n")
    project.set(NETRC=tmp_path / ".netrc", HOME=tmp_path)
    with Sandbox() as other:
        sandbox = project.sandbox(faults=[f"redirect:{other.url}/x"])
        failure(project, RequestError)
        assert not other.requests
    assert [request.authorized for request in sandbox.requests] == [True]


FETCH = f"""
import datetime, http.client, logging
http.client.HTTPConnection.debuglevel = 1
logging.basicConfig(level=logging.DEBUG)
from pipeline import settings
from pipeline.export.download import fetch_day
fetch_day(datetime.date({DAY.year}, {DAY.month}, {DAY.day}), settings.load(), lambda *_: None)
"""


@pytest.mark.parametrize("fault", [[], ["status:503,times=1"], ["status:401"]])
def test_C13_nothing_secret_is_printed_at_the_highest_debug_level(project, fault):
    sandbox = project.sandbox(faults=fault)
    done = project.command(sys.executable, "-c", FETCH)  # looks for the canary itself
    assert "api/2/export" in done.stderr  # urllib3's own debug lines are on
    assert "Authorization" not in done.stdout + done.stderr
    assert sandbox.requests


def open_files():
    gc.collect()
    return len(list(OPEN_FILES.iterdir()))


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="counts files as Linux has them")
@pytest.mark.parametrize(
    "spec", ["cut:0.4", "reset:0.4", "stall:0.4", "html", "status:503", "status:401", "status:400", "flip", "redirect:/x",
             "slow-headers:0.1", "length:two", "endless-header", "encoding:gzip", "big:3000000", ""],
)  # fmt: skip
def test_no_socket_file_or_thread_outlives_a_day(project, spec):
    project.set(
        AMP_READ_TIMEOUT=0.3, AMP_FIRST_BYTE_TIMEOUT=0.3, AMP_CONNECT_TIMEOUT=0.1, AMP_MAX_WINDOW_BYTES=1_000_000
    )
    gc.disable()
    try:
        before = open_files(), threading.active_count()
        with Sandbox(events_per_hour=5, key=KEY, secret="s3cret", faults=[spec] if spec else []) as sandbox:
            project.use(sandbox)
            project.set(AMP_SECRET_KEY="s3cret")
            with contextlib.suppress(PipelineError):
                fetch(project)
        until = time.monotonic() + 5
        while (open_files(), threading.active_count()) != before and time.monotonic() < until:
            time.sleep(0.01)
        assert (open_files(), threading.active_count()) == before
    finally:
        gc.enable()


def test_what_takes_too_long_is_cut_and_what_does_not_is_left():
    connections = Connections()
    with connections.cut_after(60):
        pass
    assert not connections.is_cut
    with connections.cut_after(0.01):
        while not connections.is_cut:
            time.sleep(0.005)
    assert connections.is_cut
