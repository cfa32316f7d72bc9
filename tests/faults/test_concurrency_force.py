"""K6: while a day is done again, whoever reads meets the old day or the new one, whole, at every moment."""

import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest
from commands import Commands, pipeline
from projects import KEY, SECRET, leaks
from truth import FULL, Damage, Truth, complete, look, served

from pipeline.sandbox import Sandbox

DAY, OTHER = "2026-01-15", "2026-01-16"
READERS = 2


@pytest.fixture
def sandboxes():
    with ExitStack() as stack:
        yield [stack.enter_context(Sandbox(key=KEY, secret=SECRET, events_per_hour=n)) for n in (5, 9)]


class Reader(threading.Thread):
    """Reads a day again and again, as long as a process runs, and keeps what it finds wrong."""

    def __init__(self, process: subprocess.Popen, data: Path, *truths: Truth) -> None:
        super().__init__()
        self.found = Damage()
        self.reads = 0
        self._process = process
        self._data = data
        self._truths = truths

    def run(self) -> None:
        while self._process.poll() is None:
            damage = self._look()
            if damage.half_written and all(text.startswith("events: ") for text in damage.half_written):
                # The directory of JSON is exchanged whole: who reads its marker before and its files after looks again.
                damage = self._look()
            self.found += damage
            self.reads += 1

    def _look(self) -> Damage:
        return look(self._data, DAY, *self._truths)


@pytest.mark.parametrize("number", range(10 if FULL else 1))
def test_K6_a_force_is_seen_by_nobody_until_it_is_whole(tmp_path, sandboxes, tally, number):
    old, new = sandboxes
    before, after = served(old, DAY), served(new, DAY)
    commands = Commands(tmp_path, old)
    first = commands.pipeline("range", "--from", DAY, "--to", OTHER)
    assert first.returncode == 0, first.stderr
    commands.use(new)
    new.faults.append("latency:0.1")
    stands = commands.data / "warehouse.duckdb"
    with (
        duckdb.connect(str(stands), read_only=True) as opened,
        commands.started(*pipeline("force", "--date", DAY)) as force,
    ):
        readers = [Reader(force, commands.data, before, after) for _ in range(READERS)]
        for reader in readers:
            reader.start()
        _, said = force.communicate(timeout=60)
        for reader in readers:
            reader.join()
        assert force.returncode == 0, said
        assert not leaks(said)
        # Who had the warehouse open all the while goes on with what it was.
        rows = opened.execute("SELECT uuid::VARCHAR FROM events WHERE date = ?", [DAY]).fetchall()
        assert {uuid for (uuid,) in rows} == before.uuids
    damage = sum((reader.found for reader in readers), Damage())
    assert sum(reader.reads for reader in readers) > 5
    damage += complete(commands.data, DAY, after, replaced=True)
    damage += complete(commands.data, OTHER, served(old, OTHER), replaced=True)
    tally.injected(1, damage)
    assert not damage
    assert commands.run(DAY).returncode == 0
    assert not complete(commands.data, DAY, after)  # and what was replaced is gone
