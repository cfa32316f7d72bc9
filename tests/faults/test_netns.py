"""N2, N3, N11 to N13, N16: a network that fails below HTTP, in a namespace of the test's own."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import netns
import pytest
from netns import HERE, HOST, SILENT
from processes import wait_for
from projects import KEY, SECRET
from truth import FULL, Damage, Truth, complete, look, served

from pipeline.sandbox import Sandbox

DAY = "2026-01-15"
EVENTS_PER_HOUR = 5
PATIENT = {"AMP_FIRST_BYTE_TIMEOUT": 60, "AMP_READ_TIMEOUT": 10, "AMP_DEADLINE": 60}
DOWN = 2.5  # seconds

pytestmark = pytest.mark.skipif(bool(netns.missing()), reason=netns.missing() or "all is here")


@pytest.fixture
def network(tmp_path):
    with netns.network(tmp_path) as made:
        yield made


def truth_of(events_per_hour: int) -> Truth:
    with Sandbox(key=KEY, secret=SECRET, events_per_hour=events_per_hour) as sandbox:
        return served(sandbox, DAY)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return truth_of(EVENTS_PER_HOUR)


def fails(commands, network, truth, said: str) -> Damage:
    """Runs the day twice while the network is down: one plain line, in seconds, and nothing is there or grows."""
    lines = []
    for _ in range(2):
        began = time.monotonic()
        done = commands.run(DAY, prefix=network.prefix)
        assert done.returncode == 30, done.stderr
        assert time.monotonic() - began < 15
        lines += [line for line in done.stderr.splitlines() if "Error: " in line]
    assert len(lines) == 2
    assert len(set(lines)) == 1
    assert re.fullmatch(rf"{DAY}  DownloadExport  TransientError: hours 00-05, tried 3 times: {said}", lines[0]), lines[
        0
    ]
    assert not list(commands.data.glob("[re]*/[!.]*"))
    return look(commands.data, DAY, truth)


def comes_home(commands, network, sandbox, truth) -> tuple[str, Damage]:
    """Runs the day while the network is there; returns what was said on the way, and the damage."""
    done = commands.run(DAY, prefix=network.prefix)
    assert done.returncode == 0, done.stderr
    assert {request.headers["Host"] for request in sandbox.requests} == {HOST}
    return done.stderr, complete(commands.data, DAY, truth)


def test_N2_a_name_that_nobody_knows_is_said_by_name_alone(network, truth, tally):
    commands = network.commands()
    network.name()
    damage = fails(
        commands, network, truth, rf"cannot resolve {re.escape(HOST)}\. Look at the network, then run it again\."
    )
    network.name(HERE)
    with network.sandbox(events_per_hour=EVENTS_PER_HOUR) as sandbox:
        damage += comes_home(commands, network, sandbox, truth)[1]
    tally.injected(1, damage)
    assert not damage


def test_N3_a_black_hole_ends_with_the_time_to_connect(network, truth, tally):
    commands = network.commands(AMP_CONNECT_TIMEOUT="0.2")
    network.name(SILENT)
    damage = fails(
        commands, network, truth, rf"{re.escape(HOST)} did not accept the connection within 0\.2 s\. Look at .*"
    )
    network.name(HERE)
    with network.sandbox(events_per_hour=EVENTS_PER_HOUR) as sandbox:
        damage += comes_home(commands, network, sandbox, truth)[1]
    tally.injected(1, damage)
    assert not damage


def test_N16_where_the_first_address_is_dead_the_second_is_asked(network, truth, tally):
    network.name(SILENT, HERE)
    tried = [line.split()[0] for line in network.do(f"getent ahosts {HOST}").splitlines()]
    if tried[0] != SILENT or HERE not in tried:
        pytest.skip(f"this machine tries the addresses of a name in another order: {tried}")
    with network.sandbox(events_per_hour=EVENTS_PER_HOUR) as sandbox:
        began = time.monotonic()
        said, damage = comes_home(network.commands(AMP_CONNECT_TIMEOUT="0.5"), network, sandbox, truth)
        assert time.monotonic() - began > 0.5  # the dead one was asked first
        assert len(sandbox.requests) == 4, said
    tally.injected(1, damage)
    assert not damage


def slow(network, kbit: int) -> None:
    network.do(f"tc qdisc add dev lo root tbf rate {kbit}kbit burst 5kb latency 2s")


@pytest.mark.skipif(bool(netns.missing("tc")), reason=netns.missing("tc") or "all is here")
def test_N11_an_honest_slow_link_comes_home(network, truth, tally):
    slow(network, kbit=80 if FULL else 240)
    with network.sandbox(events_per_hour=EVENTS_PER_HOUR) as sandbox:
        began = time.monotonic()
        said, damage = comes_home(network.commands(**PATIENT), network, sandbox, truth)
        assert time.monotonic() - began > 2  # it was slow
        assert len(sandbox.requests) == 4, said
    tally.injected(1, damage)
    assert not damage


@pytest.mark.skipif(bool(netns.missing("nft")), reason=netns.missing("nft") or "all is here")
def test_N12_of_a_hundred_packets_five_are_lost(network, truth, tally):
    network.do("nft add table inet lossy")
    network.do("nft add chain inet lossy in { type filter hook input priority 0 ; }")
    network.do("nft add rule inet lossy in numgen random mod 100 < 5 counter drop")
    with network.sandbox(events_per_hour=EVENTS_PER_HOUR) as sandbox:
        _, damage = comes_home(network.commands(**PATIENT), network, sandbox, truth)
    assert not re.search(r"packets 0 ", network.do("nft list ruleset"))
    tally.injected(1, damage)
    assert not damage


@pytest.mark.skipif(bool(netns.missing("tc")), reason=netns.missing("tc") or "all is here")
@pytest.mark.parametrize("patience", [1, 30] if FULL else [1], ids=lambda patience: f"{patience} s of patience")
def test_N13_a_link_that_is_down_for_seconds_in_mid_body(network, tally, patience):
    slow(network, kbit=400)
    commands = network.commands(**{**PATIENT, "AMP_READ_TIMEOUT": patience, "AMP_BACKOFF": 1, "AMP_BACKOFF_CAP": 2})
    with network.sandbox(events_per_hour=20) as sandbox, ThreadPoolExecutor(1) as beside:
        home = beside.submit(comes_home, commands, network, sandbox, truth_of(20))
        wait_for(lambda: list(commands.data.glob("raw/.*.windows/*.part")))
        network.do("ip link set lo down")
        time.sleep(DOWN)
        network.do("ip link set lo up")
        said, damage = home.result()
    assert "Trying again" in said or patience > DOWN
    tally.injected(1, damage)
    assert not damage
