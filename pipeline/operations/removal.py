"""The removal of a stage that is pruned, and what the day's record says of it: only what is gone, and as long."""

import datetime as dt
import errno
import os
from pathlib import Path

from loguru import logger

from pipeline.store import days, partition
from pipeline.store.chain import RAW
from pipeline.store.paths import Layout
from pipeline.store.publish import remove, sync

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def place_of(layout: Layout, date: dt.date, what: str) -> Path:
    """Returns where a stage of a day lies.

    Args:
        layout: Where the data lies.
        date: The upload day.
        what: `events`: the directory of JSON lines. `raw`: the ZIP.
    """
    return layout.raw_zip(date) if what == RAW else layout.events_dir(date)


def remove_noted(layout: Layout, date: dt.date, what: str) -> None:
    """Removes a stage that is noted as pruned before, so that a kill does not leave it gone and nobody knows why.

    A full disk takes the note only after the removal has made room.

    Args:
        layout: Where the data lies.
        date: The upload day; the caller holds its lock.
        what: `events` or `raw`.

    Raises:
        PipelineError: The day's record is a newer version's, or cannot be read.
        OSError: The disk refused the note for another reason than room, or the removal.
    """
    is_noted = _note(layout, date, what)
    remove_stage(layout, date, what)
    if not is_noted and not _note(layout, date, what):
        logger.warning("the full disk still has no room for the note that {} is pruned", place_of(layout, date, what))


def remove_stage(layout: Layout, date: dt.date, what: str) -> None:
    """Removes a stage of a day; what is left of a directory by a kill is a leftover, which the next run clears.

    Args:
        layout: Where the data lies.
        date: The upload day; the caller holds its lock.
        what: `events` or `raw`.

    Raises:
        OSError: The disk refused.
    """
    place = place_of(layout, date, what)
    if what == RAW:
        place.unlink()
        sync(place.parent)
        return
    aside = layout.events_part(date)
    remove(aside)
    place.rename(aside)
    sync(place.parent)
    remove(aside)


def take_back(layout: Layout, date: dt.date) -> None:
    """Takes back what a day's record says is pruned and stands all the same: no loss of it later is to seem a prune.

    The removal failed, or was killed before it began.

    Args:
        layout: Where the data lies.
        date: The upload day; the caller holds its lock.

    Raises:
        ConfigError: A newer version of the pipeline wrote the record.
        StorageError: The disk does not read it.
        OSError: The disk refused.
    """
    load = days.load_record(layout, date)
    standing = [stage for stage in (load.pruned if load else ()) if os.path.lexists(place_of(layout, date, stage))]
    if load and standing:
        partition.note_standing(layout, load, standing)


def _note(layout: Layout, date: dt.date, what: str) -> bool:
    """Returns whether the disk had room for it."""
    try:
        load = days.load_record(layout, date)
        if load:
            partition.note_pruned(layout, load, what)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        return False
    return True
