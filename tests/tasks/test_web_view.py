"""Luigi's web view, against a real luigid: progress, one escaped line of status, no secret, and none of its troubles."""

import datetime as dt
import html
import json
import re

import pytest
from processes import PIPELINE, background, luigid, terminal, wait_for
from projects import KEY, SECRET, leaks

from pipeline.store import days
from pipeline.tasks import DownloadExport
from pipeline.tasks.progress import shown

DAY = dt.date(2026, 1, 15)
RUN = (*PIPELINE, "run", "--date", str(DAY))
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def daemon(project, tmp_path):
    folder = tmp_path / "luigid"
    folder.mkdir()
    with luigid(folder) as running:
        project.set(LUIGI_CONFIG_PATH=running.overlay)
        yield running


def status(daemon, task: str) -> str:
    return daemon.ask("get_task_status_message", task_id=task)["statusMessage"]


def percentage(daemon, task: str) -> int:
    return daemon.ask("get_task_progress_percentage", task_id=task)["progressPercentage"]


def by_name(daemon) -> dict[str, str]:
    return {task["name"]: task_id for task_id, task in daemon.tasks().items()}


def test_each_task_shows_its_progress_and_one_line_of_status(project, daemon):
    project.sandbox(events_per_hour=20, faults=["wait:1.2,hour=12"])
    with background(*RUN) as run:
        wait_for(lambda: "DownloadExport" in by_name(daemon))
        download = by_name(daemon)["DownloadExport"]
        wait_for(lambda: percentage(daemon, download))
        assert 0 < percentage(daemon, download) < 100
        assert re.fullmatch(r"window \d of 4, [\d.]+ k?B, [\d.]+ k?B/s", status(daemon, download))
        assert run.wait(timeout=30) == 0
    tasks = by_name(daemon)
    assert {name: daemon.tasks()[task]["status"] for name, task in tasks.items()} == dict.fromkeys(tasks, "DONE")
    assert [percentage(daemon, task) for task in tasks.values()] == [100, 100, 100]
    assert re.fullmatch(r"\d+ events in \d+ files, .* in [\d.]+ s", status(daemon, tasks["ExtractEvents"]))
    assert re.fullmatch(r"\d+ rows, \d+ duplicates? left out, .* in [\d.]+ s", status(daemon, tasks["LoadEvents"]))


def test_S10_S11_C10_a_failure_is_shown_escaped_and_without_secret_or_traceback(project, daemon):
    project.sandbox(faults=[f"status:400,message=invalid {EVIL} {KEY} {SECRET}"])
    done = project.pipeline("run", "--date", str(DAY))
    assert done.returncode == 30
    task = by_name(daemon)["DownloadExport"]
    error = daemon.ask("fetch_error", task_id=task)["error"]
    assert "<img" not in error
    assert html.escape(EVIL) in error
    assert "RequestError" in error
    assert "Traceback" not in error
    assert len(error) < 2000
    for answer in (daemon.tasks(), daemon.ask("worker_list"), daemon.ask("dep_graph", task_id=task), error):
        assert not leaks(json.dumps(answer))
        assert not leaks(json.dumps(answer, ensure_ascii=False))


class Told:
    """A task as Luigi gives it to a worker; it keeps what luigid is told."""

    task_family, date = "Told", DAY

    def __init__(self, failure=None):
        self.messages, self.percentages, self._failure = [], [], failure

    def set_status_message(self, text):
        self.messages.append(text)
        if self._failure:
            raise self._failure

    def set_progress_percentage(self, number):
        self.percentages.append(number)


def test_luigid_is_told_at_most_once_a_second_and_of_the_end():
    task = Told()
    with shown(task) as report:
        for step in range(500):
            report(step / 500, f"file {step} of 500")
        report(1.0, "all of it")
    assert task.messages == ["file 0 of 500", "all of it"]
    assert task.percentages == [0, 100]


