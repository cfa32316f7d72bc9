"""What the sandbox serves of a day, and whether what is stored is that: read without a line of the pipeline."""

import base64
import contextlib
import dataclasses
import datetime as dt
import gzip
import hashlib
import io
import json
import os
import re
import urllib.error
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
from projects import KEY, SECRET

from pipeline.store.paths import Layout

FULL = os.environ.get("FAULTS") == "all"
"""Whether every point is wanted, as `make faults` does it; else a cut that fits `make test`."""


@dataclasses.dataclass(frozen=True)
class Truth:
    """The events of a day: its lines of JSON, each as often as it came, and its distinct uuids."""

    lines: Counter[bytes]
    uuids: frozenset[str]


@dataclasses.dataclass
class Damage:
    """What is wrong with what is stored; false where nothing is.

    Attributes:
        lost: Lines or rows that are missing, over the stages.
        duplicated: Lines or rows too many, or of no event that was served.
        half_written: Outputs at their final place that are not whole.
        leftovers: What should not be there any more.
    """

    lost: int = 0
    duplicated: int = 0
    half_written: list[str] = dataclasses.field(default_factory=list)
    leftovers: list[str] = dataclasses.field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.duplicated or self.half_written or self.leftovers)

    def __add__(self, other: "Damage") -> "Damage":
        return Damage(
            self.lost + other.lost,
            self.duplicated + other.duplicated,
            self.half_written + other.half_written,
            self.leftovers + other.leftovers,
        )


def served(sandbox, date: dt.date | str) -> Truth:
    """Returns what a sandbox of the canary's key serves of a day; its faults and its list of requests stay as they are."""
    day = str(date).replace("-", "")
    request = urllib.request.Request(f"{sandbox.url}/api/2/export?start={day}T00&end={day}T23")
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode())
    faults, asked = sandbox.faults[:], sandbox.requests[:]
    sandbox.faults.clear()
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return of_zip(answer.read())
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return of_lines([])
    finally:
        sandbox.faults[:], sandbox.requests[:] = faults, asked


def of_zip(data: bytes | Path) -> Truth:
    """Returns the events of an export ZIP, the pipeline's own record left out."""
    with zipfile.ZipFile(io.BytesIO(data) if isinstance(data, bytes) else data) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gz")]
        return of_lines(line for name in names for line in gzip.decompress(archive.read(name)).split(b"\n"))


def of_lines(lines: Iterable[bytes]) -> Truth:
    """Returns the events of lines of JSON; blank ones are none."""
    counted = Counter(line for line in lines if line.strip())
    return Truth(counted, frozenset(json.loads(line)["uuid"] for line in counted))


def look(data: Path, date: dt.date | str, *truths: Truth) -> Damage:
    """Judges what can be seen of a day now: each stage that is visible must be whole and equal one of the truths.

    Args:
        data: The data folder.
        date: The day.
        truths: What may stand there: the old generation, the new one.
    """
    return _judge(Path(data), str(date), truths, {})


def complete(data: Path, date: dt.date | str, truth: Truth, *, replaced: bool = False) -> Damage:
    """Judges a day that was called done: in every stage, exact, and nothing else under the data folder.

    Args:
        data: The data folder; days beside this one may stand there.
        date: The day.
        truth: What must stand there.
        replaced: Whether the files of the partition's earlier generation may still be there: they go with the run after.
    """
    data = Path(data)
    seen: dict[str, bool] = {}
    damage = _judge(data, str(date), (truth,), seen)
    for stage, there in seen.items():
        if not there:
            damage.lost += len(truth.uuids) if stage in ("parquet", "warehouse") else truth.lines.total()
            damage.half_written += [f"{stage}: missing"]
    damage.leftovers += [str(path.relative_to(data)) for path in Layout(data).leftovers()]
    damage.leftovers += sorted(_unknown(data, replaced=replaced) - set(damage.leftovers))
    return damage


