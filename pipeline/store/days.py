"""What there is of a day, and whether a stage of it is done."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ConfigError, storage_errors
from pipeline.store import manifest
from pipeline.store.paths import Layout
from pipeline.store.publish import make_dirs, publish_file, remove
from pipeline.store.records import EventsRecord, ExportRecord, LoadRecord


def new_id() -> str:
    """Returns an id for a record, or a token that asks for a redo."""
    return uuid.uuid4().hex


def export_record(layout: Layout, date: dt.date) -> ExportRecord | None:
    """Returns the record of a day's ZIP, or None where there is no whole one."""
    return manifest.read_export_record(layout.raw_zip(date), date)


def events_record(layout: Layout, date: dt.date) -> EventsRecord | None:
    """Returns the record of a day's events, or None where they are not whole."""
    return manifest.read_events_record(layout.events_dir(date), date)


def load_record(layout: Layout, date: dt.date) -> LoadRecord | None:
    """Returns the record of a day's Parquet, or None where it is not whole."""
    return manifest.read_load_record(layout.parquet_dir(date), date)


def is_exported(layout: Layout, date: dt.date) -> bool:
    """Tells whether a day's ZIP stands and answers what was asked for."""
    record = export_record(layout, date)
    return record is not None and _answers(layout, date, record.redo)


def is_extracted(layout: Layout, date: dt.date) -> bool:
    """Tells whether a day's events stand, come from the ZIP that stands, and answer what was asked for."""
    record = events_record(layout, date)
    if record is None or not _answers(layout, date, record.redo):
        return False
    export = export_record(layout, date)
    return export is None or export.id == record.export.id


def is_loaded(layout: Layout, date: dt.date) -> bool:
    """Tells whether a day's Parquet stands, comes from the events and the ZIP that stand, and answers what was asked.

    Both are looked at: a ZIP that was replaced has not reached the events yet.
    """
    record = load_record(layout, date)
    if record is None or not _answers(layout, date, record.redo):
        return False
    events, export = events_record(layout, date), export_record(layout, date)
    return (events is None or events.id == record.extraction.id) and (export is None or export.id == record.export.id)


def redo_asked(layout: Layout, date: dt.date) -> str | None:
    """Returns the token that asks for the day to be done again, or None."""
    path = layout.redo(date)
    with storage_errors(path):
        try:
            return path.read_text(encoding="ascii", errors="replace").strip() or None
        except FileNotFoundError:
            return None


def ask_redo(layout: Layout, date: dt.date) -> None:
    """Asks for a day to be done again; what stands stays readable until the new is whole.

    Raises:
        StorageError: The disk refused.
    """
    path = layout.redo(date)
    part = path.with_name(f".{path.name}.part")
    with storage_errors(path):
        make_dirs(path.parent)
        part.write_text(new_id() + "\n", encoding="ascii")
        publish_file(part, path)


def clear_redo(layout: Layout, date: dt.date, answered: str | None) -> None:
    """Takes the token away once the last stage has answered it; a newer one stays."""
    if answered is not None and redo_asked(layout, date) == answered:
        remove(layout.redo(date))


@dataclasses.dataclass(frozen=True)
class Project:
    """Whose days a data folder holds: the project's id and the API's host; None where no day says."""

    root: Path
    app: int | None
    host: str | None

    def refuse_other(self, app: int) -> None:
        """Refuses another project's events.

        Raises:
            ConfigError: The folder is of another project.
        """
        if self.app not in (None, app):
            raise ConfigError(
                f"{self.root}/ holds the events of project {self.app}, and these are of project {app}",
                "Give each project a folder of its own (PIPELINE_DATA_DIR), or mend AMP_API_KEY and AMP_SECRET_KEY.",
            )


def project(layout: Layout, date: dt.date) -> Project:
    """Returns whose days the folder holds, as the nearest stored days say."""
    app = host = None
    for other in _by_distance(layout, date):
        record = export_record(layout, other) or events_record(layout, other) or load_record(layout, other)
        if record is not None:
            app = record.app if app is None else app
            host = (record.host or None) if host is None else host
        if app is not None and host is not None:
            break
    return Project(layout.root, app, host)


def nearest(layout: Layout, date: dt.date) -> Iterator[tuple[dt.date, ExportRecord]]:
    """Yields the days that have a ZIP, the nearest to a day first."""
    for other in _by_distance(layout, date):
        record = export_record(layout, other)
        if record is not None:
            yield other, record


def _by_distance(layout: Layout, date: dt.date) -> list[dt.date]:
    return sorted(layout.dates(), key=lambda day: abs(day - date))


def _answers(layout: Layout, date: dt.date, answered: str | None) -> bool:
    asked = redo_asked(layout, date)
    return asked is None or asked == answered
