"""The sweep: a command is run again and again, each time with a fault at another call; then once more without one."""

import dataclasses
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

from commands import Commands
from projects import left_in
from shim import KILLS, Call, Fault, Shim
from truth import FULL, Damage, Truth, complete, look

MODES = (
    *(Fault(mode) for mode in KILLS),
    *(Fault(mode, error=error) for error in ("ENOSPC", "EIO") for mode in ("once", "sticky")),
)
STAGES = {"raw": "download", "events": "extract", "parquet": "load", "rejected": "load", ".warehouse.tmp": "warehouse"}

_FSYNCS = ("fsync", "fdatasync")
_MAKE = ("open", "open64", "openat", "openat64", "mkdir", "mkdirat")


def stage(call: Call, data: Path) -> str:
    """Returns the stage at whose call a fault is met, by the place that it changes; what belongs to all is the first's."""
    inside = os.path.relpath(call.path, data.resolve())
    return STAGES.get(inside.partition("/")[0], "download")


def points(calls: Iterable[Call], modes: Sequence[Fault] = MODES, every: int = 1) -> list[Fault]:
    """Returns the faults at these calls: in every mode at every call, or at every so manyth, another one in each mode."""
    found = []
    for offset, mode in enumerate(modes):
        possible = [call for call in calls if mode.mode != "torn" or call.is_torn]
        found += [dataclasses.replace(mode, at=call.number) for call in possible[offset * every // len(modes) :: every]]
    return found


@dataclasses.dataclass(frozen=True)
class Day:
    """A day of a sweep: what may be seen of it before the rerun, and what must stand there after it."""

    date: str
    after: Truth
    before: tuple[Truth, ...] = ()


@dataclasses.dataclass
class Outcome:
    """What came of a fault: whether it was met, the damage that was seen or left, and all that was not as it should be."""

    fault: Fault
    met: bool = False
    calls: Sequence[Call] = ()
    damage: Damage = dataclasses.field(default_factory=Damage)
    problems: list[str] = dataclasses.field(default_factory=list)

    def judge(self, when: str, damage: Damage) -> None:
        if damage:
            self.damage += damage
            self.problems.append(f"{when}: {damage}")

    def __str__(self) -> str:
        return f"{self.fault}: {'; '.join(self.problems)}"


class Sweep:
    """One command on one project, to be broken at any of its calls.

    Args:
        library: What `shim.build` made.
        place: The project; its data folder is made anew for each point.
        days: The days that the command is about.
        swept: Runs the command that meets the faults.
        rerun: Runs the command that has to make good what the fault left.
    """

    def __init__(
        self,
        library: Path,
        place: Commands,
        days: Sequence[Day],
        swept: Callable[..., CompletedProcess[str]],
        rerun: Callable[[], CompletedProcess[str]],
    ) -> None:
        self._library = library
        self.place = place
        self.data = place.data
        self.days = days
        self._swept = swept
        self._rerun = rerun
        self._base = place.path / "base"
        if place.data.exists():
            place.data.rename(self._base)

    def count(self, calls: str = "changes") -> list[Call]:
        """Returns the command's calls, none of which meets a fault."""
        self.fresh()
        shim = self._shim(Fault(calls=calls))
        done = self._swept(**shim.options)
        assert done.returncode == 0, done.stderr
        return list(shim.calls)

    def counted(self, name: str, shared: Path) -> list[Call]:
        """Does `count` once for all the tests of this session that give it this name."""
        kept = shared / f"{name}.json"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                data = self.place.data.resolve()
                whole = self.at(Fault())
                assert not whole.problems, whole
                calls = [dataclasses.replace(call, path=os.path.relpath(call.path, data)) for call in whole.calls]
                kept.write_text(json.dumps([dataclasses.astuple(call) for call in calls]), encoding="utf-8")
        found = [Call(*values) for values in json.loads(kept.read_text(encoding="utf-8"))]
        return [dataclasses.replace(call, path=str(self.place.data.resolve() / call.path)) for call in found]

    def at(self, fault: Fault) -> Outcome:
        """Injects a fault, judges what can be seen after it, runs again without it, and judges what then stands."""
        self.fresh()
        outcome = Outcome(fault)
        self.inject(outcome)
        self.mend(outcome)
        return outcome

    def inject(self, outcome: Outcome) -> None:
        """Runs the command with a fault on whatever stands there."""
        shim = self._shim(outcome.fault)
        done = self._swept(**shim.options)
        outcome.met, outcome.calls = shim.faults > 0, shim.calls
        if done.returncode == 0:  # then it is done, whatever it met
            for day in self.days:
                damage = complete(self.place.data, day.date, day.after, replaced=bool(day.before))
                outcome.judge("it exited 0", damage)
        elif not outcome.met:
            outcome.problems.append(f"it exited {done.returncode} without a fault: {done.stderr}")
        elif not outcome.fault.kills:
            outcome.problems += _said(done, outcome.fault, self.place.data)
        for day in self.days:
            outcome.judge("seen after the fault", look(self.place.data, day.date, *day.before, day.after))
        outcome.problems += _trusted(outcome.calls)
        self._look_for_leaks(outcome, "after the fault")

    def mend(self, outcome: Outcome) -> None:
        """Runs the command that has to make it good."""
        asked = {day.date: self._is_asked(day) for day in self.days}
        done = self._rerun()
        if done.returncode != 0:
            outcome.problems.append(f"the rerun exited {done.returncode}: {done.stderr}")
        for day in self.days:
            after = complete(self.place.data, day.date, day.after, replaced=bool(day.before))
            if not asked[day.date]:
                # It may have been killed before it asked for anything new: then the old day is what there is to have.
                old = [complete(self.place.data, day.date, truth) for truth in day.before]
                after = min((after, *old), key=lambda damage: damage.lost + damage.duplicated)
            outcome.judge("after the rerun", after)
        self._look_for_leaks(outcome, "after the rerun")

    def _look_for_leaks(self, outcome: Outcome, when: str) -> None:
        """Looks for the canary in what the next point will not find any more."""
        leaking = left_in(self.place.data, self.place.logs)
        outcome.problems += [f"{when} the canary secret stands in {name}" for name in leaking]

    def _is_asked(self, day: Day) -> bool:
        return not day.before or (self.place.data / ".redo" / day.date).exists()

    def fresh(self) -> None:
        """Brings the data folder to what it was before the command."""
        for folder in (self.place.data, self.place.logs):
            shutil.rmtree(folder, ignore_errors=True)
        if self._base.exists():
            shutil.copytree(self._base, self.place.data, symlinks=True)

    def _shim(self, fault: Fault) -> Shim:
        return Shim(self._library, self.place.path / "shim", self.place.data, fault)


def _said(done: CompletedProcess[str], fault: Fault, data: Path) -> list[str]:
    """Judges what a run said that failed: each failure one plain line, and one of them with the cause and a path."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    causes = (os.strerror(getattr(errno, fault.error)), "fsync failed")  # DuckDB keeps the system's words to itself
    problems = []
    if "Traceback" in done.stderr or "defect" in done.stderr:
        problems.append(f"it shows a defect: {done.stderr}")
    if not any(cause in line and str(data) in line for line in lines for cause in causes):
        problems.append(f"it does not name the cause and a path: {done.stderr}")
    if len(lines) != len(set(lines)):
        problems.append(f"it says a line twice: {done.stderr}")
    return problems


def _trusted(calls: Sequence[Call]) -> list[str]:
    """Returns what was published although a sync of it, or of a file beside it, had failed, and that was not made anew.

    The kernel may have dropped what it could not write: another sync of the same file would say nothing of it.
    """
    found = []
    for failed in (call for call in calls if call.failed and call.name in _FSYNCS):
        later = [call for call in calls if call.number > failed.number]
        made = {call.path: call.number for call in reversed(later) if call.name in _MAKE}
        for call in later:
            about = Path(failed.path).is_relative_to(call.path) or Path(call.path).parent == Path(failed.path).parent
            if call.name.startswith("rename") and about and made.get(call.path, call.number) >= call.number:
                found.append(f"{call.path} was published after a sync of {failed.path} had failed")
    return found


def swept(sweep: Sweep, faults: Sequence[Fault], total: int, tally) -> list[Outcome]:
    """Runs a sweep over some of its points, counts them, and fails with all that was not as it should be."""
    outcomes = [sweep.at(fault) for fault in faults]
    met = [outcome for outcome in outcomes if outcome.met]
    print(f"{len(met)} of {total} points{'' if FULL else '; FAULTS=all takes them all'}")
    tally.injected(len(met), sum((outcome.damage for outcome in met), Damage()))
    wrong = [str(outcome) for outcome in outcomes if outcome.problems]
    assert not wrong, f"{len(wrong)} of {len(outcomes)} points:\n" + "\n".join(wrong)
    assert met
    return met
