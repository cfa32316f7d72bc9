"""What there is of a day, and whether a stage of it is done."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ConfigError, storage_errors
from pipeline.store import manifest
from pipeline.store.paths import Layout
from pipeline.store.publish import make_dirs, publish_file, remove, staging
from pipeline.store.records import EventsRecord, ExportRecord, LoadRecord


def between(first: dt.date, last: dt.date) -> list[dt.date]:
    """Returns the days from `first` to `last`, both included."""
    return [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]


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


@dataclasses.dataclass(frozen=True)
class Stages:
    """What stands of a day: the record of each stage, or None where there is no whole one; and the redo asked for."""

    export: ExportRecord | None
    events: EventsRecord | None
    load: LoadRecord | None
    redo: str | None

    @property
    def is_exported(self) -> bool:
        """Whether the ZIP stands and answers what was asked for."""
        return self.export is not None and self._answers(self.export.redo)

    @property
    def is_extracted(self) -> bool:
        """Whether the events stand, come from the ZIP that stands, and answer what was asked for."""
        return self.events is not None and self._answers(self.events.redo) and self.is_of_the_zip

    @property
    def is_of_the_zip(self) -> bool:
        """Whether the events come from the ZIP that stands, or there is none to come from any more."""
        return self.events is None or self.export is None or self.export.id == self.events.export.id

    @property
    def is_loaded(self) -> bool:
        """Whether the Parquet stands, comes from the events and the ZIP that stand, and answers what was asked for.

        Both are looked at: a ZIP that was replaced has not reached the events yet.
        """
        load, events, export = self.load, self.events, self.export
        return (
            load is not None
            and self._answers(load.redo)
            and (events is None or events.id == load.extraction.id)
            and (export is None or export.id == load.export.id)
        )

    def _answers(self, answered: str | None) -> bool:
        return self.redo is None or self.redo == answered


def stages(layout: Layout, date: dt.date) -> Stages:
    """Returns what stands of a day; each record is read once."""
    return Stages(
        export_record(layout, date), events_record(layout, date), load_record(layout, date), redo_asked(layout, date)
    )


def is_exported(layout: Layout, date: dt.date) -> bool:
    """Tells whether a day's ZIP is what was asked for."""
    return Stages(export_record(layout, date), None, None, redo_asked(layout, date)).is_exported


def is_extracted(layout: Layout, date: dt.date) -> bool:
    """Tells whether a day's events are what was asked for."""
    export, events = export_record(layout, date), events_record(layout, date)
    return Stages(export, events, None, redo_asked(layout, date)).is_extracted


def is_loaded(layout: Layout, date: dt.date) -> bool:
    """Tells whether a day's Parquet is what was asked for: then the day is complete."""
    return stages(layout, date).is_loaded


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
    path, part = layout.redo(date), layout.redo_part(date)
    with storage_errors(path):
        make_dirs(path.parent)
        with staging(part):
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
