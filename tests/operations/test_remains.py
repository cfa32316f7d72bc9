"""A day of which no stage is whole is nobody's to do anew but the repair's: what stands may be the only copy."""

import datetime as dt
import os

import pytest
from amplitude import Amplitude, stored, uuids
from archives import DAY, export, name, zipped
from lines import line
from stored import damaged, file, flip, look, mend

from pipeline.store import days
from pipeline.store.publish import remove
from pipeline.tasks import leftovers

NEXT = DAY + dt.timedelta(days=1)
REPAIR = f"make verify FROM={DAY} TO={DAY} REPAIR=1"


@pytest.fixture
def amplitude(project):
    """A day of ten events that is stored, and the Amplitude that it came from."""
    found = Amplitude(project)
    found.has(*range(10))
    assert project.run_day(DAY).scheduling_succeeded
    return found


@pytest.fixture
def pruned(project, amplitude):
    """The same day without its ZIP and its JSON lines: the Parquet is the only copy."""
    prune(project, DAY)
    return amplitude


def prune(project, day):
    remove(project.layout.events_dir(day))
    remove(project.layout.raw_zip(day))


def published(project) -> dict[str, bytes]:
    """Returns what is stored of days, but not what is kept aside."""
    aside = ("quarantine", ".recheck", "warehouse")
    return {path: data for path, data in project.tree().items() if not path.startswith(aside)}


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


