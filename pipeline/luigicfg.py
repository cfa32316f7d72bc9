"""luigi.cfg, looked at before Luigi is imported: where it cannot be parsed, that import ends with a traceback."""

import configparser
import os
from pathlib import Path

from pipeline.errors import ConfigError

PLACES = ("/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg", "client.cfg", "luigi.cfg")
"""Where Luigi looks; a file that LUIGI_CONFIG_PATH names comes last."""


def refuse_broken() -> None:
    """Parses each file as Luigi will.

    Raises:
        ConfigError: One of them cannot be parsed.
    """
    named = os.environ.get("LUIGI_CONFIG_PATH")
    for place in (*PLACES, *([named] if named else [])):
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[method-assign,assignment]
        try:
            parser.read(place)
        except UnicodeDecodeError as error:
            raise ConfigError(f"{place} is no UTF-8 text", f"Mend it: git diff {Path(place).name} shows it.") from error
        except configparser.Error as error:
            what, todo = _said(error)
            raise ConfigError(f"{place}{what}", todo) from error


def _said(error: configparser.Error) -> tuple[str, str]:
    """Returns what is wrong, from the line on, and what to do; never the line itself, which may hold a secret."""
    match error:
        case configparser.DuplicateSectionError():
            return f", line {error.lineno}: section {error.section!r} stands twice", "Bring the two together in one."
        case configparser.DuplicateOptionError():
            what = f", line {error.lineno}: {error.option!r} stands twice in section {error.section!r}"
            return what, "Remove one of the two."
        case configparser.MissingSectionHeaderError():
            what = f", line {error.lineno}: it stands before any section"
            return what, "Move it below a [section], or remove it."
        case configparser.ParsingError():
            what = f", line {error.errors[0][0]}: it is no section and no setting" if error.errors else " is broken"
            return what, "Write `name = value` there, or remove it."
    return f" cannot be read ({type(error).__name__})", "Look at it beside the project's own: git diff luigi.cfg"
