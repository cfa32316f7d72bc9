"""The DuckDB file over the Parquet: views, one small table of repeated uuids, and a row a day. Derived, never a copy.

It is made anew as a whole and renamed into its place, so that a reader who holds the old one open goes on with it, and
a run that is killed leaves the old one or the new one.
"""

import contextlib
import dataclasses
import datetime as dt
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

import pipeline
from pipeline.errors import StorageError, storage_errors
from pipeline.settings import Settings
from pipeline.store import days, locks
from pipeline.store.paths import Layout
from pipeline.store.publish import make_dirs, publish_file, remove, staging
from pipeline.store.records import LoadRecord
from pipeline.warehouse import daytable, duck, repeats, views

_TRIES = 3  # a day that is replaced meanwhile takes its files away

_READERS = "v1.5.0"
"""The oldest DuckDB that reads the file: a notebook may have another than ours. In older forms a log of what was
written into an earlier file is taken for one of this file."""

Loaded = Mapping[dt.date, LoadRecord]


@dataclasses.dataclass(frozen=True)
class _Made:
    """What a file was made of: a digest of it all, and the load of each day."""

    digest: str
    loads: dict[dt.date, str]


def refresh(settings: Settings) -> bool:
    """Brings the DuckDB file to what the days' markers say.

    Args:
        settings: Where the data lies, and how much memory and how many threads it may take.

    Returns:
        Whether there was something to do.

    Raises:
        StorageError: The disk refused; then the file is what it was before.
    """
    layout = Layout(settings.data_dir)
    if _is_current(layout, _loaded(layout), settings) and not layout.warehouse_part().exists():
        return False
    with locks.hold(layout.lock("warehouse")):
        for _ in range(_TRIES):
            loaded = _loaded(layout)
            if _is_current(layout, loaded, settings):
                with storage_errors(layout.warehouse_part()):
                    remove(layout.warehouse_part())  # of a run that was killed when its file was in place already
                return False
            try:
                _make(layout, loaded, settings)
            except StorageError:
                if _loaded(layout) == loaded:
                    raise
            else:
                break
    return True


def is_current(settings: Settings) -> bool:
    """Tells whether the DuckDB file is what `refresh` would make; that it stands at all is part of it."""
    layout = Layout(settings.data_dir)
    return _is_current(layout, _loaded(layout), settings)


def copy_to(layout: Layout, folder: Path) -> Path:
    """Copies the DuckDB file: whoever holds it open and writes locks others out of it, but not out of a copy.

    Args:
        layout: Where the data lies.
        folder: Where the copy goes.

    Returns:
        The copy; it goes by the same name.

    Raises:
        OSError: There is no such file, or no room for the copy.
    """
    return shutil.copyfile(layout.warehouse(), folder / layout.warehouse().name)


def _loaded(layout: Layout) -> Loaded:
    records = ((date, days.load_record(layout, date)) for date in layout.partitions())
    return {date: record for date, record in records if record is not None}


def _files(layout: Layout, loaded: Loaded) -> dict[dt.date, list[Path]]:
    return {
        date: [layout.parquet_dir(date).absolute() / file.name for file in record.files]
        for date, record in loaded.items()
    }


def _digest(layout: Layout, loaded: Loaded) -> str:
    """Returns what tells whether a file is right: the days' loads and rechecks, their place, this version's SQL."""
    loads = [f"{date} {record.id} {len(record.rechecks)}" for date, record in loaded.items()]
    sql = [statement for view in views.VIEWS for statement in view.statements()]
    shape = [*views.of_events({}, ()).statements(), daytable.ddl()]
    text = "\0".join([pipeline.__version__, str(layout.root.absolute()), *loads, *sql, *shape])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _is_current(layout: Layout, loaded: Loaded, settings: Settings) -> bool:
    log = _log(layout)
    try:
        with tempfile.TemporaryDirectory(prefix="warehouse-") as folder:
            if log.exists():
                # What was written into the file that stood here before fits this one no more, and beside it nobody
                # can open this one.
                shutil.copyfile(log, Path(folder, log.name))
            place = copy_to(layout, Path(folder))
            with duck.session(Path(folder, "spill"), settings.load_memory, 1) as connection:
                return _attach_before(connection, place).digest == _digest(layout, loaded)
    except (OSError, StorageError, duckdb.Error):
        return False


