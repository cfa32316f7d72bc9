"""Every fault that the sandbox knows, for good and in passing, as the real command meets it: nothing lost, nothing half."""

import dataclasses
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Commands
from projects import KEY, SECRET
from truth import FULL, complete, look, served

from pipeline.sandbox import Sandbox
from pipeline.sandbox.faults import KINDS

DAY = "2026-01-15"
SHORT = {"AMP_CONNECT_TIMEOUT": "1", "AMP_FIRST_BYTE_TIMEOUT": "1", "AMP_MAX_WINDOW_BYTES": "10000000"}
BRIEF = {"AMP_CONNECT_TIMEOUT": "0.5", "AMP_FIRST_BYTE_TIMEOUT": "0.5", "AMP_TRIES": "2"}
"""For what is to fail: it need not last."""
TRIED = r"TransientError: hours 00-05, tried \d times: "
DAMAGED = r"ArchiveError: hours 00-05, tried \d times: "
KEPT = 3  # refused ZIPs of a day


@dataclasses.dataclass(frozen=True)
class Case:
    """A fault, and what a run makes of it.

    Attributes:
        spec: As the sandbox reads it.
        said: What the one line of the failed run says, from the error's name on; "" where the fault does no harm.
        retried: Whether the run asks again, so that a fault that passes does not fail it.
    """

    spec: str
    said: str = ""
    retried: bool = True


LARGE = "TooLargeError: hour 0: .*make import DATE="
CASES: dict[str, list[Case]] = {
    "status": [
        Case("status:503", TRIED + "loopback answered 503"),
        Case("status:500,body=empty", TRIED + "loopback answered 500 without a word"),
        Case("status:429,retry_after=0", TRIED + "loopback answered 429"),
        Case("status:504", "TransientError: hours 00-00, tried .* loopback answered 504.* make import DATE="),
        Case("status:400", LARGE),
        Case("status:400,message=invalid window", "RequestError: .*names no size", retried=False),
        Case("status:401", "CredentialsError: .*the key or the secret was refused", retried=False),
        Case("status:403", "CredentialsError: .*the key or the secret was refused", retried=False),
        Case("status:404,body=html", "RequestError: .*not Amplitude's word for an empty hour", retried=False),
        Case("status:204", "RequestError: .*answered 204", retried=False),
        Case("status:206", "RequestError: .*answered 206", retried=False),
    ],
    "cut": [
        Case("cut:0.4", TRIED + "loopback ended the answer before its declared end"),
        Case("cut:0.4,framing=chunked", TRIED + "loopback ended the answer before its declared end"),
        Case("cut:0.4,framing=none", DAMAGED),
        Case("cut:0", TRIED),
    ],
    "reset": [Case("reset:0.4", TRIED + "loopback reset the connection"), Case("reset:0", TRIED)],
    "stall": [Case("stall:0.4", TRIED + "loopback sent nothing for 1 s"), Case("stall:0", TRIED)],
    "drip": [Case("drip:0.3", TRIED + "the answer came at . bytes a second")],
    "slow-headers": [Case("slow-headers:0.3", TRIED + "no answer of loopback in 0.5 s")],
    "wait": [Case("wait:60", TRIED + "no answer of loopback in 0.5 s"), Case("wait:0.3")],
    "latency": [Case("latency:60", TRIED + "no answer of loopback in 0.5 s"), Case("latency:0.3")],
    "rate": [Case("rate:20", TRIED + "the answer came at .* bytes a second"), Case("rate:50000")],
    "html": [Case("html", TRIED + "status 200 with text/html")],
    "json": [Case("json", TRIED + "status 200 with application/json")],
    "no-bytes": [Case("no-bytes", TRIED + "status 200 with application/zip.* begins: nothing")],
    "redirect": [Case("redirect:http://127.0.0.1:9/", "RequestError: .*it is not followed", retried=False)],
    "encoding": [
        Case("encoding:gzip", "RequestError: .*in the encoding gzip", retried=False),
        Case("encoding:gzip,cut=1", "RequestError: .*in the encoding gzip", retried=False),
    ],
    "length": [
        Case("length:abc", TRIED + "the answer declares the length abc"),
        Case("length:two", TRIED + "the answer of loopback broke off"),
        Case("length:short", DAMAGED),
    ],
    "short-zip": [Case("short-zip:0.4", DAMAGED)],
    "flip": [Case("flip", DAMAGED)],
    "long-header": [Case("long-header", TRIED)],
    "many-headers": [Case("many-headers", TRIED)],
    "endless-header": [Case("endless-header", TRIED)],
    "big": [
        Case("big:3000000", DAMAGED),
        Case("big:5000000000000,declare=1", LARGE),
        Case("big:5000000000000", LARGE),
    ],
    "rebuild": [Case("rebuild")],
    "drop": [Case("drop", TRIED + "loopback closed the connection without an answer")],
    "date": [
        Case("date", "NotReadyError: .*not settled by the clock of loopback, which says 1970-01-01", retried=False),
        Case("date:yesterday"),
    ],
}


