"""`make doctor`: what is wrong before a run says so."""

import datetime as dt
import re
import shutil
import subprocess
from types import SimpleNamespace

import pytest
from processes import home, luigid
from projects import KEY, ROOT, SECRET

from pipeline import settings
from pipeline.operations import doctor, machine, reach
from pipeline.operations.findings import NOTE, OK, WRONG
from pipeline.store import room

YESTERDAY = doctor.last_settled(settings.Settings())


def found(project, subject: str) -> list[tuple[str, str]]:
    return [(each.state, each.text) for each in doctor.examine() if each.subject == subject]


def test_a_project_that_is_well_has_nothing_wrong_and_sent_one_cheap_request(project):
    sandbox = project.sandbox()
    project.run_day(YESTERDAY)
    sandbox.requests.clear()
    cwd = home(project, env=f"AMP_API_KEY={KEY}\nAMP_SECRET_KEY='{SECRET.replace(chr(39), chr(92) + chr(39))}'\n")
    done = project.doctor(cwd=cwd, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "Nothing is wrong."
    assert not [line for line in done.stdout.splitlines() if line.startswith(("note", "wrong"))]
    (request,) = sandbox.requests
    assert (request.start, request.end) == ("20120101T00", "20120101T00")  # where Amplitude has nothing to build


def test_C19_settings_are_shown_with_their_sources_and_credentials_as_stars(project):
    project.sandbox()
    cwd = home(project, env="AMP_CONCURRENCY=3\n")
    (cwd / "luigi.cfg").write_text((cwd / "luigi.cfg").read_text().replace("[amplitude]", "[amplitude]\ntries = 5"))
    said = project.doctor(cwd=cwd, PYTHONPATH=str(ROOT)).stdout
    assert "AMP_API_KEY=**** (the environment)" in said
    assert "AMP_SECRET_KEY=**** (the environment)" in said
    assert "AMP_CONCURRENCY=3 (.env)" in said
    assert "AMP_TRIES=5 ([amplitude] tries in luigi.cfg)" in said


def test_C18_a_wrong_setting_is_a_finding_and_what_does_not_take_it_is_looked_at(project):
    project.set(AMP_CONCURRENCY="many")
    done = project.doctor()
    assert done.returncode == 1
    lines = dict(reversed(line[7:].split(maxsplit=1)) for line in done.stdout.splitlines()[:-1])
    ((text, _),) = [(text, subject) for text, subject in lines.items() if subject == "settings"]
    assert text.startswith("AMP_CONCURRENCY is 'many', from the environment. It takes a whole number from 1 to 5: ")
    assert {"Python", "packages", "luigid"} <= set(lines.values())
    assert "Amplitude" not in lines.values()
    assert done.stdout.splitlines()[-1].endswith(" wrong.")


def test_C1_missing_credentials_are_named_and_nothing_is_asked(project):
    sandbox = project.sandbox()
    project.unset("AMP_API_KEY")
    ((state, text),) = found(project, "credentials")
    assert (state, "AMP_API_KEY is not set" in text) == (WRONG, True)
    assert found(project, "Amplitude") == [(NOTE, "not asked: there are no credentials")]
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("fault", "subject", "says"),
    [
        ("status:403", "credentials", "the key or the secret was refused"),
        ("status:503", "Amplitude", "503"),
        ("drop", "Amplitude", "closed the connection without an answer"),
    ],
)
def test_H1_N1_an_amplitude_that_refuses_or_is_away_is_wrong(project, fault, subject, says):
    project.sandbox(faults=[fault])
    ((state, text),) = found(project, subject)
    assert (state, says in text) == (WRONG, True), text
    assert found(project, "clock") == []


@pytest.mark.parametrize(
    ("off", "state", "says"),
    [(30, OK, "as the server has it"), (300, NOTE, "behind"), (-300, NOTE, "ahead of"), (-7200, WRONG, "ahead of")],
)
def test_T4_T5_this_clock_is_compared_with_the_servers(project, off, state, says):
    project.sandbox(now=lambda: dt.datetime.now(dt.UTC) + dt.timedelta(seconds=off))
    ((found_state, text),) = found(project, "clock")
    assert (found_state, says in text) == (state, True), text


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere")])
def test_C3_what_is_no_file_in_its_place_is_wrong(tmp_path, make):
    path = tmp_path / ".env"
    make(path)
    ((state, text),) = [(each.state, each.text) for each in machine.env_file(path)]
    assert (state, text) == (
        WRONG, f"it is no file, and nothing is read from it. Move it, then type: cp .env.example {path}",
    )  # fmt: skip


def test_C3_C4_an_env_file_that_others_read_or_git_tracks_is_wrong(project, monkeypatch):
    cwd = home(project, env="AMP_REGION=eu\n")
    monkeypatch.chdir(cwd)
    path = machine.Path(".env")
    path.chmod(0o640)
    assert next((each.state, each.text) for each in machine.env_file(path)) == (
        WRONG,
        "others of this machine may read it (640). Type: chmod 600 .env",
    )
    path.chmod(0o600)
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run((*git, "init", "-q"), check=True)
    assert [each.text for each in machine.env_file(path) if each.state == WRONG] == [
        "git does not ignore it. Type: echo .env >> .gitignore"
    ]
    subprocess.run((*git, "add", ".env"), check=True)
    (tracked,) = (each.text for each in machine.env_file(path) if each.state == WRONG)
    assert tracked.startswith("git tracks it. Type: git rm --cached .env")
    subprocess.run((*git, "rm", "-q", "--cached", ".env"), check=True)
    machine.Path(".gitignore").write_text(".env\n")
    assert [each.state for each in machine.env_file(path)] == [OK]


