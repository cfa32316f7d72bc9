"""Takes requests on loopback, each connection in a thread of its own."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from pipeline.sandbox.wire import Closing, Wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from pipeline.sandbox.answer import Answer


@dataclass
class Request:
    """A request as it came, and what was answered.

    Attributes:
        path: Without its query.
        start: The parameter as it was sent; "" where it is missing.
        end: Likewise.
        headers: As they were sent, but for Authorization.
        user_agent: The User-Agent header; "" where it is missing.
        authorization: The Authorization header; "" where it is missing.
        authorized: Whether it had the right key and secret.
        at: When it came: time.monotonic(), in seconds.
        status: The status sent; 0 before that, and where a fault sends none.
    """

    path: str
    start: str
    end: str
    headers: dict[str, str]
    user_agent: str
    authorization: str = field(repr=False)
    authorized: bool = False
    at: float = field(default_factory=monotonic)
    status: int = 0


class Listener(ThreadingHTTPServer):
    """An HTTP/1.1 server on 127.0.0.1.

    Args:
        respond: Makes the answer to a request; called in many threads at once.
        port: 0 for a free one.
        ssl_context: Makes it https.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, respond: Callable[[Request], Answer], port: int, ssl_context: ssl.SSLContext | None) -> None:
        self.respond = respond
        self.closing = Event()
        self._ssl_context = ssl_context
        self._connections: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(("127.0.0.1", port), _Handler)
        self._thread = Thread(target=self.serve_forever, args=(0.02,), name="sandbox", daemon=True)

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()

    def close(self) -> None:
        """Ends at once; answers that are under way, and idle connections, are cut off."""
        self.closing.set()
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def get_request(self) -> tuple[socket.socket, Any]:
        """A new connection. Its TLS handshake waits for the first read, in the connection's own thread."""
        connection, address = self.socket.accept()
        if self._ssl_context is not None:
            connection = self._ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the base class's signature
        """The end of a connection."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - likewise
        """A client that goes away, or refuses the certificate, is nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # small chunks would wait for the client's acknowledgement

    def do_GET(self) -> None:
        last = self.close_connection  # as the client asks
        self.close_connection = True
        with suppress(Closing, OSError):
            request = self._request()
            answer = self.server.respond(request)
            request.status = answer.status
            self.close_connection = not Wire(self.connection, self.server.closing).send(answer) or last
            if answer.ending == "reset":  # the base class would end the connection in good order
                self.rfile.close()
                self.connection.close()

    def _request(self) -> Request:
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        headers = dict(self.headers.items())
        authorization = self.headers.get("Authorization", "")
        return Request(
            path=url.path,
            start=query.get("start", [""])[0],
            end=query.get("end", [""])[0],
            headers={name: value for name, value in headers.items() if name.lower() != "authorization"},
            user_agent=self.headers.get("User-Agent", ""),
            authorization=authorization,
        )

    def log_message(self, *_: object) -> None:
        """Nothing: tests and demos have their own output, and `Sandbox.requests` says what came."""
