"""What a failed connection means: the library's exception to an error that says what to do."""

import datetime as dt
import errno
import http.client
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
import urllib3

from pipeline.errors import ConfigError, PipelineError, TransientError
from pipeline.redaction import redact
from pipeline.settings import Settings
from pipeline.text import printable

_NO_COMMON_TLS = ("PROTOCOL", "WRONG_VERSION", "NO_SHARED", "HANDSHAKE_FAILURE")
_READS_CERTIFICATES = ("X509", "PEM")
"""The parts of OpenSSL that fail on our own CA file; what a server presents fails in another."""


def error_of(error: Exception, settings: Settings) -> PipelineError:
    """Turns an exception of requests or urllib3 into ours.

    Args:
        error: What the library raised.
        settings: Whom it asked.
    """
    causes = list(_causes(error))
    return _trust(causes, settings.host) or TransientError(
        _what(causes, settings) + _through(settings), "Look at the network, then run it again."
    )


def _what(causes: list[BaseException], settings: Settings) -> str:
    host = settings.host
    said: list[tuple[type[BaseException] | tuple[type[BaseException], ...], str]] = [
        (urllib3.exceptions.ProxyError, f"the proxy before {host} does not let us through{_system_says(causes)}"),
        (urllib3.exceptions.NameResolutionError, f"cannot resolve {host}"),
        (ConnectionRefusedError, f"{urlsplit(settings.api).netloc} refused the connection"),
        (
            urllib3.exceptions.ConnectTimeoutError,
            f"{host} did not accept the connection within {settings.connect_timeout:g} s",
        ),
        ((urllib3.exceptions.ReadTimeoutError, TimeoutError), f"{host} sent nothing for {settings.read_timeout:g} s"),
        (http.client.RemoteDisconnected, f"{host} closed the connection without an answer"),
        (ConnectionResetError, f"{host} reset the connection"),
        (http.client.IncompleteRead, f"{host} ended the answer before its declared end"),
    ]
    for kind, text in said:
        if any(isinstance(cause, kind) for cause in causes):
            return text
    deepest = causes[-1]
    return f"the answer of {host} broke off ({type(deepest).__name__}: {printable(redact(str(deepest)), 160)})"


def _system_says(causes: list[BaseException]) -> str:
    plain = [
        cause for cause in causes if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException)
    ]
    said = [cause.strerror or str(cause) for cause in plain]
    return next((f" ({printable(redact(text), 160)})" for text in said if text), "")


def _trust(causes: list[BaseException], host: str) -> ConfigError | None:
    """Returns the error for a server that cannot be trusted; it is never asked again with less care."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = printable(cause.verify_message or str(cause))
            is_dated = "expired" in reason or "not yet valid" in reason
            clock = f", and this machine's clock says {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC" if is_dated else ""
            look = " If that is not the time, set the clock (timedatectl shows it)." if is_dated else ""
            return ConfigError(
                f"the certificate of {host} is not to be trusted ({reason}){clock}",
                f"Nothing was sent.{look} Behind a company's proxy, name its CA file in REQUESTS_CA_BUNDLE.",
            )
        if isinstance(cause, ssl.SSLError) and any(word in str(cause.reason) for word in _NO_COMMON_TLS):
            return ConfigError(
                f"{host} speaks no TLS that is safe ({printable(str(cause.reason))})", "Look at AMP_BASE_URL."
            )
        if isinstance(cause, ssl.SSLError) and cause.library in _READS_CERTIFICATES:
            return ConfigError(
                f"the CA file cannot be read ({printable(str(cause.reason))})",
                "Look at REQUESTS_CA_BUNDLE: it names a file of certificates in PEM form.",
            )
        if isinstance(cause, OSError) and "CA certificate" in str(cause):
            return ConfigError(printable(str(cause)), "Look at REQUESTS_CA_BUNDLE: it names no file.")
    return None


def _through(settings: Settings) -> str:
    if settings.is_loopback:
        return ""
    proxy = requests.utils.select_proxy(settings.api, requests.utils.get_environ_proxies(settings.api))
    return f" (through the proxy {urlsplit(proxy).hostname})" if proxy else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an exception and what lies under it: causes, contexts, urllib3's reasons and wrapped arguments."""
    seen: set[int] = set()
    queue: list[BaseException] = [error]
    while queue:
        current = queue.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        under = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        queue.extend(cause for cause in under if isinstance(cause, BaseException))
        if isinstance(current, OSError) and current.errno == errno.ECONNREFUSED:
            queue.append(ConnectionRefusedError())
