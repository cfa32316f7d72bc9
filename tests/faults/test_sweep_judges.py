"""What the sweep holds against a run by its calls alone, and by what it leaves of the canary."""

import shutil
from subprocess import CompletedProcess

import pytest
from commands import Commands
from projects import SECRET
from shim import Call, Fault
from sweep import Outcome, Sweep, _trusted

PART, WAL = "/data/raw/.a.part", "/data/.warehouse.tmp/w.wal"


def calls(*what):
    return [
        Call(number, name.endswith("!"), name.rstrip("!"), 0, path) for number, (name, path) in enumerate(what, start=1)
    ]


@pytest.mark.parametrize(
    "what",
    [
        [("open", PART), ("fsync!", PART), ("fsync", PART), ("rename", PART)],
        [("mkdir", "/data/.tmp"), ("fsync!", "/data/.tmp/f"), ("fsync", "/data/.tmp"), ("rename", "/data/.tmp")],
        [("fdatasync!", WAL), ("fdatasync", WAL), ("remove", WAL), ("rename", "/data/.warehouse.tmp/w")],
    ],
    ids=["the file", "a file of the folder", "the log of the file"],
)
def test_F8_what_is_published_after_a_failed_sync_is_found(what):
    assert len(_trusted(calls(*what))) == 1


@pytest.mark.parametrize(
    "what",
    [
        [("open", PART), ("fsync!", PART), ("unlink", PART)],
        [("fsync!", PART), ("unlink", PART), ("open64", PART), ("fsync", PART), ("rename", PART)],
        [("fsync!", "/data/raw"), ("mkdir", "/data/.w"), ("open", "/data/.w/f"), ("fsync", "/data"), ("rename", "/data/.w/f")],
    ],
    ids=["thrown away", "made anew", "of another place"],
)  # fmt: skip
def test_F8_what_was_made_anew_is_right(what):
    assert not _trusted(calls(*what))


@pytest.mark.parametrize("folder", ["data", "logs"])
def test_C10_a_secret_is_seen_that_stands_there_between_a_fault_and_the_rerun(tmp_path, folder):
    place = Commands(tmp_path)
    left = tmp_path / folder / "x.part"

    def leak(**_options):
        left.parent.mkdir()
        left.write_text(SECRET, encoding="utf-8")
        return CompletedProcess("", 0, "", "")

    def tidy():
        shutil.rmtree(left.parent)
        return CompletedProcess("", 0, "", "")

    assert Sweep(tmp_path / "none.so", place, [], leak, tidy).at(Fault()).problems == [
        "after the fault the canary secret stands in x.part"
    ]
    still = Outcome(Fault())
    Sweep(tmp_path / "none.so", place, [], leak, leak).mend(still)
    assert still.problems == ["after the rerun the canary secret stands in x.part"]
    tidy()
