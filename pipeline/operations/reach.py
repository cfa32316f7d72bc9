"""What a run needs of others: Amplitude, its clock, and luigid where it is used."""

import contextlib
import datetime as dt
import http.client
import socket
from collections.abc import Iterator

from pipeline import settings
from pipeline.errors import ConfigError, CredentialsError, PipelineError
from pipeline.export.probe import probe
from pipeline.operations.findings import NOTE, OK, WRONG, Finding

_PATIENCE = 60.0  # seconds that Amplitude is given
_CLOCK = 60.0  # seconds that a clock may be off before it is worth a word
_MARGIN = 600.0  # seconds from which the hour of margin before a day is settled is in danger
LUIGID = 8082
"""The port of `make scheduler`."""


def amplitude(conf: settings.Settings) -> Iterator[Finding]:
    """Asks Amplitude once, for an hour of which there is nothing, and compares its clock with this machine's."""
    try:
        credentials = settings.load_credentials()
    except ConfigError:
        yield Finding(NOTE, "Amplitude", "not asked: there are no credentials")
        return
    try:
        answer = probe(conf, credentials, _PATIENCE)
    except CredentialsError as error:
        yield Finding(WRONG, "credentials", str(error))
        return
    except PipelineError as error:
        yield Finding(WRONG, "Amplitude", str(error))
        return
    yield Finding(OK, "Amplitude", f"{conf.api} answers in {answer.seconds:.1f} s, and takes the credentials")
    if answer.served_at is not None:
        yield _clock(answer.served_at, answer.requested_at, answer.seconds)


def _clock(served: dt.datetime, requested: dt.datetime, seconds: float) -> Finding:
    """Compares the server's time with this machine's at about the moment it was said; a Date has whole seconds."""
    off = (requested + dt.timedelta(seconds=seconds) - served).total_seconds()
    if abs(off) <= _CLOCK:
        return Finding(OK, "clock", f"{requested:%Y-%m-%d %H:%M} UTC, as the server has it")
    text = f"this machine's is {abs(off):,.0f} s {'ahead of' if off > 0 else 'behind'} the server's"
    if abs(off) <= _MARGIN:
        return Finding(NOTE, "clock", text)
    return Finding(WRONG, "clock", f"{text}: days would be asked for too early or too late. Set it (timedatectl)")


def luigid(port: int = LUIGID) -> Finding:
    """Looks whether luigid runs, and that nobody but this machine can reach it: it has no login."""
    if not _answers("127.0.0.1", port):
        return Finding(OK, "luigid", "not running, and no run needs it; make scheduler starts it for the web view")
    if not _is_luigid(port):
        text = f"what answers on 127.0.0.1:{port} is none. For the web view beside it: make scheduler PORT={port + 1}"
        return Finding(NOTE, "luigid", f"{text} (and that port in luigi.central.cfg)")
    open_to = next((address for address in _addresses() if _answers(address, port)), None)
    if open_to:
        return Finding(
            WRONG, "luigid", f"it answers on {open_to} too, without a login. Stop it, and start it with: make scheduler"
        )
    return Finding(OK, "luigid", f"runs on http://127.0.0.1:{port}; runs report to it with SCHEDULER=central")


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def _is_luigid(port: int) -> bool:
    """Tells it by its health check: 204 (source: luigi.server.RootPathHandler.head)."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(asked), contextlib.suppress(OSError, http.client.HTTPException):
        asked.request("HEAD", "/")
        return asked.getresponse().status == http.client.NO_CONTENT
    return False


def _addresses() -> set[str]:
    """Returns the addresses by which others may reach this machine."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        found.update(str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None))
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way_out:
        way_out.connect(("192.0.2.1", 9))  # sends nothing: it only asks which address would be used
        found.add(str(way_out.getsockname()[0]))
    return {address for address in found if not address.startswith("127.") and address != "::1"}
