"""A day from a file instead of the network: a ZIP of Amplitude's web page, or a folder of its S3 export."""

import contextlib
import datetime as dt
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from loguru import logger

from pipeline import __version__
from pipeline.errors import ArchiveError, ConfigError, LimitError, NotReadyError, storage_errors
from pipeline.export.archive import READ, Archive, parse_name
from pipeline.export.gunzip import Gunzip
from pipeline.export.merge import Source, publish_day
from pipeline.export.windows import HOURS
from pipeline.settings import Settings
from pipeline.store import days
from pipeline.store.paths import Layout
from pipeline.store.records import EMPTY, EXPORTED, NO_FILE, ExportRecord, Hour
from pipeline.text import count, printable

_COMPLETE = re.compile(r"(?P<app>\d+)_(?P<date>\d{4}-\d\d-\d\d)_(?P<hour>\d\d?)_complete", re.ASCII)


def import_day(date: dt.date, source: Path, settings: Settings) -> ExportRecord:
    """Publishes a day's ZIP from a file or a folder, under the same names and checks as a download.

    Args:
        date: The upload day, UTC.
        source: A ZIP whose members are all of the day; or a folder, searched to its depths, whose `.json.gz` files of
            the day are taken (those of other days are left). Where the folder has `_complete` files of the day, each
            hour must have its own (source: Amplitude's S3 export page).
        settings: Where the data lies; limits.

    Returns:
        The record that the ZIP begins with.

    Raises:
        ConfigError: There is nothing at the place, or nothing of the day, or it is another project's.
        NotReadyError: The S3 export has not finished the day.
        ArchiveError: The archive, or a file, is damaged or hostile.
    """
    layout = Layout(settings.data_dir)
    refuse_absent(source)
    with contextlib.ExitStack() as stack, storage_errors(source):
        if source.is_dir():
            sources, finished = _from_folder(date, source, settings)
        else:
            sources, finished = _from_zip(date, stack.enter_context(_open_zip(source, settings))), False
        days.project(layout, date).refuse_other(sources[0].app)
        present = {item.hour for item in sources}
        absent = EMPTY if finished else NO_FILE
        record = ExportRecord(
            id=days.new_id(),
            date=date,
            app=None,
            host="",
            source="import",
            redo=days.redo_asked(layout, date),
            windows=[],
            hours=[Hour(hour=h, status=EXPORTED if h in present else absent) for h in range(HOURS)],
            pipeline=__version__,
        )
        return publish_day(layout, settings, record, sources)


def refuse_absent(source: Path) -> None:
    """Refuses a place where there is neither a file nor a folder.

    Raises:
        ConfigError: There is none.
        StorageError: It cannot be looked at.
    """
    with storage_errors(source):
        if not (source.is_dir() or source.is_file()):
            raise ConfigError(
                f"there is no {source}", "Name a ZIP of Amplitude's web page, or a folder of its S3 export."
            )


def _open_zip(path: Path, settings: Settings) -> Archive:
    try:
        return Archive(path, settings)
    except ArchiveError as error:
        raise _refused(path, error) from None


def _from_zip(date: dt.date, archive: Archive) -> list[Source]:
    try:
        members = archive.of_day(date, range(HOURS))
        archive.verify()
    except ArchiveError as error:
        others = {member.date for member in archive.members} - {date}
        if others and not any(member.date == date for member in archive.members):
            only = min(others)
            raise ConfigError(
                f"{archive.path} holds {only}{' and other days' if len(others) > 1 else ''}, and nothing of {date}",
                f"Import it as what it is: make import DATE={only} FROM={archive.path}"
                if len(others) == 1
                else "Unzip it and import the folder, which may hold many days: FROM=the folder.",
            ) from None
        if others:
            raise ConfigError(
                f"{archive.path} holds {count(len(others), 'other day')} ({min(others)} to {max(others)})",
                "Unzip it and import the folder, which may hold many days: FROM=the folder.",
            ) from None
        raise _refused(archive.path, error) from None
    if not members:
        raise ConfigError(f"{archive.path} holds no events", "Name a ZIP of Amplitude's web page.")
    _warn_of_gaps({member.hour for member in members})
    return [Source.of(archive, member) for member in members]


def _from_folder(date: dt.date, folder: Path, settings: Settings) -> tuple[list[Source], bool]:
    """Returns the day's files, and whether the folder itself says that each hour of the day is there."""
    sources: dict[tuple[int, int, int], Source] = {}
    complete: set[int] = set()
    for path in sorted(folder.rglob("*")):
        marker = _COMPLETE.fullmatch(path.name)
        if marker and marker["date"] == str(date):
            complete.add(int(marker["hour"]))
        parsed = parse_name(f"{path.name.partition('_')[0]}/{path.name}")
        if parsed is None or parsed[1] != date or not path.is_file():
            continue
        app, _, hour, part = parsed
        if (app, hour, part) in sources:
            raise ArchiveError(
                f"{path}: the folder has two files of this hour and part", "Name the folder of one export."
            )
        sources[app, hour, part] = _verified(path, app, hour, part, settings)
    if not sources:
        raise ConfigError(
            f"{printable(str(folder))} holds no file of {date}",
            f"The files are named PROJECT_{date}_HOUR#PART.json.gz; name the folder that holds them.",
        )
    apps = {item.app for item in sources.values()}
    if len(apps) > 1:
        raise ConfigError(
            f"{folder} holds the projects {', '.join(map(str, sorted(apps)))}", "Name one project's folder."
        )
    missing = sorted(set(range(HOURS)) - complete)
    if complete and missing:
        raise NotReadyError(
            f"the S3 export has no _complete file of {date} for the hours {', '.join(map(str, missing))}",
            "Import the day when they are there.",
        )
    if not complete:
        _warn_of_gaps({item.hour for item in sources.values()})
    return list(sources.values()), bool(complete)


def _verified(path: Path, app: int, hour: int, part: int, settings: Settings) -> Source:
    size, digest = path.stat().st_size, hashlib.sha256()

    def passing() -> Iterator[bytes]:
        for piece in _pieces(path):
            digest.update(piece)
            yield piece

    try:
        for _ in Gunzip(path.name, size, settings.max_member_bytes, settings.max_ratio).pieces(passing()):
            pass
    except ArchiveError as error:
        raise _refused(path.parent, error) from None
    return Source(f"{app}/{path.name}", app, hour, part, size, lambda: _unchanged(path, digest.digest()))


def _unchanged(path: Path, sha256: bytes) -> Iterator[bytes]:
    """Yields a verified file's bytes, and checks at the end that they are still the same.

    A CRC would not tell: a gzip of stored blocks ends with its own, and so has the same whatever it holds.
    """
    seen = hashlib.sha256()
    for piece in _pieces(path):
        seen.update(piece)
        yield piece
    if seen.digest() != sha256:
        raise ArchiveError(f"{path}: it changed while it was imported", "Import it again once it is whole.")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(READ):
            yield piece


def _warn_of_gaps(present: set[int]) -> None:
    missing = [str(hour) for hour in range(HOURS) if hour not in present]
    if missing:
        logger.warning(
            "No file for the hours {}. Nothing in the import says whether Amplitude has events of them",
            ", ".join(missing),
        )


def _refused(path: Path, error: ArchiveError) -> ArchiveError:
    if isinstance(error, LimitError):
        return LimitError(f"{path}: {error.what}", error.todo)
    return ArchiveError(f"{path}: {error.what}", "Get the file anew, then import it again.")
