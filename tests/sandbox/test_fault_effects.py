from __future__ import annotations

import gzip
import io
import socket
import struct
import time
import zipfile

import pytest
import requests
from sandbox_client import DAY, events

from pipeline.sandbox import Fault, Sandbox

CLOSED = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


@pytest.fixture
def good(client):
    return client.get().content


def raw(client, timeout=10.0):
    """The whole answer as it comes over the wire, and how the connection ended."""
    host, port = client.sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout) as connection:
        request = f"GET /api/2/export?start={DAY}T08&end={DAY}T08 HTTP/1.1\r\nConnection: close\r\n"
        connection.sendall(f"{request}Authorization: Basic c2FuZGJveC1rZXk6c2FuZGJveC1zZWNyZXQ=\r\n\r\n".encode())
        data = b""
        try:
            while chunk := connection.recv(1 << 16):
                data += chunk
        except ConnectionResetError:
            return data, "reset"
        except TimeoutError:
            return data, "silence"
        return data, "end"


def body(data):
    return data.partition(b"\r\n\r\n")[2]


def is_whole(content):
    try:
        return zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    except zipfile.BadZipFile:
        return False


@pytest.mark.parametrize(
    ("spec", "status", "kind", "words"),
    [
        ("status:400", 400, "application/json", "The file size of the exported data is too large"),
        ("status:401", 401, "text/plain", "Unauthorized"),
        ("status:403", 403, "application/json", "Invalid API Key"),
        ("status:404", 404, "text/plain", "Raw data files were not found."),
        ("status:404,body=html", 404, "text/html", "<html"),
        ("status:429", 429, "application/json", "Too many requests"),
        ("status:500", 500, "text/plain", "500"),
        ("status:503,body=json", 503, "application/json", "http_code"),
        ("status:504", 504, "text/plain", "timeout"),
        ("status:400,message=No such thing", 400, "application/json", "No such thing"),
        ("status:400,body=text,message=No, never", 400, "text/plain", "No, never"),
        ('status:400,message={"own":1}', 400, "application/json", '{"own":1}'),
    ],
)
def test_status(serve, spec, status, kind, words):
    response = serve(spec).get()
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith(kind)
    assert words in response.text


def test_status_with_an_empty_body(serve):
    assert serve("status:500,body=empty").get().content == b""


def test_status_204_has_no_body(serve):
    response = serve("status:204").get()
    assert (response.status_code, response.content) == (204, b"")


def test_status_206_sends_the_zip(serve, good):
    response = serve("status:206").get()
    assert (response.status_code, response.content) == (206, good)


def test_retry_after(serve):
    assert serve("status:429,retry_after=7").get().headers["Retry-After"] == "7"


def test_times_skip_and_one_after_the_other(serve):
    client = serve("status:503,times=1,skip=1", "status:500,times=2")
    assert [client.get().status_code for _ in range(5)] == [500, 503, 500, 200, 200]


def test_equal_faults_count_apart(serve):
    client = serve("status:503,times=1", "status:503,times=1")
    assert [client.get().status_code for _ in range(3)] == [503, 503, 200]


def test_over_and_hour_choose_windows(serve):
    client = serve("status:400,over=6", "status:500,hour=9")
    assert client.get(f"{DAY}T00", f"{DAY}T06").status_code == 400
    assert client.get(f"{DAY}T00", f"{DAY}T05").status_code == 200
    assert client.get(f"{DAY}T07", f"{DAY}T09").status_code == 500
    assert client.get("20260113T22", "20260114T01").status_code == 200
    assert client.get("nonsense").status_code == 400


def test_faults_may_change_between_requests(client):
    client.sandbox.faults.append("status:503")
    assert client.get().status_code == 503
    client.sandbox.faults[:] = [Fault("status", 500)]
    assert client.get().status_code == 500
    client.sandbox.faults.clear()
    assert client.get().status_code == 200
    client.sandbox.faults = ["nonsense"]
    assert "unknown fault 'nonsense'" in client.get().text


@pytest.mark.parametrize("framing", ["length", "chunked", "none"])
def test_cut(serve, good, framing):
    client = serve(f"cut:0.4,framing={framing}")
    data, ended = raw(client)
    assert ended == "end"
    head, _, sent = data.partition(b"\r\n\r\n")
    if framing == "none":
        assert client.get().content == sent == good[: int(len(good) * 0.4)]
    else:
        assert (f"Content-Length: {len(good)}" if framing == "length" else "chunked") in head.decode()
        with pytest.raises(CLOSED):
            client.get()


def test_reset(serve, good):
    data, ended = raw(serve("reset:0.4"))
    assert ended == "reset"
    assert body(data) == good[: int(len(good) * 0.4)]


def test_stall_and_a_quick_close(serve, good):
    client = serve("stall:0.4")
    data, ended = raw(client, timeout=0.2)
    assert ended == "silence"
    assert body(data) == good[: int(len(good) * 0.4)]
    began = time.monotonic()
    client.sandbox.close()
    assert time.monotonic() - began < 1


def test_drip(serve):
    response = serve("drip:0.05").get(stream=True)
    began = time.monotonic()
    assert len(response.raw.read(4)) == 4
    assert time.monotonic() - began >= 0.1
    response.close()


def test_slow_headers(serve):
    began = time.monotonic()
    assert serve("slow-headers:0.003").get().status_code == 200
    assert time.monotonic() - began > 0.15


