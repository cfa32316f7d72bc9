"""The DuckDB file: what it is made of, when it is made anew, and what a crash, a full disk or a notebook does to it."""

import contextlib
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import partitions
import pytest
from partitions import at, day, load, row, unload
from processes import ROOT, background

import pipeline
from pipeline.errors import StorageError
from pipeline.settings import Settings
from pipeline.store import locks
from pipeline.store.paths import Layout
from pipeline.warehouse import catalog, daytable, events, views
from pipeline.warehouse.query import opened

ODD = ["plain", "a b", "it's #1 100% [x] * {y}", "x=1", "date=2020-01-01", "uuid=7/event_type=a"]


def settings(root: Path, **changes: object) -> Settings:
    return Settings(**{"data_dir": root, "threads": 2, "load_memory": 200_000_000, **changes})


def asked(root: Path, sql: str = "SELECT count(*) FROM events") -> list[tuple]:
    with duckdb.connect(root / "warehouse.duckdb", read_only=True) as connection:
        return connection.execute(sql).fetchall()


def left(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name not in ("parquet", ".locks"))


def refused(root: Path) -> str:
    """Refreshes; returns what was said where the disk refused."""
    try:
        catalog.refresh(settings(root))
    except StorageError as error:
        return str(error)
    return ""


@pytest.fixture
def root(tmp_path):
    load(Layout(tmp_path), day(0), [row(day(0)) for _ in range(3)])
    return tmp_path


def test_it_says_what_the_markers_say_and_is_made_once(root):
    layout = Layout(root)
    assert catalog.refresh(settings(root))
    assert asked(root) == [(3,)]
    before = layout.warehouse().stat()
    assert not catalog.refresh(settings(root))
    assert layout.warehouse().stat() == before
    load(layout, day(1), [row(day(1)) for _ in range(2)])
    assert catalog.refresh(settings(root))
    assert asked(root) == [(5,)]
    load(layout, day(0), [row(day(0))])
    assert catalog.refresh(settings(root))
    assert asked(root, "SELECT date, events FROM days ORDER BY date") == [(day(0), 1), (day(1), 2)]
    unload(layout, day(1))
    assert catalog.refresh(settings(root))
    assert asked(root) == [(1,)]
    assert left(root) == ["warehouse.duckdb"]


def test_another_version_of_the_pipeline_makes_it_anew(root, monkeypatch):
    catalog.refresh(settings(root))
    monkeypatch.setattr(pipeline, "__version__", "7.0.0")
    assert catalog.refresh(settings(root))
    assert asked(root, "SELECT pipeline FROM made") == [("7.0.0",)]
    assert not catalog.refresh(settings(root))


@pytest.mark.parametrize("what", ["a view", "events", "days"])
def test_other_SQL_makes_it_anew(root, monkeypatch, what):
    catalog.refresh(settings(root))
    before = asked(root, "SELECT sql FROM duckdb_views() WHERE NOT internal UNION ALL SELECT sql FROM duckdb_tables()")
    if what == "a view":
        *others, last = views.VIEWS
        monkeypatch.setattr(views, "VIEWS", (*others, dataclasses.replace(last, sql="SELECT 1 AS one")))
    elif what == "events":
        monkeypatch.setattr(events, "ROW", tuple(column for column in events.ROW if column.name != "idfa"))
    else:
        monkeypatch.setattr(daytable, "_COLUMNS", daytable._COLUMNS[:-1])
    assert catalog.refresh(settings(root))
    after = asked(root, "SELECT sql FROM duckdb_views() WHERE NOT internal UNION ALL SELECT sql FROM duckdb_tables()")
    assert len(set(before) ^ set(after)) == 2
    assert not catalog.refresh(settings(root))


def test_no_day_makes_empty_views_of_the_right_columns(tmp_path):
    assert catalog.refresh(settings(tmp_path))
    described = asked(tmp_path, "DESCRIBE events")
    assert [(name, kind) for name, kind, *_ in described] == [(c.name, c.kind.value) for c in events.ROW]
    for (name,) in asked(tmp_path, "SELECT view_name FROM duckdb_views() WHERE NOT internal"):
        assert asked(tmp_path, f"SELECT * FROM {name}") == []


def test_a_loaded_day_has_the_columns_of_the_schema_in_its_order(root):
    catalog.refresh(settings(root))
    described = asked(root, "DESCRIBE events")
    assert [(name, kind) for name, kind, *_ in described] == [(c.name, c.kind.value) for c in events.ROW]


def test_an_empty_day_is_a_day(root):
    load(Layout(root), day(1))
    catalog.refresh(settings(root))
    assert asked(root, "SELECT date, events, first_event_time FROM days WHERE events = 0") == [(day(1), 0, None)]


