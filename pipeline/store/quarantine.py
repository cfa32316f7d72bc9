"""Refused archives, put aside with their reason: nothing is thrown away unseen, and nothing piles up."""

import datetime as dt
from pathlib import Path

from pipeline.redaction import redact
from pipeline.store.paths import Layout
from pipeline.store.publish import make_dirs, remove

KEPT = 3
"""Refused archives of a day that are kept, the newest."""


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
    make_dirs(folder)
    now = dt.datetime.now(dt.UTC)
    kept = folder / f"{now:%Y%m%dT%H%M%S.%f}_{path.name.strip('.').removesuffix('.part')}"
    path.rename(kept)
    kept.with_name(kept.name + ".reason.txt").write_text(redact(reason) + "\n", encoding="utf-8")
    for old in sorted(p for p in folder.iterdir() if not p.name.endswith(".reason.txt"))[:-KEPT]:
        remove(old)
        remove(old.with_name(old.name + ".reason.txt"))
    return kept
