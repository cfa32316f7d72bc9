"""`make status`: the days there are, the gaps in red, the totals, and what to type."""

import datetime as dt
import io
import shutil
import sys

import pytest
from processes import PIPELINE, terminal
from rich.console import Console

from pipeline.export.settled import last_settled
from pipeline.operations.status import show, survey
from pipeline.settings import Settings
from pipeline.store import days
from pipeline.warehouse import catalog

RED = "\x1b[31m"
LAST = last_settled(Settings())


def ago(number: int) -> dt.date:
    return LAST - dt.timedelta(days=number)


def shown(project) -> str:
    out = io.StringIO()
    show(project.settings, Console(file=out, width=120))
    return out.getvalue()


@pytest.fixture
def gaps(project):
    """Days 6 and 3 ago are complete, day 2 is a ZIP alone, day 1 is to be done again, the others are missing."""
    project.sandbox(events_per_hour=1)
    for number in (6, 3, 2, 1):
        project.run_day(ago(number))
    project.layout.events_marker(ago(2)).unlink()
    project.layout.parquet_marker(ago(2)).unlink()
    days.ask_redo(project.layout, ago(1))
    return project


def test_the_gaps_are_rows_and_the_commands_that_fill_them_are_spelt_out(gaps):
    text = shown(gaps)
    rows = {line.split()[0]: line for line in text.splitlines() if line.startswith("20")}
    assert list(rows) == [str(ago(number)) for number in (6, 5, 3, 2, 1, 0)]
    assert f"to {ago(4)}: 2 days missing" in rows[str(ago(5))]
    assert "not extracted" in rows[str(ago(2))]
    assert "to be done again" in rows[str(ago(1))]
    assert rows[str(ago(0))].rstrip().endswith("missing")
    assert f"make range FROM={ago(5)} TO={ago(4)}" in text
    assert f"make range FROM={ago(2)} TO={ago(0)}" in text
    assert "2 of 7 days complete: " in text


def test_the_totals_are_the_sums_of_the_complete_days(gaps):
    records = [days.load_record(gaps.layout, ago(number)) for number in (6, 3)]
    assert f" {sum(record.counts.rows for record in records)} events," in shown(gaps)


def test_gaps_are_red_on_a_terminal_and_plain_elsewhere(gaps):
    code, screen = terminal(*PIPELINE, "status")
    assert code == 0
    red = [line for line in screen.splitlines() if RED in line]
    assert sum("make r" in line for line in red) == 2
    assert any("not extracted" in line for line in red)
    assert not any(str(ago(6)) in line and "make" not in line for line in red)
    plain = gaps.pipeline("status")
    assert "\x1b" not in plain.stdout
    assert f"make range FROM={ago(2)} TO={ago(0)}" in plain.stdout


def test_nothing_stored_says_how_to_begin(project):
    def said() -> str:
        return " ".join(shown(project).split())

    assert said() == f"No day is stored in {project.data}/ yet (there is no such folder). Begin with: make run"
    project.data.mkdir()
    assert said() == f"No day is stored in {project.data}/ yet. Begin with: make run"


def test_an_empty_day_is_said_to_be_empty(project, tmp_path):
    exports = tmp_path / "none"
    exports.mkdir()
    project.sandbox(exports=exports)
    project.run_day(LAST)
    assert "empty" in shown(project)
    assert "1 of 1 days complete: 0 events" in shown(project)


@pytest.mark.parametrize("hours", [3, 27, 24, 72, 100])
def test_O3_the_last_settled_day_is_the_newest_whose_hours_have_passed(hours):
    day = last_settled(Settings(settle_hours=hours))
    now = dt.datetime.now(dt.UTC)
    ends = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC)
    assert ends + dt.timedelta(hours=hours) <= now < ends + dt.timedelta(hours=hours + 24)


def test_a_survey_has_no_hole(gaps):
    assert [day.date for day in survey(gaps.layout, LAST)] == [ago(number) for number in range(6, -1, -1)]


def test_hours_that_an_import_could_not_prove_are_named(project, real_exports):
    day = "2023-02-05"
    path = real_exports / "20230205T00_20230205T23.zip"
    project.pipeline("import", "--date", day, "--from", str(path))
    assert "imported; no file of 23 hours" in project.pipeline("status").stdout


def test_a_data_folder_that_is_a_file_is_no_empty_one(project, tmp_path):
    (tmp_path / "data").write_text("x")
    done = project.pipeline("status")
    assert done.returncode == 30
    assert "A file stands where a folder should" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_failure(project):
    project.sandbox(events_per_hour=1)
    project.run_day(dt.date(2012, 1, 5))
    done = project.command("bash", "-c", f"set -o pipefail; {sys.executable} -m pipeline status | head -1")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_pruned_stages_of_a_loaded_day_are_no_gap(gaps):
    gaps.layout.raw_zip(ago(6)).unlink()
    shutil.rmtree(gaps.layout.events_dir(ago(6)))
    row = next(line for line in shown(gaps).splitlines() if line.startswith(str(ago(6))))
    assert row.split()[1:3] == ["-", "-"]
    assert "2 of 7 days complete: " in shown(gaps)


def test_the_warehouse_is_brought_up_to_date(gaps):
    gaps.layout.warehouse().unlink(missing_ok=True)
    shown(gaps)
    assert not catalog.refresh(gaps.settings)
