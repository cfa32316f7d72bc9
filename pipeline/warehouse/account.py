"""What became of a day's lines, added up: nothing is published that cannot be counted back to them."""

import math
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import LoadError
from pipeline.store.records import Counts, EventsRecord
from pipeline.warehouse.duplicates import Duplicates
from pipeline.warehouse.parquet import Written
from pipeline.warehouse.scan import FileScan

REPORT = "Nothing was published. This is a defect of the pipeline: report it with the day's log."
"""What to do where the pipeline contradicts itself."""


def counted(scans: Sequence[FileScan], found: Duplicates, written: Written) -> Counts:
    """Returns what became of the lines: what the scan rejected, what was left out, and what was read back."""
    return Counts(
        rows=written.rows,
        uuids=written.uuids,
        duplicates=found.dropped,
        conflicts=found.conflicts,
        rejects=sum(scan.rejected for scan in scans),
        apart=written.apart,
        no_uuid=written.no_uuid,
        no_event_time=written.no_event_time,
        late=written.late,
        future=written.future,
        outside=written.outside,
    )


def check(counts: Counts, events: EventsRecord) -> None:
    """Refuses rows that do not add up to the day's lines.

    Raises:
        LoadError: They do not.
    """
    lines = events.totals.events
    if lines != counts.rows + counts.duplicates + counts.rejects:
        raise LoadError(
            f"{lines:,} lines became {counts.rows:,} rows, {counts.duplicates:,} duplicates and"
            f" {counts.rejects:,} rejected lines, which is another number",
            REPORT,
        )
    if counts.rows != counts.uuids + counts.no_uuid:
        raise LoadError(f"of {counts.rows:,} rows only {counts.uuids:,} have a uuid of their own", REPORT)


def too_many(number: int, events: EventsRecord, max_rejected: float) -> bool:
    """Tells whether more of a day's lines are bad than a setting allows.

    Args:
        number: Lines that are bad.
        events: The day.
        max_rejected: The share that is allowed, 0 to 1.
    """
    return number > max_rejected * events.totals.events


def refusal(number: int, what: str, place: Path, events: EventsRecord, max_rejected: float) -> LoadError:
    """Returns the error that refuses a day for its bad lines.

    Args:
        number: How many they are.
        what: What they lack: `have no uuid`.
        place: Where they can be looked at.
        events: The day.
        max_rejected: The share that is allowed, 0 to 1.
    """
    lines = events.totals.events
    enough = math.ceil(1000 * number / lines) / 1000
    return LoadError(
        f"{number:,} of {lines:,} lines {what}: more than {100 * max_rejected:.4g} %",
        f"Look at them in {place}. To load it all the same: PIPELINE_MAX_REJECTED={enough} make run DATE={events.date}",
    )
