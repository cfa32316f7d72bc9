"""What one would run instead, to take a day from HTTP to where SQL reaches it; runs in .venv-bench.

python bench/peers.py NAME URL KEY SECRET FOLDER
"""

import gzip
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import requests


def with_pandas(url: str, auth: tuple[str, str], folder: Path) -> None:
    """A script as its users write it: all in memory, one frame, one Parquet file.

    Objects, lists and truth values become text, for to_parquet refuses a column whose values are of two types.
    """
    import pandas as pd  # noqa: PLC0415 - each side pays for its own imports alone

    events = [event for part in _parts(url, auth) for event in part]
    frame = pd.DataFrame(events)
    for name in frame.select_dtypes("object"):
        frame[name] = frame[name].map(
            lambda value: json.dumps(value) if isinstance(value, dict | list | bool) else value
        )
    frame.to_parquet(folder / "day.parquet")


def with_dlt(url: str, auth: tuple[str, str], folder: Path) -> None:
    """A pipeline of dlt to DuckDB, by its Parquet loader: its default one takes seven times as long."""
    import dlt  # noqa: PLC0415 - each side pays for its own imports alone

    @dlt.resource(name="events", write_disposition="append", max_table_nesting=0)
    def events() -> Iterator[list[dict[str, object]]]:
        yield from _parts(url, auth)

    database = dlt.destinations.duckdb(str(folder / "day.duckdb"))
    pipeline = dlt.pipeline("bench", pipelines_dir=str(folder / "state"), destination=database, dataset_name="raw")
    pipeline.run(events(), loader_file_format="parquet").raise_on_failed_jobs()


def _parts(url: str, auth: tuple[str, str]) -> Iterator[list[dict[str, object]]]:
    """Yields the events of each file of the export."""
    answer = requests.get(url, auth=auth, timeout=600)
    answer.raise_for_status()
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        for name in archive.namelist():
            with archive.open(name) as stored, gzip.open(stored, "rt", encoding="utf-8") as lines:
                yield [json.loads(line) for line in lines if line.strip()]


if __name__ == "__main__":
    peer, address, key, secret, out = sys.argv[1:]
    {"pandas": with_pandas, "dlt": with_dlt}[peer](address, (key, secret), Path(out))
