"""What Amplitude's answers mean: a status and a body to an error that says what to do."""

import datetime as dt
import email.utils
import json
import re
from collections.abc import Mapping

from pipeline.errors import CredentialsError, PipelineError, RequestError, TooLargeError, TransientError
from pipeline.redaction import redact
from pipeline.text import printable

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The statuses that are tried again; other 5xx are too."""

_NO_DATA = re.compile(r"raw data files were not found|no data", re.IGNORECASE)
_SIZE = re.compile(r"\b(size|large|big|exceed\w*|limit|too (many|much)|\d+ ?[GM]i?B)\b", re.IGNORECASE)
_OTHER_REASON = re.compile(
    r"\b(invalid|malformed|missing|required|unknown|unsupported|not (allowed|supported|found|a valid)|must be|expected"
    r"|cannot (be )?parsed?|could not parse|format|denied|forbidden|unauthori[sz]ed|permission|suspended|expired"
    r"|deprecated|disabled)\b",
    re.IGNORECASE,
)
# What is not closed goes on to the end: without that, a page of "<head<head<head" takes the square of its length.
_MARKUP = re.compile(r"(?is)<(script|style|head)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^>]*(?:>|\Z)")
_TITLE = re.compile(r"(?is)<title[^>]{0,99}>([^<]{0,300})")


def words(body: bytes, content_type: str) -> str:
    """Returns what a body says, as one line for people.

    Args:
        body: The body, or its beginning; JSON, HTML or text.
        content_type: Its declared type; a wrong one does no harm.

    Returns:
        At most 300 printable characters without secrets; empty where the body says nothing.
    """
    text = body.decode("utf-8", "replace").strip()
    said = ""
    try:
        said = "; ".join(dict.fromkeys(_strings(json.loads(text))))
    except (ValueError, RecursionError):
        if "html" in content_type.lower() or text[:1] == "<":
            title = _TITLE.search(text)
            said = " ".join(((title[1] + " ") if title else "", _MARKUP.sub(" ", text)))
        else:
            said = text
    return printable(redact(" ".join(said.split())))


def _strings(value: object) -> list[str]:
    """Collects the sentences of a JSON error, wherever they stand in it."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, Mapping):
        return [text for key, inner in value.items() if key not in {"type", "code"} for text in _strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _strings(inner)]
    return []


def is_no_data(body: bytes, content_type: str) -> bool:
    """Tells whether a 404's body is Amplitude's own "no data", and no other server's "not found".

    An HTML page never is: a wrong host or path would turn a year into "done, 0 events".
    """
    if "html" in content_type.lower() or body.lstrip()[:1] == b"<":
        return False
    return bool(_NO_DATA.search(words(body, content_type)))


def names_another_reason(said: str) -> bool:
    """Tells whether a 400's words plainly name a reason other than size.

    The body that Amplitude sends for size has never been published, so an empty or vague one counts as size.
    """
    return bool(_OTHER_REASON.search(said)) and not _SIZE.search(said)


def retry_after(value: str | None, now: dt.datetime) -> float | None:
    """Returns the seconds of a `Retry-After` header, which is a number or a date; None where it is neither."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max((email.utils.parsedate_to_datetime(value) - now).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def served_at(value: str | None) -> dt.datetime | None:
    """Returns the time of a `Date` header in UTC; None where there is none, or none that can be read."""
    try:
        said = email.utils.parsedate_to_datetime(value or "")
        return (said if said.tzinfo else said.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def error_of(status: int, headers: Mapping[str, str], body: bytes, host: str) -> PipelineError:  # noqa: PLR0911 - a table in words
    """Turns an answer that is no export into the error that says what to do about it.

    Args:
        status: Any but 200, and 404 without data.
        headers: The answer's; their names in any case.
        body: Its body, or the body's beginning.
        host: Whom was asked.
    """
    said = words(body, headers.get("Content-Type", "")).rstrip(". ")
    quoted = f"{host} answered {status}" + (f": {said}" if said else " without a word")
    if status in (401, 403):
        return CredentialsError(
            f"{quoted}: the key or the secret was refused",
            "Look at AMP_API_KEY and AMP_SECRET_KEY (are they swapped? of this project?) and at AMP_REGION: the keys of"
            " a US project are refused by the EU host, and the other way round.",
        )
    if 300 <= status < 400:  # noqa: PLR2004 - the redirects
        return RequestError(
            f"{host} answered {status}, a redirect to {_target(headers)}: it is not followed",
            "Look at AMP_REGION and AMP_BASE_URL.",
        )
    if status in (400, 413):
        if names_another_reason(said):
            return RequestError(quoted, "That names no size, so the window is not halved. Mend what it names.")
        return TooLargeError(quoted, "The window is more than one answer can hold.", status=status)
    if status in PASSING or status >= 500:  # noqa: PLR2004
        wait = retry_after(headers.get("Retry-After"), dt.datetime.now(dt.UTC))
        return TransientError(quoted, status=status, retry_after=wait)
    if status == 404:  # noqa: PLR2004
        return RequestError(
            f"{quoted}: that is not Amplitude's word for an empty hour", "Look at AMP_REGION and AMP_BASE_URL."
        )
    return RequestError(quoted, "Amplitude's Export API knows no such answer. Look at AMP_BASE_URL, or at a proxy.")


def _target(headers: Mapping[str, str]) -> str:
    host = re.match(r"(?:https?:)?//(?:[^/@]*@)?([^/:?#]+)", headers.get("Location", ""))
    return printable(host[1]) if host else "another address"
