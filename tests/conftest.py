"""The tests' ground: a project of its own for each test, a clean environment, and the canary's watch."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from projects import REAL_EXPORTS, Project, leaks, left_in
from tally import SEEDED, Tally, summary
from truth import FULL

from pipeline import settings
from pipeline.export import download
from pipeline.export.admission import Admission
from pipeline.tasks import refresh


def pytest_configure(config: pytest.Config) -> None:
    """Gives the tests' commands the signals of a shell's: one that started the tests in its background, or nohup, had them ignored."""
    config.addinivalue_line("markers", "seeded(name): looks for the seeded defect of this name")
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keeps the machine's own settings, proxies and .netrc out of the tests, and the tests out of its data."""
    for name in list(os.environ):
        if name.startswith(("AMP_", "PIPELINE_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("NETRC", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "LUIGI_CONFIG_PATH", "NO_COLOR", "SCHEDULER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "_admission", Admission())
    settings.load.cache_clear()
    yield
    refresh.not_at_exit()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with ExitStack() as stack:
        yield Project(tmp_path, monkeypatch, stack)
    settings.load.cache_clear()


@pytest.fixture
def tally(record_property) -> Tally:
    return Tally(record_property)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Counts a seeded defect as not found until its test says otherwise: one that is skipped, or fails, does not."""
    for mark in item.iter_markers("seeded"):
        item.user_properties.append((SEEDED, [mark.args[0], False]))


@pytest.fixture(scope="session")
def real_exports() -> Path:
    """The folder of real export days, where it is."""
    if not REAL_EXPORTS.is_dir():
        pytest.skip(f"the real exports are not on this machine ({REAL_EXPORTS})")
    return REAL_EXPORTS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """C10: no form of the secret in what a test printed, logged or wrote, over the whole suite."""
    report = yield
    if call.when == "teardown" and report.passed:
        found = list(_left_by(item))
        if found:
            report.outcome = "failed"
            report.longrepr = f"the canary secret stands in: {', '.join(found)}"
    return report


def _left_by(item: pytest.Item) -> Iterator[str]:
    yield from (f"{key} of {when}" for when, key, content in item._report_sections if leaks(content))
    tmp_path = item.funcargs.get("tmp_path")
    if isinstance(tmp_path, Path) and tmp_path.is_dir():
        yield from left_in(tmp_path)


def pytest_terminal_summary(terminalreporter) -> None:
    """Prints the fault suite's count; from here, for of a folder's conftest only the workers know."""
    line = summary((report for reports in terminalreporter.stats.values() for report in reports), cut=not FULL)
    if line:
        terminalreporter.write_line(line)
