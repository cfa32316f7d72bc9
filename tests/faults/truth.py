"""What the sandbox serves of a day, and whether what is stored is that: read without a line of the pipeline."""

import base64
import contextlib
import dataclasses
import datetime as dt
import os
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
from projects import KEY, SECRET
from reading import ROW, Row, Truth, json_lines, kept_apart, loaded, of_files, of_zip, query, quoted
from strays import unknown

from pipeline.store.paths import Layout

FULL = os.environ.get("FAULTS") == "all"
"""Whether every point is wanted, as `make faults` does it; else a cut that fits `make test`."""


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
        return of_files([])
    finally:
        sandbox.faults[:], sandbox.requests[:] = faults, asked


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
            every = {"parquet": truth.loaded, "warehouse": Counter(truth.rows)}.get(stage, truth.lines)
            damage.lost += every.total()
            damage.half_written += [f"{stage}: missing"]
    damage.leftovers += [str(path.relative_to(data)) for path in Layout(data).leftovers()]
    damage.leftovers += sorted(unknown(data, replaced=replaced) - set(damage.leftovers))
    return damage


def _judge(data: Path, date: str, truths: tuple[Truth, ...], seen: dict[str, bool]) -> Damage:
    damage = Damage()
    raw, events, parquet = data / "raw" / f"{date}.zip", data / "events" / date, data / "parquet" / f"date={date}"
    lines = [truth.lines for truth in truths]

    seen["raw"] = os.path.lexists(raw)
    if seen["raw"]:
        with _whole(damage, "raw"):
            _compare(damage, "raw", of_zip(raw).lines, lines)
    seen["events"] = os.path.lexists(events)
    if seen["events"]:
        with _whole(damage, "events"):
            _compare(damage, "events", json_lines(events), lines)
    with _whole(damage, "parquet"):
        for path in parquet.glob("*.parquet"):  # also those that no marker names: they stand under their final names
            query(f"SELECT count(*) FROM read_parquet({quoted(path)})")
        for path in (data / "rejected" / parquet.name).glob("*.jsonl"):
            kept_apart(path)
    seen["parquet"] = os.path.lexists(parquet / "_SUCCESS")
    if seen["parquet"]:
        with _whole(damage, "parquet"):
            _compare(damage, "parquet", loaded(data, parquet), [truth.loaded for truth in truths])
    _judge_view(damage, data / "warehouse.duckdb", date, [Counter(truth.rows) for truth in truths], seen)
    return damage


def _judge_view(damage: Damage, file: Path, date: str, truths: list[Counter[Row]], seen: dict[str, bool]) -> None:
    seen["warehouse"] = os.path.lexists(file)
    if not seen["warehouse"]:
        return
    with _whole(damage, "warehouse"), duckdb.connect(str(file), read_only=True) as connection:
        rows = Counter(connection.execute(f"SELECT {ROW} FROM events WHERE date = ?", [date]).fetchall())
        for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            connection.execute(f'SELECT * FROM "{table}"').fetchall()
        blocks, each = connection.execute("SELECT total_blocks, block_size FROM pragma_database_size()").fetchone()
        if file.stat().st_size < blocks * each:
            raise ValueError(f"{blocks} blocks of {each} bytes are not there")
        if rows or not any(truths):
            _compare(damage, "warehouse", rows, truths)
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
