"""The stages before the load, and the whole chain: extraction, fetch, a day from HTTP to its end."""

from pathlib import Path

from bench.measure import Side, compare, measure, table
from bench.project import DATE, KEY, SECRET, Project, Serving, whole_day


def run(project: Project, amounts: tuple[float, float], exports: Path, rounds: int) -> None:
    """Prints the tables.

    Args:
        project: Holds the day.
        amounts: MB of its ZIP and of its JSON.
        exports: Where the day stands as it is served.
        rounds: Of each comparison.
    """
    of_zip, of_json = amounts
    _extraction(project, of_json, rounds)
    with Serving(exports) as url:
        _fetch(project, url, of_zip, rounds)
        _whole(project, url)


def _extraction(project: Project, amount: float, rounds: int) -> None:
    zip_path = project.layout.raw_zip(DATE)
    sides = [
        project.side("zipfile + gzip.open + copyfileobj", "stdlib", zip_path, project.out),
        project.side("ours, nothing synced", "ours", zip_path, project.out),
        project.side("ours, synced and published", "published", DATE),
    ]
    compare("A day's ZIP to JSON lines, counted (MB of JSON)", sides, amount, rounds)


def _fetch(project: Project, url: str, amount: float, rounds: int) -> None:
    out = str(project.out / "day.zip")
    curl = ["curl", "--silent", "--show-error", "--fail", "--user", f"{KEY}:{SECRET}", "--output", out]
    sides = [
        Side("curl, to a file", [*curl, "--write-out", "%{time_total}", whole_day(url)], project.clear, project.env()),
        project.side("ours, the fetch alone", "fetch", DATE, out, url=url),
    ]
    compare("A day from loopback to a file (MB of ZIP)", sides, amount, rounds)


def _whole(project: Project, url: str) -> None:
    new = project.run(url)
    first = measure(new)
    again = measure(Side("again", new.command, project.clear, new.env, tells=False))
    runs = {"a new day": first, "the same day again": again}
    table(
        "The whole chain, from HTTP to the warehouse (the process from its start to its end)",
        ["run", "s", "peak MB of the tree"],
        [[name, f"{run.seconds:.2f}", f"{run.peak / 1e6:.0f}"] for name, run in runs.items()],
    )
