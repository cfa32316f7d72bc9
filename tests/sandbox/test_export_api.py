from __future__ import annotations

import base64
import http.client
import io
import ssl
import threading
import time
import zipfile
from datetime import UTC, datetime

import pytest
import requests
import trustme
from sandbox_client import AUTH, DAY, events, unzip

from pipeline.sandbox import Sandbox


def test_no_credentials_is_401(client):
    assert client.get(auth=None).status_code == 401


@pytest.mark.parametrize("header", ["Bearer abc", "Basic", "Basic ???"])
def test_what_is_no_basic_authorization_is_401(client, header):
    url = f"{client.sandbox.url}/api/2/export"
    assert requests.get(url, headers={"Authorization": header}, timeout=5).status_code == 401


@pytest.mark.parametrize(
    "auth", [("sandbox-key", "wrong"), ("wrong", "sandbox-secret"), ("sandbox-key", ""), ("SANDBOX-KEY", AUTH[1])]
)
def test_wrong_credentials_are_403_in_amplitudes_words(client, auth):
    response = client.get(auth=auth)
    assert response.status_code == 403
    error = response.json()["error"]
    assert (error["http_code"], error["type"]) == (403, "invalid")
    assert error["metadata"] == {"details": "Invalid API Key"}


def test_credentials_are_utf8(serve):
    client = serve(key="schlüssel", secret="gehe:im")
    token = base64.b64encode("schlüssel:gehe:im".encode()).decode()
    response = requests.get(
        f"{client.sandbox.url}/api/2/export?start={DAY}T08&end={DAY}T08",
        headers={"Authorization": f"Basic {token}"},
        timeout=5,
    )
    assert response.status_code == 200


def test_both_hours_are_included(client):
    names = unzip(client.get(f"{DAY}T22", "20260115T01").content)
    assert {name.partition("#")[0].partition("/")[2] for name in names} == {
        "100020001_2026-01-14_22",
        "100020001_2026-01-14_23",
        "100020001_2026-01-15_0",
        "100020001_2026-01-15_1",
    }


def test_a_window_is_the_sum_of_its_hours(client):
    hours = {}
    for hour in range(8, 12):
        hours |= unzip(client.get(f"{DAY}T{hour:02}").content)
    assert unzip(client.get(f"{DAY}T08", f"{DAY}T11").content) == hours


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        ("20260114", f"{DAY}T00", "start"),
        (f"{DAY}T00", "20260114T24", "end"),
        (f"{DAY}T00", "2026011T001", "end"),
        ("20260230T00", f"{DAY}T00", "start"),
        ("", f"{DAY}T00", "Missing required parameter: start"),
        (f"{DAY}T10", f"{DAY}T09", "before start"),
        ("20250114T00", "20260114T00", "365 days"),
        ("29990101T00", "29990101T00", "future"),
    ],
)
def test_a_bad_window_is_400_and_says_why(client, start, end, reason):
    response = client.get(start, end)
    assert response.status_code == 400
    assert reason in response.json()["error"]["metadata"]["details"]


def test_a_missing_parameter_is_400(client):
    response = requests.get(f"{client.sandbox.url}/api/2/export?start={DAY}T00", auth=AUTH, timeout=5)
    assert "Missing required parameter: end" in response.text


def test_a_year_is_allowed(serve):
    assert serve(events_per_hour=0).get("20250101T00", "20251231T23").status_code == 404


def test_an_hour_can_be_exported_three_hours_after_its_start(serve):
    def now():
        return datetime(2026, 1, 14, 11, 0, tzinfo=UTC)

    client = serve(now=now)
    assert client.get(f"{DAY}T08").status_code == 200
    assert client.get(f"{DAY}T09").status_code == 404
    assert client.get(f"{DAY}T12").status_code == 400


@pytest.mark.parametrize(("window", "auth"), [(f"{DAY}T08", AUTH), (f"{DAY}T03", AUTH), ("x", AUTH), ("x", ("a", "b"))])
def test_every_answer_says_the_sandboxs_time(serve, window, auth):
    client = serve(now=lambda: datetime(2026, 1, 16, 11, 0, 5, tzinfo=UTC))
    assert client.get(window, auth=auth).headers["Date"] == "Fri, 16 Jan 2026 11:00:05 GMT"


def test_an_empty_hour_is_404_in_amplitudes_words(client):
    response = client.get(f"{DAY}T03")
    assert (response.status_code, response.text) == (404, "Raw data files were not found.")
    assert response.headers["Content-Type"].startswith("text/plain")


def test_another_path_is_404_with_a_page(client):
    response = requests.get(f"{client.sandbox.url}/api/3/export", auth=AUTH, timeout=5)
    assert response.status_code == 404
    assert "<html" in response.text


def test_the_zip_is_a_stream_of_stored_members_with_data_descriptors(client):
    response = client.get(f"{DAY}T00", f"{DAY}T23")
    assert response.headers["Content-Type"] == "application/zip"
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert not {"Content-Length", "Content-Encoding"} & set(response.headers)
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        assert all(info.compress_type == zipfile.ZIP_STORED and info.flag_bits & 8 for info in archive.infolist())


def test_one_connection_takes_many_requests(client):
    connection = http.client.HTTPConnection(client.sandbox.url.removeprefix("http://"), timeout=5)
    sockets = set()
    for hour in ("08", "03", "09"):
        token = base64.b64encode(":".join(AUTH).encode()).decode()
        path = f"/api/2/export?start={DAY}T{hour}&end={DAY}T{hour}"
        connection.request("GET", path, headers={"Authorization": f"Basic {token}"})
        connection.getresponse().read()
        sockets.add(connection.sock)
    assert len(sockets) == 1
    assert None not in sockets
    connection.close()


def test_requests_are_kept_and_listed_without_credentials(client):
    client.get(f"{DAY}T08", f"{DAY}T09", headers={"User-Agent": "me/1"})
    client.get("nonsense", auth=("a", "b"))
    first, second = client.sandbox.requests
    assert (first.path, first.start, first.end) == ("/api/2/export", f"{DAY}T08", f"{DAY}T09")
    assert (first.status, first.authorized, first.user_agent) == (200, True, "me/1")
    assert first.authorization.startswith("Basic ")
    assert "sandbox-secret" not in repr(first)
    assert (second.start, second.status, second.authorized) == ("nonsense", 403, False)
    assert first.at < second.at
    listed = requests.get(f"{client.sandbox.url}/sandbox/requests", timeout=5)
    assert [each["status"] for each in listed.json()] == [200, 403]
    assert "uthorization" not in listed.text
    assert len(client.sandbox.requests) == 2


def test_many_clients_at_once(client):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(client.get().content)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len(set(answers)) == 1


def test_https(serve, tmp_path):
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = serve(ssl_context=context)
    assert client.sandbox.url.startswith("https://")
    with pytest.raises(requests.exceptions.SSLError):
        client.get()
    assert client.sandbox.requests == []
    assert events(client.get(verify=str(tmp_path / "ca.pem")).content)


def test_close_does_not_wait_for_idle_connections():
    with Sandbox() as sandbox, requests.Session() as session:
        session.get(f"{sandbox.url}/sandbox/requests", timeout=5)
        began = time.monotonic()
        sandbox.close()
        assert time.monotonic() - began < 1
        with pytest.raises(requests.ConnectionError):
            session.get(f"{sandbox.url}/sandbox/requests", timeout=5)
