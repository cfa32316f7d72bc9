from __future__ import annotations

import functools
import gzip
import io
import zipfile

import pytest
from sandbox_client import Client

from pipeline.sandbox import Sandbox


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
