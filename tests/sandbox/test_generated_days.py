from __future__ import annotations

import gzip
import json
import re
from datetime import date, datetime, timedelta
from itertools import groupby

import pytest

from pipeline.sandbox import generator
from pipeline.sandbox.generator import count, members

DAY = date(2026, 1, 14)
TIMES = (
    *("client_event_time", "client_upload_time", "event_time"),
    *("processed_time", "server_received_time", "server_upload_time"),
)


def rows_of(member):
    return [json.loads(line) for line in gzip.decompress(member.data).split(b"\n") if line]


def texts(of):
    """The events by name, not the gzip: igzip makes other bytes of them from time to time."""
    return [(member.name, gzip.decompress(member.data)) for member in of]


@pytest.fixture(scope="module")
def all_members():
    return list(members(DAY, range(24), 400))


@pytest.fixture(scope="module")
def rows(all_members):
    return [row for member in all_members for row in rows_of(member)]


@pytest.fixture(scope="module")
def visits(rows):
    def key(row):
        return str(row["device_id"]), row["session_id"]

    by_sdk = [row for row in rows if row["session_id"] != -1]
    return [list(group) for _, group in groupby(sorted(by_sdk, key=key), key)]


def test_the_same_every_time():
    assert texts(members(DAY, [8], 50)) == texts(members(DAY, [8], 50))


def test_independent_of_the_window(all_members):
    assert texts(members(DAY, [7], 400)) == texts(each for each in all_members if "_7#" in each.name)


def test_days_hours_and_rates_differ():
    def uuids(day, hour, rate):
        return {row["uuid"] for member in members(day, [hour], rate) for row in rows_of(member)}

    sets = [uuids(DAY, 8, 50), uuids(DAY, 9, 50), uuids(DAY + timedelta(days=1), 8, 50), uuids(DAY, 8, 60)]
    assert len(set.union(*sets)) == sum(map(len, sets))


def test_rows_have_the_55_keys_in_ascii_order(rows):
    assert {len(row) for row in rows} == {55}
    assert all(list(row) == sorted(row) for row in rows)


def test_rows_are_compact_json(all_members):
    for line in gzip.decompress(all_members[0].data).split(b"\n"):
        if line:
            text = line.decode()
            assert text == json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))


def test_rows_are_about_as_large_as_real_ones(all_members, rows):
    assert 1_200 < sum(len(gzip.decompress(member.data)) for member in all_members) / len(rows) < 2_200


def test_names_are_amplitudes(all_members):
    assert all(
        re.fullmatch(r"100020001/100020001_2026-01-14_(\d|1\d|2[0-3])#\d+\.json\.gz", m.name) for m in all_members
    )
    assert len({member.name for member in all_members}) == len(all_members)


def test_count_is_what_is_written(rows):
    counted = count(DAY, 400)
    assert counted.rows == len(rows)
    assert counted.distinct == len({row["uuid"] for row in rows})
    assert counted.distinct < counted.rows


def test_the_rate_is_kept_on_average_over_a_week():
    week = sum(count(DAY + timedelta(days=at), 1_000).rows for at in range(7))
    assert week == pytest.approx(7 * 24 * 1_000, rel=0.02)


def test_the_day_has_a_curve_and_small_projects_sleep_at_night():
    assert count(DAY, 999, [3]).rows == count(DAY, 999, [4]).rows == 0
    assert count(DAY, 1_000, [4]).rows > 0
    assert count(DAY, 100, [11]).rows > 3 * count(DAY, 100, [2]).rows


def test_no_rate_no_events():
    assert list(members(DAY, range(24), 0)) == []


def test_large_hours_are_split():
    parts = generator.parts(DAY, 11, 60_000)
    assert all(5_000 <= part.rows <= 20_000 for part in parts)
    assert len({part.number for part in parts}) == len(parts) > 4


def test_part_numbers_have_gaps(all_members):
    numbers = {member.name.partition("#")[2] for member in all_members}
    assert numbers == {"0.json.gz", "7.json.gz", "70.json.gz", "627.json.gz"}


