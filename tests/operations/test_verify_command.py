"""`verify` as a process: what is stored nowhere, closed to it or only to be read, and a day that fails by itself."""

import datetime as dt
import os
import shutil

import pytest
from archives import DAY
from loading import rows
from processes import PIPELINE, home
from projects import ROOT
from stored import damaged, file, look, whole

from pipeline.errors import StorageError
from pipeline.operations.verify import is_wrong, warehouse_note
from pipeline.store import days, manifest
from pipeline.store.chain import EVENTS

AS_ANOTHER = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()

needs_another = pytest.mark.skipif(
    bool(AS_ANOTHER) and not shutil.which("setpriv"), reason="root may do everything here"
)


@pytest.fixture
def layout(project):
    return whole(project)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_range_of_which_nothing_is_stored_is_said_and_wrong(project, is_there):
    if is_there:
        project.data.mkdir()
    done = project.pipeline("verify", "--from", "2026-11-01", "--to", "2026-11-05")
    assert done.returncode == 1
    assert "2026-11-01 to 2026-11-05: nothing is stored" in done.stderr + done.stdout
    assert "Error" not in done.stderr


@pytest.mark.parametrize("kind", ["events marker", "load marker"])
def test_F15_a_flipped_form_is_mended_by_the_command(project, layout, kind):
    before = sorted(rows(layout), key=str)
    path = file(layout, kind)
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 3'))
    done = project.pipeline("verify", "--repair")
    assert done.returncode == 0, done.stderr
    assert (damaged(project), sorted(rows(layout), key=str)) == (set(), before)


def test_what_cannot_be_told_of_the_warehouse_is_a_note(project, layout):
    path = file(layout, "load marker")
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 3'))
    assert "cannot be told: " in warehouse_note(project.settings)


@needs_another
@pytest.mark.parametrize("stage", ["events", "parquet"])
def test_O12_a_folder_that_is_closed_is_its_days_error_and_no_defect(project, layout, stage):
    folder = layout.events_dir(DAY) if stage == "events" else layout.parquet_dir(DAY)
    folder.chmod(0)
    try:
        done = project.command(*AS_ANOTHER, *PIPELINE, "verify", cwd=home(project), PYTHONPATH=str(ROOT))
    finally:
        folder.chmod(0o755)
    assert done.returncode == 1
    assert "defect" not in done.stderr
    assert "1 day: 0 whole" in done.stdout + done.stderr


READS = """
from pipeline import settings
from pipeline.operations.verify import verify
(day,) = verify(settings.load(), None, None, lambda *_: None)
print(day.error, [str(damage) for damage in day.damage], day.is_complete, day.notes)
"""


@needs_another
@pytest.mark.parametrize("missing", [False, True])
def test_a_copy_that_is_only_to_be_read_is_verified_without_its_lock(project, layout, missing):
    look(project)
    locks = layout.lock(DAY).parent
    if missing:
        shutil.rmtree(locks)
    places = [layout.root, *(() if missing else (locks, layout.lock(DAY)))]
    for place in places:
        place.chmod(0o555)
    try:
        done = project.command(*AS_ANOTHER, PIPELINE[0], "-c", READS, cwd=home(project), PYTHONPATH=str(ROOT))
    finally:
        for place in places:
            place.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"None [] True ['read without its lock: {locks}: Permission denied']\n"


@pytest.mark.parametrize("gone", ["before", "meanwhile"])
def test_a_file_that_vanishes_is_damage_and_no_error_of_the_command(project, layout, monkeypatch, gone):
    path = file(layout, "json")
    if gone == "before":
        path.unlink()
    else:
        stat = type(path).stat

        def vanishing(self, **options):
            if self == path:
                path.unlink(missing_ok=True)
            return stat(self, **options)

        monkeypatch.setattr(type(path), "stat", vanishing)
    (day,) = look(project)
    assert [(damage.stage, damage.what) for damage in day.damage] == [(EVENTS, "it is missing")]


def test_a_lock_that_the_disk_refuses_for_another_reason_is_the_days_error(project, layout):
    layout.lock(DAY).unlink(missing_ok=True)
    layout.lock(DAY).mkdir(parents=True)
    (day,) = look(project)
    assert isinstance(day.error, StorageError)
    assert is_wrong(day, asked=False)


def test_one_day_that_cannot_be_read_does_not_keep_the_others_from_being_mended(project, layout):
    other = DAY + dt.timedelta(days=1)
    record = days.load_record(layout, DAY)
    text = (
        manifest.plain(record).replace(b'"format": 1', b'"format": 9').replace(str(DAY).encode(), str(other).encode())
    )
    layout.parquet_marker(other).parent.mkdir(parents=True)
    layout.parquet_marker(other).write_bytes(text)
    file(layout, "json").write_bytes(b"")
    done = project.pipeline("verify", "--repair")
    assert done.returncode == 1
    assert f"{other}  not read to the end: " in done.stdout + done.stderr
    assert "2 days: 1 whole, 0 damaged, 1 not read to the end." in done.stdout + done.stderr
    first, second = look(project)
    assert (first.damage, first.error) == ([], None)
    assert "git pull" in str(second.error)
