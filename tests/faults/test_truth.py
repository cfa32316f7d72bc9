"""The judge of the fault suite is held first: it calls a good day good, and sees each kind of damage."""

import dataclasses
import hashlib

import duckdb
import pytest
from commands import Commands
from projects import KEY, SECRET, left_in
from scenarios import LENIENT, exports
from truth import complete, look, served

from pipeline.sandbox import Sandbox

DAY = "2026-01-15"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A whole day that is made once; each test puts back what it damages."""
    path = tmp_path_factory.mktemp("made")
    with Sandbox(exports=exports(path / "exports", 2, DAY), key=KEY, secret=SECRET) as sandbox:
        place = Commands(path, sandbox, **LENIENT)
        done = place.run(DAY)
        assert done.returncode == 0, done.stderr
        yield place.data, served(sandbox, DAY)
    assert not left_in(path)


@pytest.fixture
def day(made):
    """The day: the data folder and the truth; whole again after each test."""
    data, _ = made
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    yield made
    for path, content in before.items():
        path.write_bytes(content)
    assert not complete(*made[:1], DAY, made[1])


def test_a_good_day_is_whole_and_complete(day):
    data, truth = day
    assert len(truth.uuids) > 3
    assert not look(data, DAY, truth)
    assert not complete(data, DAY, truth)


def test_a_day_that_is_not_there_is_no_damage_and_not_complete(day, tmp_path):
    _, truth = day
    assert not look(tmp_path, DAY, truth)
    assert complete(tmp_path, DAY, truth).half_written == [
        f"{stage}: missing" for stage in ("raw", "events", "parquet", "warehouse")
    ]


def test_the_request_for_the_truth_is_not_counted_and_meets_no_fault(project):
    sandbox = project.sandbox(events_per_hour=2, faults=["status:503,times=1"])
    assert len(served(sandbox, DAY).uuids) > 20
    assert not sandbox.requests
    assert [fault.kind for fault in sandbox.faults] == ["status"]


def test_an_empty_day_has_no_events(project):
    sandbox = project.sandbox(events_per_hour=0)
    assert not served(sandbox, DAY).uuids


def _cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path):
    path.write_bytes(b"")


OUTPUTS = (
    "raw/*.zip",
    "events/*/*_9#*.json",
    "events/*/_SUCCESS",
    "parquet/*/*.parquet",
    "parquet/*/_SUCCESS",
    "rejected/*/*.jsonl",
)


@pytest.mark.parametrize("damage", [_cut, _empty])
@pytest.mark.parametrize("pattern", [*OUTPUTS, "warehouse.duckdb"])
def test_a_torn_output_is_seen(day, pattern, damage):
    data, truth = day
    damage(next(data.glob(pattern)))
    assert look(data, DAY, truth).half_written
    assert complete(data, DAY, truth).half_written


def test_an_event_that_is_another_is_lost_and_one_too_many(day):
    data, truth = day
    path = next(data.glob("events/*/*_9#*.json"))
    path.write_bytes(path.read_bytes().replace(b'"uuid":"', b'"uuid":"f', 1))
    damage = look(data, DAY, truth)
    assert (damage.lost, damage.duplicated) == (1, 1)


def _sign_anew(path, marker, change):
    """Changes a file as somebody would who also changes what its marker says of it."""
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    change(path)
    after = hashlib.sha256(path.read_bytes()).hexdigest()
    assert before != after
    marker.write_text(marker.read_text().replace(before, after))


def _other_type(path):
    rows = f"(SELECT * REPLACE ('another' AS event_type) FROM read_parquet('{path}'))"
    duckdb.sql(f"COPY {rows} TO '{path.parent}/.other' (FORMAT parquet)")
    (path.parent / ".other").replace(path)


def _other_text(path):
    path.write_bytes(path.read_bytes().replace(b"[2]", b"[3]"))


def _other_line(path):
    path.write_bytes(path.read_bytes().replace(b'"line":', b'"line":1'))


def _twice(path):
    path.write_bytes(path.read_bytes() * 2)


@pytest.mark.parametrize(
    ("change", "lost", "more"),
    [(_other_text, 1, 1), (_other_line, 1, 1), (_twice, 0, 1), (_empty, 1, 0)],
)
def test_a_rejected_line_that_is_another_is_seen_though_its_marker_says_so(day, change, lost, more):
    data, truth = day
    assert len(truth.rejected) == 1
    _sign_anew(next(data.glob("rejected/*/*.jsonl")), next(data.glob("parquet/*/_SUCCESS")), change)
    damage = look(data, DAY, truth)
    assert (damage.lost, damage.duplicated) == (lost, more)


def test_a_row_with_another_event_type_is_seen_though_its_marker_says_so(day):
    data, truth = day
    _sign_anew(next(data.glob("parquet/*/*.parquet")), next(data.glob("parquet/*/_SUCCESS")), _other_type)
    damage = look(data, DAY, truth)
    assert damage.lost == damage.duplicated == 2 * len(truth.rows)  # in the files, and in the view of them
    assert [each.partition(":")[0] for each in damage.half_written] == ["parquet", "warehouse"]


def test_the_days_of_the_sweep_hold_a_duplicate_and_a_line_that_is_no_event(day):
    _, truth = day
    assert truth.lines.total() == len(truth.lines) + 1 == len(truth.rows) + 2


def test_what_is_left_over_is_named(day):
    data, truth = day
    for name in (
        "raw/.x.part",
        "events/2026-01-15/.hidden",
        "parquet/date=2026-01-15/events-0123abcd.parquet",
        "warehouse.duckdb.wal",
        ".redo/2026-01-15",
    ):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_bytes(b"")
        assert name in complete(data, DAY, truth).leftovers
        (data / name).unlink()
    (data / "parquet" / ".date=2026-01-15.tmp").mkdir()
    assert complete(data, DAY, truth).leftovers == ["parquet/.date=2026-01-15.tmp"]
    (data / "parquet" / ".date=2026-01-15.tmp").rmdir()


def test_the_old_or_the_new_generation_may_be_seen_and_none_between(project, tmp_path):
    old = project.sandbox(exports=exports(tmp_path / "old", 2, DAY))
    place = Commands(tmp_path, old, **LENIENT)
    assert place.run(DAY).returncode == 0
    new = project.sandbox(exports=exports(tmp_path / "new", 3, DAY))
    truths = served(old, DAY), served(new, DAY)
    assert look(place.data, DAY, truths[1])
    assert not look(place.data, DAY, *truths)
    place.use(new)
    assert place.force(DAY).returncode == 0
    assert look(place.data, DAY, truths[0])
    assert not look(place.data, DAY, *truths)
    mixed = dataclasses.replace(truths[1], rejected=truths[0].rejected)
    assert look(place.data, DAY, truths[0], mixed).lost == 1
    assert complete(place.data, DAY, truths[1]).leftovers
    assert not complete(place.data, DAY, truths[1], replaced=True)
