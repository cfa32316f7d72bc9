"""A day of which no stage is whole: Amplitude's takes its place only where it has no fewer events."""

import signal

import pytest
from amplitude import Amplitude, stored, uuids
from archives import DAY, write
from processes import PIPELINE
from stored import damaged, file, flip, look, mend

from pipeline.errors import LoadError, TransientError
from pipeline.store import days, quarantine
from pipeline.store.publish import remove

ALL = ("zip", "json", "parquet")
MARKERS = ("zip", "events marker", "load marker")
VERIFY = (*PIPELINE, "verify", "--repair")


@pytest.fixture
def amplitude(project):
    """A day of ten events that is stored, and the Amplitude that it came from."""
    found = Amplitude(project)
    found.has(*range(10))
    assert project.run_day(DAY).scheduling_succeeded
    return found


def harm(project, *kinds) -> dict[str, bytes]:
    """Damages files of the day; returns all that is stored then."""
    for path in [file(project.layout, kind) for kind in kinds]:
        flip(path)
    return published(project)


def published(project) -> dict[str, bytes]:
    """Returns what is stored of days, but not what is kept aside."""
    aside = ("quarantine", ".recheck", "warehouse")
    return {path: data for path, data in project.tree().items() if not path.startswith(aside)}


def leave_the_parquet(layout) -> None:
    """Takes the stages before it away, as a prune of both does."""
    layout.raw_zip(DAY).unlink()
    remove(layout.events_dir(DAY))


def copies(project) -> list[str]:
    """Returns what the quarantine holds, by names without their times."""
    found = project.layout.quarantine(DAY).iterdir()
    return sorted(path.name.partition("_")[2] for path in found if path.suffix != ".txt")


@pytest.mark.parametrize("pruned", [False, True])
def test_F15_where_nothing_is_whole_the_day_is_fetched_and_what_was_damaged_is_kept(project, amplitude, pruned):
    layout = project.layout
    if pruned:
        leave_the_parquet(layout)
    kinds = ("parquet",) if pruned else ALL
    before = harm(project, *kinds)
    broken = {file(layout, kind).name: file(layout, kind).read_bytes() for kind in kinds}
    (result,) = mend(project)
    assert (result.must_run, result.error) == (True, None)
    after = published(project)
    assert {path for path in after.keys() | before.keys() if after.get(path) != before.get(path)} == {f"raw/{DAY}.zip"}
    assert project.run_day(DAY).scheduling_succeeded
    assert (damaged(project), stored(project)) == (set(), uuids(*range(10)))
    assert project.leftovers() == []
    for number in range(quarantine.KEPT + 1):  # nor do refused archives drive them out
        quarantine.put_aside(layout, DAY, write(project.path / f"{number}.zip", b"x"), "a test")
    kept = [path for path in layout.quarantine(DAY).rglob("*") if path.is_file() and path.suffix != ".txt"]
    for name, data in broken.items():
        assert [path.read_bytes() for path in kept if name in path.name] == [data]


FEWER = {
    "none": ((), "0 events of it now where 10 events were stored", "AMP_API_KEY"),
    "one less": (range(9), "9 events of it now where 10 events were stored", "make force"),
}


@pytest.mark.parametrize(
    "kinds", [ALL, ("zip", "json", "load marker"), ("zip", "events marker", "parquet")], ids="+".join
)
@pytest.mark.parametrize("fewer", FEWER)
def test_F15_fewer_events_take_nobodys_place(project, amplitude, fewer, kinds):
    events, what, todo = FEWER[fewer]
    before = harm(project, *kinds)
    amplitude.has(*events)
    for _ in range(2):  # nor does a second one keep a second copy
        done = project.command(*VERIFY)
        assert done.returncode == 1, done.stderr
        assert what in done.stderr
        assert todo in done.stderr
        assert f"make force DATE={DAY}" in done.stderr
        assert published(project) == before
        assert copies(project) == [f"{DAY}.last-copy", f"{DAY}.zip.last-copy", f"date={DAY}.last-copy"]
    assert project.leftovers() == []


