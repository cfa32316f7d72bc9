"""The commands as processes: exit statuses, what is printed, and what is left alone."""

import datetime as dt
import gzip
import os
import re
import shutil
import stat
import uuid

import pytest
from processes import LUIGI, PIPELINE, home, luigi, terminal
from projects import ROOT

from pipeline import settings
from pipeline.store import days

DAY = dt.date(2026, 1, 15)
TODAY = dt.datetime.now(dt.UTC).date()
NO_TRACE = "Traceback"


def day_log(project, day=DAY) -> str:
    return (project.logs / f"log_amplitude_{day:%Y%m%d}T00_{day:%Y%m%d}T23.log").read_text()


WRONG_DAYS = [
    "2026-02-30",
    "01/02/2026",
    "yesterday",
    "../../x",
    "\u0662\u0660\u0662\u0666-01-15",
    "2026-1-5",
    "20260115",
    "0206-01-15",
]


@pytest.mark.parametrize("date", WRONG_DAYS)
def test_O1_a_wrong_day_is_refused_with_the_format(project, date):
    sandbox = project.sandbox()
    done = project.pipeline("run", "--date", date)
    assert done.returncode == 2
    assert "is no day. Write a day as YYYY-MM-DD: 2026-11-22." in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not sandbox.requests
    assert not project.data.exists()


@pytest.mark.parametrize("date", ["2026-02-30", "2026-1-5"])
def test_O1_S10_a_wrong_day_on_bare_luigi_is_one_line_and_40(project, date):
    done = luigi(project, "LoadEvents", "--date", date)
    assert done.returncode == 40
    assert done.stderr == f"ConfigError: '{date}' is no day. Write a day as YYYY-MM-DD: 2026-11-22.\n"
    assert NO_TRACE in project.logged()


def test_O2_a_day_before_there_was_an_amplitude_is_refused(project):
    done = project.pipeline("run", "--date", "2011-12-31")
    assert done.returncode == 2
    assert "DATE: 2011-12-31 is before 2012-01-01. Amplitude has no events of it. Is the year right?" in done.stderr


def test_O2_O3_days_that_are_not_settled_are_refused_without_a_request(project):
    sandbox = project.sandbox()
    for day in (TODAY, dt.date(2099, 1, 1), dt.date(2999, 12, 31)):
        then = f"{day + dt.timedelta(days=1)} 03:00 UTC"
        done = project.pipeline("run", "--date", str(day))
        assert done.returncode == 25
        assert (
            f"{day} is not settled: events may enter it until {then}. Run it again from {then} on; the last settled day is "
            in done.stderr
        )
        bare = luigi(project, "LoadEvents", "--date", str(day))
        assert bare.returncode == 30
        assert f"{day}  DownloadExport  NotReadyError: {day} is not settled" in bare.stderr
        assert NO_TRACE not in done.stderr + bare.stderr
    assert not sandbox.requests


FAILURES = [
    ("status:401", 30, "CredentialsError: .*401.*the key or the secret was refused. Look at AMP_API_KEY"),
    ("status:503", 30, "TransientError: .*tried 3 times: .*503.* Run it again later."),
    ("html", 30, "TransientError: .*status 200 with text/html.*no export ZIP.* look at AMP_REGION"),
    ("redirect:http://other.example/", 30, "RequestError: .*a redirect to other.example: it is not followed"),
]


@pytest.mark.parametrize(("fault", "status", "said"), FAILURES)
@pytest.mark.parametrize("command", [(*PIPELINE, "run"), (*LUIGI, "LoadEvents")], ids=["make run", "luigi"])
def test_S4_a_failed_day_prints_one_plain_line_and_its_traceback_goes_to_the_days_log(
    project, command, fault, status, said
):
    project.sandbox(faults=[fault])
    done = project.command(*command, "--date", str(DAY), PYTHONPATH=str(ROOT))
    assert done.returncode == status
    failed = [line for line in done.stderr.splitlines() if "Error: " in line]
    assert len(failed) == 1
    assert re.match(rf"{DAY}  DownloadExport  {said}", failed[0]), failed
    assert NO_TRACE not in done.stderr
    assert NO_TRACE in day_log(project)
    assert re.search(rf"^20\S+ \S+Z ERROR +{DAY} DownloadExport {said}", day_log(project), re.MULTILINE)
    assert not done.stdout


