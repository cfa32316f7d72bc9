"""What the fault suite's tests are given: the tally that they keep, and the library that breaks calls."""

import os
from pathlib import Path

import pytest
import shim
from tally import INJECTED, SEEDED
from truth import Damage


class Tally:
    """What a test injected and found; xdist brings it to the process that prints the sum."""

    def __init__(self, record_property) -> None:
        self._record = record_property

    def injected(self, points: int = 1, damage: Damage | None = None) -> None:
        """Counts faults that the real program met, and the damage that they did."""
        damage = damage or Damage()
        self._record(INJECTED, [points, damage.lost, damage.duplicated, len(damage.half_written)])

    def seeded(self, name: str, found: bool) -> None:
        """Counts a defect that was put into the program; whether the suite found it."""
        self._record(SEEDED, [name, found])


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
