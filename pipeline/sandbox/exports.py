"""Days from given export ZIPs: served byte for byte where a file is the window's own, else rebuilt from members."""

from __future__ import annotations

import re
import zipfile
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from pipeline.sandbox.generator import Member

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.sandbox.window import Window

_NAME = re.compile(r"(?:.*/)?\d+_(?P<day>\d{4}-\d\d-\d\d)_(?P<hour>\d{1,2})#\d+\.json\.gz")


_HOURS = {str(hour) for hour in range(24)}


class Found(NamedTuple):
    """A member of one of the ZIPs: the hour it belongs to (UTC, naive), its name, its ZIP."""

    hour: datetime
    name: str
    path: Path


class Exports:
    """The export ZIPs of a folder, which may change while it is served.

    Real ones are called ``20230202T00_20230202T23.zip``: first and last hour. A file that is no ZIP is served too,
    but only for exactly the window of its name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._known: dict[Path, tuple[tuple[int, int], list[Found]]] = {}

    def verbatim(self, window: Window) -> Path | None:
        """The file for exactly this window, if there is one."""
        path = self._folder / f"{window.start}_{window.end}.zip"
        return path if path.is_file() else None

    def members(self, window: Window) -> list[Found]:
        """Where the members are whose date and hour fall in ``window``, by hour; one of each name."""
        found = {each.name: each for each in reversed(self._scan()) if window.contains(each.hour)}
        return sorted(found.values(), key=lambda each: each.hour)

    def _scan(self) -> list[Found]:
        with self._lock:
            known = {}
            for path in sorted(self._folder.glob("*.zip")):
                with suppress(FileNotFoundError):  # deleted just now
                    state = path.stat()
                    stamp = (state.st_size, state.st_mtime_ns)
                    before = self._known.get(path)
                    known[path] = before if before and before[0] == stamp else (stamp, _members_of(path))
            self._known = known
            return [each for _, members in known.values() for each in members]


def read(found: Found) -> Member:
    """The member itself."""
    with zipfile.ZipFile(found.path) as archive:
        return Member(found.name, archive.read(found.name))


def _members_of(path: Path) -> list[Found]:
    members = []
    with suppress(zipfile.BadZipFile, OSError, ValueError, NotImplementedError), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            match = _NAME.fullmatch(name)
            if match and match["hour"] in _HOURS:
                hour = datetime.fromisoformat(match["day"]) + timedelta(hours=int(match["hour"]))
                members.append(Found(hour, name, path))
    return members
