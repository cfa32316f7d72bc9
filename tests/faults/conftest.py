"""What the fault suite's tests are given: a folder that they share, and the library that breaks calls."""

import os
from pathlib import Path

import pytest
import shim


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session, one for all of its workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def library(shared: Path) -> Path:
    """The library that makes a call fail, or the process end at it."""
    return shim.build(shared)