def test_a_package_that_is_not_the_locked_one_is_named(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.txt"
    lock.write_text("requests==0.0.1 ; sys_platform != 'win32' \\\n    --hash=sha256:0\nnot-there==1.0 \\\n")
    monkeypatch.setattr(machine, "_LOCK", lock)
    said = machine.packages()
    assert said.state == WRONG
    assert "requests 2" in said.text
    assert "not-there is missing" in said.text
    monkeypatch.undo()
    assert machine.packages().state == OK


def test_F9_a_folder_that_cannot_be_written_is_named(project):
    project.set(PIPELINE_DATA_DIR="/proc/data")
    assert [(each.state, each.subject) for each in machine.folders(project.settings)] == [
        (WRONG, "data folder"),
        (OK, "log folder"),
    ]


def test_F9_a_log_folder_that_cannot_be_written_is_a_finding_too(project):
    project.set(PIPELINE_LOGS_DIR="/proc/logs")
    done = project.doctor()
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(r"^wrong +log folder +/proc cannot be written: ", done.stdout, re.MULTILINE)
    assert re.search(r"^note +days +none is stored yet", done.stdout, re.MULTILINE)


def test_F6_the_free_space_is_told_in_days(project, monkeypatch):
    project.sandbox()
    assert found(project, "disk")[0][1].endswith("no day is stored yet to compare with")
    project.run_day(YESTERDAY)
    day = room.Estimates(project.layout).of(YESTERDAY).stored
    for days, state in ((31, OK), (29, NOTE), (0, WRONG)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=days * day + 1: SimpleNamespace(free=free))
        ((found_state, text),) = found(project, "disk")
        assert (found_state, f"{days} day" in text) == (state, True), text


def test_F19_leftovers_a_working_run_and_missing_days_are_named(project):
    project.sandbox(faults=["status:503,hour=20"])
    project.run_day(YESTERDAY)
    ((state, text),) = found(project, "leftovers")
    assert (state, f".{YESTERDAY}.windows" in text) == (NOTE, True)
    assert found(project, "days") == [(NOTE, "none is stored yet. Begin with: make run")]
    with doctor.locks.hold(project.layout.lock(YESTERDAY)):
        ((state, text),) = found(project, "at work")
    assert (state, text.startswith(f"{YESTERDAY} is in use by process ")) == (NOTE, True)


def test_F19_what_a_failed_recheck_left_is_for_the_next_one(project):
    (project.data / ".recheck" / str(YESTERDAY)).mkdir(parents=True)
    ((state, text),) = found(project, "leftovers")
    assert (state, "The next recheck of those days" in text) == (NOTE, True)


def test_F9_what_cannot_be_looked_at_is_a_finding_and_the_rest_is_looked_at(project):
    project.sandbox()
    project.data.mkdir()
    (project.data / ".locks").mkdir()
    (project.data / ".locks" / "api").mkdir()  # as a lock, it cannot be opened
    ((state, text),) = found(project, "at work")
    assert (state, "Is a directory" in text) == (WRONG, True)
    assert found(project, "days") == [(NOTE, "none is stored yet. Begin with: make run")]


def test_a_gap_is_wrong_and_says_what_to_type(project):
    project.sandbox()
    first = YESTERDAY - dt.timedelta(days=3)
    project.run_day(first)
    gap = YESTERDAY - dt.timedelta(days=2)
    ((state, text),) = found(project, "days")
    assert (state, text) == (
        WRONG,
        f"3 of 4 are not complete, the first {gap}. Type: make range FROM={gap} TO={YESTERDAY} (make status)",
    )


def test_S7_a_luigid_that_others_reach_is_wrong(tmp_path):
    addresses = sorted(address for address in reach._addresses() if ":" not in address)
    if not addresses:
        pytest.skip("this machine has no address but loopback")
    with luigid(tmp_path, "0.0.0.0") as daemon:
        said = reach.luigid(daemon.port)
    assert (said.state, "too, without a login" in said.text) == (WRONG, True)


def test_S7_a_luigid_on_loopback_alone_or_none_is_well(tmp_path):
    with luigid(tmp_path) as daemon:
        said = reach.luigid(daemon.port)
        assert (said.state, said.text.startswith(f"runs on http://127.0.0.1:{daemon.port}")) == (OK, True)
        daemon.kill()
        assert reach.luigid(daemon.port).text.startswith("not running")


def test_S1_what_answers_on_luigids_port_and_is_none_is_not_called_luigid(project):
    port = int(project.sandbox().url.rpartition(":")[2])
    said = reach.luigid(port)
    assert (said.state, said.text.startswith(f"what answers on 127.0.0.1:{port} is none.")) == (NOTE, True)