def _log(layout: Layout) -> Path:
    """Returns what somebody who writes into the DuckDB file leaves beside it until it is closed."""
    return layout.warehouse().with_name(layout.warehouse().name + ".wal")


def _attach_before(connection: duckdb.DuckDBPyConnection, place: Path) -> _Made:
    """Attaches an earlier file, and tells what it was made of."""
    connection.execute(f"ATTACH {duck.text(str(place))} AS before (READ_ONLY)")
    found = connection.execute("SELECT digest FROM before.made").fetchone()
    loads = connection.execute("SELECT date, load_id FROM before.days").fetchall()
    return _Made(found[0] if found else "", dict(loads))


@contextlib.contextmanager
def _as_io() -> Iterator[None]:
    """Makes every failure one of reading or writing: a full disk also shows as a transaction that cannot be ended."""
    try:
        yield
    except (duckdb.IOException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as error:
        raise duckdb.IOException(str(error)) from error


def _make(layout: Layout, loaded: Loaded, settings: Settings) -> None:
    folder, final = layout.warehouse_part(), layout.warehouse()
    with storage_errors(final), staging(folder), _workplace(folder) as place:
        make_dirs(folder)
        make_dirs(place / "before")
        part = place / final.name
        try:
            _write(part, copy_to(layout, place / "before"), layout, loaded, settings)
        except (OSError, StorageError):
            # There is no earlier file, or it cannot be read: nothing of it is needed.
            for path in (part, part.with_name(part.name + ".wal"), place / "before"):
                remove(path)
            try:
                _write(part, None, layout, loaded, settings)
            except StorageError as error:
                _refuse_damaged(layout, loaded, settings)
                raise error from None
        if place != folder:
            part = Path(shutil.copyfile(part, folder / final.name))
        for log in final.parent.glob(f"{final.name}.wal*"):
            remove(log)
        publish_file(part, final)
    with storage_errors(folder):
        remove(folder)


def _refuse_damaged(layout: Layout, loaded: Loaded, settings: Settings) -> None:
    """Names the first file of Parquet that cannot be read, if there is one: it would be in the way of every day."""
    for date, files in _files(layout, loaded).items():
        try:
            with duck.session(layout.warehouse_part() / "spill", settings.load_memory, 1) as connection, _as_io():
                repeats.fill(connection, {date: files})
        except StorageError as error:
            raise StorageError(
                f"{files[0].parent} cannot be read ({error.what.rpartition(': ')[2]})",
                f"To make it anew from what there is of the day: make verify FROM={date} TO={date} REPAIR=1",
            ) from error


@contextlib.contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """Yields where a file can be built: what follows a `?` in a path, DuckDB takes for options."""
    if "?" not in str(folder.absolute()):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="warehouse-") as elsewhere:
        yield Path(elsewhere)


def _write(part: Path, before: Path | None, layout: Layout, loaded: Loaded, settings: Settings) -> None:
    with duck.session(part.with_name("spill"), settings.load_memory, settings.cores) as connection, _as_io():
        known: dict[dt.date, str] = {} if before is None else _attach_before(connection, before).loads
        same = {date for date, record in loaded.items() if known.get(date) == record.id}
        connection.execute(f"ATTACH {duck.text(str(part))} AS made (STORAGE_VERSION '{_READERS}')")
        connection.execute("USE made")
        connection.begin()  # else each statement is synced by itself, into a file that nobody sees yet
        files = _files(layout, loaded)
        repeats.fill(connection, files, same, f"before.{repeats.TABLE}")
        daytable.fill(connection, loaded.values())
        for view in (views.of_events(files, repeats.dates(connection)), *views.VIEWS):
            for statement in view.statements():
                connection.execute(statement)
        connection.execute("CREATE TABLE made (digest VARCHAR, root VARCHAR, made_at TIMESTAMP, pipeline VARCHAR)")
        connection.execute("COMMENT ON TABLE made IS 'when this file was made (UTC), by which version, of which data'")
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        connection.execute(
            "INSERT INTO made VALUES (?, ?, ?, ?)",
            [_digest(layout, loaded), str(layout.root.absolute()), now, pipeline.__version__],
        )
        connection.commit()
        connection.execute("CHECKPOINT made")
        connection.execute("USE memory")
        connection.execute("DETACH made")