def test_S10_S11_a_status_is_escaped_and_redacted(project):
    project.sandbox()
    project.run(DownloadExport(date=DAY))  # now the secret is known
    task = Told()
    with shown(task) as report:
        report(0.5, f"{EVIL} {SECRET}")
    assert task.messages == [f"{html.escape(EVIL)} ****"]


def test_S2_after_one_failed_report_there_are_no_more():
    task = Told(ConnectionError("luigid is gone"))
    with shown(task) as report:
        for share in (0.1, 1.0, 1.0):
            report(share, "words")
    assert len(task.messages) == 1


def test_nothing_is_told_outside_a_worker():
    with shown(DownloadExport(date=DAY)) as report:
        report(1.0, "words")


def test_S2_a_luigid_that_is_killed_in_the_middle_costs_neither_the_work_nor_a_minute(project, daemon):
    sandbox = project.sandbox(faults=["wait:1.5"])
    with background(*RUN) as run:
        wait_for(lambda: sandbox.requests)
        daemon.kill()
        _, err = run.communicate(timeout=20)
        assert run.returncode == 0, err
    assert err.count("The web view is not told any more: luigid does not answer") == 1
    assert "going on without the web view" in err
    assert "Traceback" not in err
    assert days.is_loaded(project.layout, DAY)
    assert len(sandbox.requests) == 4


def test_S1_without_luigid_the_run_goes_on_and_the_command_to_start_it_is_named(project, daemon):
    daemon.kill()
    project.sandbox()
    done = project.command(*RUN, timeout=20)
    assert done.returncode == 0, done.stderr
    assert "Start luigid (make scheduler), or run without SCHEDULER=central." in done.stderr
    assert days.is_loaded(project.layout, DAY)


def test_S3_a_luigid_that_forgot_everything_makes_nothing_run_again(project, daemon):
    sandbox = project.sandbox()
    assert project.command(*RUN).returncode == 0
    requests = len(sandbox.requests)
    daemon.kill()
    daemon.start()
    assert "Nothing to do" in project.command(*RUN).stderr
    assert len(sandbox.requests) == requests


def test_S8_a_forged_done_makes_no_day_count(project, daemon):
    project.sandbox(faults=["status:503"])
    assert project.command(*RUN).returncode == 30
    for task in by_name(daemon).values():
        daemon.ask("mark_as_done", task_id=task)
    assert not days.is_loaded(project.layout, DAY)
    project.sandbox()
    assert project.command(*RUN).returncode == 0
    assert days.is_loaded(project.layout, DAY)


BAR = "━"


def test_a_bar_is_drawn_on_a_terminal_and_a_warning_keeps_its_line(project):
    project.sandbox(faults=["status:503,times=1"])
    code, screen = terminal(*RUN)
    assert code == 0
    assert BAR in screen
    assert f"{DAY}  DownloadExport  WARNING: hours 00-05, try 1 of 3: loopback answered 503" in screen


def test_no_bar_without_a_terminal(project):
    project.sandbox()
    done = project.command(*RUN)
    assert BAR not in done.stderr + done.stdout
    assert "\x1b" not in done.stderr + done.stdout


def test_K14_two_runs_that_report_to_one_luigid_wait_for_each_other(project, tmp_path):
    sandbox = project.sandbox(faults=["wait:2,times=1"])
    with luigid(tmp_path) as daemon:
        project.set(LUIGI_CONFIG_PATH=daemon.overlay)
        other = (*PIPELINE, "run", "--date", "2026-01-16")
        with background(*PIPELINE, "run", "--date", str(DAY)) as first:
            wait_for(lambda: sandbox.requests)
            with background(*PIPELINE, "run", "--date", str(DAY)) as second, background(*other) as third:
                said = [process.communicate(timeout=60)[1] for process in (first, second, third)]
            assert [process.returncode for process in (first, second, third)] == [0, 0, 0], said
    assert "waiting for it, without the web view" in said[1]
    assert "waiting for it, without the web view" in said[2]
    assert len({(request.start, request.end) for request in sandbox.requests}) == len(sandbox.requests)
