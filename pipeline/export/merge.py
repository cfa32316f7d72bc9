"""A day's gzip members, from wherever they came, in one published ZIP."""

import dataclasses
import datetime as dt
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from pipeline.errors import ArchiveError, storage_errors
from pipeline.export.archive import Archive, Member
from pipeline.export.windows import HOURS
from pipeline.settings import Settings
from pipeline.store import manifest, quarantine
from pipeline.store.manifest import EXPORT_RECORD
from pipeline.store.paths import Layout
from pipeline.store.publish import make_dirs, publish_file, staging
from pipeline.store.records import ExportRecord

_EPOCH = (1980, 1, 1, 0, 0, 0)  # no member's bytes depend on when the ZIP is written


@dataclasses.dataclass(frozen=True)
class Source:
    """A verified member on its way into the day's ZIP.

    Attributes:
        name: Its name in the ZIP.
        app: The project's id.
        hour: The upload hour.
        part: The part number.
        stored: Bytes of gzip.
        pieces: Opens its gzip bytes, checked again to their end.
    """

    name: str
    app: int
    hour: int
    part: int
    stored: int
    pieces: Callable[[], Iterator[bytes]]

    @classmethod
    def of(cls, archive: Archive, member: Member) -> "Source":
        """Returns a member of an open archive as a source."""
        return cls(member.name, member.app, member.hour, member.part, member.bytes, lambda: archive.stored(member))


def publish_day(layout: Layout, settings: Settings, record: ExportRecord, sources: list[Source]) -> ExportRecord:
    """Writes a day's ZIP beside its place, checks it and publishes it.

    Args:
        layout: Where it goes.
        settings: The archive's limits.
        record: Becomes the ZIP's first member, with the project of the sources.
        sources: All of the day and of one project; none for an empty day.

    Returns:
        The record as it was written.

    Raises:
        ArchiveError: A source is damaged, or two have one name.
        StorageError: The disk refused; what stood there stands.
    """
    record = msgspec.structs.replace(record, app=sources[0].app if sources else None)
    part, final = layout.raw_part(record.date), layout.raw_zip(record.date)
    with storage_errors(final):
        make_dirs(part.parent)
        with staging(part):
            _write(part, record, sorted(sources, key=lambda source: (source.hour, source.part)))
            _check(part, settings, record, sources)
        _put_aside_what_is_none(layout, record.date, final)
        publish_file(part, final)
    return record


def _write(part: Path, record: ExportRecord, sources: list[Source]) -> None:
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as out:
        out.writestr(zipfile.ZipInfo(EXPORT_RECORD, _EPOCH), manifest.encode(record))
        for source in sources:
            entry = zipfile.ZipInfo(source.name, _EPOCH)
            entry.file_size = source.stored
            with out.open(entry, "w") as member:
                for piece in source.pieces():
                    member.write(piece)


def _check(part: Path, settings: Settings, record: ExportRecord, sources: list[Source]) -> None:
    """Reads the staged ZIP's directory back; its bytes were checked while they were copied."""
    with Archive(part, settings) as archive:
        members = archive.of_day(record.date, range(HOURS))
    written = {(member.name, member.bytes) for member in members}
    if written != {(source.name, source.stored) for source in sources} or len(members) != len(sources):
        raise ArchiveError(f"{part}: it does not hold what was written to it")
    if manifest.read_export_record(part, record.date) != record:
        raise ArchiveError(f"{part}: its record does not read back")


def _put_aside_what_is_none(layout: Layout, date: dt.date, final: Path) -> None:
    if final.exists() and manifest.read_export_record(final, date) is None:
        quarantine.put_aside(layout, date, final, "it was no whole ZIP of this pipeline")
