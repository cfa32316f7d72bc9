"""What stands of a day of which no stage is whole: perhaps the only copy, so nothing but a repair goes near it."""

import datetime as dt
import os
from pathlib import Path

from pipeline.errors import StorageError
from pipeline.store import days, partition
from pipeline.store.days import Stages
from pipeline.store.paths import Layout


def remains(layout: Layout, date: dt.date, stages: Stages | None = None) -> list[Path]:
    """Returns what a day was published as and that cannot be read as a stage any more, where no stage of it can.

    A ZIP alone that cannot be read is none of it: its day was never extracted, and its bytes prove nothing.

    Args:
        layout: Where the data lies.
        date: The day.
        stages: What stands of it, where that was read already.

    Raises:
        ConfigError: A newer version of the pipeline wrote a record.
        StorageError: The disk does not read it.
    """
    stages = stages or days.stages(layout, date)
    if stages.export or stages.events or stages.load:
        return []
    markers = [path for path in (layout.events_marker(date), layout.parquet_marker(date)) if os.path.lexists(path)]
    return markers or partition.parquet_files(layout, date)


def refuse_remains(layout: Layout, date: dt.date) -> None:
    """Refuses to do a day anew that is damaged; where a redo is asked for, somebody has said so.

    Raises:
        StorageError: It is damaged.
    """
    found = remains(layout, date)
    if found and not days.redo_asked(layout, date):
        raise StorageError(
            f"{found[0].parent}/ is damaged, and no other stage of {date} is whole: nothing is fetched over what may be"
            " the only copy",
            f"To mend it: make verify FROM={date} TO={date} REPAIR=1",
        )