def _judge(data: Path, date: str, truths: tuple[Truth, ...], seen: dict[str, bool]) -> Damage:
    damage = Damage()
    raw, events, parquet = data / "raw" / f"{date}.zip", data / "events" / date, data / "parquet" / f"date={date}"
    lines = [truth.lines for truth in truths]
    uuids = [Counter(truth.uuids) for truth in truths]

    seen["raw"] = os.path.lexists(raw)
    if seen["raw"]:
        with _whole(damage, "raw"):
            _compare(damage, "raw", of_zip(raw).lines, lines)
    seen["events"] = os.path.lexists(events)
    if seen["events"]:
        with _whole(damage, "events"):
            _compare(damage, "events", _json_lines(events), lines)
    with _whole(damage, "parquet"):
        for path in parquet.glob("*.parquet"):  # also those that no marker names: they stand under their final names
            _query(f"SELECT count(*) FROM read_parquet({_text(path)})")
    seen["parquet"] = os.path.lexists(parquet / "_SUCCESS")
    if seen["parquet"]:
        with _whole(damage, "parquet"):
            _compare(damage, "parquet", _rows(parquet), uuids)
    _judge_view(damage, data / "warehouse.duckdb", date, uuids, seen)
    return damage


def _judge_view(damage: Damage, file: Path, date: str, uuids: list[Counter[str]], seen: dict[str, bool]) -> None:
    seen["warehouse"] = os.path.lexists(file)
    if not seen["warehouse"]:
        return
    with _whole(damage, "warehouse"), duckdb.connect(str(file), read_only=True) as connection:
        found = connection.execute("SELECT uuid::VARCHAR FROM events WHERE date = ?", [date]).fetchall()
        rows = Counter(uuid for (uuid,) in found)
        for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            connection.execute(f'SELECT * FROM "{table}"').fetchall()
        blocks, each = connection.execute("SELECT total_blocks, block_size FROM pragma_database_size()").fetchone()
        if file.stat().st_size < blocks * each:
            raise ValueError(f"{blocks} blocks of {each} bytes are not there")
        if rows or not any(uuids):
            _compare(damage, "warehouse", rows, uuids)
        else:
            seen["warehouse"] = False  # it knows other days alone


@contextlib.contextmanager
def _whole(damage: Damage, stage: str) -> Iterator[None]:
    """Whatever goes wrong inside it, a reader of that stage would meet too."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - readers fail in many ways
        damage.half_written.append(f"{stage}: {type(error).__name__}: {str(error)[:200]}")


def _compare(damage: Damage, stage: str, found: Counter, truths: list[Counter]) -> None:
    """Adds what differs from the nearest truth."""
    differences = [((truth - found).total(), (found - truth).total()) for truth in truths]
    lost, more = min(differences, key=sum)
    if lost or more:
        damage.lost += lost
        damage.duplicated += more
        damage.half_written.append(f"{stage}: {lost} missing, {more} too many")


def _json_lines(directory: Path) -> Counter[bytes]:
    """Reads the files that a day's marker names; a file beside them is one too many."""
    marker = json.loads((directory / "_SUCCESS").read_bytes())
    there = {path.name for path in directory.iterdir()} - {"_SUCCESS"}
    named = {file["name"] for file in marker["files"]}
    if there != named:
        raise ValueError(f"the marker names {sorted(named - there)} too many, {sorted(there - named)} too few")
    texts = [(directory / name).read_bytes() for name in sorted(named)]
    return of_lines(line for text in texts for line in text.split(b"\n")).lines


def _rows(directory: Path) -> Counter[str]:
    """Reads the uuids of the files that a partition's marker names, and holds their digests against it."""
    marker = json.loads((directory / "_SUCCESS").read_bytes())
    found: Counter[str] = Counter()
    for file in marker["files"]:
        path = directory / file["name"]
        if hashlib.sha256(path.read_bytes()).hexdigest() != file["sha256"]:
            raise ValueError(f"{path.name} is not what its marker says")
        found.update(uuid for (uuid,) in _query(f"SELECT uuid::VARCHAR FROM read_parquet({_text(path)})"))
    return found


def _query(sql: str) -> list[tuple]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        return connection.execute(sql).fetchall()


def _text(path: Path) -> str:
    return "['" + re.sub(r"[*?\[]", r"[\g<0>]", str(path)).replace("'", "''") + "']"


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


def _unknown(data: Path, *, replaced: bool) -> set[str]:
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
