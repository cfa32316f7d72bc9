"""What may stand under a data folder, and what nobody should have left there: by its name alone."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

_DAY = r"\d{4}-\d\d-\d\d"
KNOWN = [
    re.compile(pattern)
    for pattern in (
        rf"raw/{_DAY}\.zip",
        rf"events/{_DAY}/(_SUCCESS|\d+_{_DAY}_\d+#\d+\.json)",
        rf"parquet/date={_DAY}/_SUCCESS",
        r"warehouse\.duckdb",
        r"\.locks/[a-z0-9-]+",
        rf"quarantine/{_DAY}/.+",
        r"\.luigid/.+",
    )
]
"""The files that may stay under a data folder, besides those that a partition's marker names."""

_GENERATION = re.compile(rf"(parquet|rejected)/date={_DAY}/(events|rejected)-([0-9a-f]{{8}})(-\d+)?\.(parquet|jsonl)")


def unknown(data: Path, *, replaced: bool) -> set[str]:
    """Returns the files that nobody should have left there."""
    files = {str(path.relative_to(data)) for path in data.rglob("*") if not path.is_dir()}
    named = {name for marker in data.glob("parquet/date=*/_SUCCESS") for name in _named(marker)}
    unknown = {file for file in files - named if not any(form.fullmatch(file) for form in KNOWN)}
    earlier = {file: match[3] for file in unknown if (match := _GENERATION.fullmatch(file))}
    if replaced and len(set(earlier.values())) <= 1:
        unknown -= earlier.keys()
    return unknown


def _named(marker: Path) -> Iterator[str]:
    with contextlib.suppress(OSError, ValueError):  # it was judged already
        record = json.loads(marker.read_bytes())
        day = marker.parent.name
        yield from (f"parquet/{day}/{file['name']}" for file in record["files"])
        if record.get("rejected"):
            yield f"rejected/{day}/{record['rejected']['name']}"
