"""How far a day is: bytes, speed, window k of n, and whom we wait for."""

import threading

import pytest
from asking import fetch

from pipeline.export import download
from pipeline.progress import Progress

WAITING = "waiting for Amplitude to prepare the export"


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setattr(download, "_TELL_EVERY", 0.05)
    return []


def test_before_the_first_byte_it_says_whom_it_waits_for():
    said = []
    progress = Progress(lambda share, text: said.append((share, text)), WAITING)
    progress.set(0, "window 0 of 4")
    assert said == [(0, f"window 0 of 4, {WAITING}")]


def test_bytes_of_many_threads_are_all_counted():
    said = []
    progress = Progress(lambda _, text: said.append(text), WAITING)
    threads = [threading.Thread(target=lambda: [progress.add(10) for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.set(0.5, "window 1 of 2")
    assert said[0].startswith("window 1 of 2, 80.0 kB, ")
    assert said[0].endswith("B/s")


def test_N10_a_day_tells_that_amplitude_prepares_it_and_then_bytes_speed_and_windows(project, told):
    project.sandbox(faults=["wait:0.3"])
    fetch(project, report=lambda share, text: told.append((share, text)))
    assert told[0] == (0, f"window 0 of 4, {WAITING}")
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert told[-1][1].startswith("window 4 of 4, ")
    assert told[-1][1].endswith("B/s")
    assert any(text.startswith("window 1 of 4, ") and "B, " in text for _, text in told)


def test_halved_windows_are_counted_as_they_are(project, told):
    project.sandbox(faults=["status:400,over=3", "wait:0.1"])
    fetch(project, report=lambda share, text: told.append((share, text.split(",")[0])))
    assert told[0] == (0, "window 0 of 4")
    assert (0, "window 0 of 8") in told
    assert (1 / 8, "window 1 of 8") in told
    assert told[-1] == (1, "window 8 of 8")


def test_a_run_that_goes_on_counts_what_stands(project, told):
    sandbox = project.sandbox(faults=["status:503,hour=20"])
    with pytest.raises(Exception, match="503"):
        fetch(project)
    sandbox.faults[:] = ["wait:0.2"]
    fetch(project, report=lambda share, text: told.append((share, text)))
    assert told[0] == (0.75, f"window 3 of 4, {WAITING}")
