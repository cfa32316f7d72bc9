from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "pipeline.sandbox")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def running(*arguments):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*COMMAND, "--port", "0", *arguments], env=ENVIRONMENT, **pipes) as process:
        try:
            yield process, [process.stdout.readline().strip() for _ in range(4)]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_and_ends_well(number):
    arguments = ("--key", "k", "--secret", "s", "--events-per-hour", "20", "--fault", "status:429,times=1")
    with running(*arguments) as (process, lines):
        url = lines[1].removeprefix("AMP_BASE_URL=")
        assert url in lines[0]
        assert lines[2:] == ["AMP_API_KEY=k", "AMP_SECRET_KEY=s"]
        window = {"start": "20260114T08", "end": "20260114T08"}
        for expected in (429, 200):
            answer = requests.get(f"{url}/api/2/export", params=window, auth=("k", "s"), timeout=10)
            assert answer.status_code == expected
        listed = requests.get(f"{url}/sandbox/requests", timeout=10).json()
        assert [each["status"] for each in listed] == [429, 200]
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, err) == (0, "")
        assert out == "Sandbox stopped after 2 requests.\n"


def refused(*arguments):
    done = subprocess.run(
        [*COMMAND, *arguments], env=ENVIRONMENT, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_an_error_in_the_arguments_is_one_line(tmp_path):
    assert "did you mean 'status'?" in refused("--fault", "stauts:500")
    assert "--exports" in refused("--exports", str(tmp_path / "nowhere"))
    assert "--port" in refused("--port", "none")


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"port {port}" in refused("--port", str(port))


def test_exports_are_served(tmp_path, zip_of):
    (tmp_path / "20260114T00_20260114T23.zip").write_bytes(zip_of("7/7_2026-01-14_9#0.json.gz"))
    with running("--exports", str(tmp_path)) as (_, lines):
        url = lines[1].removeprefix("AMP_BASE_URL=")
        window = {"start": "20260114T09", "end": "20260114T09"}
        answer = requests.get(f"{url}/api/2/export", params=window, auth=("sandbox-key", "sandbox-secret"), timeout=10)
        assert answer.content.startswith(b"PK")
