"""An Amplitude whose days change, for what is asked again; and what of them is stored."""

import sys
import zlib

import duckdb
from archives import APP, DATE, DAY, export, name
from lines import line, uuid

from pipeline.store import days
from pipeline.store.records import Recheck


class Amplitude:
    """What Amplitude has of days, in a folder that a sandbox serves; it may change."""

    def __init__(self, project) -> None:
        self.folder = project.path / "exports"
        self.folder.mkdir()
        self.sandbox = project.sandbox(exports=self.folder)

    def has(self, *numbers: int, day=DAY, app=APP, level=6, **changes: object) -> None:
        """Gives the day these events, two hours of them, in gzip of a level."""
        halves = {7: [n for n in numbers if n % 2], 19: [n for n in numbers if not n % 2]}
        members = {
            name(hour, date=str(day), app=app): _gzip(
                b"".join(line(n, app=app, **_times(day, hour), **changes) + b"\n" for n in half), level
            )
            for hour, half in halves.items()
            if half
        }
        place = self.folder / f"{day}.zip"
        place.unlink(missing_ok=True)
        if members:
            # Beside its place first: the sandbox looks at the folder whenever it is asked.
            part = place.with_suffix(".part")
            part.write_bytes(export(members))
            part.rename(place)


def _gzip(text: bytes, level: int) -> bytes:
    packer = zlib.compressobj(level, wbits=31)
    return packer.compress(text) + packer.flush()


def _times(day, hour: int) -> dict[str, str]:
    return dict.fromkeys(("event_time", "server_upload_time"), f"{day} {hour:02d}:30:00.000000")


def noted(project, day=DAY) -> list[Recheck]:
    record = days.load_record(project.layout, day)
    return record.rechecks


def stored(project, day=DAY) -> set[str]:
    files = [str(project.layout.parquet_dir(day) / f.name) for f in days.load_record(project.layout, day).files]
    return {str(row[0]) for row in duckdb.sql(f"SELECT uuid FROM read_parquet({files})").fetchall()}


def uuids(*found: int) -> set[str]:
    return {uuid(number) for number in found}


def command(*, replace: bool, before: str = "") -> tuple[str, ...]:
    """Returns the command that asks for the day again, in a process of its own; `before` is run first."""
    code = f"""
import datetime as dt
from pipeline import settings
from pipeline.operations.recheck import recheck
{before}
(result,) = recheck(settings.load(), [dt.date.fromisoformat({DATE!r})], lambda *_: None, replace={replace})
assert result.error is None
"""
    return (sys.executable, "-c", code)