def test_parts_share_no_device_and_no_event():
    one, two, *_ = generator.parts(DAY, 11, 20_000)
    first, second = rows_of(one.member()), rows_of(two.member())
    for key in ("uuid", "device_id"):
        assert not {row[key] for row in first} & {row[key] for row in second}


def test_repeated_uuids_are_exact_copies(rows):
    by_uuid = {}
    for row in rows:
        assert by_uuid.setdefault(row["uuid"], row) == row
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", row["uuid"])


def test_upload_time_is_in_the_members_hour(all_members):
    for member in all_members:
        hour = int(member.name.partition("#")[0].rpartition("_")[2])
        assert {row["server_upload_time"][:13] for row in rows_of(member)} == {f"2026-01-14 {hour:02}"}


def test_times_have_amplitudes_form_and_order(rows):
    for row in rows:
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?", row[name]) for name in TIMES)
        chain = ("client_upload_time", "server_received_time", "server_upload_time", "processed_time")
        times = [datetime.fromisoformat(row[name]) for name in chain]
        assert times == sorted(times)


def test_processed_time_alone_has_true_microseconds(rows):
    assert any(not row["processed_time"].endswith("000") for row in rows)
    assert all(row["server_upload_time"].endswith("000") for row in rows if "." in row["server_upload_time"])


def test_events_of_a_session_count_up_from_its_start(visits):
    assert len(visits) > 100
    for visit in visits:
        visit.sort(key=lambda row: row["event_id"])
        assert [row["event_time"] for row in visit] == sorted(row["event_time"] for row in visit)
        assert visit[0]["event_type"] == "session_start"
        began = datetime.fromisoformat(visit[0]["client_event_time"] + "+00:00").timestamp()
        assert visit[0]["session_id"] / 1000 == pytest.approx(began, abs=1)


def test_server_events_have_no_session(rows):
    assert {row["platform"] for row in rows if row["session_id"] == -1} == {None}


def test_people_are_the_same_from_day_to_day():
    seen = {}
    for day in range(3):
        for member in members(DAY + timedelta(days=day), [9, 10, 11], 100):
            for row in rows_of(member):
                stable = (row["user_id"], row["amplitude_id"], row["platform"], row["country"])
                assert seen.setdefault((row["device_id"], row["session_id"] == -1), stable) == stable
    assert len(seen) > 10


def _late(row):
    return row["event_time"][:10] < "2026-01-13"


def _early(row):
    return row["event_time"] > row["server_upload_time"]


DIRTY = {
    "a null user_id": lambda row: row["user_id"] is None,
    "paying is a bool": lambda row: row["paying"] is True,
    "paying is text": lambda row: row["paying"] == "true",
    "paying is null": lambda row: row["paying"] is None,
    "no fraction": lambda row: "." not in row["event_time"],
    "days late": _late,
    "a clock in the future": _early,
    "a text price": lambda row: isinstance(row["event_properties"].get("price"), str),
    "a number as price": lambda row: isinstance(row["event_properties"].get("price"), float),
    "above 2^53": lambda row: (row["event_properties"].get("external_id") or 0) > 2**53,
    "nested": lambda row: isinstance(row["event_properties"].get("total"), dict),
    "U+2028": lambda row: "\u2028" in json.dumps(row["event_properties"], ensure_ascii=False),
    "beyond ASCII": lambda row: row["city"] == "Łódź",
}


@pytest.mark.parametrize("kind", DIRTY)
def test_some_rows_are_dirty(rows, kind):
    share = sum(map(DIRTY[kind], rows)) / len(rows)
    assert 0 < share < 0.7


def test_some_members_end_in_an_empty_line():
    endings = {gzip.decompress(m.data)[-2:] == b"\n\n" for m in members(DAY, range(24), 100)}
    endings |= {gzip.decompress(m.data)[-2:] == b"\n\n" for m in members(DAY + timedelta(1), range(24), 100)}
    assert endings == {True, False}
