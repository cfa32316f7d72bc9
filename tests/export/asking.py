"""What the tests of asking the API share: a day asked for, what was asked, and a proxy that listens."""

import datetime as dt
import gzip
import select
import socket
import socketserver
import threading
import time
import zipfile
from contextlib import closing, suppress

import pytest

from pipeline.errors import PipelineError, TransientError
from pipeline.export.download import fetch_day
from pipeline.sandbox.generator import members

DAY = dt.date(2026, 1, 15)
NEXT = dt.date(2026, 1, 16)
SIX_HOURS = ["00-05", "06-11", "12-17", "18-23"]
EVENTS = 5  # an hour, as the project's sandbox has it


def fetch(project, day=DAY, report=lambda _share, _text: None):
    """Asks for a day in this process; the record says how it went."""
    return fetch_day(day, project.settings, report)


def failure(project, kind, day=DAY):
    """Asks for a day in vain: the error is exactly of this kind, and nothing was published."""
    with pytest.raises(PipelineError) as caught:
        fetch(project, day)
    assert type(caught.value) is kind, caught.value
    assert not project.layout.raw_zip(day).exists()
    return str(caught.value)


def asked(sandbox, day=None):
    """The windows that were asked for, in order."""
    of_day = [request for request in sandbox.requests if day is None or request.start.startswith(f"{day:%Y%m%d}T")]
    return [f"{request.start[-2:]}-{request.end[-2:]}" for request in of_day]


def cut_of(size):
    return [f"{first:02d}-{first + size - 1:02d}" for first in range(0, 24, size)]


def under_way(project, sandbox, expected, day=DAY):
    """Counts the requests that came once so many were expected, then ends the sandbox and with it the run."""
    project.set(AMP_TRIES=1)
    thread = threading.Thread(target=lambda: failure(project, TransientError, day))
    thread.start()
    until = time.monotonic() + 20
    while len(sandbox.requests) < expected and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)  # for one too many to come
    came = len(sandbox.requests)
    sandbox.close()
    thread.join(20)
    assert not thread.is_alive()
    return came


def answers(record):
    """How the windows of a record went: (window, status, tries)."""
    return [(f"{w.first:02d}-{w.last:02d}", w.status, w.tries) for w in record.windows]


def assert_whole(project, day=DAY):
    """The published ZIP holds what the sandbox generated, event for event, and nothing is left beside it."""
    with zipfile.ZipFile(project.layout.raw_zip(day)) as archive:
        held = {name: gzip.decompress(archive.read(name)) for name in archive.namelist()[1:]}
    # The events, not the gzip: igzip makes other bytes of them from time to time.
    assert held == {member.name: gzip.decompress(member.data) for member in members(day, range(24), EVENTS)}
    assert not project.leftovers()


class Proxy(socketserver.ThreadingTCPServer):
    """A CONNECT proxy on loopback: it tunnels everything to one server, or refuses; `heads` is what it was told."""

    daemon_threads = True

    def __init__(self, target=None):
        self.heads = []
        self.target = target
        super().__init__(("127.0.0.1", 0), _Tunnel)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __exit__(self, *error):
        self.shutdown()
        super().__exit__(*error)


class _Tunnel(socketserver.BaseRequestHandler):
    def handle(self):
        head = b""
        while b"\r\n\r\n" not in head and (piece := self.request.recv(4096)):
            head += piece
        self.server.heads.append(head)
        if self.server.target is None:
            self.request.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        port = int(self.server.target.rpartition(":")[2])
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port))) as server:
            ends = {self.request: server, server: self.request}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    piece = end.recv(1 << 16)
                    if not piece:
                        return
                    ends[end].sendall(piece)


class Endless(socketserver.ThreadingTCPServer):
    """An HTTP server on loopback that answers with a head and then with the same body until nobody listens."""

    daemon_threads = True

    def __init__(self, head, body):
        self.head = head
        self.body = body
        self.sent = 0
        super().__init__(("127.0.0.1", 0), _Flood)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *error):
        self.shutdown()
        super().__exit__(*error)


class _Flood(socketserver.BaseRequestHandler):
    def handle(self):
        while b"\r\n\r\n" not in self.request.recv(65536):
            pass
        with suppress(OSError):
            self.request.sendall(self.server.head)
            while True:
                self.request.sendall(self.server.body)
                self.server.sent += len(self.server.body)
