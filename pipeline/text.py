"""Text for people: foreign words made fit for one line, bytes and counts."""


def printable(text: str, limit: int = 300) -> str:
    """Makes foreign text fit for one line of a log, a terminal or a web page.

    Args:
        text: What a server or an archive said.
        limit: Characters that are kept.

    Returns:
        The text without control, bidi or line characters (they are written as escapes), cut to the limit.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in cut
    )


def size(count: float) -> str:
    """Returns bytes for people: `1.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if round(count, 1) < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def count(number: int, noun: str) -> str:
    """Returns a number with its noun: `1 window`, `1,200 windows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def differing(grown: int, shrunk: int, changed: int) -> str:
    """Returns what a recheck found: `grown by 12 events, shrunk by 3 events`; nothing where all is the same."""
    numbers = (("grown by", grown), ("shrunk by", shrunk), ("other values in", changed))
    return ", ".join(f"{how} {count(number, 'event')}" for how, number in numbers if number)


def replaced(what: str, old: int, new: int) -> str:
    """Returns what a replacement changes: `1,200 rows take the place of 1,180 (+20)`."""
    return f"{new:,} {what} take the place of {old:,} ({new - old:+,d})"