def test_S6_a_day_that_cannot_be_planned_is_35_with_its_reason(project):
    project.sandbox()
    project.run_day(DAY)
    marker = project.layout.events_marker(DAY)
    marker.write_text(marker.read_text().replace('"format": 1', '"format": 99'))
    done = luigi(project, "LoadEvents", "--date", str(DAY))
    assert done.returncode == 35
    assert re.match(
        rf"{DAY}  LoadEvents      ConfigError: .*written by a newer version.*Update the pipeline", done.stderr
    )
    assert len(done.stderr.splitlines()) == 1
    assert NO_TRACE not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--dat", "x"),
        ("run", "--secret", "x"),
        ("run", "--key", "x"),
        ("rnu",),
        ("daily", "--days", "0"),
        ("force",),
    ],
)
def test_C12_a_wrong_command_line_is_2_and_a_secret_is_no_option(project, arguments):
    done = project.pipeline(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert NO_TRACE not in done.stderr


def test_a_folder_for_logs_that_cannot_be_made_is_one_plain_line(project):
    done = project.pipeline("status", PIPELINE_LOGS_DIR="/dev/null/logs")
    assert done.returncode == 40
    assert re.match(r"StorageError: /dev/null/logs: Not a directory \(.* free\)\. A file stands where", done.stderr)
    assert len(done.stderr.splitlines()) == 1


AS_ANOTHER = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""What makes root as weak as the user who comes after it."""


@pytest.mark.skipif(bool(AS_ANOTHER) and not shutil.which("setpriv"), reason="root may do everything here")
@pytest.mark.parametrize("mode", [0, 0o555], ids=["closed", "read_only"])
@pytest.mark.parametrize("command", ["run", "daily", "force", "import", "status", "clean"])
def test_O12_a_data_folder_of_another_user_is_named_with_the_cure(project, command, mode):
    sandbox = project.sandbox()
    folders = [project.data / name for name in ("raw", "events", ".locks", ".redo", "")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    arguments = {"daily": ("--days", "2"), "status": (), "clean": ()}.get(command, ("--date", str(DAY)))
    source = ("--from", str(project.path)) if command == "import" else ()
    for folder in folders:
        folder.chmod(mode)
    try:
        done = project.command(
            *AS_ANOTHER, *PIPELINE, command, *arguments, *source, cwd=home(project), PYTHONPATH=str(ROOT)
        )
    finally:
        for folder in reversed(folders):
            folder.chmod(0o755)
    if mode and command in ("status", "clean"):  # they only read
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 30
    assert re.search(rf"StorageError: {project.data}\S*: Permission denied \(.*\)\. Mend its permissions", done.stderr)
    assert "defect" not in done.stderr
    assert NO_TRACE not in done.stderr
    assert not sandbox.requests


def test_C18_a_typo_stops_every_command_before_it_begins(project):
    sandbox = project.sandbox()
    place = home(project, env="AMP_REGOIN=us\n")
    for command in ((*PIPELINE, "run", "--date", str(DAY)), (*LUIGI, "LoadEvents", "--date", str(DAY))):
        done = project.command(*command, cwd=place, PYTHONPATH=str(ROOT))
        assert done.returncode == 40
        assert done.stderr == (
            "ConfigError: AMP_REGOIN in .env is no setting. Did you mean AMP_REGION? README lists them all.\n"
        )
    assert not sandbox.requests


def test_O10_a_complete_day_says_so_and_asks_nothing(project):
    sandbox = project.sandbox()
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    tree, requests = project.tree(), len(sandbox.requests)
    times = {path: path.stat().st_mtime_ns for path in project.data.rglob("*") if path.is_file()}
    again = project.pipeline("run", "--date", str(DAY))
    assert again.returncode == 0
    assert re.fullmatch(
        rf"{DAY} is complete: \d+ events in .*/parquet/date={DAY}/\. Nothing to do \(make force DATE={DAY} does it again\)\.\n",
        again.stderr,
    )
    assert (len(sandbox.requests), project.tree()) == (requests, tree)
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_F21_where_all_may_be_open_nothing_that_a_run_leaves_is_open_for_everybody_to_write(project):
    project.sandbox()
    before = os.umask(0)
    try:
        done = project.pipeline("run", "--date", str(DAY))
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    found = [path for folder in (project.data, project.logs) for path in (folder, *folder.rglob("*"))]
    assert len(found) > 20
    assert [path for path in found if path.stat().st_mode & stat.S_IWOTH] == []


def test_O7_O8_events_are_made_again_without_a_request_and_a_missing_zip_is_not_missed(project):
    sandbox = project.sandbox()
    project.run_day(DAY)
    before = {path.name: path.read_bytes() for path in project.layout.events_dir(DAY).glob("*.json")}
    rows = days.load_record(project.layout, DAY).counts.rows
    requests = len(sandbox.requests)
    for gone in (project.layout.events_dir(DAY), project.layout.parquet_dir(DAY)):
        shutil.rmtree(gone)
    assert project.pipeline("run", "--date", str(DAY)).returncode == 0
    assert {path.name: path.read_bytes() for path in project.layout.events_dir(DAY).glob("*.json")} == before
    assert days.load_record(project.layout, DAY).counts.rows == rows
    project.layout.raw_zip(DAY).unlink()
    shutil.rmtree(project.layout.events_dir(DAY))
    assert "Nothing to do" in project.pipeline("run", "--date", str(DAY)).stderr
    assert len(sandbox.requests) == requests


def test_T3_without_a_date_yesterday_is_done_or_refused_until_it_is_settled(project):
    sandbox = project.sandbox()
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    done = project.pipeline("run")
    if done.returncode == 25:
        assert f"{yesterday} is not settled" in done.stderr
    else:
        assert {request.start[:8] for request in sandbox.requests} == {f"{yesterday:%Y%m%d}"}
        assert f"{yesterday} is complete" in done.stderr


def test_O14_a_newer_record_is_not_written_over(project):
    project.sandbox()
    project.run_day(DAY)
    marker = project.layout.events_marker(DAY)
    marker.write_text(marker.read_text().replace('"format": 1', '"format": 99'))
    tree = project.tree()
    done = project.pipeline("run", "--date", str(DAY))
    assert done.returncode == 40
    assert "Update the pipeline (git pull), then run it again." in done.stderr
    assert project.tree() == tree


def whole_event(number: int) -> bytes:
    return b'{"event_time":"2026-01-15 07:00:00","uuid":"%s"}\n' % str(uuid.UUID(int=number)).encode()


def test_import_takes_a_zip_a_folder_and_replaces_only_when_told(project, tmp_path):
    project.sandbox()
    project.run_day(DAY)
    first = project.layout.raw_zip(DAY).read_bytes()
    app = days.events_record(project.layout, DAY).app
    folder = tmp_path / "s3" / str(app)
    folder.mkdir(parents=True)
    (folder / f"{app}_{DAY}_7#0.json.gz").write_bytes(gzip.compress(b"".join(map(whole_event, range(2)))))
    command = ("import", "--date", str(DAY), "--from", str(tmp_path / "s3"))
    refused = project.pipeline(*command)
    assert refused.returncode == 40
    assert (
        f"{DAY} is stored already. To replace it: make import DATE={DAY} FROM={tmp_path}/s3 REPLACE=1" in refused.stderr
    )
    assert project.layout.raw_zip(DAY).read_bytes() == first
    done = project.pipeline(*command, "--replace")
    assert done.returncode == 0, done.stderr
    assert f"{DAY} is complete: 2 events" in done.stderr
    assert "No file for the hours 0, 1, 2" in done.stderr
    assert not project.leftovers()
    nothing = project.pipeline("import", "--date", "2026-01-16", "--from", str(tmp_path / "nowhere"))
    assert (nothing.returncode, "there is no" in nothing.stderr) == (40, True)


DAILY = ("daily", "--days", "3")


def settled(count: int) -> list[dt.date]:
    """Returns the last settled days, oldest first."""
    last = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=27)).date()
    return [last - dt.timedelta(days=n) for n in reversed(range(count))]


def test_S12_S13_daily_catches_up_oldest_first_and_is_silent_without_a_terminal(project, tmp_path):
    sandbox = project.sandbox(events_per_hour=1)
    place = home(project, env="AMP_REGION=eu\n")
    (place / ".env").chmod(0o644)
    environment = {"PATH": "/nowhere", "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "1"}
    done = project.pipeline(*DAILY, cwd=place, PYTHONPATH=str(ROOT), **environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    asked = list(dict.fromkeys(request.start[:8] for request in sandbox.requests))
    assert asked == [f"{day:%Y%m%d}" for day in settled(3)]
    requests = len(sandbox.requests)
    again = project.pipeline(*DAILY)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert len(sandbox.requests) == requests


def test_S14_daily_prints_what_failed_and_the_next_run_tries_it_again(project):
    sandbox = project.sandbox(faults=["status:503"], events_per_hour=1)
    done = project.pipeline(*DAILY)
    assert done.returncode == 30
    first, *others = settled(3)
    assert f"{first}  DownloadExport  TransientError: hours 00-05, tried 3 times: loopback answered 503" in done.stderr
    for day in others:
        assert f"{day}  DownloadExport  TransientError, as on {first}\n" in done.stderr
    assert "0 of 3 days complete; 3 not" in done.stderr
    assert all("Error" in line or "days complete" in line for line in done.stderr.splitlines())
    sandbox.faults.clear()
    assert project.pipeline(*DAILY).returncode == 0
    assert project.layout.dates() == settled(3)
    assert not project.leftovers()


def test_daily_on_a_terminal_names_an_unsettled_day_and_counts_older_missing_days(project):
    project.sandbox(events_per_hour=1)
    old = settled(1)[0] - dt.timedelta(days=10)
    project.run_day(old)
    project.set(AMP_SETTLE_HOURS=48)
    status, shown = terminal(*PIPELINE, *DAILY)
    assert status == 0, shown
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    assert f"{yesterday} is not settled yet and is left for later" in shown
    assert re.search(rf"\d older days between {old + dt.timedelta(days=1)} and .* missing: make range FROM=", shown)
    assert "3 days complete" in shown


def test_settings_prints_the_table(project):
    done = project.pipeline("settings")
    assert done.stdout == settings.markdown_table() + "\n"
    assert all(line.count(" | ") == 3 for line in done.stdout.splitlines())


def test_a_day_whose_zip_was_pruned_is_not_replaced_by_an_import_unasked(project, real_exports):
    project.sandbox(exports=real_exports)
    day = dt.date(2023, 2, 5)
    project.run_day(day)
    project.layout.raw_zip(day).unlink()
    command = ("import", "--date", str(day), "--from", str(real_exports / "20230205T00_20230205T23.zip"))
    refused = project.pipeline(*command)
    assert refused.returncode == 40
    assert "2023-02-05 is stored already" in refused.stderr
    assert not project.layout.raw_zip(day).exists()
    assert project.pipeline(*command, "--replace").returncode == 0


def test_what_a_killed_run_left_of_a_complete_day_goes_with_the_next_run(project):
    project.sandbox(events_per_hour=1)
    day = dt.date(2026, 1, 15)
    project.run_day(day)
    for path in project.layout.staged(day):
        path.mkdir(parents=True)
        (path / "leftover").touch()
    assert project.pipeline("run", "--date", str(day)).returncode == 0
    assert not project.leftovers()


def test_a_password_in_an_address_is_not_shown(project):
    done = project.pipeline("status", AMP_BASE_URL="https://someone:hunter2@amplitude.com")
    assert done.returncode == 40
    assert "hunter2" not in done.stdout + done.stderr + project.logged()
    assert "https://****@amplitude.com" in done.stderr


def test_daily_without_a_terminal_mails_what_is_missing_from_before_its_days(project):
    project.sandbox(events_per_hour=1)
    first = settled(3)[0]
    project.run_day(first - dt.timedelta(days=3))
    done = project.pipeline(*DAILY)
    assert done.returncode == 0
    gap = [str(first - dt.timedelta(days=n)) for n in (2, 1)]
    assert done.stderr == f"2 older days between {gap[0]} and {gap[1]} missing: make range FROM={gap[0]} TO={gap[1]}\n"
    assert project.pipeline("range", "--from", gap[0], "--to", gap[1]).returncode == 0
    done = project.pipeline(*DAILY)
    assert done.stdout + done.stderr == ""
