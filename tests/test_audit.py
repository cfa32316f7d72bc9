"""`make audit`: what is known against the locked packages, and never "no holes" where nothing was looked up."""

import importlib.util
import json

import pytest
from processes import ROOT

AUDIT = ROOT / ".ci" / "audit.py"
spec = importlib.util.spec_from_file_location("audit", AUDIT)
audit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(audit)

CLEAN = {"name": "requests", "version": "2.34.2", "vulns": []}
HOLE = {"name": "urllib3", "version": "2.6.3", "vulns": [{"id": "CVE-2026-21441", "fix_versions": ["2.7.0"]}]}
SKIPPED = {"name": "click", "skip_reason": "not found on PyPI"}


def test_C17_a_known_hole_fails_and_is_named_with_its_cure():
    status, lines = audit.verdict([CLEAN, HOLE])
    assert status == 1
    assert lines == [
        "urllib3 2.6.3: CVE-2026-21441, mended in 2.7.0. Type: make lock",
        "2 of 2 packages audited, 1 known holes",
    ]


def test_C17_no_hole_passes():
    assert audit.verdict([CLEAN]) == (0, ["1 of 1 packages audited, 0 known holes"])


def test_C17_a_database_without_any_of_the_packages_is_a_skip_and_no_clean_bill():
    status, lines = audit.verdict([SKIPPED, SKIPPED])
    assert status == 0
    assert lines[0] == "skipped: the advisory database has none of the 2 packages"
    assert "not found on PyPI" in lines[1]


UNREACHED = [
    "pip_audit._service.interface.ConnectionError: Could not connect to PyPI's vulnerability feed",
    "ERROR:pip_audit._cli:Tip: your network may be blocking this service. Try another service with `-s SERVICE`",
    "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed",
    "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='pypi.org', port=443): Max retries exceeded with url: /",
    "requests.exceptions.ConnectTimeout: (host='pypi.org')",
    "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='pypi.org', port=443)",
    "urllib3.exceptions.ReadTimeoutError: x",
    "requests.exceptions.ProxyError: Cannot connect to proxy",
    "urllib3.exceptions.NewConnectionError: <...>",
    "urllib3.exceptions.NameResolutionError: Failed to resolve 'pypi.org'",
    "ConnectionResetError: [Errno 104] Connection reset by peer",
]
BROKEN = [
    "ModuleNotFoundError: No module named 'resolvelib'",
    "ModuleNotFoundError: No module named 'requests.exceptions.ConnectionPool'",
    "pip_audit: error: argument --timeout: expected one argument, see ProxySettings",
    "ImportError: cannot import name 'ConnectionError' from 'requests'",
    "AttributeError: module 'urllib3' has no attribute 'HTTPSConnectionPool'",
    "",
]


@pytest.mark.parametrize("said", UNREACHED)
def test_C17_a_database_that_cannot_be_reached_is_a_skip(said):
    status, lines = audit.judged("", f"Traceback (most recent call last):\n{said}\n")
    assert status == 0
    assert lines == [f"skipped: the advisory database cannot be reached ({said})"]


@pytest.mark.parametrize("said", BROKEN)
@pytest.mark.parametrize("printed", ["", "no JSON", "{}", "[]", "null"])
def test_C17_a_tool_that_is_broken_fails(said, printed):
    assert audit.judged(printed, f"Traceback (most recent call last):\n{said}") == (
        (1, [f"pip-audit failed: {said}"]) if said else (1, ["pip-audit failed: Traceback (most recent call last):"])
    )


def test_C17_a_list_without_a_package_fails():
    assert audit.judged('{"dependencies": []}', "") == (1, ["pip-audit looked up no package"])


def test_C17_what_pip_audit_prints_is_what_is_judged(tmp_path, monkeypatch):
    python = tmp_path / "python"
    monkeypatch.setattr(audit.sys, "executable", str(python))
    for printed, status in (
        ({"dependencies": [CLEAN]}, 0),
        ({"dependencies": [CLEAN, HOLE]}, 1),
        ({"dependencies": []}, 1),
    ):
        (tmp_path / "printed").write_text(json.dumps(printed))
        python.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/asked\ncat {tmp_path}/printed\nexit {status}\n')
        python.chmod(0o700)
        assert audit.audit("some.txt")[0] == status
        assert "pip_audit -r some.txt --require-hashes" in (tmp_path / "asked").read_text()


def test_C17_a_package_that_was_left_out_fails():
    status, lines = audit.verdict([CLEAN, SKIPPED])
    assert status == 1
    assert "click: not audited (not found on PyPI)" in lines


@pytest.mark.skipif(not (ROOT / ".venv-audit").exists(), reason="make audit was never run: its tools are not installed")
def test_C17_the_sbom_names_each_locked_package(project):
    target = project.path / "sbom.json"
    code = f"import audit; print(audit.write_sbom('requirements.txt', {str(target)!r}))"
    done = project.command(str(ROOT / ".venv-audit" / "bin" / "python"), "-c", code, PYTHONPATH=str(AUDIT.parent))
    named = {(each["name"], each["version"]) for each in json.loads(target.read_text())["components"]}
    lock = (ROOT / "requirements.txt").read_text()
    assert done.stdout.strip() == str(len(named)) == str(lock.count("=="))
    assert all(f"{name}=={version} " in lock for name, version in named)
