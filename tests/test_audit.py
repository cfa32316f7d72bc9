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
