"""A day that is stored whole, every kind of file of it; and what is done to its files."""

from collections.abc import Iterator
from pathlib import Path

from archives import DAY, name
from loading import extracted, line, load

from pipeline import logs
from pipeline.operations.reading import DayReport
from pipeline.operations.repair import Repaired, repair
from pipeline.operations.verify import verify
from pipeline.store import days
from pipeline.store.chain import EVENTS, PARQUET, RAW, REJECTED
from pipeline.store.paths import Layout

KINDS = ("zip", "json", "events marker", "parquet", "rejected", "load marker")
STAGES = dict(zip(KINDS, (RAW, EVENTS, EVENTS, PARQUET, REJECTED, PARQUET), strict=True))


def whole(project) -> Layout:
    """Stores a day of two files, one line of which is no event, and one of which is blank."""
    layout = extracted(project.data, {name(9): [line(0), b"no event", line(1)], name(10): [line(2), b""]})
    load(layout, max_rejected=1.0)
    project.set(PIPELINE_MAX_REJECTED=1)
    return layout


def file(layout: Layout, kind: str, date=DAY) -> Path:
    """Returns a published file of a day."""
    load_record = days.load_record(layout, date)
    return {
        "zip": lambda: layout.raw_zip(date),
        "json": lambda: min(layout.events_dir(date).glob("*.json")),
        "events marker": lambda: layout.events_marker(date),
        "parquet": lambda: layout.parquet_dir(date) / load_record.files[0].name,
        "rejected": lambda: layout.rejected_dir(date) / load_record.rejected.name,
        "load marker": lambda: layout.parquet_marker(date),
    }[kind]()


def flip(path: Path, place: int = -1) -> bytes:
    """Flips a bit of a file, in its middle unless told; returns what it was."""
    data = path.read_bytes()
    place = len(data) // 2 if place < 0 else place
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    return data


def flipped(data: bytes, step: int) -> Iterator[bytes]:
    """Yields the bytes with a bit flipped: each bit where the step is 1, else one of each `step` bits, another in turn."""
    changed = bytearray(data)
    for number in range(0, 8 * len(data), step):
        changed[number // 8] ^= 1 << (number // step + number) % 8 if step > 1 else 1 << number % 8
        yield bytes(changed)
        changed[number // 8] = data[number // 8]


def look(project, first=None, last=None) -> list[DayReport]:
    """Verifies."""
    logs.setup(project.logs)
    return verify(project.settings, first, last, lambda _share, _text: None)


def mend(project) -> list[Repaired]:
    """Repairs what a verification finds."""
    found = look(project)
    return repair(project.settings, found, lambda _share, _text: None)


def damaged(project) -> set[tuple[str, str]]:
    """Returns the stage and the path of all that a verification finds damaged."""
    return {(damage.stage, str(damage.path)) for day in look(project) for damage in day.damage}
