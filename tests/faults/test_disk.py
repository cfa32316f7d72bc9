"""Full, limited and closed disks: a day fails in one plain line with what stood there whole, and is exact once there is room."""

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import disks
import pytest
from commands import Commands
from projects import KEY, SECRET, left_in
from truth import FULL, Damage, Truth, complete, look, served

from pipeline.sandbox import Sandbox
from pipeline.store import days
from pipeline.store.paths import Layout

DATE = "2026-01-15"
AMPLE = {"size": 1 << 26, "nr_inodes": 100_000}
FAILED = 30

PARTS = 4 if FULL else 1
PERCENTS = range(5, 111, 5) if FULL else [25]
"""Of what the day needs beside what stands there."""
NEVER_ENOUGH = 30
LARGEST_FILES = [700, 4096, 16_384, 65_536, 300_000] if FULL else [16_384]


class Day:
    """A day that is to be brought to a disk, and perhaps an earlier generation of it that stands there."""

    def __init__(self, path: Path) -> None:
        self.commands = Commands(path)
        self.data = self.commands.data
        self.old: list[Truth] = []
        self._before = path / "before"

    def done_before(self, sandbox: Sandbox) -> None:
        """Does the day, and keeps what then stands for `begin_anew`."""
        self.commands.use(sandbox)
        assert self.commands.run(DATE).returncode == 0
        self.old = [served(sandbox, DATE)]

    def ask(self, sandbox: Sandbox) -> None:
        """Makes a sandbox the one that is asked from now on."""
        self.commands.use(sandbox)
        self.sandbox, self.truth = sandbox, served(sandbox, DATE)
        if self.data.exists():
            shutil.copytree(self.data, self._before)

    def begin_anew(self) -> None:
        """Puts back what stood there before `ask`."""
        assert not left_in(self.data)
        for path in self.data.iterdir() if self.data.exists() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if self._before.exists():
            shutil.copytree(self._before, self.data, dirs_exist_ok=True)

    def do(self, **options: object) -> str:
        """Does the day, or does it again where it stands; returns what was said, and "" where it succeeded."""
        self._asked = self.sandbox.requests[:]
        done = (self.commands.force if self.old else self.commands.run)(DATE, **options)
        assert done.returncode in (0, FAILED), done.stderr
        return done.stderr if done.returncode else ""

    def refused(self, said: str) -> Damage:
        """Checks how a failure is said, and what there is to be seen after it."""
        forms = (disks.NOT_BEGUN, disks.REFUSED)
        found = [match for line in said.splitlines() for form in forms if (match := form.search(line))]
        assert found, said
        assert all(match["path"].startswith(str(self.data)) for match in found)
        assert found[0]["free"] or "No space left" not in said
        assert "Traceback" not in said
        assert self.sandbox.requests == self._asked or not disks.NOT_BEGUN.search(said)
        return look(self.data, DATE, *self.old, self.truth)

    def finished(self) -> Damage:
        """Runs it again, now that it can be; what stands there must be exact. A redo that was asked for stays asked for."""
        assert not left_in(self.data)
        asked = (self.data / ".redo" / DATE).exists()
        done = (self.commands.force if self.old and not asked else self.commands.run)(DATE)
        assert done.returncode == 0, done.stderr
        return complete(self.data, DATE, self.truth, replaced=bool(self.old))


@pytest.fixture
def old() -> Iterator[Sandbox]:
    with Sandbox(events_per_hour=1, key=KEY, secret=SECRET) as sandbox:
        yield sandbox


@pytest.fixture
def new() -> Iterator[Sandbox]:
    with Sandbox(events_per_hour=2, key=KEY, secret=SECRET) as sandbox:
        yield sandbox


TOO_LITTLE = {
    "F3_first": ("size", False),
    "F3_again": ("size", True),
    "F4_first": ("nr_inodes", False),
    "F4_again": ("nr_inodes", True),
}
CASES = list(TOO_LITTLE) if FULL else ["F3_first", "F4_again"]
AGAIN = [False, True] if FULL else [True]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("case", CASES)
def test_F3_F4_on_a_disk_with_too_little_room_or_too_few_inodes_the_old_stands_and_with_more_the_new_is_exact(
    tmp_path, old, new, tally, case, part
):
    day, (option, again) = Day(tmp_path), TOO_LITTLE[case]
    kind = list(AMPLE).index(option)
    with disks.small(day.data, **AMPLE) as disk:
        if again:
            day.done_before(old)
        day.ask(new)
        before = disk.used()[kind]
        with disk.watched() as most:
            assert not day.do()
        for percent in PERCENTS[part::PARTS]:
            day.begin_anew()
            room = before + (most[kind] - before) * percent // 100
            disk.remount(**{option: room})
            said = day.do()
            assert said or percent > NEVER_ENOUGH
            damage = day.refused(said) if said else Damage()
            disk.remount(**AMPLE)
            damage += day.finished()
            tally.injected(1 if said else 0, damage)
            assert not damage, f"{percent} %: {damage}"


