"""A network of a test's own: a namespace of nothing but loopback, in which a name or an address is what the test says."""

import contextlib
import ctypes
import functools
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import trustme
from commands import Commands
from projects import KEY, ROOT, SECRET

from pipeline.sandbox import Sandbox

HOST = "analytics.eu.amplitude.com"
HERE = "127.0.0.1"
SILENT = "203.0.113.7"
"""An address to which packets go and from which nothing ever comes: no answer, and no refusal either."""

_CLONE_NEWNET = 0x40000000

# A pair of cables that are plugged into each other; the neighbour behind it has an address and no machine.
_UP = f"""
mount --bind "$0/hosts" /etc/hosts
test ! -f /etc/gai.conf || mount --bind "$0/gai.conf" /etc/gai.conf
ip link set lo mtu 1500 up
ip link add out type veth peer name nowhere
ip address add 10.9.9.1/24 dev out
ip link set out up
ip link set nowhere up
ip neighbour add 10.9.9.2 lladdr 02:00:00:00:00:01 dev out nud permanent
ip route add {SILENT} via 10.9.9.2
echo up
exec sleep infinity
"""
# Of two addresses the silent one is tried first, whatever the machine would prefer.
_SILENT_FIRST = f"precedence ::ffff:{SILENT}/128 100\nscopev4 ::ffff:0.0.0.0/96 14\n"


@functools.cache
def missing(*tools: str) -> str:
    """Returns what this machine lacks for a namespace, and for the tools that a test needs beside it; "" for nothing."""
    gone = [tool for tool in ("unshare", "nsenter", "mount", "ip", *tools) if not shutil.which(tool)]
    if gone:
        return f"no {' and no '.join(gone)} on this machine"
    if os.geteuid():
        return "a network namespace needs root"
    tried = subprocess.run(
        ("unshare", "--net", "--mount", "ip", "link", "add", "one", "type", "veth", "peer", "name", "two"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"no network namespace here: {tried.stderr.strip()}" if tried.returncode else ""


class Network:
    """A namespace, and what can be done to it while it stands.

    Args:
        path: A folder for its files.
        holder: A process that lives in it.

    Attributes:
        prefix: What a command is started by to run in it.
    """

    def __init__(self, path: Path, holder: int) -> None:
        self._path = path
        self._net = f"/proc/{holder}/ns/net"
        self.prefix = ("nsenter", f"--net={self._net}", f"--mount=/proc/{holder}/ns/mnt", f"--wd={ROOT}", "--")
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(path / "ca.pem")

    def name(self, *addresses: str) -> None:
        """Gives Amplitude's host its addresses; with none it has no name any more."""
        lines = [f"{HERE} localhost", *(f"{address} {HOST}" for address in addresses)]
        (self._path / "hosts").write_text("\n".join(lines) + "\n")  # in place: it is mounted

    def do(self, command: str) -> str:
        """Runs a command in it, in words that a space parts; returns what it prints."""
        done = subprocess.run((*self.prefix, *command.split()), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def sandbox(self, **options: object) -> Sandbox:
        """Makes a sandbox that is Amplitude in it: https with its name, on its port; for a `with` block."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(HOST).configure_cert(context)
        options = {"key": KEY, "secret": SECRET, "port": 443, "ssl_context": context, **options}
        # A socket belongs to the namespace of the thread that makes it.
        with ThreadPoolExecutor(1, initializer=self._enter) as inside:
            return inside.submit(Sandbox, **options).result()

    def commands(self, **env: object) -> Commands:
        """Returns a project whose region is Europe, as its settings have it where nothing is set."""
        trust = {"AMP_API_KEY": KEY, "AMP_SECRET_KEY": SECRET, "REQUESTS_CA_BUNDLE": self._path / "ca.pem"}
        return Commands(self._path, None, **trust, **env)

    def _enter(self) -> None:
        file = os.open(self._net, os.O_RDONLY)
        try:
            assert ctypes.CDLL(None).setns(file, _CLONE_NEWNET) == 0
        finally:
            os.close(file)


@contextlib.contextmanager
def network(path: Path) -> Iterator[Network]:
    """Makes a namespace, which ends with its holder; at first Amplitude's host is this machine."""
    (path / "hosts").touch()
    (path / "gai.conf").write_text(_SILENT_FIRST)
    holding = ("unshare", "--net", "--mount", "sh", "-ec", _UP, str(path))
    with subprocess.Popen(holding, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as holder:
        try:
            said = holder.stdout.readline()
            assert said == "up\n", said
            made = Network(path, holder.pid)
            made.name(HERE)
            yield made
        finally:
            holder.kill()