def test_F15_an_event_that_comes_twice_does_not_make_up_for_one_that_is_gone(project, amplitude):
    harm(project, *ALL)
    amplitude.has(*range(9), 8, 8)
    (result,) = mend(project)
    assert isinstance(result.error, LoadError)
    assert "9 events of it now where 10 events" in result.error.what


OTHERS = {  # what is damaged, what Amplitude has, and what is said of it
    "no marker holds": (MARKERS, range(1, 20), "1 of the 10 stored events"),
    "all others": (MARKERS, range(10, 35), "10 of the 10 stored events"),
    "the marker is gone": (("zip", "events marker"), range(1, 20), "1 of the 10 stored events"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_F15_other_events_take_nobodys_place_where_the_stored_ones_can_be_read(project, amplitude, case):
    kinds, events, said = OTHERS[case]
    before = harm(project, *kinds)
    if case == "the marker is gone":
        project.layout.parquet_marker(DAY).unlink()
        before = published(project)
    amplitude.has(*events)
    (result,) = mend(project)
    assert isinstance(result.error, LoadError)
    assert f"Amplitude does not have {said} any more" in result.error.what
    assert f"make force DATE={DAY}" in result.error.todo
    assert published(project) == before
    amplitude.has(*range(12))
    (result,) = mend(project)
    assert (result.error, result.must_run) == (None, True)
    assert project.run_day(DAY).scheduling_succeeded
    assert stored(project) == uuids(*range(12))


def test_F15_uuids_that_cannot_be_read_are_no_reason_to_refuse(project, amplitude):
    path = file(project.layout, "parquet")
    harm(project, *MARKERS)
    text = bytearray(path.read_bytes())
    footer = int.from_bytes(text[-8:-4], "little") + 8  # it still tells ten rows
    text[4:-footer] = bytes(len(text) - 4 - footer)
    path.write_bytes(bytes(text))
    amplitude.has(*range(1, 11))
    (result,) = mend(project)
    assert (result.error, result.must_run) == (None, True)


@pytest.mark.parametrize("pruned", [True, False])
def test_F15_a_marker_that_alone_is_damaged_is_made_anew_from_what_its_files_prove(project, amplitude, pruned):
    layout = project.layout
    if pruned:
        leave_the_parquet(layout)
    else:
        harm(project, *MARKERS[:2])
    marker = layout.parquet_marker(DAY)
    at = marker.read_bytes().index(b'"seconds": {') + len(b'"seconds": {\n  "load": ')
    flip(marker, at)
    amplitude.has(*range(9))
    asked = len(amplitude.sandbox.requests)
    (result,) = mend(project)
    if pruned:
        assert (result.error, result.must_run) == (None, False)
        assert len(amplitude.sandbox.requests) == asked
    else:  # for the ZIP, Amplitude is asked, which has one event less by now
        assert "Amplitude has 1 event of it no more: its ZIP is not fetched anew" in str(result.error)
    assert stored(project) == uuids(*range(10))
    assert {stage for stage, _ in damaged(project)} == (set() if pruned else {"raw", "events"})
    assert "is made anew from what could be read of it" in project.logged()
    assert project.leftovers() == []


@pytest.mark.parametrize(("events", "replaced"), [((), False), ((3,), True)])
def test_F15_where_nobody_knows_an_empty_day_is_refused(project, amplitude, events, replaced):
    for path in [file(project.layout, kind) for kind in (*ALL, *MARKERS[1:])]:
        path.write_bytes(b"")
    for path in project.layout.events_dir(DAY).glob("*.json"):
        path.write_bytes(b"")
    before = published(project)
    amplitude.has(*events)
    (result,) = mend(project)
    assert (result.error is None, result.must_run) == (replaced, replaced)
    if replaced:
        assert project.run_day(DAY).scheduling_succeeded
        assert (damaged(project), stored(project)) == (set(), uuids(3))
    else:
        assert "0 events of it now where nobody knows how many were stored" in result.error.what
        assert published(project) == before


TOLD_BY = {
    "the marker's text": (("events", "parquet file"), 10),
    "the rows": (("events", "load marker"), 10),
    "the lines": (("parquet file", "load marker"), 10),
}


@pytest.mark.parametrize("told_by", TOLD_BY)
def test_F15_what_no_record_tells_any_more_is_told_by_what_can_be_read(project, amplitude, told_by):
    gone, known = TOLD_BY[told_by]
    layout = project.layout
    rows = file(layout, "parquet")
    harm(project, *MARKERS)
    if "events" in gone:
        remove(layout.events_dir(DAY))
    for path in {"parquet file": rows, "load marker": layout.parquet_marker(DAY)}.items():
        if path[0] in gone:
            path[1].write_bytes(b"")
    before = published(project)
    amplitude.has(*range(known - 1))
    (result,) = mend(project)
    assert f"9 events of it now where {known} events were stored" in result.error.what
    assert published(project) == before
    amplitude.has(*range(known))
    assert project.command(*VERIFY).returncode == 0
    assert stored(project) == uuids(*range(known))


def test_F15_an_empty_day_that_was_empty_is_made_anew(project):
    Amplitude(project)
    assert project.run_day(DAY).scheduling_succeeded
    project.layout.raw_zip(DAY).write_bytes(b"")
    remove(project.layout.events_dir(DAY))
    file(project.layout, "parquet").unlink()
    (result,) = mend(project)
    assert (result.error, result.must_run) == (None, True)
    assert project.run_day(DAY).scheduling_succeeded
    assert damaged(project) == set()


def test_F15_records_that_seem_newer_leave_the_day_damaged_until_it_is_mended(project, amplitude):
    for kind in MARKERS[1:]:
        path = file(project.layout, kind)
        path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 3'))
    flip(project.layout.raw_zip(DAY))
    url = amplitude.sandbox.url
    project.set(AMP_BASE_URL="http://127.0.0.1:9", AMP_TRIES=1)
    (result,) = mend(project)
    assert isinstance(result.error, TransientError)
    project.set(AMP_BASE_URL=url)
    amplitude.has()
    (result,) = mend(project)
    assert "10 events were stored" in result.error.what
    assert {stage for stage, _ in damaged(project)} == {"raw", "events", "parquet"}
    amplitude.has(*range(10))
    assert project.command(*VERIFY).returncode == 0
    assert stored(project) == uuids(*range(10))


KILLED = """
import os, sys
left = {point}

def killed(event, arguments):
    global left
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link"):
        left -= 1
        if not left:
            os.kill(os.getpid(), {signal})

sys.addaudithook(killed)
from pipeline import settings
from pipeline.operations.repair import repair
from pipeline.operations.verify import verify
found = verify(settings.load(), None, None, lambda *_: None)
(result,) = repair(settings.load(), found, lambda *_: None)
"""
"""Ends the process before the n-th time that it is about to change something on the disk."""


@pytest.mark.parametrize("point", [5, 10, 15, 20, 30, 40, 50, 60, 70])
def test_K1_a_repair_that_is_killed_is_finished_by_the_next_and_copies_nothing_twice(project, amplitude, point):
    harm(project, *ALL)
    code = KILLED.format(point=point, signal=int(signal.SIGKILL))
    killed = project.command(PIPELINE[0], "-c", code)
    assert killed.returncode in (0, -signal.SIGKILL), killed.stderr
    done = project.command(*VERIFY)
    assert done.returncode == 0, done.stderr
    assert (damaged(project), stored(project)) == (set(), uuids(*range(10)))
    assert days.is_loaded(project.layout, DAY)
    names = [f"{DAY}.last-copy", f"{DAY}.zip.last-copy", f"date={DAY}.last-copy"]
    assert [name for name in copies(project) if name.endswith(".last-copy")] == names
    assert [day.notes for day in look(project)] == [[]]


def test_what_was_fetched_stays_for_the_next_time(project, amplitude):
    harm(project, *ALL)
    code = KILLED.format(point=1 << 30, signal=9).replace(
        "(result,) =", "import pipeline.operations.lost as lost\nlost.count_rows = lambda *_: os._exit(9)\n(result,) ="
    )
    assert project.command(PIPELINE[0], "-c", code).returncode == 9
    asked = len(amplitude.sandbox.requests)
    (result,) = mend(project)
    assert (result.must_run, result.error) == (True, None)
    assert len(amplitude.sandbox.requests) == asked
