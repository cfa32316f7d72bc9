"""The fault suite's count: what was injected, what came of it, and which seeded defects were found."""

import os
from collections import Counter
from pathlib import Path

import pytest
import shim
from truth import Damage

_INJECTED, _SEEDED = "faults injected", "seeded defect"


class Tally:
    """What a test injected and found; xdist brings it to the process that prints the sum."""

    def __init__(self, record_property) -> None:
        self._record = record_property

    def injected(self, points: int = 1, damage: Damage | None = None) -> None:
        """Counts faults that the real program met, and the damage that they did."""
        damage = damage or Damage()
        self._record(_INJECTED, [points, damage.lost, damage.duplicated, len(damage.half_written)])

    def seeded(self, name: str, found: bool) -> None:
        """Counts a defect that was put into the program; whether the suite found it."""
        self._record(_SEEDED, [name, found])


@pytest.fixture
def tally(record_property) -> Tally:
    return Tally(record_property)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session, one for all of its workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def library(shared: Path) -> Path:
    """The library that makes a call fail, or the process end at it."""
    return shim.build(shared)


def pytest_terminal_summary(terminalreporter) -> None:
    sums = [0, 0, 0, 0]
    seeded: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, value in report.user_properties:
                    if name == _INJECTED:
                        sums = [sum(pair) for pair in zip(sums, value, strict=True)]
                    elif name == _SEEDED:
                        seeded[value[0]] |= value[1]
    if sums[0]:
        points, lost, duplicated, half_written = sums
        terminalreporter.write_line(
            f"faults injected: {points:,} | events lost: {lost:,} | duplicated: {duplicated:,}"
            f" | half-written outputs seen: {half_written:,}"
            f" | seeded defects found: {sum(seeded.values())} of {len(seeded)}"
        )
