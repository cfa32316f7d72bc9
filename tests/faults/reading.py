"""What a day's events are, and the files that hold them: read without a line of the pipeline."""

import base64
import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import duckdb

Row = tuple[str, str | None, str | None]


@dataclasses.dataclass(frozen=True)
class Truth:
    """The events of a day.

    Attributes:
        lines: Its lines, blank ones left out, each as often as it came.
        rows: Its distinct events: uuid, event type and user.
        rejected: Its lines that are no JSON object with a uuid: file, number there, text.
    """

    lines: Counter[bytes]
    rows: frozenset[Row]
    rejected: frozenset[tuple[str, int, bytes]]

    @property
    def uuids(self) -> frozenset[str]:
        return frozenset(row[0] for row in self.rows)

    @property
    def loaded(self) -> Counter[tuple]:
        """What its partition holds: the rows, and what is kept apart in the generation that the same marker names."""
        return Counter([*self.rows, *self.rejected])


def of_zip(data: bytes | Path) -> Truth:
    """Returns the events of an export ZIP, the pipeline's own record left out."""
    with zipfile.ZipFile(io.BytesIO(data) if isinstance(data, bytes) else data) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gz")]
        return of_files((Path(name).stem, gzip.decompress(archive.read(name))) for name in names)


def of_files(files: Iterable[tuple[str, bytes]]) -> Truth:
    """Returns the events of files of JSON lines, each with its name."""
    every = [
        (name, number, line)
        for name, text in files
        for number, line in enumerate(text.split(b"\n"), start=1)
        if line.strip()
    ]
    lines = Counter(line for _, _, line in every)
    rows = {line: row for line in lines if (row := _row(line))}
    return Truth(lines, frozenset(rows.values()), frozenset(each for each in every if each[2] not in rows))


def _row(line: bytes) -> Row | None:
    with contextlib.suppress(ValueError):
        event = json.loads(line)
        if isinstance(event, dict) and event.get("uuid"):
            return event["uuid"], event.get("event_type"), event.get("user_id")
    return None


def json_lines(directory: Path) -> Counter[bytes]:
    """Reads the files that a day's marker names; a file beside them is one too many."""
    marker = json.loads((directory / "_SUCCESS").read_bytes())
    there = {path.name for path in directory.iterdir()} - {"_SUCCESS"}
    named = {file["name"] for file in marker["files"]}
    if there != named:
        raise ValueError(f"the marker names {sorted(named - there)} too many, {sorted(there - named)} too few")
    return of_files((name, (directory / name).read_bytes()) for name in sorted(named)).lines


ROW = "uuid::VARCHAR, event_type, user_id"


def loaded(data: Path, directory: Path) -> Counter[tuple]:
    """Reads the rows and the rejected lines of the files that a partition's marker names, and holds their digests against it."""
    marker = json.loads((directory / "_SUCCESS").read_bytes())
    found: Counter[tuple] = Counter()
    for file in marker["files"]:
        found.update(query(f"SELECT {ROW} FROM read_parquet({quoted(_signed(directory, file))})"))
    if marker["rejected"]:
        found.update(kept_apart(_signed(data / "rejected" / directory.name, marker["rejected"])))
    return found


def _signed(directory: Path, file: dict) -> Path:
    path = directory / file["name"]
    if hashlib.sha256(path.read_bytes()).hexdigest() != file["sha256"]:
        raise ValueError(f"{path.name} is not what its marker says")
    return path


def kept_apart(path: Path) -> list[tuple[str, int, bytes]]:
    """Reads a file of rejected lines; each must say why it is there."""
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    if any(record["kind"] != "reject" or not record["reason"] or record["cut"] for record in records):
        raise ValueError(f"{path.name} has lines that are no rejects, without a reason, or cut")
    texts = [
        base64.b64decode(record["base64"]) if record["text"] is None else record["text"].encode() for record in records
    ]
    return [(record["file"], record["line"], text) for record, text in zip(records, texts, strict=True)]


def query(sql: str) -> list[tuple]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        return connection.execute(sql).fetchall()


def quoted(path: Path) -> str:
    return "['" + re.sub(r"[*?\[]", r"[\g<0>]", str(path)).replace("'", "''") + "']"
