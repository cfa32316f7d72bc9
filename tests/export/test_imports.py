"""A day from a file: the same names and checks as a download, and nothing published on any refusal."""

import datetime as dt
import gzip
import zipfile

import pytest
from archives import APP, DAY, day_zip, export, export_record, name, write, zipped
from loguru import logger

from pipeline.errors import ArchiveError, ConfigError, NotReadyError
from pipeline.export import imports
from pipeline.export.extract import extract_day
from pipeline.export.imports import import_day
from pipeline.settings import Settings
from pipeline.store import days, manifest
from pipeline.store.paths import Layout
from pipeline.store.records import EMPTY, EXPORTED, NO_FILE

GZ = zipped(b"{}\n")


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "data")


@pytest.fixture
def warned():
    lines = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    yield lines
    logger.remove(sink)


@pytest.fixture
def take(layout):
    """Imports the day; on a refusal, checks that nothing was written."""

    def import_it(source, date=DAY, **settings):
        before = sorted(layout.root.rglob("*"))
        try:
            return import_day(date, source, Settings(data_dir=layout.root, **settings))
        except Exception:
            assert [path for path in sorted(layout.root.rglob("*")) if path not in before and path.is_file()] == []
            raise

    return import_it


def s3_folder(root, hours=range(24), markers=range(24), *, date=DAY, app=APP, pad=False):
    for hour in hours:
        shown = f"{hour:02}" if pad else hour
        write(root / str(app) / f"{app}_{date}_{shown}#0.json.gz", GZ)
    for hour in markers:
        write(root / str(app) / f"{app}_{date}_{hour}_complete", b"")
    return root


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_a_zip_of_the_web_page_becomes_the_days_zip(layout, tmp_path, take, warned, method):
    parts = {name(hour, part): GZ for hour in range(24) for part in (0, 4)}
    record = take(write(tmp_path / "web.zip", export(parts, method)))
    assert (record.app, record.source, record.windows) == (APP, "import", [])
    assert {hour.status for hour in record.hours} == {EXPORTED}
    assert days.is_exported(layout, DAY)
    assert warned == []
    extracted = extract_day(DAY, Settings(data_dir=layout.root), lambda _share, _text: None)
    assert (extracted.totals.files, extracted.totals.events) == (48, 48)
    with zipfile.ZipFile(layout.raw_zip(DAY)) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize("pad", [False, True], ids=["unpadded", "padded"])
def test_a_finished_folder_of_the_s3_export_needs_no_warning(layout, tmp_path, take, warned, pad):
    folder = s3_folder(tmp_path / "s3", hours=range(0, 24, 2), pad=pad)
    s3_folder(folder, date=DAY + dt.timedelta(days=1), hours=[5], markers=[])
    write(folder / str(APP) / f"-OaMergeIds_{APP}_{DAY}.json.gz", b"merged ids")
    write(folder / "notes.txt", b"")
    record = take(folder)
    assert [hour.status for hour in record.hours] == [EXPORTED, EMPTY] * 12
    assert warned == []
    with zipfile.ZipFile(layout.raw_zip(DAY)) as archive:
        assert len(archive.namelist()) == 13


def test_a_day_of_a_folder_of_many_is_taken_alone(layout, tmp_path, take):
    for distance in range(3):
        s3_folder(tmp_path / "s3", date=DAY + dt.timedelta(days=distance))
    take(tmp_path / "s3", date=DAY + dt.timedelta(days=1))
    assert layout.dates() == [DAY + dt.timedelta(days=1)]


def test_hours_that_are_not_complete_are_named(tmp_path, take):
    folder = s3_folder(tmp_path / "s3", markers=[hour for hour in range(24) if hour not in (3, 22)])
    with pytest.raises(
        NotReadyError, match=r"no _complete file of 2026-01-15 for the hours 3, 22\. Import the day when"
    ):
        take(folder)


def test_without_complete_files_the_hours_without_files_are_warned_of(tmp_path, take, warned):
    record = take(s3_folder(tmp_path / "s3", hours=range(22), markers=[]))
    assert [hour.status for hour in record.hours][21:] == [EXPORTED, NO_FILE, NO_FILE]
    assert len(warned) == 1
    assert "No file for the hours 22, 23." in warned[0]


def test_a_zip_without_some_hours_is_warned_of(tmp_path, take, warned):
    record = take(write(tmp_path / "web.zip", export({name(hour): GZ for hour in range(23)})))
    assert record.hours[23].status == NO_FILE
    assert "No file for the hours 23." in warned[0]


def test_another_projects_events_are_refused(layout, tmp_path, take):
    stored = day_zip(layout, {name(0): GZ}).read_bytes()
    for other in (
        s3_folder(tmp_path / "s3", app=7),
        write(tmp_path / "web.zip", export({name(0, app=7): GZ})),
    ):
        with pytest.raises(ConfigError, match=f"project {APP}, and these are of project 7"):
            take(other)
    assert layout.raw_zip(DAY).read_bytes() == stored


def test_a_folder_of_two_projects_is_refused(tmp_path, take):
    s3_folder(tmp_path / "s3", app=7)
    with pytest.raises(ConfigError, match=rf"holds the projects 7, {APP}.*one project's folder"):
        take(s3_folder(tmp_path / "s3"))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({name(0): GZ, name(0, date="2026-01-14"): GZ, name(0, date="2026-01-16"): GZ}, "holds 2 other days"),
        ({name(0, date="2026-01-14"): GZ, name(0, date="2026-01-16"): GZ}, "and nothing of 2026-01-15"),
    ],
)
def test_a_zip_of_other_days_is_refused_with_the_way_round(tmp_path, take, members, words):
    with pytest.raises(ConfigError) as error:
        take(write(tmp_path / "web.zip", export(members)))
    assert words in str(error.value)
    assert "import the folder, which may hold many days: FROM=the folder" in str(error.value)


