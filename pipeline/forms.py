"""The forms that a setting's text may take: each reads it, or says what it takes."""

import ipaddress
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pipeline.text import printable

REGIONS = {"eu": "https://analytics.eu.amplitude.com", "us": "https://amplitude.com"}
"""The Export API's host by region (source: Amplitude's Export API page)."""

Number = TypeVar("Number", int, float)


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Returns a reader of whole numbers within bounds, both included."""
    form = f"a whole number from {least}" + (" on" if most is None else f" to {most}")
    return lambda text: _within(int, text.replace("_", ""), least, math.inf if most is None else most, form)


def number(least: float, most: float = sys.float_info.max) -> Callable[[str], float]:
    """Returns a reader of numbers within bounds, both included."""
    form = f"a number from {least:g}" + (" on" if most == sys.float_info.max else f" to {most:g}")
    return lambda text: _within(float, text, least, most, form)


def _within(kind: Callable[[str], Number], text: str, least: float, most: float, form: str) -> Number:
    try:
        value = kind(text)
    except ValueError:
        raise ValueError(form) from None
    if not least <= value <= most:
        raise ValueError(form)
    return value


def region(text: str) -> str:
    """Reads a region's name."""
    if text.lower() not in REGIONS:
        raise ValueError(" or ".join(REGIONS))
    return text.lower()


def folder(text: str) -> Path:
    """Reads a folder; DuckDB takes a backslash in its path for a slash, and a text that is not UTF-8 for none."""
    whole_path = str(Path(text).absolute())
    if "\\" in whole_path or not whole_path.isprintable():
        raise ValueError(f"a folder whose whole path ({printable(whole_path)}) has no backslash and is readable text")
    return Path(text)


def is_loopback(host: str) -> bool:
    """Tells whether a host name is this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name; 127.example.com is anybody's
        return False


def base_url(text: str) -> str:
    """Reads an address: https, or http to loopback."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        raise ValueError("https://HOST or https://HOST:PORT") from None
    if "@" in url.netloc or url.query or url.fragment:
        raise ValueError("an address without user, password or query")
    if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname))):
        raise ValueError("https://HOST (plain http is for this machine's own addresses alone)")
    return text.rstrip("/")
