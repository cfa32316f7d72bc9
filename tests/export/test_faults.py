"""Connections that fail: refused, unknown, behind a proxy, or not to be trusted."""

import datetime as dt
import socket
import ssl
import time

import pytest
import trustme
from archives import write
from asking import Proxy, assert_whole, failure, fetch

from pipeline.errors import ConfigError, RequestError, TransientError

HOST = "export.test"  # a reserved name: only the proxy of these tests knows it


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def trusted(project, authority):
    """Makes this machine trust the tests' authority, as a company's CA file does."""
    path = project.path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    project.set(REQUESTS_CA_BUNDLE=path)


def secured(project, authority, *names, old=False, **validity):
    """Starts the sandbox with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **validity).configure_cert(context)
    if old:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    return project.sandbox(ssl_context=context)


@pytest.fixture
def closed_port():
    with socket.socket() as taken:  # bound and not listening
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_N1_a_refused_connection_is_tried_again_inside_the_deadline(project, closed_port):
    project.use(type("Nobody", (), {"url": f"http://127.0.0.1:{closed_port}"}))
    said = failure(project, TransientError)
    assert said.startswith(f"hours 00-05, tried 3 times: 127.0.0.1:{closed_port} refused the connection. ")
    project.sandbox()
    fetch(project)
    assert_whole(project)


def test_N1_a_refused_connection_ends_with_the_deadline(project, closed_port):
    project.use(type("Nobody", (), {"url": f"http://127.0.0.1:{closed_port}"}))
    project.set(AMP_TRIES=100, AMP_DEADLINE=1, AMP_BACKOFF=0.1, AMP_BACKOFF_CAP=0.1)
    began = time.monotonic()
    assert "refused the connection" in failure(project, TransientError)
    assert time.monotonic() - began < 3


def test_N2_a_name_that_nobody_knows_is_named_alone(project):
    project.use(type("Nobody", (), {"url": "https://export.invalid:8443"}))
    said = failure(project, TransientError)
    assert "tried 3 times: cannot resolve export.invalid. Look at the network" in said
    for word in ("8443", "start=", "20260115"):
        assert word not in said


TLS = {
    "expired": ({"not_before": "2020-01-01", "not_after": "2021-01-01"}, [HOST], True, ["expired", "clock"]),
    "self_signed": ({}, [HOST], False, ["certificate", "REQUESTS_CA_BUNDLE"]),
    "wrong_host": ({}, ["other.test"], True, [f"certificate is not valid for '{HOST}'"]),
    "tls_1_0": ({"old": True}, [HOST], True, ["speaks no TLS that is safe"]),
}


@pytest.mark.parametrize(("first", "last", "reason"), [(-20, -10, "has expired"), (10, 20, "is not yet valid")])
def test_T4_a_certificate_of_another_time_says_what_this_machines_clock_says(
    project, authority, trusted, first, last, reason
):
    now = dt.datetime.now(dt.UTC)
    ends = (now + dt.timedelta(days=first), now + dt.timedelta(days=last))
    secured(project, authority, "127.0.0.1", not_before=ends[0], not_after=ends[1])
    said = failure(project, ConfigError)
    assert f"certificate {reason}), and this machine's clock says {now:%Y-%m-%d %H}:" in said
    assert "If that is not the time, set the clock" in said


def test_T4_a_certificate_that_is_not_to_be_trusted_for_another_reason_says_nothing_of_the_clock(project, authority):
    secured(project, authority, "127.0.0.1")
    assert "clock" not in failure(project, ConfigError)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize("case", TLS)
def test_N4_a_server_that_is_not_to_be_trusted_gets_no_credentials_and_no_second_try(project, authority, case, request):
    options, names, trusts, words = TLS[case]
    options = {k: dt.datetime.fromisoformat(v) if isinstance(v, str) else v for k, v in options.items()}
    sandbox = secured(project, authority, *names, **options)
    if trusts:
        request.getfixturevalue("trusted")
    with Proxy(sandbox.url) as proxy:
        project.set(AMP_BASE_URL=f"https://{HOST}", HTTPS_PROXY=proxy.url)
        said = failure(project, ConfigError)
        assert len(proxy.heads) == 1
        assert b"authorization" not in proxy.heads[0].lower()
    assert not sandbox.requests
    assert HOST in said
    for word in words:
        assert word in said
    assert "verify" not in said.replace("certificate verify failed", "")


def test_N4_the_same_way_with_a_good_certificate_is_gone(project, authority, trusted):
    sandbox = secured(project, authority, HOST)
    with Proxy(sandbox.url) as proxy:
        project.set(AMP_BASE_URL=f"https://{HOST}", HTTPS_PROXY=proxy.url)
        record = fetch(project)
        assert len(proxy.heads) == len(sandbox.requests) == 4
        assert not any(b"authorization" in head.lower() for head in proxy.heads)
    assert record.host == HOST
    assert_whole(project)


def test_N4_a_sandbox_with_tls_is_asked_with_its_authority(project, authority, trusted):
    secured(project, authority, "127.0.0.1")
    fetch(project)
    assert_whole(project)


@pytest.mark.parametrize("faults", [["stall:0.4"], ["cut:0.4"], ["reset:0.4"], ["cut:0.4,framing=chunked"]])
def test_N5_N6_N7_a_broken_answer_is_only_a_try_also_with_tls(project, authority, trusted, faults):
    project.set(AMP_READ_TIMEOUT=0.7)
    sandbox = secured(project, authority, "127.0.0.1")
    sandbox.faults.append(f"{faults[0]},times=2")
    fetch(project)
    assert len(sandbox.requests) == 6
    assert_whole(project)


def test_N8_the_deadline_cuts_beneath_tls(project, authority, trusted):
    secured(project, authority, "127.0.0.1").faults.append("drip:0.05")
    project.set(AMP_DEADLINE=1, AMP_MIN_SPEED=0)
    assert "AMP_DEADLINE" in failure(project, TransientError)


def test_N15_a_proxy_that_refuses_is_named_by_its_host_alone(project):
    project.sandbox()
    with Proxy() as proxy:
        address = proxy.url.replace("//", "//user:pass@")
        project.set(AMP_BASE_URL=f"https://{HOST}", HTTPS_PROXY=address)
        said = failure(project, TransientError)
        assert len(proxy.heads) == 3
        assert all(head.startswith(f"CONNECT {HOST}:443 ".encode()) for head in proxy.heads)
    assert f"the proxy before {HOST} does not let us through" in said
    assert "407" in said
    assert "(through the proxy 127.0.0.1)" in said
    for word in ("user", "pass", "dXNlcjpwYXNz"):
        assert word not in said


def test_N15_a_dead_proxy_is_not_gone_round(project, closed_port):
    sandbox = project.sandbox()
    project.set(AMP_BASE_URL=f"https://{HOST}", HTTPS_PROXY=f"http://127.0.0.1:{closed_port}")
    said = failure(project, TransientError)
    assert "proxy" in said
    assert "(through the proxy 127.0.0.1)" in said
    assert f"{HOST} refused" not in said
    assert not sandbox.requests


def test_N15_loopback_is_never_asked_through_a_proxy(project, closed_port):
    project.sandbox()
    dead = f"http://127.0.0.1:{closed_port}"
    project.set(HTTP_PROXY=dead, HTTPS_PROXY=dead, ALL_PROXY=dead, http_proxy=dead)
    fetch(project)
    assert_whole(project)


def test_N16_the_second_address_of_a_host_is_tried_when_the_first_is_dead(project, monkeypatch):
    sandbox = project.sandbox()
    project.set(AMP_BASE_URL=sandbox.url.replace("127.0.0.1", "localhost"))
    resolve, asked = socket.getaddrinfo, []

    def two_addresses(host, port, *rest, **options):
        asked.append(host)
        return resolve("127.0.0.2", port, *rest, **options) + resolve("127.0.0.1", port, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    record = fetch(project)
    assert asked == ["localhost"] * 4
    assert {window.tries for window in record.windows} == {1}
    assert_whole(project)


@pytest.mark.parametrize("url", ["https://export.invalid", "https://127.0.0.1:9"])
def test_C15_a_ca_file_that_is_not_there_is_a_wrong_setting(project, url):
    project.sandbox()
    project.set(AMP_BASE_URL=url, REQUESTS_CA_BUNDLE="/nowhere/ca.pem")
    said = failure(project, ConfigError)
    assert "/nowhere/ca.pem" in said
    assert "REQUESTS_CA_BUNDLE" in said


def test_H20_a_redirect_from_https_to_plain_http_is_not_followed(project, authority, trusted):
    sandbox = secured(project, authority, HOST)
    sandbox.faults.append(f"redirect:http://{HOST}/api/2/export?start=20260115T00&end=20260115T05")
    with Proxy(sandbox.url) as proxy:
        project.set(AMP_BASE_URL=f"https://{HOST}", HTTPS_PROXY=proxy.url, HTTP_PROXY=proxy.url)
        said = failure(project, RequestError)
        assert [head.split()[:2] for head in proxy.heads] == [[b"CONNECT", f"{HOST}:443".encode()]]
    assert len(sandbox.requests) == 1
    assert f"{HOST} answered 302, a redirect to {HOST}: it is not followed" in said


@pytest.mark.parametrize(
    "text", [b"no certificate\n", b"-----BEGIN CERTIFICATE-----\nMII!\n-----END CERTIFICATE-----\n"]
)
def test_C15_a_ca_file_without_a_certificate_is_a_wrong_setting(project, authority, text):
    sandbox = secured(project, authority, "127.0.0.1")
    path = write(project.path / "ca.pem", text)
    project.set(REQUESTS_CA_BUNDLE=path)
    assert "REQUESTS_CA_BUNDLE" in failure(project, ConfigError)
    assert not sandbox.requests
