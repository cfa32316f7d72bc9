"""Work on daemon threads: some at once, its failure raised once nobody works any more."""

import contextvars
import subprocess
import sys
import threading

import pytest

from pipeline import threads


def test_work_gives_its_result_and_carries_the_callers_context():
    day = contextvars.ContextVar("day", default=None)
    day.set("2026-01-15")
    assert threads.start(lambda hour, part: (day.get(), hour, part), 5, part=1).result() == ("2026-01-15", 5, 1)


def test_a_failure_is_raised_where_the_result_is_asked_for():
    with pytest.raises(ZeroDivisionError):
        threads.start(lambda: 1 // 0).result()


@pytest.mark.parametrize("at_once", [1, 3, 50])
def test_each_item_is_done_once_and_no_more_at_once_than_allowed(at_once):
    working, most, lock = 0, 0, threading.Lock()

    def work(item):
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        threading.Event().wait(0.002)
        with lock:
            working -= 1
        return item * 2

    stop = threading.Event()
    assert sorted(threads.each(work, iter(range(30)), at_once, stop)) == list(range(0, 60, 2))
    assert most <= at_once
    assert stop.is_set()


def test_items_are_taken_in_order_and_no_earlier_than_needed():
    taken = []
    items = (taken.append(n) or n for n in range(100))
    results = threads.each(lambda n: n, items, 2, threading.Event())
    next(results)
    assert taken == list(range(len(taken)))
    assert len(taken) <= 2


def test_the_first_failure_stops_the_others_and_is_raised_when_they_have_ended():
    stop, ended, begun = threading.Event(), [], []
    together = threading.Barrier(2)

    def work(item):
        begun.append(item)
        if item < 2:
            together.wait()
        if item == 0:
            raise ValueError("the first")
        assert stop.wait(10)
        threading.Event().wait(0.05)
        ended.append(item)

    with pytest.raises(ValueError, match="the first"):
        list(threads.each(work, range(10), 2, stop))
    assert ended == [1]
    assert sorted(begun) == [0, 1]


def test_a_process_ends_while_a_thread_stalls():
    script = "import threading; from pipeline import threads; threads.start(threading.Event().wait)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20)