def chosen(first: int, every: int) -> list[Case]:
    """Returns every case; for `make test` the first one of some kinds."""
    if FULL:
        return [each for cases in CASES.values() for each in cases]
    return [CASES[kind][0] for kind in list(KINDS)[first::every]]


def test_every_kind_of_fault_has_its_cases():
    assert CASES.keys() == KINDS.keys()
    assert all(each.spec.partition(":")[0].partition(",")[0] == kind for kind in KINDS for each in CASES[kind])


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(key=KEY, secret=SECRET, events_per_hour=5) as sandbox:
        yield sandbox


def files(data: Path) -> dict[str, int]:
    """Returns every file and its bytes; those that were put aside and the locks apart."""
    return {
        str(path.relative_to(data)): path.stat().st_size
        for path in sorted(data.rglob("*"))
        if path.is_file() and path.relative_to(data).parts[0] not in (".locks", "quarantine")
    }


def fails(commands: Commands, said: str) -> str:
    """Runs the day, which must fail with one plain line; returns the line without what is of one run alone."""
    done = commands.run(DAY, **BRIEF)
    assert done.returncode == 30, done.stderr
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if "Error: " in line]
    assert len(lines) == 1, done.stderr
    assert re.match(rf"{DAY}  DownloadExport  {said}", lines[0]), lines[0]
    assert lines[0].isprintable()
    return re.sub(r"\S+/quarantine/\S+", "", lines[0])


def published(data: Path) -> list[tuple[int, int]]:
    """Returns the windows that a day's own record has with an answer; each hour must be in one of them."""
    with zipfile.ZipFile(data / "raw" / f"{DAY}.zip") as archive:
        record = json.loads(archive.read("_export.json"))
    windows = [(each["first"], each["last"]) for each in record["windows"] if each["status"] in (200, 404)]
    assert sorted(hour for first, last in windows for hour in range(first, last + 1)) == list(range(24))
    return windows


@pytest.mark.parametrize("fault", chosen(2, every=7), ids=lambda fault: fault.spec)
def test_N_H_a_fault_that_stays(tmp_path, sandbox, tally, fault):
    truth = served(sandbox, DAY)
    commands = Commands(tmp_path, sandbox, **SHORT)
    sandbox.faults.append(fault.spec)
    damage = look(commands.data, DAY, truth)
    if fault.said:
        first, before = fails(commands, fault.said), files(commands.data)
        assert not [name for name in before if re.match(r"(raw|events|parquet)/[^.]", name)]
        damage += look(commands.data, DAY, truth)
        assert fails(commands, fault.said) == first
        assert files(commands.data) == before
        damage += look(commands.data, DAY, truth)
        assert len(list(commands.data.glob("quarantine/*/*.zip"))) <= KEPT
        sandbox.faults.clear()
    done = commands.run(DAY)
    assert done.returncode == 0, done.stderr
    damage += complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage


@pytest.mark.parametrize("fault", chosen(0, every=5), ids=lambda fault: fault.spec)
def test_N14_a_fault_that_passes(tmp_path, sandbox, tally, fault):
    truth = served(sandbox, DAY)
    commands = Commands(tmp_path, sandbox, **SHORT)
    # In the midst of windows that are under way; but a refusal of the key is of the first, and cuts the others off.
    times = 2 if fault.retried else 1
    sandbox.faults.append(f"{fault.spec},times={times},skip={int('CredentialsError' not in fault.said)}")
    if fault.said and not fault.retried:
        fails(commands, fault.said)
        assert not look(commands.data, DAY, truth)
    done = commands.run(DAY)
    assert done.returncode == 0, done.stderr
    damage = complete(commands.data, DAY, truth)
    assert "Error: " not in done.stderr
    tally.injected(times, damage)
    assert not damage
    failed = times if fault.said else 0
    assert len(sandbox.requests) == len(published(commands.data)) + failed  # what was answered well was asked for once


def test_N_H_what_is_refused_again_and_again_does_not_fill_the_disk(tmp_path, sandbox, tally):
    truth = served(sandbox, DAY)
    commands = Commands(tmp_path, sandbox)
    sandbox.faults.append("short-zip:0.9")
    for _ in range(KEPT + 1):
        fails(commands, DAMAGED)
    assert len(list(commands.data.glob("quarantine/*/*.zip"))) == KEPT
    damage = look(commands.data, DAY, truth)
    tally.injected(KEPT + 1, damage)
    assert not damage