@pytest.mark.parametrize("spec", ["wait:0.2", "latency:0.2"])
def test_wait_and_latency(serve, good, spec):
    began = time.monotonic()
    assert serve(spec).get().content == good
    assert time.monotonic() - began > 0.2


def test_pacing_goes_together_with_another_fault(serve):
    began = time.monotonic()
    client = serve("latency:0.2", "status:503,times=1")
    assert client.get().status_code == 503
    assert time.monotonic() - began > 0.2
    assert client.get().status_code == 200


def test_rate(serve, good):
    began = time.monotonic()
    assert serve(f"rate:{len(good) * 3}").get().content == good
    assert 0.25 < time.monotonic() - began < 5


def test_html(serve):
    response = serve("html").get()
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")


def test_json(serve):
    response = serve("json").get()
    assert response.status_code == 200
    assert "error" in response.json()


def test_no_bytes(serve):
    response = serve("no-bytes").get()
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Length"] == "0"


def test_redirect(serve):
    response = serve("redirect:http://127.0.0.1:1/elsewhere").get()
    assert (response.status_code, response.headers["Location"]) == (302, "http://127.0.0.1:1/elsewhere")


def test_encoding(serve, good):
    response = serve("encoding:gzip").get()
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.content == good


def test_encoding_cut(serve, good):
    response = serve("encoding,cut=1").get(stream=True)
    sent = response.raw.read(decode_content=False)
    with pytest.raises(EOFError):
        gzip.decompress(sent)


def test_length_that_is_no_number(serve, good):
    data, _ = raw(serve("length:abc"))
    assert b"Content-Length: abc\r\n" in data
    assert body(data) == good


def test_two_lengths(serve, good):
    data, _ = raw(serve("length:two"))
    assert data.count(b"Content-Length: ") == 2
    assert body(data) == good


def test_length_short_of_the_body(serve, good):
    client = serve("length:short")
    assert body(raw(client)[0]) == good
    assert len(client.get().content) < len(good)


def test_short_zip(serve, good):
    content = serve("short-zip").get().content
    assert content == good[: int(len(good) * 0.4)]


def test_flip(serve, good):
    content = serve("flip").get().content
    differing = [one ^ two for one, two in zip(content, good, strict=True) if one != two]
    assert len(differing) == 1
    assert differing[0].bit_count() == 1
    assert not is_whole(content)


def test_long_header(serve):
    assert max(map(len, raw(serve("long-header"))[0].split(b"\r\n")[:10])) > 100_000


def test_many_headers(serve):
    head = raw(serve("many-headers"))[0].partition(b"\r\n\r\n")[0]
    assert head.count(b"\r\n") > 300


def test_date(serve):
    said = serve("date:Thu, 15 Jan 2026 23:00:00 GMT,times=1")
    assert said.get().headers["Date"] == "Thu, 15 Jan 2026 23:00:00 GMT"
    assert said.get().headers["Date"] != "Thu, 15 Jan 2026 23:00:00 GMT"


def test_endless_header(serve):
    with pytest.raises(requests.ConnectionError):
        serve("endless-header").get()


def test_big(serve):
    response = serve("big:3000000").get()
    assert "Content-Length" not in response.headers
    assert response.content.startswith(b"PK\x03\x04")
    assert len(response.content) == 3_000_000


def test_big_and_declared(serve):
    response = serve("big:5000000000000,declare=1").get(stream=True)
    assert response.headers["Content-Length"] == "5000000000000"
    response.close()


def test_rebuild_changes_the_bytes_and_not_the_events(serve, good):
    client = serve("rebuild")
    one, two = client.get().content, client.get().content
    assert len({one, two, good}) == 3
    for content in (one, two):
        assert sorted(map(str, events(content))) == sorted(map(str, events(good)))


def test_rebuild_of_given_exports(serve, tmp_path, zip_of):
    file = tmp_path / f"{DAY}T00_{DAY}T23.zip"
    file.write_bytes(zip_of("7/7_2026-01-14_9#0.json.gz"))
    contents = {serve("rebuild", exports=tmp_path).get(f"{DAY}T00", f"{DAY}T23").content for _ in range(2)}
    assert file.read_bytes() not in contents
    assert all(map(is_whole, contents))


def test_drop(serve):
    client = serve("drop")
    assert raw(client) == (b"", "end")
    with pytest.raises(requests.ConnectionError):
        client.get()
    assert [request.status for request in client.sandbox.requests] == [0, 0]


def test_a_client_that_goes_away_does_no_harm(serve, capfd):
    client = serve("big:50000000,times=1")
    response = client.get(stream=True)
    response.raw.read(10)
    linger = struct.pack("ii", 1, 0)
    response.raw.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    response.close()
    assert client.get().status_code == 200
    client.sandbox.close()
    assert capfd.readouterr() == ("", "")


def test_closing_ends_every_kind_of_wait():
    for spec in ("wait:60", "slow-headers:60", "drip:60", "rate:1", "endless-header"):
        with Sandbox(faults=[spec]) as sandbox:
            host, port = sandbox.url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(f"GET /api/2/export?start={DAY}T08&end={DAY}T08 HTTP/1.1\r\n\r\n".encode())
                began = time.monotonic()
                sandbox.close()
                assert time.monotonic() - began < 1
