"""The Makefile: its help, its arguments, and its set-up, which nothing unpinned gets through."""

import hashlib
import re
import shutil
import socket
import subprocess
import sys
import zipfile

import pytest
from processes import make
from projects import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_plain_make_prints_each_target_with_its_help(project):
    done = make(project)
    assert done.returncode == 0
    told = {line.split()[1] for line in done.stdout.splitlines()}
    phony = set(" ".join(re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)).split())
    assert told == phony


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "DATE="), "DATE is missing. Type: make run DATE=2026-11-22"),
        (("run", "DATE=; touch x"), "'; touch x' is no day"),
        (("range", "FROM=2026-01-02"), "TO is missing. Type: make range FROM="),
        (("range", "FROM=2026-01-02", "TO=2026-01-01"), "FROM=2026-01-02 is after TO=2026-01-01"),
        (("force",), "DATE is missing. Type: make force DATE=2026-11-22"),
        (("daily", "DAYS=many"), "DAYS=many is no number of days from 1 on. Type: make daily DAYS=7"),
        (("verify", "REPAIR=yes"), "REPAIR=yes is unknown. Write REPAIR=1, or leave it out"),
        (("recheck", "REPLACE=0"), "REPLACE=0 is unknown"),
        (("run", "date=2026-01-15"), "make run takes no date=. It takes DATE=."),
        (("verify", "DATE=2026-01-15"), "make verify takes no DATE=. It takes FROM= TO= REPAIR=."),
        (("status", "FROM=2026-01-15"), "make status takes no FROM=. It takes nothing."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_O1_O4_wrong_arguments_are_refused_and_make_fails_with_2(project, arguments, said):
    sandbox = project.sandbox()
    done = make(project, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not sandbox.requests


def test_each_command_says_what_it_takes_and_takes_it():
    taken = re.search(r"^TAKES := ((?:.+\\\n)*.+)", MAKEFILE, re.MULTILINE)
    pairs = {tuple(pair.split(":")) for pair in taken[1].replace("\\\n", " ").split()}
    helped = dict(re.findall(r"^([a-z]+):.*## (.+)$", MAKEFILE, re.MULTILINE))
    pipelines = [*dict.fromkeys(goal for goal, _ in pairs)]
    told = {(goal, name) for goal in pipelines for name in re.findall(r"\b([A-Z_]+)=", helped[goal])}
    assert told - {("scheduler", "SCHEDULER")} == pairs


def test_only_what_was_typed_travels_to_the_make_under_this_one(project, tmp_path):
    shown = tmp_path / "shown.mk"
    shown.write_text(".DEFAULT_GOAL := shown\nshown:\n\t@env\n", encoding="utf-8")
    names = ("DATE", "FROM", "TO", "Q", "KEEP_DAYS", "WHAT")
    for typed in ((), ("FROM=", "Q=it's $x")):
        done = make(project, "-f", "Makefile", "-f", str(shown), *typed)
        assert done.returncode == 0, done.stderr
        assert {line for line in done.stdout.splitlines() if line.split("=")[0] in names} == set(typed)


def test_C18_an_unknown_scheduler_is_refused(project):
    done = make(project, "run", "SCHEDULER=centrl")
    assert done.returncode == 2
    assert "SCHEDULER=centrl is unknown. Write SCHEDULER=central, or leave it out" in done.stderr


def test_central_lays_its_file_over_and_the_web_view_stays_on_this_machine(project):
    shown = make(project, "-n", "scheduler").stdout
    assert "--address 127.0.0.1 --port" in shown
    assert "umask 077" in shown
    assert re.search(r"ifeq \(\$\(SCHEDULER\),central\)\nexport LUIGI_CONFIG_PATH := luigi.central.cfg", MAKEFILE)


def test_a_port_that_is_taken_or_none_starts_nothing_and_says_so(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (str(taken.getsockname()[1]), "eighty"):
            done = make(project, "scheduler", f"PORT={port}")
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.splitlines()[0].startswith(f"PORT={port} is taken, or no port. If the web view runs")


def test_C12_no_secret_travels_as_an_argument():
    assert not re.search("AMP_|SECRET|KEY", MAKEFILE)


def test_a_failure_of_the_day_is_makes_2_and_a_complete_day_is_0(project):
    sandbox = project.sandbox(faults=["status:401"])
    assert make(project, "run", "DATE=2026-01-15").returncode == 2
    sandbox.faults.clear()
    assert make(project, "run", "DATE=2026-01-15").returncode == 0


def test_C16_every_install_requires_hashes():
    installs = re.findall(r"pip install .+", MAKEFILE)
    assert installs
    assert all("--require-hashes" in line and "requirements" in line for line in installs)


def test_C16_a_changed_package_is_not_installed(project, tmp_path):
    wheel = tmp_path / "changed-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("changed.py", "")
        for name, text in {
            "METADATA": "Metadata-Version: 2.1\nName: changed\nVersion: 1.0\n",
            "WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "RECORD": "",
        }.items():
            file.writestr(f"changed-1.0.dist-info/{name}", text)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    for locked, fine in ((digest, True), (hashlib.sha256(b"other").hexdigest(), False)):
        requirements = tmp_path / "requirements.txt"
        requirements.write_text(f"changed==1.0 --hash=sha256:{locked}\n")
        done = project.command(
            sys.executable, "-m", "pip", "install", "--require-hashes", "--no-index", "--find-links", str(tmp_path),
            "--target", str(tmp_path / "target"), "-r", str(requirements),
        )  # fmt: skip
        assert (done.returncode == 0) == fine, done.stderr
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_Q_reaches_the_warehouse_as_it_was_typed(project):
    project.sandbox(events_per_hour=1)
    make(project, "run", "DATE=2026-01-15")
    asked = make(
        project, "sql", """Q=select '$revenue $(shell echo x) "a"' as "$insert_id", count(*) > 0 as any from events"""
    )
    assert asked.returncode == 0, asked.stderr
    shown = [re.split(r"\s{2,}", row) for row in asked.stdout.splitlines()]
    assert shown == [["$insert_id", "any"], ['$revenue $(shell echo x) "a"', "true"]]


def test_sql_is_a_table_or_csv_or_what_stands_on_the_input(project):
    project.sandbox(events_per_hour=1)
    make(project, "run", "DATE=2026-01-15")
    assert make(project, "sql", "Q=select 1 as a, 2 as b").stdout.split() == ["a", "b", "1", "2"]
    assert make(project, "sql", "Q=select 1 as a, 2 as b", "CSV=1").stdout == "a,b\n1,2\n"
    assert make(project, "sql", typed="select 3 as c;").stdout == "c\n3\n"
    empty = make(project, "sql", "Q=")
    assert (empty.returncode, "Q is empty. Type: make sql" in empty.stderr) == (2, True)


def test_an_environment_that_is_a_link_is_not_emptied(tmp_path):
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept").touch()
    (tmp_path / ".venv").symlink_to(other)
    command = ("make", "setup", f"PYTHON={sys.executable}")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert ".venv is a link to another environment. Remove it (rm .venv)" in done.stderr
    assert (other / "kept").exists()
