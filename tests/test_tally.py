"""The fault suite's line: it says nothing better than what was seen, and counts what was not looked for as not found."""

import dataclasses

import pytest
import seeded
from tally import CUT, DEFECTS, INJECTED, SEEDED, summary

TEST = "tests/faults/test_network.py::test_a"
NOTHING_LOST = "events lost: 0 | duplicated: 0 | half-written outputs seen: 0"


@dataclasses.dataclass
class Report:
    """What pytest reports of a phase of a test, as far as it is read."""

    nodeid: str = TEST
    when: str = "call"
    failed: bool = False
    user_properties: list = dataclasses.field(default_factory=list)


def line(*reports, cut=False) -> str:
    return summary(reports, cut=cut)


def looked_for(name, test=TEST, found=True, **phase) -> Report:
    """A test of a seeded defect: it is marked, and then it says what it found."""
    return Report(test, user_properties=[(SEEDED, [name, False]), *[(SEEDED, [name, True])] * found], **phase)


def test_a_run_without_faults_has_no_line():
    assert line(Report(), Report(when="setup"), "no report at all", cut=True) == ""


def test_what_was_injected_is_counted_once_and_the_damage_with_it():
    injected = [(INJECTED, [2_000, 1, 2, 3])]
    reports = [Report(when=when, user_properties=injected) for when in ("call", "teardown")]
    assert line(*reports, Report(user_properties=[(INJECTED, [1, 0, 0, 0])])) == (
        "faults injected: 2,001 | events lost: 1 | duplicated: 2 | half-written outputs seen: 3 | seeded defects found: 0 of 0"
    )


@pytest.mark.parametrize("when", ["setup", "call", "teardown", "collect", "???"])
def test_a_test_that_failed_stands_in_the_line_whether_it_had_counted_or_not(when):
    good = Report(user_properties=[(INJECTED, [5, 0, 0, 0])])
    failed = Report("tests/faults/test_disk.py::test_b", when, failed=True)
    said = f"faults injected: 5 | {NOTHING_LOST} | seeded defects found: 0 of 0"
    assert line(good) == said
    assert line(good, failed, failed) == f"{said} | FAILED: 1"
    assert line(failed).endswith(" | FAILED: 1")


def test_beside_the_suite_a_failed_test_counts_that_injects_faults():
    flips = Report("tests/operations/test_verify.py::test_f", user_properties=[(INJECTED, [5, 0, 0, 0])], failed=True)
    assert line(flips).endswith(" | FAILED: 1")
    assert line(Report("tests/test_text.py::test_c", failed=True)) == ""


def test_all_nine_defects_are_counted_and_one_is_found_where_each_of_its_tests_finds_it():
    injected = Report(user_properties=[(INJECTED, [1, 0, 0, 0])])
    all_found = [looked_for(name) for name in DEFECTS]
    assert "found: 9 of 9" in line(injected, *all_found)
    assert "found: 8 of 9" in line(injected, *all_found, looked_for("crc", "another", found=False))
    assert "found: 8 of 9" in line(injected, *all_found[1:])
    skipped = looked_for("staging", "another", found=False, when="setup")
    assert "found: 8 of 9" in line(injected, *all_found, skipped)


def test_the_line_of_a_cut_says_so():
    injected = Report(user_properties=[(INJECTED, [1, 0, 0, 0])])
    assert line(injected, cut=True) == line(injected) + CUT


def test_the_defects_are_those_that_there_are():
    assert sorted(DEFECTS) == sorted(seeded.DEFECTS)