def test_a_zip_of_one_other_day_is_refused_with_its_own_command(tmp_path, take):
    path = write(tmp_path / "web.zip", export({name(0, date="2026-01-16"): GZ}))
    with pytest.raises(ConfigError, match="holds 2026-01-16, and nothing of 2026-01-15") as error:
        take(path)
    assert f"make import DATE=2026-01-16 FROM={path}" in str(error.value)


BAD_ZIPS = {
    "A1_cut": (export({name(0): GZ})[:-30], "does not end as a ZIP"),
    "A25_stranger": (export({name(0): GZ, "README": b""}), "README: it is no file of an Amplitude export"),
    "A13_twins": (export({name(5): GZ, name(5).replace("_5#", "_05#"): GZ}), "it is there twice"),
    "A26_two_projects": (export({name(0): GZ, name(0, app=7): GZ}), "are of two projects"),
    "P1_cut_gzip": (export({name(0): GZ[:-8]}), "the gzip ends too soon"),
    "H11_a_page": (b"<html>", "does not begin as a ZIP"),
}


@pytest.mark.parametrize(("data", "words"), BAD_ZIPS.values(), ids=BAD_ZIPS)
def test_A1_A13_A25_A26_P1_a_damaged_or_hostile_zip_is_refused_and_stays_where_it_is(tmp_path, take, data, words):
    path = write(tmp_path / "web.zip", data)
    with pytest.raises(ArchiveError) as error:
        take(path)
    assert str(error.value).startswith(f"{path}: ")
    assert words in str(error.value)
    assert str(error.value).endswith("Get the file anew, then import it again.")
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("data", "words", "todo"),
    [
        (GZ[:-8], "the gzip ends too soon", "Get the file anew, then import it again."),
        (b"", "0 bytes are no gzip", "Get the file anew, then import it again."),
        (b"{}\n" * 9, "the gzip is damaged", "Get the file anew, then import it again."),
        (zipped(bytes(9_000_000)), "the gzip becomes more than", "raise PIPELINE_MAX_RATIO"),
    ],
)
def test_P1_P3_P4_A20_a_damaged_file_of_a_folder_is_named(tmp_path, take, data, words, todo):
    folder = s3_folder(tmp_path / "s3")
    write(folder / name(7), data)
    with pytest.raises(ArchiveError) as error:
        take(folder)
    assert f"{name(7).split('/')[1]}: {words}" in str(error.value)
    assert str(folder) in str(error.value)
    assert todo in str(error.value)


@pytest.mark.parametrize("twin", ["7", "07"], ids=["the_same_name", "a_padded_hour"])
def test_A12_A13_two_files_of_one_hour_and_part_in_a_folder_are_refused(tmp_path, take, twin):
    folder = s3_folder(tmp_path / "s3")
    write(folder / "copy" / f"{APP}_{DAY}_{twin}#0.json.gz", GZ)
    with pytest.raises(ArchiveError, match=r"two files of this hour and part\. Name the folder of one export"):
        take(folder)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (lambda path: path, "there is no "),
        (lambda path: path.mkdir() or path, f"holds no file of {DAY}"),
        (lambda path: s3_folder(path, date=DAY.replace(day=1)), f"PROJECT_{DAY}_HOUR#PART.json.gz"),
        (lambda path: write(path, export({f"{APP}/": b""})), "holds no events"),
    ],
    ids=["nothing", "an_empty_folder", "a_folder_of_another_day", "a_zip_of_no_files"],
)
def test_where_there_is_nothing_of_the_day_the_answer_says_what_to_name(tmp_path, take, place, words):
    with pytest.raises(ConfigError) as error:
        take(place(tmp_path / "source"))
    assert words in str(error.value)
    assert " Name a ZIP" in str(error.value) or "name the folder that holds them" in str(error.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (GZ, GZ[:-1] + b"x"),
        # Of stored blocks: the CRC over a gzip that ends with its own is the same for both.
        (gzip.compress(b'{"a":1}\n', 0, mtime=0), gzip.compress(b'{"a":2}\n', 0, mtime=0)),
    ],
    ids=["damaged", "another_of_the_same_crc"],
)
def test_a_file_that_changes_while_it_is_imported_is_refused(tmp_path, before, after):
    path = write(tmp_path / name(7), before)
    source = imports._verified(path, APP, 7, 0, Settings())
    assert b"".join(source.pieces()) == before
    path.write_bytes(after)
    with pytest.raises(ArchiveError, match="it changed while it was imported"):
        list(source.pieces())


def test_an_import_answers_a_redo_and_replaces_the_day(layout, tmp_path, take):
    day_zip(layout, {name(0): GZ})
    days.ask_redo(layout, DAY)
    record = take(s3_folder(tmp_path / "s3"))
    assert record.redo == days.redo_asked(layout, DAY)
    assert days.is_exported(layout, DAY)


def test_a_day_zip_of_another_pipelines_folder_can_be_imported(layout, tmp_path, take):
    ours = export({"_export.json": manifest.encode(export_record()), name(0): GZ})
    record = take(write(tmp_path / "2026-01-15.zip", ours))
    assert record.id != "export-1"
    with zipfile.ZipFile(layout.raw_zip(DAY)) as archive:
        assert archive.namelist() == ["_export.json", name(0)]
