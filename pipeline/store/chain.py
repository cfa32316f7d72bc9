"""Whether a day's records agree: each with itself, and with the record of the stage before it."""

from collections import Counter
from collections.abc import Iterator

from pipeline.store.records import EventsRecord, ExportRecord, LoadRecord, Totals

RAW, EVENTS, PARQUET, REJECTED = "raw", "events", "parquet", "rejected"
"""The stages of a day, as the folders are named in which they lie."""


def disagreements(
    export: ExportRecord | None, events: EventsRecord | None, load: LoadRecord | None
) -> Iterator[tuple[str, str]]:
    """Yields the stage whose record is wrong, and what is wrong with it.

    Records of two generations (the one before was replaced and has not reached the one after it) are not compared.

    Args:
        export: The record of the ZIP; each is None where there is none.
        events: The record of the events.
        load: The record of the Parquet.
    """
    if events:
        yield from ((EVENTS, what) for what in _of_events(events))
    if events and export and events.export.id == export.id:
        yield from ((EVENTS, what) for what in _of_the_zip(events, export))
    if load:
        yield from ((PARQUET, what) for what in _of_load(load))
    if load and events and load.extraction.id == events.id:
        yield from ((PARQUET, what) for what in _of_the_events(load, events))


def _of_events(events: EventsRecord) -> Iterator[str]:
    files = events.files
    sums = Totals(
        files=len(files),
        bytes=sum(file.bytes for file in files),
        lines=sum(file.lines for file in files),
        blank_lines=sum(file.blank_lines for file in files),
        events=sum(file.events for file in files),
    )
    if sums != events.totals:
        yield "its totals are not the sums over its files"
    if any(file.events != file.lines - file.blank_lines for file in files):
        yield "a file's events are not its lines without the blank ones"
    if len({file.name for file in files}) != len(files):
        yield "it names a file twice"
    if any(file.app != events.app for file in files):
        yield "a file is of another project"
    by_hour: Counter[int] = Counter()
    for file in files:
        by_hour[file.hour] += file.events
    if {hour.hour: hour.events for hour in events.hours} != {hour.hour: by_hour[hour.hour] for hour in events.hours}:
        yield "its hours have other counts than its files"


def _of_the_zip(events: EventsRecord, export: ExportRecord) -> Iterator[str]:
    if [(hour.hour, hour.status) for hour in events.hours] != [(hour.hour, hour.status) for hour in export.hours]:
        yield "its hours are not those of the ZIP"
    if (events.app, events.host) != (export.app, export.host):
        yield "it is of another project or host than the ZIP"


def _of_load(load: LoadRecord) -> Iterator[str]:
    counts = load.counts
    if load.extraction.totals.events != counts.rows + counts.duplicates + counts.rejects:
        yield "its rows, duplicates and rejects do not add up to the events"
    if counts.rows != sum(file.rows for file in load.files):
        yield "its rows are not the sum over its files"
    if counts.rows != counts.uuids + counts.no_uuid:
        yield "its rows are not as many as their uuids"
    if (load.rejected.lines if load.rejected else 0) != counts.rejects + counts.conflicts:
        yield "its rejected lines are not as many as its rejects and conflicts"


def _of_the_events(load: LoadRecord, events: EventsRecord) -> Iterator[str]:
    if load.extraction.totals != events.totals:
        yield "its totals of the events are not the events' own"
    if load.hours != events.hours:
        yield "its hours are not those of the events"
    if load.export != events.export:
        yield "it names another ZIP than the events do"
    if (load.app, load.host) != (events.app, events.host):
        yield "it is of another project or host than the events"
