from __future__ import annotations

import gzip
import io
import json
import zipfile

import requests

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
