"""The fault suite's count: what was injected, what came of it, and which seeded defects were found."""

from collections import Counter

INJECTED, SEEDED = "faults injected", "seeded defect"


def summary(reports) -> str:
    """Returns the one line over all tests' reports; empty where none injected a fault."""
    sums = [0, 0, 0, 0]
    seeded: Counter[str] = Counter()
    for report in reports:
        if getattr(report, "when", "") == "call":
            for name, value in report.user_properties:
                if name == INJECTED:
                    sums = [sum(pair) for pair in zip(sums, value, strict=True)]
                elif name == SEEDED:
                    seeded[value[0]] |= value[1]
    points, lost, duplicated, half_written = sums
    if not points:
        return ""
    return (
        f"faults injected: {points:,} | events lost: {lost:,} | duplicated: {duplicated:,}"
        f" | half-written outputs seen: {half_written:,}"
        f" | seeded defects found: {sum(seeded.values())} of {len(seeded)}"
    )
