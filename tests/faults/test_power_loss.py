"""F12, F13: the power is cut at each call by which a run changes the disk, while somebody else syncs it; and after exit 0."""

from pathlib import Path

import pytest
from powerloss import PowerLoss
from projects import KEY, SECRET
from scenarios import DATE, exports
from truth import FULL, Damage, served

from pipeline.sandbox import Sandbox

PARTS = 8 if FULL else 1
EVERY, EVERY_OF_THE_WAREHOUSE = (1, 5) if FULL else (150, 150)
"""Every so manyth call; what is built in the warehouse's staging folder is much of the same, and nobody's only copy."""


@pytest.fixture
def old(tmp_path):
    with Sandbox(exports=exports(tmp_path / "old", 2, DATE), key=KEY, secret=SECRET) as sandbox:
        yield sandbox


@pytest.fixture
def new(tmp_path):
    with Sandbox(exports=exports(tmp_path / "new", 3, DATE), key=KEY, secret=SECRET) as sandbox:
        yield sandbox


class Run:
    """A first run of a day, or one that does it again.

    Args:
        again: Whether it stands there already, with other events.
        defect: What is taken away of the program that loses its power.
    """

    def __init__(self, library: Path, path: Path, old: Sandbox, new: Sandbox, again: bool, defect: str = "") -> None:
        truths = [served(old, DATE)] * again + [served(new, DATE)]
        self._loss = PowerLoss(library, path, DATE, truths, new)
        self._commands = self._loss.commands
        self._again, self._defect = again, defect
        if again:
            self._loss.before(lambda: self._commands.run(DATE, AMP_BASE_URL=old.url))

    def points(self) -> list[int]:
        """Returns the calls at which the power is cut, the end of the run among them as 0."""
        calls = self._loss.count(self._do)
        derived = [call.number for call in calls if "/.warehouse.tmp/" in call.path]
        others = [call.number for call in calls if call.number not in set(derived)]
        return [0, *others[EVERY // 2 :: EVERY], *derived[EVERY_OF_THE_WAREHOUSE // 2 :: EVERY_OF_THE_WAREHOUSE]]

    def at(self, number: int) -> Damage:
        return self._loss.at(number, self._do, lambda: self._commands.run(DATE))

    def _do(self, **options):
        return (self._commands.force if self._again else self._commands.run)(DATE, defect=self._defect, **options)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
def test_F12_F13_what_is_published_outlives_a_power_cut_at_any_call_and_a_run_makes_the_day_exact(
    library, tmp_path, old, new, tally, again, part
):
    run = Run(library, tmp_path, old, new, again)
    found = {}
    for number in run.points()[part::PARTS]:
        damage = run.at(number)
        tally.injected(1, damage)
        if damage:
            found[number] = damage
    assert found == {}


@pytest.mark.seeded("fsync-data")
def test_the_power_cut_finds_a_program_that_does_not_sync_its_data(library, tmp_path, old, new, tally):
    damage = Run(library, tmp_path, old, new, again=False, defect="fsync-data").at(0)
    found = any(each.startswith("raw: BadZipFile") for each in damage.half_written)
    tally.seeded("fsync-data", found)
    assert found