HARM = {
    "a flipped bit of the marker": ("load marker", flip),
    "a marker that is gone": ("load marker", os.unlink),
    "Parquet that is cut": ("parquet", cut),
    "Parquet that is gone": ("parquet", os.unlink),
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("now", [(), (3,)])
def test_F15_no_command_of_the_chain_fetches_over_the_only_copy(project, pruned, harm, now):
    kind, how = HARM[harm]
    how(file(project.layout, kind))
    before = published(project)
    pruned.has(*now)
    for command in (("run", "--date", str(DAY)), ("range", "--from", str(DAY), "--to", str(NEXT))):
        done = project.pipeline(*command)
        assert done.returncode == 30, done.stderr
        assert REPAIR in done.stderr
        assert f"{project.layout.parquet_dir(DAY)}/ is damaged, and no other stage of {DAY} is whole" in done.stderr
    assert {path: data for path, data in published(project).items() if str(NEXT) not in path} == before


@pytest.mark.parametrize("harm", HARM)
def test_F15_what_it_says_to_type_mends_it(project, pruned, harm):
    kind, how = HARM[harm]
    how(file(project.layout, kind))
    done = project.pipeline("verify", "--from", str(DAY), "--to", str(DAY), "--repair")
    assert done.returncode == 0, done.stderr
    assert (damaged(project), stored(project)) == (set(), uuids(*range(10)))


def test_F15_force_takes_what_amplitude_has_and_keeps_the_other(project, pruned):
    rows = file(project.layout, "parquet")
    data = rows.read_bytes()
    flip(file(project.layout, "load marker"))
    pruned.has(3)
    assert project.pipeline("force", "--date", str(DAY)).returncode == 0
    assert stored(project) == uuids(3)
    (kept,) = project.layout.quarantine(DAY).glob(f"*.last-copy/{rows.name}")
    assert kept.read_bytes() == data


def test_status_plan_and_doctor_call_it_damaged_and_not_missing(project, pruned):
    flip(file(project.layout, "load marker"))
    said = project.pipeline("status").stdout
    assert f"{DAY}    -          -       -       -           -        -  damaged" in said
    assert REPAIR in said
    assert REPAIR in project.doctor().stdout
    plan = project.pipeline("plan", "--from", str(DAY), "--to", str(NEXT)).stdout
    assert f"{DAY}                1 day to mend (make verify REPAIR=1)" in plan


def test_an_import_asks_before_it_replaces_what_is_damaged_or_to_be_done_again(project, pruned):
    source = project.path / "export.zip"
    source.write_bytes(export({name(7): zipped(line(3))}))
    command = ("import", "--date", str(DAY), "--from", str(source))
    slip = project.pipeline(*command[:-1], f"{source}x")
    assert (slip.returncode, f"there is no {source}x" in slip.stderr) == (40, True)
    days.ask_redo(project.layout, DAY)
    before = published(project)
    done = project.pipeline(*command)
    assert (done.returncode, "is stored already. To replace it: " in done.stderr) == (40, True)
    flip(file(project.layout, "load marker"))
    done = project.pipeline(*command)
    assert done.returncode == 40
    assert f"and {project.layout.parquet_dir(DAY)}/ is damaged" in done.stderr
    assert REPAIR in done.stderr
    assert published(project).keys() == before.keys()
    assert project.pipeline(*command, "--replace").returncode == 0
    assert stored(project) == uuids(3)


def test_F15_parquet_without_its_marker_is_damage_and_stays_where_no_stage_makes_it_anew(project, pruned):
    rows = file(project.layout, "parquet")
    data = rows.read_bytes()
    project.layout.parquet_marker(DAY).unlink()
    assert damaged(project) == {("parquet", f"parquet/date={DAY}/{rows.name}")}
    assert project.pipeline("clean").returncode == 0
    assert rows.read_bytes() == data


def test_a_folder_that_was_swapped_with_another_days_is_kept_when_its_place_is_needed(project, amplitude):
    amplitude.has(*range(20, 25), day=NEXT)
    assert project.run_day(NEXT).scheduling_succeeded
    prune(project, DAY)
    one, other = project.layout.parquet_dir(DAY), project.layout.parquet_dir(NEXT)
    rows = file(project.layout, "parquet")
    data = rows.read_bytes()
    aside = one.with_name("aside")
    for path, place in ((one, aside), (other, one), (aside, other)):
        path.rename(place)
    assert project.pipeline("run", "--date", str(NEXT)).returncode == 0
    assert stored(project, NEXT) == uuids(*range(20, 25))
    (kept,) = project.layout.quarantine(NEXT).glob(f"*.last-copy/{rows.name}")
    assert kept.read_bytes() == data


def test_json_lines_of_another_day_are_not_replaced(project, amplitude):
    amplitude.has(*range(20, 25), day=NEXT)
    assert project.run_day(NEXT).scheduling_succeeded
    project.layout.raw_zip(DAY).unlink()
    remove(project.layout.events_dir(NEXT))
    project.layout.events_dir(DAY).rename(project.layout.events_dir(NEXT))
    before = published(project)
    done = project.pipeline("verify", "--from", str(NEXT), "--to", str(NEXT), "--repair")
    assert done.returncode == 1
    assert f"is of {DAY}, and the directory is replaced whole" in done.stderr
    assert published(project) == before


def test_K12_a_file_that_came_to_count_meanwhile_is_no_leftover(project, amplitude):
    rows, refused = file(project.layout, "parquet"), project.layout.parquet_dir(DAY) / "events-0badcafe.parquet"
    refused.write_bytes(b"of a load that was killed")
    leftovers.clear(DAY, [rows, refused])  # as it seemed before the other process had written its marker
    assert (rows.exists(), refused.exists()) == (True, False)


def test_what_somebody_put_into_a_partition_is_noted(project, amplitude):
    strange = project.layout.parquet_dir(DAY) / "part-0.parquet"
    strange.write_bytes(b"")
    (day,) = look(project)
    assert (day.damage, day.notes) == ([], [f"{strange} is none of its files"])


def test_hours_that_no_import_could_prove_are_noted(project):
    source = project.path / "export.zip"
    source.write_bytes(export({name(7): zipped(line(3))}))
    assert project.pipeline("import", "--date", str(DAY), "--from", str(source)).returncode == 0
    (day,) = look(project)
    assert (day.damage, len(day.notes)) == ([], 1)
    assert day.notes[0].startswith("imported; nothing proves that the 23 hours without a file had no events")


def test_a_data_folder_without_a_day_proves_nothing(project):
    done = project.pipeline("verify")
    assert (done.returncode, "nothing is proved" in done.stdout) == (1, True)


def test_a_repair_whose_load_is_refused_exits_1(project, amplitude):
    source = amplitude.folder / f"{DAY}.zip"
    source.write_bytes(export({name(7): zipped(b"\n".join([line(1), b"no event", b"nor this"]))}))
    project.set(PIPELINE_MAX_REJECTED=1)
    assert project.pipeline("force", "--date", str(DAY)).returncode == 0
    flip(file(project.layout, "json"))
    project.set(PIPELINE_MAX_REJECTED=0)
    done = project.pipeline("verify", "--repair")
    assert done.returncode == 1, done.stdout + done.stderr


def test_a_repair_of_what_is_no_remains_goes_on(project, amplitude):
    flip(file(project.layout, "load marker"))
    (result,) = mend(project)
    assert (result.error, damaged(project)) == (None, set())
