"""`make verify` of a day beside what reads the same files: sha256sum, and cat, which only reads."""

import sys

from bench.measure import Side, compare
from bench.project import Project


def run(project: Project, rounds: int) -> None:
    """Prints the table.

    Args:
        project: Holds the day, loaded.
        rounds: Of the comparison.
    """
    root = project.layout.root
    stored = [
        path for name in ("raw", "events", "parquet") for path in sorted((root / name).rglob("*")) if path.is_file()
    ]
    env, files = project.env(), [str(path) for path in stored]
    sides = [
        Side("sha256sum of the same files", ["sha256sum", *files], project.clear, env, tells=False),
        Side(
            "cat of them to /dev/null",
            ["sh", "-c", 'cat "$@" > /dev/null', "sh", *files],
            project.clear,
            env,
            tells=False,
        ),
        Side("ours: `make verify`", [sys.executable, "-m", "pipeline", "verify"], project.clear, env, tells=False),
    ]
    compare(
        "Every stored byte read again (MB of files)", sides, sum(path.stat().st_size for path in stored) / 1e6, rounds
    )
