"""Export ZIPs that the tests make: honest ones, and with what is wrong in them said by name."""

import gzip
import io
import zipfile
from pathlib import Path

APP = 100011471
DATE = "2026-01-15"


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
