"""Secrets that show themselves to nobody, and their removal from any text that leaves the program."""

import base64
import html
import json
import urllib.parse

_SHORTEST = 4  # a shorter value would blacken half of every log line
_forms: set[str] = set()


class Secret:
    """A value that prints as `****` and is known to `redact` in each of its forms."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        _remember(value)

    def reveal(self) -> str:
        """Returns the value itself: for the Authorization header, and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return "****"

    def __reduce__(self) -> str:
        raise TypeError("a secret is never written to a file")


def remember_pair(key: Secret, secret: Secret) -> None:
    """Makes the Basic form of a key and its secret known to `redact`."""
    _remember(base64.b64encode(f"{key.reveal()}:{secret.reveal()}".encode()).decode())


def redact(text: str) -> str:
    """Returns the text with each form of each known secret replaced by `****`."""
    # The longest first: a key that a secret begins with would leave the secret's rest.
    for form in sorted(_forms, key=len, reverse=True):
        text = text.replace(form, "****")
    return text


def _remember(value: str) -> None:
    forms = (
        value,
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote_plus(value),
        repr(value)[1:-1],
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        base64.b64encode(value.encode()).decode().rstrip("="),
    )
    _forms.update(form for form in forms if len(form) >= _SHORTEST)
