from __future__ import annotations

import functools
import gzip
import io
import json
import zipfile

import pytest
import requests

from pipeline.sandbox import Sandbox

AUTH = ("sandbox-key", "sandbox-secret")
DAY = "20260114"  # a Wednesday


class Client:
    def __init__(self, sandbox):
        self.sandbox = sandbox

    def get(self, start=f"{DAY}T08", end=None, *, auth=AUTH, **options):
        params = {"start": start, "end": end or start}
        options.setdefault("timeout", 10)
        return requests.get(
            f"{self.sandbox.url}/api/2/export",
            params={name: value for name, value in params.items() if value is not None},
            auth=auth,
            allow_redirects=False,
            **options,
        )


def unzip(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: gzip.decompress(archive.read(name)) for name in archive.namelist()}


def events(content):
    return [json.loads(line) for data in unzip(content).values() for line in data.split(b"\n") if line]


@pytest.fixture
def serve():
    opened = []

    def start(*faults, **options):
        sandbox = Sandbox(faults=faults, **({"events_per_hour": 30} | options)).start()
        opened.append(sandbox)
        return Client(sandbox)

    yield start
    for sandbox in opened:
        sandbox.close()


@pytest.fixture
def client(serve):
    return serve()


@pytest.fixture(scope="session")
def zip_of():
    def make(*names, content=b'{"uuid":"1"}\n', method=zipfile.ZIP_STORED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for name in names:
                archive.writestr(name, gzip.compress(content))
        return file.getvalue()

    return functools.cache(make)