@pytest.mark.parametrize("what", ["events", "raw"])
def test_F3_a_full_disk_takes_no_note_but_gives_the_room_that_prune_makes(tmp_path, old, tally, what):
    commands = Commands(tmp_path, old)
    with disks.small(commands.data, **AMPLE) as disk:
        assert commands.run(DATE).returncode == 0
        taken = disk.used()[0]
        disk.remount(size=taken)
        full = commands.pipeline("prune", "--keep-days", "0", "--what", what, "--yes")
        assert full.returncode == 0, full.stderr
        assert disk.used()[0] < taken
        assert commands.pipeline("verify").returncode == 0
        assert set(days.load_record(Layout(commands.data), dt.date.fromisoformat(DATE)).pruned) == {what}
        damage = look(commands.data, DATE, served(old, DATE))
    tally.injected(1, damage)
    assert not damage


def test_F6_a_day_that_will_not_fit_is_refused_with_numbers_before_anything_is_asked(tmp_path, old, new, tally):
    commands, before = Commands(tmp_path, old), "2026-01-14"
    with disks.small(commands.data, **AMPLE) as disk:
        assert commands.run(before).returncode == 0
        commands.use(new)
        disk.remount(size=disk.used()[0] + 50_000)
        done = commands.run(DATE)
        assert done.returncode == FAILED
        assert disks.NOT_BEGUN.search(done.stderr), done.stderr
        assert new.requests == []
        damage = look(commands.data, DATE, served(new, DATE)) + look(commands.data, before, served(old, before))
        disk.remount(**AMPLE)
        assert commands.run(DATE).returncode == 0
        damage += complete(commands.data, DATE, served(new, DATE))
    tally.injected(1, damage)
    assert not damage


@pytest.mark.parametrize("most", LARGEST_FILES)
@pytest.mark.parametrize("again", AGAIN, ids=lambda again: "again" if again else "first")
def test_F5_where_no_file_may_grow_past_a_limit_the_old_stands_and_without_it_the_new_is_exact(
    tmp_path, old, new, tally, again, most
):
    if not shutil.which("prlimit"):
        pytest.skip("there is no prlimit (util-linux)")
    day = Day(tmp_path)
    if again:
        day.done_before(old)
    day.ask(new)
    said = day.do(prefix=("prlimit", f"--fsize={most}:{most}"))
    assert "File too large" in said
    damage = day.refused(said) + day.finished()
    tally.injected(1, damage)
    assert not damage


def test_F9_a_force_on_a_closed_disk_is_refused_in_our_words(tmp_path, old, tally):
    commands = Commands(tmp_path, old)
    with disks.small(commands.data, **AMPLE) as disk:
        assert commands.run(DATE).returncode == 0
        old.faults.append("status:400,message=invalid window")
        assert commands.force(DATE).returncode == FAILED  # it is asked for already: the lock is looked at first
        disk.remount(ro="")
        done = commands.force(DATE)
        assert done.returncode == FAILED
        assert disks.REFUSED.search(done.stderr), done.stderr
        damage = look(commands.data, DATE, served(old, DATE))
    tally.injected(1, damage)
    assert not damage


@pytest.mark.parametrize("again", AGAIN, ids=lambda again: "again" if again else "first")
def test_F9_a_disk_that_is_closed_is_found_before_anything_is_asked(tmp_path, old, new, tally, again):
    day = Day(tmp_path)
    with disks.small(day.data, **AMPLE) as disk:
        if again:
            day.done_before(old)
        day.ask(new)
        disk.remount(ro="")
        damage = day.refused(day.do())
        assert new.requests == []
        disk.remount(rw="")
        damage += day.finished()
    tally.injected(1, damage)
    assert not damage
