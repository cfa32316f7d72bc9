"""A partition whose marker alone is damaged: the marker is made anew where the files prove what it still tells."""

import datetime as dt

import duckdb
import msgspec
from loguru import logger

from pipeline.settings import Settings
from pipeline.store import chain, manifest, partition, quarantine
from pipeline.store.paths import Layout
from pipeline.store.records import EMPTY, EXPORTED, FORMAT, NO_FILE, LoadRecord, Span
from pipeline.warehouse import duck, parquet
from pipeline.warehouse.check import Rows, check_parquet, check_rejected
from pipeline.warehouse.events import ROW, SCHEMA


def remake_marker(home: Layout, date: dt.date, settings: Settings) -> bool:
    """Writes the marker of a day's Parquet anew from what can be read of it, where that is proven.

    Each byte of the files by its SHA-256, what is counted over the rows by counting it again, the other counts by
    their sums, the project by the rows, and the host by the settings. What nothing proves and no stage is made
    from (ids, durations, notes of rechecks and prunes) is taken as it reads.

    Args:
        home: Where the data lies.
        date: The day; the caller holds its lock, and no stage of it is whole.
        settings: The memory; which host is asked.

    Returns:
        Whether it was: then the Parquet is whole.

    Raises:
        StorageError: The disk refused, or the memory does not do.
    """
    path = home.parquet_marker(date)
    torn = manifest.salvage_marker(path, LoadRecord)
    if torn is None or (torn.date, torn.format, torn.schema) != (date, FORMAT, SCHEMA) or not _are_intact(home, torn):
        return False
    record = _counted_anew(home, torn, settings)
    if record is None or any(chain.disagreements(None, None, record)) or not _adds_up(record):
        return False
    standing = {chain.RAW: home.raw_zip(date), chain.EVENTS: home.events_dir(date)}
    quarantine.copy_aside(home, date, path, "its check did not fit, and it was made anew from what could be read of it")
    partition.note_standing(home, record, [stage for stage, place in standing.items() if place.exists()])
    logger.warning(
        "{} was damaged and is made anew from what could be read of it: the Parquet's bytes and counts are proven; ids,"
        " durations, and the notes of rechecks and prunes are as they were read", path,
    )  # fmt: skip
    return True


def _are_intact(home: Layout, load: LoadRecord) -> bool:
    """Tells whether the files are there with the bytes, the SHA-256 and the rows that the marker tells."""
    rows, ours = Rows(), partition.parquet_files(home, load.date)
    paths = [home.parquet_dir(load.date) / file.name for file in load.files]
    if not paths or len(set(paths)) < len(paths) or not set(paths) <= set(ours):
        return False
    try:
        wrong = [check_parquet(path, file, rows, _uncounted) for path, file in zip(paths, load.files, strict=True)]
        if load.rejected:
            wrong.append(check_rejected(home.rejected_dir(load.date) / load.rejected.name, load.rejected, _uncounted))
    except OSError:
        return False
    return not any(wrong)


def _uncounted(_size: int) -> None:
    """Nobody asks how far it is."""


def _counted_anew(home: Layout, load: LoadRecord, settings: Settings) -> LoadRecord | None:
    """Returns the record with all that the rows tell; None where they are of another project, host or schema."""
    files = [home.parquet_dir(load.date) / file.name for file in load.files]
    read = f"read_parquet({duck.paths(files)}, hive_partitioning = false)"
    with duck.session(home.parquet_part(load.date), settings.load_memory, settings.cores) as connection:
        try:
            columns = connection.execute(f"SELECT * FROM {read} LIMIT 0").description
            apps = {app for (app,) in connection.execute(f"SELECT DISTINCT app FROM {read}").fetchall()}
            found = parquet.read_back(connection, load.date, files)
        except (duckdb.BinderException, duckdb.ConversionException):
            return None
    if [column[0] for column in columns or ()] != [column.name for column in ROW]:
        return None
    if load.app not in (apps or {None}) or load.host not in {"", settings.host}:
        return None
    told = {name: getattr(found, name) for name in load.counts.__struct_fields__ if hasattr(found, name)}
    return msgspec.structs.replace(
        load,
        counts=msgspec.structs.replace(load.counts, **told),
        server_upload_time=Span(first=found.first_upload, last=found.last_upload),
        event_time=Span(first=found.first_event, last=found.last_event),
    )


def _adds_up(load: LoadRecord) -> bool:
    """Tells whether the hours and the lines have the sums of the events; `disagreements` looks at the rest."""
    totals, hours = load.extraction.totals, [hour.hour for hour in load.hours]
    return (
        totals.events == totals.lines - totals.blank_lines == sum(hour.events or 0 for hour in load.hours)
        and all(hour.events is not None for hour in load.hours)
        and hours == list(range(24))
        and {hour.status for hour in load.hours} <= {EXPORTED, EMPTY, NO_FILE}
    )
