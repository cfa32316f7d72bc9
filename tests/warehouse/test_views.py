"""The views beside the same in plain Python, over generated events."""

import datetime as dt
import json
import random
from collections import defaultdict

import duckdb
import pytest
from partitions import at, day, load, row

from pipeline.settings import Settings
from pipeline.store.paths import Layout
from pipeline.warehouse import catalog

WEEK = dt.timedelta(days=7)


class Loaded:
    """Some loaded days, their rows, and the views over them."""

    def __init__(self, root, rows) -> None:
        self.rows = rows
        for date in sorted({each["date"] for each in rows}):
            of_day = [{k: v for k, v in each.items() if k != "date"} for each in rows if each["date"] == date]
            load(Layout(root), date, of_day)
        catalog.refresh(Settings(data_dir=root, threads=2, load_memory=200_000_000))
        self.connection = duckdb.connect(root / "warehouse.duckdb", read_only=True)

    def asked(self, sql: str) -> list[tuple]:
        return self.connection.execute(sql).fetchall()

    def named(self, sql: str) -> list[dict]:
        found = self.connection.execute(sql)
        names = [column[0] for column in found.description]
        return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


def generated(seed: int, number: int = 300) -> list[dict]:
    choice = random.Random(seed)
    rows = []
    for place in range(number):
        date = day(choice.randrange(12))
        person = choice.randrange(8)
        rows.append({
            **row(date),
            "date": date,
            "server_upload_time": choice.choice([None, *[at(date, choice.randrange(86_000))] * 20]),
            "event_time": choice.choice([None, *[at(date, choice.randrange(-200_000, 90_000) + place / 1000)] * 20]),
            "event_type": choice.choice(["a", "b", "c", None]),
            "user_id": choice.choice([None, f"user {person}"]) if person < 5 else None,
            "amplitude_id": choice.choice([None, *[person + 100] * 9]),
            "device_id": choice.choice([None, *[f"device {person}"] * 9]),
            "$insert_id": choice.choice([None, f"{choice.randrange(5)}"]),
            "session_id": choice.choice([-1, None, 1000 * choice.randrange(3)]),
            "platform": choice.choice(["Web", "iOS", None]),
            "country": choice.choice(["Germany", None]),
            "event_id": place,
        })  # fmt: skip
    return rows


@pytest.fixture(scope="module", params=[1, 2])
def loaded(request, tmp_path_factory):
    return Loaded(tmp_path_factory.mktemp("views"), generated(request.param))


def people(rows) -> list[str | None]:
    known = {}
    for each in rows:
        if each["user_id"] and each["amplitude_id"]:
            known[each["amplitude_id"]] = max(each["user_id"], known.get(each["amplitude_id"], ""))
    return [
        each["user_id"]
        or known.get(each["amplitude_id"])
        or (f"amplitude_id {each['amplitude_id']}" if each["amplitude_id"] else None)
        or (f"device_id {each['device_id']}" if each["device_id"] else None)
        for each in rows
    ]


def test_daily_users_are_those_of_the_day_of_a_platform_and_of_a_country(loaded):
    groups: dict = defaultdict(list)
    first: dict = {}
    for each, person in zip(loaded.rows, people(loaded.rows), strict=True):
        if each["event_time"] is None:
            continue
        date = each["event_time"].date()
        groups[date, "all", None, None].append(person)
        groups[date, "platform", each["platform"], None].append(person)
        groups[date, "country", None, each["country"]].append(person)
        first[person] = min(date, first.get(person, date))
    expected = {
        (*key, len(set(found) - {None}), sum(first[one] == key[0] for one in set(found) - {None}), len(found))
        for key, found in groups.items()
    }
    shown = loaded.asked("SELECT date, split, platform, country, active_users, new_users, events FROM daily_users")
    assert set(shown) == expected
    assert len(shown) == len(expected)


def test_event_types_count_events_users_and_days(loaded):
    expected = set()
    persons = people(loaded.rows)
    for kind in {each["event_type"] for each in loaded.rows}:
        found = [
            (each["event_time"], one)
            for each, one in zip(loaded.rows, persons, strict=True)
            if each["event_type"] == kind
        ]
        times = [time for time, _ in found if time]
        users = {one for _, one in found} - {None}
        expected.add((kind, len(found), len(users), min(times), max(times), len({time.date() for time in times})))
    assert (
        set(loaded.asked("SELECT event_type, events, users, first_seen, last_seen, days FROM event_types")) == expected
    )


def test_sessions_are_of_a_device_or_else_of_a_user(loaded):
    groups = defaultdict(list)
    for each in loaded.rows:
        if each["session_id"] not in (None, -1):
            without = each["amplitude_id"] if each["device_id"] is None else None
            groups[each["device_id"], without, each["session_id"]].append(each)
    expected = []
    for (device, _, session), found in groups.items():
        timed = sorted((each for each in found if each["event_time"]), key=lambda each: each["event_time"])

        def told(name: str, order, timed=timed):
            return next((each[name] for each in order(timed) if each[name] is not None), None)

        expected.append({
            "device_id": device, "session_id": session, "events": len(found),
            "amplitude_id": told("amplitude_id", reversed), "user_id": told("user_id", reversed),
            "started_at": timed[0]["event_time"] if timed else None,
            "ended_at": timed[-1]["event_time"] if timed else None,
            "seconds": pytest.approx((timed[-1]["event_time"] - timed[0]["event_time"]).total_seconds()) if timed else None,
            "first_event_type": told("event_type", list), "last_event_type": told("event_type", reversed),
            "platform": told("platform", list), "country": told("country", list), "version_name": None,
        })  # fmt: skip
    shown = loaded.named("FROM sessions")
    assert len(shown) == len(expected)
    for each in expected:
        assert each in shown


