"""Faults: what can go wrong with an answer, when, and how to write it down.

A spec is ``kind[:value][,option=value...]``, for example ``status:429,retry_after=1,times=2`` or ``cut:0.4,hour=7``.
A comma belongs to the value unless ``name=`` follows it, so that texts and dates need no quoting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Literal, NamedTuple, get_args

Framing = Literal["length", "chunked", "none"]


class _Kind(NamedTuple):
    value: str | None  # the default; None where one must be given, "" where there is none
    form: str = "none"  # none, text, one of _FORMS, or the words that are allowed, separated by "|"
    options: tuple[str, ...] = ()
    paces: bool = False  # only slows: goes together with another fault


KINDS = {
    "status": _Kind(None, "status", ("body", "message", "retry_after")),
    "cut": _Kind("0.4", "fraction", ("framing",)),
    "reset": _Kind("0.4", "fraction"),
    "stall": _Kind("0.4", "fraction"),
    "drip": _Kind("0.3", "seconds"),
    "slow-headers": _Kind("0.25", "seconds"),
    "wait": _Kind(None, "seconds", paces=True),
    "latency": _Kind(None, "seconds", paces=True),
    "rate": _Kind(None, "whole", paces=True),
    "html": _Kind(""),
    "json": _Kind(""),
    "no-bytes": _Kind(""),
    "redirect": _Kind(None, "text"),
    "encoding": _Kind("gzip", "gzip", ("cut",)),
    "length": _Kind(None, "abc|two|short"),
    "short-zip": _Kind("0.4", "fraction"),
    "flip": _Kind(""),
    "long-header": _Kind(""),
    "many-headers": _Kind(""),
    "endless-header": _Kind(""),
    "big": _Kind(None, "whole", ("declare",)),
    "rebuild": _Kind(""),
    "drop": _Kind(""),
    "date": _Kind("Thu, 01 Jan 1970 00:00:00 GMT", "text"),
}
_FORMS = {  # of a number: how it is called, the lowest and the highest
    "fraction": ("a number from 0 to 1", 0, 1),
    "seconds": ("a number of seconds", 0, 86_400),
    "whole": ("a whole number", 1, 2**53),
    "status": ("a status from 200 to 599", 200, 599),
}
_COMMON = ("times", "skip", "over", "hour")
_WORDS = {"body": ("json", "text", "html", "empty"), "framing": get_args(Framing)}


class FaultError(ValueError):
    """A fault that makes no sense; the text says which word, and what was probably meant."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with the answer to an export request.

    Attributes:
        kind: What goes wrong; one of `KINDS`.
        value: Its measure, as a number or as the text of a spec; "" for the kind's default.
        times: For how many of the matching requests; None for all.
        skip: How many matching requests pass before it begins.
        over: Only for windows of more than so many hours.
        hour: Only for windows that contain this hour (0 to 23) of a day.
        body: ``status``: the form of the body: json, text, html or empty; "" for what suits the status.
        message: ``status``: the body's text, or the message in it.
        retry_after: ``status``: the Retry-After header, sent as it is.
        framing: ``cut``: how the body's end is told: length, chunked or none (the connection's end).
        cut: ``encoding``: the compressed stream ends half way.
        declare: ``big``: Content-Length tells the size.
    """

    kind: str
    value: str | float = ""
    times: int | None = None
    skip: int = 0
    over: int | None = None
    hour: int | None = None
    body: str = ""
    message: str = ""
    retry_after: str = ""
    framing: Framing = "length"
    cut: bool = False
    declare: bool = False

    def __post_init__(self) -> None:
        kind = KINDS.get(self.kind)
        if kind is None:
            raise FaultError(f"unknown fault {self.kind!r}{_nearest(self.kind, KINDS)}")
        for field in fields(self)[2:]:
            given = getattr(self, field.name)
            if given != field.default and field.name not in (*_COMMON, *kind.options):
                raise FaultError(f"{self.kind} has no option {field.name}")
            words = _WORDS.get(field.name)
            if words and given and given not in words:
                raise FaultError(f"{field.name}={given}: one of {', '.join(words)} expected")
        if self.hour is not None and not 0 <= self.hour <= 23:  # noqa: PLR2004 - the hours of a day
            raise FaultError(f"hour={self.hour}: an hour from 0 to 23 expected")
        value = kind.value if self.value == "" else self.value
        if value is None:
            raise FaultError(f"{self.kind} needs a value, as in {self.kind}:VALUE")
        object.__setattr__(self, "value", value)
        _check(self.kind, str(value), kind.form)

    @classmethod
    def parse(cls, spec: str) -> Fault:
        """The fault that ``spec`` describes.

        Raises:
            FaultError: The kind, an option or a value is not known; the nearest one is named.
        """
        first, *rest = re.split(r",(?=[a-z_-]+=)", spec.strip())
        kind, _, value = first.partition(":")
        kinds = {field.name: str(field.type) for field in fields(cls)[2:]}
        options: dict[str, str | int | bool] = {}
        for option in rest:
            name, _, text = option.partition("=")
            if name not in kinds:
                raise FaultError(f"unknown option {name!r} in {spec!r}{_nearest(name, kinds)}")
            options[name] = _typed(name, text, kinds[name])
        return cls(kind.strip(), value.strip(), **options)  # type: ignore[arg-type]  # typed by _typed

    @property
    def number(self) -> float:
        """The value of a kind that takes a number."""
        return float(self.value)

    @property
    def paces(self) -> bool:
        """Whether it only slows the answer, and so goes together with one that changes it."""
        return KINDS[self.kind].paces


def _typed(name: str, text: str, form: str) -> str | int | bool:
    if form in ("str", "Framing"):
        return text
    if form == "bool":
        if text not in ("0", "1"):
            raise FaultError(f"{name}={text}: 0 or 1 expected")
        return text == "1"
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise FaultError(f"{name}={text}: a whole number expected")
    return int(text)


def _check(kind: str, value: str, form: str) -> None:
    if form == "text":
        return
    if form in _FORMS:
        try:
            number = float(value)
        except ValueError:
            raise FaultError(f"{kind}:{value}: a number expected") from None
        name, lowest, highest = _FORMS[form]
        if not lowest <= number <= highest or (form in ("whole", "status") and number % 1):
            raise FaultError(f"{kind}:{value}: {name} expected")
    elif value not in ("" if form == "none" else form).split("|"):
        hint = "it takes no value" if form == "none" else f"one of {form.replace('|', ', ')} expected"
        raise FaultError(f"{kind}:{value}: {hint}")


def _nearest(word: str, words: dict[str, _Kind] | dict[str, str]) -> str:
    near = get_close_matches(word, words, n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else f"; there are {', '.join(words)}"
