"""An HTTP session whose connections can be cut from another thread, and which never leaks a header."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Connections:
    """The sockets of one session."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._cut = False

    def add(self, opened: socket.socket) -> None:
        """Takes a socket in; one that comes after the cut is cut too."""
        with self._lock:
            self._sockets.append(opened)
            late = self._cut
        if late:
            self.cut()

    @property
    def is_cut(self) -> bool:
        """Whether they were cut: what was read since then may end too early."""
        return self._cut

    def cut(self) -> None:
        """Ends every read and write on the sockets, in whichever thread it blocks."""
        with self._lock:
            self._cut = True
            sockets = list(self._sockets)
        for opened in sockets:
            # Below TLS, whose own shutdown pulls the rug from under the thread that reads. urllib3 wraps a tunnel's.
            below = getattr(opened, "socket", opened)
            with contextlib.suppress(OSError):
                socket.socket.shutdown(below, socket.SHUT_RDWR)

    @contextlib.contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Cuts them if what is inside takes longer: a timeout of a socket is per read, and a drip never meets it."""
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def set_timeout(self, seconds: float) -> None:
        """Sets how long a read may wait from now on."""
        with self._lock:
            sockets = list(self._sockets)
        for opened in sockets:
            with contextlib.suppress(OSError):
                opened.settimeout(seconds)


class _Adapter(HTTPAdapter):
    """requests' adapter, with connections that tell their sockets."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's own
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - urllib3's own
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools()
        return manager

    def _pools(self) -> dict[str, type]:
        class Http(HTTPConnectionPool):
            ConnectionCls = _telling(HTTPConnection, self._connections.add)

        class Https(HTTPSConnectionPool):
            ConnectionCls = _telling(HTTPSConnection, self._connections.add)

        return {"http": Http, "https": Https}


def _telling(kind: type[Any], tell: Callable[[socket.socket], None]) -> type[Any]:
    class Telling(kind):  # type: ignore[misc]
        # http.client prints the Authorization header when somebody sets its class's debuglevel.
        debuglevel = 0

        def connect(self) -> None:
            super().connect()
            tell(self.sock)

    return Telling


class _Session(requests.Session):
    """requests' session, for which no answer is a redirect: it would read the whole body of one, and decode it."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - requests' own
        return None


def session(connections: Connections, *, is_loopback: bool) -> requests.Session:
    """Opens a session for one request.

    Args:
        connections: Learns each socket that is opened.
        is_loopback: Whether the host is this machine: then no proxy stands between.

    Returns:
        A session without redirects, retries or cookies to keep. It obeys the environment's proxies and CA bundle;
        `.netrc` is never read, as each request brings its own credentials.
    """
    opened = _Session()
    opened.trust_env = not is_loopback
    if is_loopback:
        opened.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    adapter = _Adapter(connections)
    opened.mount("https://", adapter)
    opened.mount("http://", adapter)
    return opened
