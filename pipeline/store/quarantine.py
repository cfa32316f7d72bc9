"""Refused archives and damaged days, put aside with the reason: nothing is thrown away unseen, and nothing piles up."""

import datetime as dt
import filecmp
import os
import shutil
from pathlib import Path

from pipeline.redaction import redact
from pipeline.store.paths import Layout
from pipeline.store.publish import make_dirs, remove, sync

KEPT = 3
"""Refused archives of a day that are kept, the newest."""

_REASON, _LAST = ".reason.txt", ".last-copy"
_PART = ".copy.tmp"


def put_aside(layout: Layout, date: dt.date, path: Path, reason: str) -> Path:
    """Moves a refused archive to the day's quarantine, its reason beside it.

    Args:
        layout: Where the data lies.
        date: The archive's day.
        path: The archive.
        reason: Why it was refused.

    Returns:
        Where it lies now.
    """
    folder = layout.quarantine(date)
    kept = _place(folder, path)
    path.rename(kept)
    _explain(kept, reason)
    for old in sorted(p for p in folder.iterdir() if not p.name.endswith((_REASON, _LAST)))[:-KEPT]:
        remove(old)
        remove(old.with_name(old.name + _REASON))
    return kept


def copy_aside(layout: Layout, date: dt.date, path: Path, reason: str) -> Path:
    """Copies what is damaged, and of which there is no whole copy, to the day's quarantine, its reason beside it.

    It takes no room where the file system has hard links, and is never removed here: somebody is to look at it. What
    an earlier copy holds already is not copied again.

    Args:
        layout: Where the data lies.
        date: The day.
        path: A file or a directory; it stays as it is.
        reason: What is wrong with it.

    Returns:
        Where the copy lies.
    """
    folder = layout.quarantine(date)
    kept = next((copy for copy in folder.glob(f"*_{path.name}{_LAST}") if _is_same(path, copy)), None)
    if kept is None:
        kept = _place(folder, path, _LAST)
        part = folder / _PART
        remove(part)  # of one that was killed
        if path.is_dir():
            shutil.copytree(path, part, copy_function=_link, symlinks=True)
            sync(part)
        else:
            _link(path, part)
        part.rename(kept)
        sync(folder)
    if not kept.with_name(kept.name + _REASON).exists():
        _explain(kept, reason)
    return kept


def _place(folder: Path, path: Path, suffix: str = "") -> Path:
    make_dirs(folder)
    now = dt.datetime.now(dt.UTC)
    return folder / f"{now:%Y%m%dT%H%M%S.%f}_{path.name.strip('.').removesuffix('.part')}{suffix}"


def _explain(kept: Path, reason: str) -> None:
    kept.with_name(kept.name + _REASON).write_text(redact(reason) + "\n", encoding="utf-8")


def _is_same(path: Path, copy: Path) -> bool:
    if path.is_dir() and copy.is_dir():
        names = {each.name for each in path.iterdir()}
        return names == {each.name for each in copy.iterdir()} and all(
            _is_same(path / name, copy / name) for name in names
        )
    try:
        return path.samefile(copy) or filecmp.cmp(path, copy, shallow=False)
    except OSError:  # the disk does not read it, or a link leads nowhere
        return False


def _link(path: str | Path, kept: str | Path) -> None:
    try:
        os.link(path, kept)
    except OSError:  # the file system has none, or path is on another one
        shutil.copy2(path, kept)
        sync(Path(kept))
