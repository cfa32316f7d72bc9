"""What a run needs of this machine: Python, the packages, settings, `.env`, folders."""

import dataclasses
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pipeline
from pipeline import settings
from pipeline.errors import ConfigError
from pipeline.operations.findings import NOTE, OK, WRONG, Finding
from pipeline.store import disks
from pipeline.text import count

_LOCK = Path(pipeline.__file__).parents[1] / "requirements.txt"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
_PYTHONS = ((3, 11), (3, 13))
_OTHERS = 0o077


def python() -> Finding:
    """Looks at the Python that runs this."""
    found = platform.python_version()
    if _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        return Finding(OK, "Python", f"{found} ({sys.executable})")
    return Finding(WRONG, "Python", f"{found}; it takes 3.11 to 3.13. Type: make setup PYTHON=python3.13")


def packages() -> Finding:
    """Compares what is installed with the lock."""
    if not _LOCK.is_file():
        return Finding(NOTE, "packages", f"{_LOCK} is not there to compare with")
    pinned = _PIN.findall(_LOCK.read_text(encoding="utf-8"))
    other = [f"{name} {found or 'is missing'}" for name, version in pinned if (found := _installed(name)) != version]
    if other:
        named = ", ".join(other[:3]) + (f" and {len(other) - 3} more" if len(other) > 3 else "")  # noqa: PLR2004
        return Finding(WRONG, "packages", f"not as requirements.txt has them: {named}. Type: rm -r .venv && make setup")
    return Finding(OK, "packages", f"{len(pinned)}, each as requirements.txt has it")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def given_settings() -> Iterator[Finding]:
    """Shows each setting that is set, and where; none of a credential but that it is there."""
    found = settings.given()
    for name, value, source in found:
        yield Finding(OK, "setting", f"{name}={value} ({source})")
    rest = len(dataclasses.fields(settings.Settings)) - sum(name not in settings.CREDENTIALS for name, _, _ in found)
    yield Finding(OK, "settings", f"{count(rest, 'other')} as in README's table")
    try:
        settings.load_credentials()
    except ConfigError as error:
        yield Finding(WRONG, "credentials", str(error))


def env_file(path: Path) -> Iterator[Finding]:
    """Looks at `.env`: who may read it, and whether git would publish it.

    Args:
        path: The file; one that is missing is no fault, for the environment may have it all.
    """
    if os.path.lexists(path) and not path.is_file():
        text = f"it is no file, and nothing is read from it. Move it, then type: cp .env.example {path}"
        yield Finding(WRONG, str(path), text)
        return
    if not path.is_file():
        yield Finding(NOTE, str(path), "there is none; all comes from the environment and luigi.cfg")
        return
    mode = path.stat().st_mode & 0o777
    if mode & _OTHERS:
        yield Finding(WRONG, str(path), f"others of this machine may read it ({mode:o}). Type: chmod 600 {path}")
    else:
        yield Finding(OK, str(path), f"closed to others ({mode:o})")
    if _git("rev-parse", "--git-dir") not in (0, None) and Path(".git").exists():
        yield Finding(NOTE, str(path), "git does not tell whether it tracks it. Type: git status")
    elif _git("ls-files", "--error-unmatch", str(path)) == 0:
        yield Finding(
            WRONG, str(path), f"git tracks it. Type: git rm --cached {path}, and have Amplitude make new keys"
        )
    elif _git("check-ignore", "-q", str(path)) == 1:
        yield Finding(WRONG, str(path), f"git does not ignore it. Type: echo {path} >> .gitignore")


def _git(*arguments: str) -> int | None:
    """Returns git's status: 0 for yes, 1 for no; None where there is no git."""
    try:
        done = subprocess.run(("git", *arguments), capture_output=True, check=False)  # noqa: S603, S607
    except OSError:
        return None
    return done.returncode


def folders(conf: settings.Settings) -> Iterator[Finding]:
    """Looks whether the data and the logs can be written, by writing."""
    places = (("data folder", conf.data_dir, "PIPELINE_DATA_DIR"), ("log folder", conf.logs_dir, "PIPELINE_LOGS_DIR"))
    for subject, folder, variable in places:
        place = disks.standing(folder)
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            text = f"{place} cannot be written: {error.strerror}. Mend its permissions, or {variable}"
            yield Finding(WRONG, subject, text)
        else:
            yield Finding(OK, subject, f"{folder}/ can be written")
