"""C10: no form of the secret in any output, record, web answer or argument, whatever goes wrong.

Over the whole suite, conftest.py looks through what each test printed and wrote; here are the places it cannot see.
"""

import html
import http.client
import json
import logging
import shlex
import urllib.parse
from pathlib import Path

import pytest
from processes import LUIGI, PIPELINE, background, luigid, wait_for
from projects import KEY, SECRET, leaks, left_in

from pipeline.export.download import fetch_day
from pipeline.tasks.daily import parse_day

DAY = "2026-01-15"
ECHO = f"message=invalid {KEY} {SECRET}"


@pytest.mark.parametrize("command", [(*PIPELINE, "run"), (*LUIGI, "LoadEvents")], ids=["make run", "luigi"])
def test_C10_C12_no_process_shows_it_in_its_arguments(project, command):
    project.set(AMP_READ_TIMEOUT=60)
    project.sandbox(faults=["stall:0.4"])
    with background(*command, "--date", DAY) as run:
        wait_for(lambda: list(project.data.glob("raw/.*.windows/*.part")))
        shown = Path(f"/proc/{run.pid}/cmdline").read_bytes().decode()
    assert DAY in shown
    assert not leaks(shown)


@pytest.mark.parametrize(
    "fault", [f"status:400,{ECHO}", f"status:503,{ECHO}", f"status:401,{ECHO}", f"status:404,{ECHO}"]
)
def test_C10_a_server_that_says_it_back_is_not_quoted(project, tmp_path, fault):
    folder = tmp_path / "luigid"
    folder.mkdir()
    with luigid(folder) as daemon:
        project.set(LUIGI_CONFIG_PATH=daemon.overlay)
        project.sandbox(faults=[fault])
        done = project.pipeline("run", "--date", DAY)  # command() looks through its output
        assert done.returncode == 30
        answers = [daemon.tasks(), *(daemon.ask("fetch_error", task_id=task) for task in daemon.tasks())]
        for each in (json.dumps(answers), json.dumps(answers, ensure_ascii=False)):
            assert not leaks(each)
            assert "S3cr3t" not in each
    assert "****" in done.stderr
    assert not any("S3cr3t" in text.decode("utf-8", "replace") for text in project.tree().values())
    assert "S3cr3t" not in project.logged()


def test_C13_debugging_of_the_http_libraries_shows_nothing(project, monkeypatch, capfd):
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    try:
        project.sandbox()
        project.run_day(parse_day(DAY))
    finally:
        logging.getLogger("urllib3").setLevel(logging.NOTSET)
    shown = capfd.readouterr()
    assert not leaks(shown.out + shown.err + project.logged())


def test_C10_the_records_do_not_hold_it(project):
    project.sandbox()
    fetch_day(parse_day(DAY), project.settings, lambda *_: None)
    assert not any(leaks(data.decode("utf-8", "replace")) for data in project.tree().values())


@pytest.mark.parametrize(
    "said",
    [
        repr([SECRET]),
        json.dumps({"secret": SECRET}),
        json.dumps({"secret": SECRET}, ensure_ascii=False),
        html.escape(f"<{SECRET}>"),
        shlex.join(["curl", "-u", f":{SECRET}"]),
        urllib.parse.urlencode({"secret": SECRET}),
    ],
    ids=["repr", "JSON", "JSON of UTF-8", "HTML", "a shell", "a query"],
)
def test_the_canary_is_seen_in_each_form_that_a_text_may_have_it_in(said):
    assert leaks(said)


def test_the_canary_is_seen_in_what_a_file_holds_and_in_its_name(tmp_path):
    assert not left_in(tmp_path / "none")
    (tmp_path / ".env").write_text(f"AMP_SECRET_KEY={SECRET}", encoding="utf-8")
    assert not left_in(tmp_path)
    for path, held in ((tmp_path / "a.log", f"{SECRET} ".encode() + b"\xff"), (tmp_path / f"{KEY}.zip", b"")):
        path.write_bytes(held)
        assert left_in(tmp_path.parent, tmp_path) == [f"{tmp_path.name}/{path.name}", path.name]
        path.unlink()
