"""The fault suite's count: what was injected, what came of it, and which seeded defects were found."""

from collections.abc import Iterable

import pytest
from truth import Damage

INJECTED, SEEDED = "faults injected", "seeded defect"
DEFECTS = (
    "staging", "marker-last", "stale-staging", "chain-of-ids", "fsync-data", "fsync-directory", "entry-count", "crc", "lock",
)  # fmt: skip
"""Every seeded defect, whether its tests could run here or not: what was not looked for was not found."""

CUT = " (a cut; make faults injects them all)"


class Tally:
    """What a test injected and found; xdist brings it to the process that prints the sum."""

    def __init__(self, record_property) -> None:
        self._record = record_property

    def injected(self, points: int = 1, damage: Damage | None = None) -> None:
        """Counts faults that the real program met, and the damage that they did."""
        damage = damage or Damage()
        self._record(INJECTED, [points, damage.lost, damage.duplicated, len(damage.half_written)])

    def seeded(self, name: str, found: bool) -> None:
        """Counts a defect that was put into the program; whether the test, which is marked with its name, found it."""
        self._record(SEEDED, [name, found])


def each_seeded(*names: str) -> list:
    """Returns parameters, each marked with its defect: the name as far as its first space."""
    return [pytest.param(name, marks=pytest.mark.seeded(name.partition(" ")[0]), id=name) for name in names]


def summary(reports: Iterable, *, cut: bool) -> str:
    """Returns the one line over all tests' reports; empty where none injected a fault, and none of the suite failed.

    Args:
        reports: What pytest reported, of every phase.
        cut: Whether not every point was wanted.
    """
    sums = [0, 0, 0, 0]
    seeded: dict[str, dict[str, bool]] = {}
    failed = set()
    for report in reports:
        test, properties = getattr(report, "nodeid", ""), getattr(report, "user_properties", ())
        for name, value in properties:
            if name == INJECTED and report.when == "call":
                sums = [sum(pair) for pair in zip(sums, value, strict=True)]
            elif name == SEEDED:
                tests = seeded.setdefault(value[0], {})
                tests[test] = tests.get(test, False) or value[1]
        if getattr(report, "failed", False) and (properties or test.startswith("tests/faults/")):
            failed.add(test)
    return _line(sums, seeded, len(failed), cut) if sums[0] or failed else ""


def _line(sums: list[int], seeded: dict[str, dict[str, bool]], failed: int, cut: bool) -> str:
    points, lost, duplicated, half_written = sums
    found = sum(all(tests.values()) for tests in seeded.values())
    return (
        f"faults injected: {points:,} | events lost: {lost:,} | duplicated: {duplicated:,}"
        f" | half-written outputs seen: {half_written:,}"
        f" | seeded defects found: {found} of {len(DEFECTS) if seeded else 0}"
        # A test that fails may have ended before it had counted what it injected, or the damage.
        f"{f' | FAILED: {failed:,}' if failed else ''}{CUT if cut else ''}"
    )