def test_P24_a_double_send_within_a_week_of_the_one_before_is_left_out(loaded):
    def order(each):
        time = each["server_upload_time"]
        return (time is not None, time or at(each["date"]), each["date"], each["uuid"])

    before: dict = {}
    expected = set()
    for each in sorted(loaded.rows, key=order):
        key = (each["device_id"], each["$insert_id"])
        time = each["server_upload_time"]
        if None in key or not (time and before.get(key)) or time - before[key] >= WEEK:
            expected.add(each["uuid"])
        before[key] = time
    shown = [one for (one,) in loaded.asked("SELECT uuid FROM events_deduplicated")]
    assert set(shown) == expected
    assert len(shown) == len(expected) < len(loaded.rows)


KEYS = [
    "plain", "a.b", "a b", "[Amplitude] Page URL", 'a"b', "$pos", "/p", "", "a\\b", "~", "~1", "0", "*", "$.x", "[x]",
    "a\nb", "a\0b", "it's", "é😀", "\u2028", "#", "k" * 3000,
]  # fmt: skip


@pytest.fixture(scope="module")
def properties(tmp_path_factory):
    def made(place: int, **values: object) -> dict:
        return {**row(day(0)), "date": day(0), "event_time": at(day(0), place), **values}

    texts = [
        json.dumps(dict.fromkeys(KEYS, 1)),
        '{"plain":"x","a.b":null}',
        '{"plain":[1],"a.b":{"c":1}}',
        '{"plain":123456789012345678901234567890,"only":true,"only":false}',
        '"text"', "[1,2]", "7", "null", "{}", None,
    ]  # fmt: skip
    deep = json.dumps({"deep": [[[["x" * 1000]]]]})
    rows = [made(place, event_type="e", event_properties=text) for place, text in enumerate(texts)]
    rows += [made(90, event_type="f", event_properties=deep, user_properties='{"plan":"pro"}')]
    rows += [made(91, event_type=None, event_properties='{"n":1}')]
    return Loaded(tmp_path_factory.mktemp("properties"), rows)


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_every_key_is_found_whatever_stands_in_it(properties, key):
    found = properties.connection.execute("SELECT * FROM event_properties WHERE key = ?", [key]).fetchall()
    types, events, example = {
        "plain": (["array", "number", "string"], 4, None),
        "a.b": (["null", "number", "object"], 3, None),
    }.get(key, (["number"], 1, "1"))
    ((kind, _, seen, count, share, shown),) = found
    assert (kind, seen, count, share) == ("e", types, events, events / 10)
    assert example in (None, shown)


def test_what_is_no_object_has_no_keys_and_a_key_that_stands_twice_counts_once(properties):
    keys = {key for (key,) in properties.asked("SELECT key FROM event_properties WHERE event_type = 'e'")}
    assert keys == {*KEYS, "only"}
    assert properties.asked("SELECT events FROM event_properties WHERE key = 'only'") == [(1,)]


def test_an_example_is_cut_and_events_without_a_type_are_there(properties):
    ((example,),) = properties.asked("SELECT example FROM event_properties WHERE key = 'deep'")
    assert example.startswith('[[[["xxx')
    assert len(example) == 100
    assert properties.asked("SELECT event_type, share FROM event_properties WHERE key = 'n'") == [(None, 1.0)]


def test_user_properties_are_told_in_the_same_way(properties):
    assert properties.asked("FROM user_properties") == [("f", "plan", ["string"], 1, 1.0, '"pro"')]


def test_a_property_is_selected_whatever_its_key(properties):
    sql = """SELECT event_properties->>'$."a.b"' FROM events WHERE event_properties->>'$."plain"' = '1'"""
    assert properties.asked(sql) == [("1",)]


@pytest.mark.parametrize("setting", [
    "SET TimeZone = 'Pacific/Auckland'", "SET TimeZone = 'America/Los_Angeles'", "SET default_null_order = 'nulls_first'",
    "SET default_order = 'DESC'",
])  # fmt: skip
def test_H_no_session_setting_changes_what_a_view_shows(loaded, setting):
    names = [name for (name,) in loaded.asked("SELECT view_name FROM duckdb_views() WHERE NOT internal")]
    assert len(names) == 7
    with loaded.connection.cursor() as other:
        for name in names:
            before = loaded.asked(f"SELECT * FROM {name} ORDER BY ALL ASC NULLS LAST")
            other.execute(setting)
            assert other.execute(f"SELECT * FROM {name} ORDER BY ALL ASC NULLS LAST").fetchall() == before


def test_every_view_and_table_says_what_it_is(loaded):
    for name, what in loaded.asked("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"):
        assert len(what) > 30, name
    for name, what in loaded.asked("SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal"):
        assert len(what) > 30, name
