"""Export ZIPs that the tests make: honest ones, and with what is wrong in them said by name."""

import dataclasses
import datetime as dt
import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.store import manifest, records
from pipeline.store.manifest import EXPORT_RECORD
from pipeline.store.paths import Layout
from pipeline.store.records import ExportRecord, Hour

APP = 100011471
DATE = "2026-01-15"
DAY = dt.date.fromisoformat(DATE)


def name(hour: int, part: int = 0, date: str = DATE, app: int = APP) -> str:
    return f"{app}/{app}_{date}_{hour}#{part}.json.gz"


def lines(*events: str) -> bytes:
    return "".join(f"{event}\n" for event in events).encode()


def zipped(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


def export(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Returns a ZIP of members, given by name; their bytes are taken as they are (gzip them before)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member), data, method)
    return out.getvalue()


def hour_export(hour: int = 0, events: int = 3, **options: object) -> bytes:
    """Returns an honest export of one hour."""
    text = lines(*(f'{{"uuid":"{hour}-{n}"}}' for n in range(events)))
    return export({name(hour, **options): zipped(text)})


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def export_record(**changes: object) -> ExportRecord:
    """Returns the record of a day that has a file of each hour."""
    values = {
        "id": "export-1",
        "date": DAY,
        "app": APP,
        "host": "loopback",
        "source": "api",
        "redo": None,
        "windows": [],
        "hours": [Hour(hour=hour, status=records.EXPORTED) for hour in range(24)],
        "pipeline": "test",
    }
    return ExportRecord(**{**values, **changes})


def day_zip(layout: Layout, members: dict[str, bytes], **changes: object) -> Path:
    """Puts a day's ZIP, with its record, where a download publishes it; damage in the members is taken as it is."""
    record = manifest.encode(export_record(**changes))
    return write(layout.raw_zip(DAY), export({EXPORT_RECORD: record, **members}))


@dataclasses.dataclass
class Entry:
    """A ZIP entry by hand; what is None is honest. `at`: where the directory says that it begins."""

    name: bytes
    data: bytes = b""
    method: int = 0
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    stored: int | None = None
    attributes: int = 0
    local_name: bytes | None = None
    at: int | None = None

    def fields(self) -> tuple[int, int, int]:
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        stored = len(self.data) if self.stored is None else self.stored
        return crc, stored, stored if self.size is None else self.size

    def local(self) -> bytes:
        name = self.name if self.local_name is None else self.local_name
        head = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, self.flags, self.method, 0, 33, *self.fields(), len(name), 0)
        return head + name

    def central(self, place: int) -> bytes:
        place = place if self.at is None else self.at
        head = struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", 0x0314, 20, self.flags, self.method, 0, 33, *self.fields(),
            len(self.name), 0, 0, 0, 0, self.attributes, place,
        )  # fmt: skip
        return head + self.name


def by_hand(entries: Sequence[Entry], count: int | None = None) -> bytes:
    """Returns a ZIP of entries as they are; one that says `at` has no bytes of its own."""
    body, directory = b"", b""
    for entry in entries:
        directory += entry.central(len(body))
        body += b"" if entry.at is not None else entry.local() + entry.data
    return body + directory + end_record(len(entries) if count is None else count, len(directory), len(body))


def end_record(count: int, length: int, start: int) -> bytes:
    return struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, length, start, 0)


def flips(data: bytes) -> Iterator[bytes]:
    """Yields the bytes with each of their bits flipped in turn."""
    flipped = bytearray(data)
    for place in range(len(data)):
        for bit in range(8):
            flipped[place] ^= 1 << bit
            yield bytes(flipped)
            flipped[place] ^= 1 << bit
