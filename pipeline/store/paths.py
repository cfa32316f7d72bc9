"""The layout under `data/`; no other module knows it."""

import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import storage_errors

SUCCESS = "_SUCCESS"
"""The marker of a published directory: its manifest, written last."""

_RECHECK = ".recheck"
"""The folder of the days that are asked for again, each staged in a layout of its own."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The places of one project's data.

    Attributes:
        root: The data folder.
    """

    root: Path

    def raw_zip(self, date: dt.date) -> Path:
        """Returns the ZIP of a day's export."""
        return self.root / "raw" / f"{date}.zip"

    def raw_part(self, date: dt.date) -> Path:
        """Returns where the ZIP is staged, beside its final place."""
        return self.root / "raw" / f".{date}.zip.part"

    def windows_dir(self, date: dt.date) -> Path:
        """Returns where a day's verified windows stay until its ZIP is published."""
        return self.root / "raw" / f".{date}.windows"

    def events_dir(self, date: dt.date) -> Path:
        """Returns the directory of a day's JSON lines."""
        return self.root / "events" / str(date)

    def events_marker(self, date: dt.date) -> Path:
        """Returns the marker that says the directory is whole."""
        return self.events_dir(date) / SUCCESS

    def events_part(self, date: dt.date) -> Path:
        """Returns where the directory is staged, beside its final place."""
        return self.root / "events" / f".{date}.tmp"

    def parquet_dir(self, date: dt.date) -> Path:
        """Returns the partition of a day's typed rows."""
        return self.root / "parquet" / f"date={date}"

    def parquet_marker(self, date: dt.date) -> Path:
        """Returns the marker that names the partition's files; replacing it is the commit."""
        return self.parquet_dir(date) / SUCCESS

    def parquet_part(self, date: dt.date) -> Path:
        """Returns where a partition's files are staged, beside it."""
        return self.root / "parquet" / f".date={date}.tmp"

    def rejected_dir(self, date: dt.date) -> Path:
        """Returns where the lines of a day are kept that became no row."""
        return self.root / "rejected" / f"date={date}"

    def rejected_part(self, date: dt.date) -> Path:
        """Returns where those lines are staged, beside their place: that may be a disk of its own."""
        return self.root / "rejected" / f".date={date}.part"

    def warehouse(self) -> Path:
        """Returns the DuckDB file over the Parquet: derived, never the only copy of anything."""
        return self.root / "warehouse.duckdb"

    def warehouse_part(self) -> Path:
        """Returns the directory in which the DuckDB file is built."""
        return self.root / ".warehouse.tmp"

    def staged(self, date: dt.date) -> list[Path]:
        """Returns every place where something of a day is staged on its way to its final place."""
        part = self.events_part(date)
        windows, parquet, rejected = self.windows_dir(date), self.parquet_part(date), self.rejected_part(date)
        events = [part, part.with_suffix(".old.tmp")]
        return [self.raw_part(date), windows, *events, parquet, rejected, self.redo_part(date)]

    def recheck(self, date: dt.date) -> "Layout":
        """Returns the layout in which a day is staged that is asked for again, to be compared with what is stored.

        What a recheck leaves that failed is for the next one of the day; a run of the day leaves it there.
        """
        return Layout(self.root / _RECHECK / str(date))

    def lock(self, name: dt.date | str) -> Path:
        """Returns the lock of a day, or of something else by name."""
        return self.root / ".locks" / str(name)

    def locks(self) -> list[Path]:
        """Returns the locks that were ever taken; whether one is held, only it can tell."""
        folder = self.root / ".locks"
        with storage_errors(folder):
            return list(folder.iterdir()) if folder.is_dir() else []

    def redo(self, date: dt.date) -> Path:
        """Returns the token that asks for a day to be done again."""
        return self.root / ".redo" / str(date)

    def redo_part(self, date: dt.date) -> Path:
        """Returns where the token is staged, beside its place."""
        return self.root / ".redo" / f".{date}.part"

    def quarantine(self, date: dt.date) -> Path:
        """Returns where refused archives of a day are kept."""
        return self.root / "quarantine" / str(date)

    def dates(self) -> list[dt.date]:
        """Returns the days that something is stored of, oldest first."""
        stages = (_dates(self.root / "raw", suffix=".zip"), _dates(self.root / "events"), self.partitions())
        return sorted({date for dates in stages for date in dates})

    def partitions(self) -> list[dt.date]:
        """Returns the days that have a partition, oldest first."""
        return sorted(_dates(self.root / "parquet", prefix="date="))

    def leftovers(self) -> Iterator[Path]:
        """Yields what unfinished runs left beside the published data."""
        for folder in ("raw", "events", "parquet", "rejected", ".redo"):
            for pattern in (".*.part", ".*.tmp", ".*.windows"):
                yield from sorted((self.root / folder).glob(pattern))
        yield from sorted((self.root / _RECHECK).glob("*"))
        if self.warehouse_part().exists():
            yield self.warehouse_part()


def _dates(folder: Path, prefix: str = "", suffix: str = "") -> Iterator[dt.date]:
    with storage_errors(folder):
        paths = list(folder.iterdir()) if folder.is_dir() else []
    for path in paths:
        if path.name.startswith(prefix) and path.name.endswith(suffix):
            name = path.name.removeprefix(prefix).removesuffix(suffix)
            try:
                date = dt.date.fromisoformat(name)
            except ValueError:
                continue
            if str(date) == name:  # 20260115 is a date too, and none of ours
                yield date
