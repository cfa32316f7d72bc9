"""The log: one file a day of events that each run appends to, and plain lines for the person."""

import datetime as dt
import logging
import re

import pytest
from loguru import logger
from processes import LUIGI, ROOT
from projects import KEY, SECRET

from pipeline import logs, threads
from pipeline.errors import ConfigError
from pipeline.redaction import Secret

DAY = dt.date(2026, 1, 15)
LINE = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING|ERROR) +(\d{4}-\d\d-\d\d) (\w+) +(.+)")


@pytest.fixture
def folder(tmp_path):
    logs.setup(tmp_path / "logs")
    yield tmp_path / "logs"
    logger.remove()


def day_file(folder):
    return folder / "log_amplitude_20260115T00_20260115T23.log"


def test_a_days_lines_go_to_the_file_of_its_name_and_the_rest_to_pipeline_log(folder):
    with logs.about(DAY, "DownloadExport"):
        logger.info("of the day")
    logger.info("of no day")
    assert {path.name for path in folder.iterdir()} == {day_file(folder).name, "pipeline.log"}
    assert "of the day" in day_file(folder).read_text()
    assert "of no day" in (folder / "pipeline.log").read_text()


def test_each_run_appends_and_each_line_of_the_day_says_utc_time_day_and_task(project):
    project.sandbox(faults=["status:503,times=2"])
    first = project.pipeline("run", "--date", str(DAY), TZ="Asia/Kathmandu")
    assert first.returncode == 0
    text = day_file(project.logs).read_text()
    began = dt.datetime.strptime(text[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)
    assert abs(dt.datetime.now(dt.UTC) - began) < dt.timedelta(minutes=5)
    parsed = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(parsed), text
    assert {found[2] for found in parsed} == {str(DAY)}
    assert {found[3] for found in parsed} == {"DownloadExport", "ExtractEvents", "LoadEvents"}
    # Said in a window's thread:
    assert [found[1] for found in parsed if " of 3: " in found[4]] == ["WARNING"] * 2
    project.layout.parquet_marker(DAY).unlink()
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    assert day_file(project.logs).read_text().startswith(text)
    assert len(day_file(project.logs).read_text()) > len(text)


def test_the_lines_of_two_workers_go_to_their_own_days(project):
    project.sandbox(events_per_hour=1)
    project.command(
        *LUIGI, "RangeDaily", "--start", "2026-01-14", "--stop", "2026-01-16", "--workers", "2",
        PYTHONPATH=str(ROOT),
    )  # fmt: skip
    for day in ("2026-01-14", "2026-01-15"):
        text = logs.day_log(project.logs, day).read_text()
        assert {found[2] for line in text.splitlines() if (found := LINE.fullmatch(line))} == {day}
        assert "events in" in text


def test_a_thread_knows_the_day_and_the_task_of_its_caller(folder):
    with logs.about(DAY, "DownloadExport"):
        threads.start(logger.warning, "from a thread").result()
    assert re.search(r"WARNING 2026-01-15 DownloadExport from a thread", day_file(folder).read_text())


def test_luigis_own_lines_are_in_the_file_alone(folder, capsys):
    logging.getLogger("luigi-interface").info("Informed scheduler that task X has status DONE")
    logging.getLogger("luigi-interface").debug("much")
    assert "Informed scheduler" in (folder / "pipeline.log").read_text()
    assert "much" not in (folder / "pipeline.log").read_text()
    assert capsys.readouterr().err == ""


def test_C10_neither_file_nor_terminal_shows_a_secret_and_no_traceback_shows_values(folder, capsys):
    Secret(KEY), Secret(SECRET)
    hidden = "a local value that no traceback shows"
    try:
        int(SECRET) if hidden else None
    except ValueError:
        logger.exception("it failed with {}", KEY)
    shown = capsys.readouterr().err
    assert "ValueError: invalid literal for int() with base 10: " in shown
    assert "****" in shown
    assert "Traceback" not in shown
    text = (folder / "pipeline.log").read_text()
    assert "Traceback" in text
    assert "it failed with ****" in text
    assert hidden not in text


def test_a_pipeline_error_reads_as_what_and_todo(folder, capsys):
    assert logs.plain(ConfigError("x is wrong", "Mend x.")) == "ConfigError: x is wrong. Mend x."
    assert "this is a defect" in logs.plain(ZeroDivisionError("division"))
    assert "\\x1b" in logs.plain(ValueError("\x1b[31m"))


def test_F1_a_log_that_cannot_be_written_is_said_once_without_the_record_and_stops_nothing(folder, capsys):
    day_file(folder).mkdir()
    with logs.about(DAY, "DownloadExport"):
        for _ in range(3):
            logger.info("words")
    shown = capsys.readouterr().err
    assert shown.count("cannot be written (Is a directory): the log of this run is not whole.") == 1
    assert shown.count("words") == 3
    assert "Record was" not in shown


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_K11_want_of_memory_is_no_defect_and_says_what_to_lower(error):
    said = logs.plain(error)
    assert "defect" not in said
    assert "lower PIPELINE_THREADS" in said