def test_files_that_no_marker_names_are_none_of_it(root):
    layout = Layout(root)
    file = next(layout.parquet_dir(day(0)).glob("*.parquet"))
    shutil.copy(file, file.with_name("events-ffffffff.parquet"))
    shutil.copytree(file.parent, layout.parquet_dir(day(3)))
    layout.parquet_marker(day(3)).unlink()
    catalog.refresh(settings(root))
    assert asked(root) == [(3,)]


@pytest.mark.parametrize("name", ODD)
def test_odd_folders_change_nothing(tmp_path, name):
    root = tmp_path / name
    root.mkdir(parents=True)
    for number in range(2):
        load(Layout(root), day(number), [row(day(number), event_type="b")])
    catalog.refresh(settings(root))
    assert asked(root, "SELECT date, event_type, uuid IS NOT NULL FROM events ORDER BY 1") == [
        (day(0), "b", True), (day(1), "b", True),
    ]  # fmt: skip


def test_a_question_mark_in_a_folder_is_no_option(tmp_path):
    root = tmp_path / "a?access_mode=x"
    for number in range(2):
        load(Layout(root), day(number), [row(day(number))])
        catalog.refresh(settings(root))
    with opened(settings(root)) as warehouse:
        assert [found for answer in warehouse.ask("SELECT count(*) FROM events") for found in answer.rows()] == [(2,)]


