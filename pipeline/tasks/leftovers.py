"""What runs left beside a day that were killed or failed once it was complete: cleared by the run that finds it so."""

import datetime as dt
import os
from collections.abc import Iterable
from pathlib import Path

from loguru import logger

from pipeline import settings
from pipeline.errors import StorageError, storage_errors
from pipeline.store import days, locks, partition
from pipeline.store.paths import Layout
from pipeline.store.publish import remove


def clear(date: dt.date, replaced: Iterable[Path] = ()) -> None:
    """Removes what is staged of a complete day, and the token that it has answered; a disk that refuses is told.

    Args:
        date: The day; nothing happens where it is not complete.
        replaced: Files that did not count any more before the warehouse was made that stands, and go too.
    """
    layout = Layout(settings.load().data_dir)
    found = [path for path in (*layout.staged(date), *replaced) if os.path.lexists(path)]
    try:
        if not (found or layout.redo(date).exists()) or not days.is_loaded(layout, date):
            return
        with locks.hold(layout.lock(date)), storage_errors(layout.root):
            record = days.load_record(layout, date)
            if record is None or not days.is_loaded(layout, date):
                return  # another process does it again
            # Another process may have published one of them meanwhile.
            still = {*layout.staged(date), *partition.superseded(layout, date)}
            for path in found:
                if path in still:
                    remove(path)
            days.clear_redo(layout, date, record.redo)
    except StorageError as error:
        logger.warning("{}: its leftovers stay. {}", date, error)
