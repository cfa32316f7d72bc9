"""What an examination finds, and how it is printed."""

import dataclasses
from collections.abc import Iterable

from rich.console import Console

FOUND = 1
"""The shell's status where a command looked, and something is wrong."""

OK, NOTE, WRONG = "ok", "note", "wrong"
_COLOURS = {OK: "green", NOTE: "yellow", WRONG: "red"}


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: `ok`; `note`, which no run fails for; or `wrong`.
        subject: What was looked at, in a word or two.
        text: What was found, and where something is wrong, what to type.
    """

    state: str
    subject: str
    text: str


def show(findings: Iterable[Finding], console: Console) -> int:
    """Prints findings as they come, and how many are wrong.

    Returns:
        How many are wrong.
    """
    wrong = 0
    for finding in findings:
        wrong += finding.state == WRONG
        console.print(f"{finding.state:<7}", style=_COLOURS[finding.state], end="")
        console.print(f"{finding.subject:<13}{finding.text}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        "Nothing is wrong." if not wrong else f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong.",
        style=_COLOURS[WRONG if wrong else OK],
    )
    return wrong