def test_the_views_hold_from_any_working_directory(root, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(root.parent)
    catalog.refresh(settings(Path(root.name)))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert asked(root) == [(3,)]


def test_a_folder_that_moved_is_found_again(root):
    catalog.refresh(settings(root))
    moved = root.with_name(root.name + "-moved")
    root.rename(moved)
    assert catalog.refresh(settings(moved))
    assert asked(moved) == [(3,)]


def test_it_is_read_under_another_name_and_beside_tables_of_the_same_names(root):
    catalog.refresh(settings(root))
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE events AS SELECT 'mine' AS event_type")
        connection.execute(f"ATTACH '{root}/warehouse.duckdb' AS amplitude (READ_ONLY)")
        assert connection.execute("SELECT count(*) FROM amplitude.events").fetchone() == (3,)
        assert connection.execute("SELECT sum(events) FROM amplitude.event_types").fetchone() == (3,)


@pytest.mark.parametrize("damage", [b"", b"no database", b"\0" * 20_000, None])
def test_a_file_that_is_no_warehouse_is_replaced(root, damage):
    file = Layout(root).warehouse()
    if damage is None:
        with duckdb.connect(file) as connection:
            connection.execute("CREATE TABLE made AS SELECT 'x' AS digest; CREATE TABLE days AS SELECT 1 AS date")
    else:
        file.write_bytes(damage)
    assert catalog.refresh(settings(root))
    assert asked(root) == [(3,)]


@pytest.mark.parametrize("place", [4096 * n + 100 for n in range(0, 60, 7)])
def test_a_damaged_file_is_replaced_or_right(root, place):
    load(Layout(root), day(1), [row(day(1))])
    catalog.refresh(settings(root))
    file = Layout(root).warehouse()
    data = bytearray(file.read_bytes())
    data[place : place + 50] = b"\xff" * 50
    file.write_bytes(data)
    load(Layout(root), day(2), [row(day(2))])
    catalog.refresh(settings(root))
    assert asked(root) == [(5,)]


BUILDS = """
import os, pathlib, signal, sys
from pipeline.settings import Settings
from pipeline.warehouse import catalog
while sys.stdin.readline():
    child = os.fork()
    if not child:
        catalog.refresh(Settings(data_dir=pathlib.Path(sys.argv[1]), threads=1))
        os._exit(0)
    sys.stdin.readline()
    os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def identity(file: Path) -> tuple[int, int] | None:
    """Returns what changes as soon as a file is made anew, or written to."""
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_ino, file.stat().st_mtime_ns
    return None


@pytest.mark.parametrize("first", [True, False], ids=["the first", "a later one"])
def test_F16_a_killed_build_leaves_the_old_file_and_the_next_one_works(root, first):
    file, part = Layout(root).warehouse(), Layout(root).warehouse_part() / "warehouse.duckdb"
    if not first:
        catalog.refresh(settings(root))
        load(Layout(root), day(1), [row(day(1))])
    expected = 3 if first else 4
    killed = 0
    with subprocess.Popen(
        (sys.executable, "-c", BUILDS, str(root)), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as builds:
        for milliseconds in (0, 10, 20, 30, 40, 60, 90, 130, 180):
            before = identity(part), identity(file)
            print(file=builds.stdin, flush=True)
            ends = time.monotonic() + 20
            while identity(part) in (None, before[0]) and identity(file) == before[1] and time.monotonic() < ends:
                time.sleep(0.0005)  # longer, and much of what is to be killed would be over
            time.sleep(milliseconds / 1000)
            print(file=builds.stdin, flush=True)
            assert builds.stdout.readline() in ("-9\n", "0\n")
            found = asked(root) if file.exists() else None
            if found == [(expected,)]:
                break
            killed += 1
            assert found == (None if first else [(3,)])
    assert killed
    catalog.refresh(settings(root))
    assert asked(root) == [(expected,)]
    assert left(root) == ["warehouse.duckdb"]


LIMITED = """
import pathlib, resource, signal, sys
from pipeline.errors import StorageError
from pipeline.settings import Settings
from pipeline.warehouse import catalog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    catalog.refresh(Settings(data_dir=pathlib.Path(sys.argv[1]), threads=1))
except StorageError as error:
    print(error)
"""


def test_F17_no_duckdb_that_loses_rows_on_a_full_disk_is_asked_for_or_installed():
    text = (ROOT / "requirements.in").read_text(encoding="utf-8")
    floor = re.search(r"^duckdb>=(\d+)\.(\d+)", text, re.MULTILINE)
    assert (1, 5) <= (int(floor[1]), int(floor[2])) <= tuple(map(int, duckdb.__version__.split(".")[:2]))


@pytest.mark.parametrize("limit", [100, 5_000, 13_000, 200_000, 300_000])
def test_F17_a_full_disk_leaves_what_stood(root, limit):
    catalog.refresh(settings(root))
    load(Layout(root), day(1), [row(day(1))])
    before = Layout(root).warehouse().read_bytes()
    done = subprocess.run(
        (sys.executable, "-c", LIMITED, str(root), str(limit)), cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert "run it again" in done.stdout, done.stderr
    assert Layout(root).warehouse().read_bytes() == before
    assert left(root) == ["warehouse.duckdb"]
    assert catalog.refresh(settings(root))
    assert asked(root) == [(4,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own takes root")
@pytest.mark.parametrize("room", [32, 128, 400, 700])
def test_F17_a_file_system_without_room_leaves_what_stood(tmp_path, room):
    root = tmp_path / "data"
    root.mkdir()
    if subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", root), check=False, capture_output=True
    ).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        load(Layout(root), day(0), [row(day(0)) for _ in range(3)])
        catalog.refresh(settings(root))
        load(Layout(root), day(1), [row(day(1))])
        free = shutil.disk_usage(root).free
        (root / "ballast").write_bytes(b"x" * max(free - room * 1000, 0))
        before = Layout(root).warehouse().read_bytes()
        if said := refused(root):
            assert "No space left" in said
            assert Layout(root).warehouse().read_bytes() == before
            assert left(root) == ["ballast", "warehouse.duckdb"]
        (root / "ballast").unlink()
        catalog.refresh(settings(root))
        assert asked(root) == [(4,)]
    finally:
        subprocess.run(("umount", root), check=True)


NOTEBOOK = """
import duckdb, sys
notebook = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read-only")
if sys.argv[2] == "writing":
    notebook.execute("CREATE TABLE mine AS SELECT 1 AS one")
print(notebook.execute("SELECT count(*) FROM events").fetchone()[0], flush=True)
while line := sys.stdin.readline():
    print(notebook.execute(line).fetchone()[0], flush=True)
"""


@pytest.mark.parametrize("how", ["read-only", "read-write", "writing"])
def test_F18_a_notebook_that_holds_it_open_neither_blocks_nor_fails_a_refresh(root, how):
    catalog.refresh(settings(root))
    file = Layout(root).warehouse()
    with subprocess.Popen(
        (sys.executable, "-c", NOTEBOOK, str(file), how), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as notebook:
        assert notebook.stdout.readline() == "3\n"
        assert not catalog.refresh(settings(root))
        load(Layout(root), day(1), [row(day(1))])
        assert catalog.refresh(settings(root))
        assert asked(root) == [(4,)]
        print("SELECT count(*) FROM events", file=notebook.stdin, flush=True)
        assert notebook.stdout.readline() == "3\n"
        notebook.kill()
    assert asked(root) == [(4,)]
    with duckdb.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (4,)
    assert not catalog.refresh(settings(root))


def test_F18_what_an_old_notebook_writes_beside_the_new_file_is_cleared(root):
    catalog.refresh(settings(root))
    file = Layout(root).warehouse()
    with subprocess.Popen(
        (sys.executable, "-c", NOTEBOOK, str(file), "read-write"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as notebook:
        notebook.stdout.readline()
        load(Layout(root), day(1), [row(day(1))])
        catalog.refresh(settings(root))
        print("CREATE TABLE mine AS SELECT 7 AS seven", file=notebook.stdin, flush=True)
        notebook.stdout.readline()
        notebook.kill()
    assert file.with_name("warehouse.duckdb.wal").exists()
    with pytest.raises(duckdb.Error):
        asked(root)
    assert catalog.refresh(settings(root))
    assert asked(root) == [(4,)]


def test_F18_a_table_that_a_notebook_adds_stays_until_a_day_changes(root):
    catalog.refresh(settings(root))
    with duckdb.connect(Layout(root).warehouse()) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS one")
        assert not catalog.refresh(settings(root))
    assert asked(root, "FROM mine") == [(1,)]


REFRESH = """
import pathlib, sys
from pipeline.settings import Settings
from pipeline.warehouse import catalog
print(catalog.refresh(Settings(data_dir=pathlib.Path(sys.argv[1]), threads=1)))
"""


def test_refreshes_at_once_make_it_once(root):
    with contextlib.ExitStack() as all_:
        with locks.hold(Layout(root).lock("warehouse")):
            processes = [all_.enter_context(background(sys.executable, "-c", REFRESH, str(root))) for _ in range(3)]
            for process in processes:
                assert "waiting for it" in process.stderr.readline()
            assert not Layout(root).warehouse().exists()
        said = [process.stdout.readline() for process in processes]
    assert sorted(said) == ["False\n", "False\n", "True\n"]
    assert asked(root) == [(3,)]


def test_a_day_that_is_replaced_while_it_is_made_ends_in_the_newer_one(root):
    replace = (
        "import pathlib, sys, partitions\nfrom pipeline.store.paths import Layout\n"
        "print('ready', flush=True)\n"
        "while True: partitions.load(Layout(pathlib.Path(sys.argv[1])), partitions.day(0), [partitions.row(partitions.day(0))] * 2)"
    )
    with background(
        sys.executable, "-c", replace, str(root), PYTHONPATH=f"{ROOT}:{ROOT}/tests:{ROOT}/tests/warehouse"
    ) as other:
        other.stdout.readline()
        for _ in range(5):
            said = refused(root)
            assert not said or "again" in said, said
    catalog.refresh(settings(root))
    assert asked(root)[0][0] in (2, 3)


def test_days_has_what_the_manifests_say(tmp_path):
    record = load(
        Layout(tmp_path), day(0), [row(day(0), uuid=None), row(day(0), event_time=None)],
        duplicates=5, conflicts=2, rejects=3, apart={"a": 1, "b": 2}, late=1, future=4, outside=6,
        hours=partitions.hours(range(20)),
    )  # fmt: skip
    catalog.refresh(settings(tmp_path))
    with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as connection:
        found = connection.execute("FROM days")
        values = dict(zip([column[0] for column in found.description], found.fetchone(), strict=True))
    assert values == {
        "date": day(0), "events": 2, "uuids": 1, "duplicates": 5, "conflicts": 2, "rejects": 3, "values_apart": 3,
        "late": 1, "future": 4, "outside": 6, "no_uuid": 1, "no_event_time": 1,
        "first_upload_time": at(day(0), 3600), "last_upload_time": at(day(0), 3600),
        "first_event_time": at(day(0)), "last_event_time": at(day(0)),
        "parquet_bytes": record.bytes, "json_bytes": 10_000, "json_files": 24, "raw_bytes": 1000,
        "hours_with_events": 20, "hours_without_events": 4, "hours_unproven": 0,
        "rechecks": 0, "rechecked_at": None, "grown": None, "shrunk": None, "changed": None,
        "schema": events.SCHEMA, "load_id": record.id, "pipeline": "test",
    }  # fmt: skip


def test_a_year_of_days_is_refreshed_in_seconds_and_found_current_in_less(tmp_path):
    layout = Layout(tmp_path)
    load(layout, day(0), [row(day(0))])
    template = layout.parquet_dir(day(0))
    text = layout.parquet_marker(day(0)).read_text()
    for number in range(1, 365):
        shutil.copytree(template, layout.parquet_dir(day(number)))
        layout.parquet_marker(day(number)).write_text(text.replace(str(day(0)), str(day(number)), 1))
    catalog.refresh(settings(tmp_path))
    load(layout, day(400), [row(day(400))])
    begun = time.monotonic()
    assert catalog.refresh(settings(tmp_path))
    assert time.monotonic() - begun < 3
    begun = time.monotonic()
    assert not catalog.refresh(settings(tmp_path))
    assert time.monotonic() - begun < 1
