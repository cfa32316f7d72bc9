"""Uuids that stand in two days: which row is kept, and that only the changed days are compared again."""

import random
import uuid
from pathlib import Path

import duckdb
import pytest
from partitions import at, day, load, row, unload

from pipeline.settings import Settings
from pipeline.store.paths import Layout
from pipeline.warehouse import catalog


def settings(root: Path) -> Settings:
    return Settings(data_dir=root, threads=2, load_memory=200_000_000)


def asked(root: Path, sql: str) -> list[tuple]:
    with duckdb.connect(root / "warehouse.duckdb", read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_P24_a_uuid_in_two_days_is_one_event_the_one_with_the_latest_upload(tmp_path):
    same, tied, layout = uuid.uuid4(), uuid.uuid4(), Layout(tmp_path)
    load(
        layout,
        day(0),
        [row(day(0), uuid=same, server_upload_time=at(day(5))), row(day(0), uuid=tied, server_upload_time=at(day(1)))],
    )
    load(layout, day(1), [row(day(1), uuid=same), row(day(1), uuid=tied, server_upload_time=at(day(1)))])
    load(layout, day(2), [row(day(2), uuid=same, server_upload_time=None), row(day(2))])
    catalog.refresh(settings(tmp_path))
    assert set(asked(tmp_path, "SELECT date, uuid FROM events WHERE uuid IN (SELECT uuid FROM repeated_uuids)")) == {
        (day(0), same), (day(1), tied),
    }  # fmt: skip
    assert asked(tmp_path, "SELECT count(*) FROM events") == [(3,)]
    assert len(asked(tmp_path, "FROM repeated_uuids")) == 5


def test_P24_rows_without_a_uuid_are_never_the_same(tmp_path):
    same = uuid.uuid4()
    for number in range(2):
        load(Layout(tmp_path), day(number), [row(day(number), uuid=value) for value in (None, None, same)])
    catalog.refresh(settings(tmp_path))
    assert asked(tmp_path, "SELECT count(*), count(uuid) FROM events") == [(5, 1)]


def test_the_table_costs_nothing_where_it_is_empty_and_days_without_are_not_joined(tmp_path):
    layout, same = Layout(tmp_path), uuid.uuid4()
    for number in range(3):
        load(layout, day(number), [row(day(number))])
    catalog.refresh(settings(tmp_path))
    plan = "EXPLAIN SELECT count(DISTINCT amplitude_id) FROM events WHERE event_type = 'a'"
    ((_, text),) = asked(tmp_path, plan)
    assert "JOIN" not in text
    assert "uuid" not in text
    assert "event_type" in text.partition("READ_PARQUET")[2]
    load(layout, day(3), [row(day(3), uuid=same)])
    load(layout, day(4), [row(day(4), uuid=same)])
    catalog.refresh(settings(tmp_path))
    ((_, text),) = asked(tmp_path, plan)
    assert "ANTI" in text
    ((_, sql),) = asked(tmp_path, "SELECT 1, sql FROM duckdb_views() WHERE view_name = 'events'")
    plain, joined = sql.split("ANTI JOIN")[0].split("UNION ALL")
    assert sum(str(day(number)) in plain for number in range(5)) == 4
    assert [number for number in range(5) if str(day(number)) in joined] == [3]


def test_a_filter_on_the_date_passes_over_the_other_days(tmp_path):
    for number in range(5):
        load(Layout(tmp_path), day(number), [row(day(number))])
    catalog.refresh(settings(tmp_path))
    for number in range(1, 4):  # the first one is opened for its columns
        next(Layout(tmp_path).parquet_dir(day(number)).glob("*.parquet")).write_bytes(b"never opened")
    assert asked(tmp_path, f"SELECT count(*) FROM events WHERE date >= DATE '{day(4)}' AND event_type IS NULL") == [
        (1,)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_P24_days_that_come_go_and_change_end_as_if_made_at_once(tmp_path, seed):
    choice = random.Random(seed)
    layout, uuids = Layout(tmp_path), [uuid.UUID(int=choice.getrandbits(128)) for _ in range(12)]
    stored: dict = {}
    for _ in range(6):
        for _ in range(choice.randint(1, 3)):
            date = day(choice.randrange(6))
            if date in stored and choice.random() < 0.4:
                unload(layout, date)
                del stored[date]
                continue
            rows = [
                row(date, uuid=each, server_upload_time=choice.choice([None, at(day(choice.randrange(3)))]))
                for each in choice.sample(uuids, choice.randint(0, 6))
            ]
            load(layout, date, rows)
            stored[date] = rows
        catalog.refresh(settings(tmp_path))
        best: dict = {}
        for date, rows in stored.items():
            for each in rows:
                time = each["server_upload_time"]
                best.setdefault(each["uuid"], []).append((time is not None, time or at(date), date))
        expected = {(key, max(found)[2]) for key, found in best.items()}
        shown = asked(tmp_path, "SELECT uuid, date FROM events")
        assert set(shown) == expected
        assert len(shown) == len(expected)
        members = {(key, found[2]) for key, all_ in best.items() if len(all_) > 1 for found in all_}
        assert set(asked(tmp_path, "SELECT uuid, date FROM repeated_uuids")) == members


def test_only_the_changed_days_are_compared(tmp_path):
    layout, same = Layout(tmp_path), uuid.uuid4()
    for number in range(3):
        load(layout, day(number), [row(day(number), uuid=same)])
    catalog.refresh(settings(tmp_path))
    with duckdb.connect(layout.warehouse()) as connection:
        connection.execute("DELETE FROM repeated_uuids")
    load(layout, day(3), [row(day(3))])
    catalog.refresh(settings(tmp_path))
    assert asked(tmp_path, "SELECT count(*) FROM repeated_uuids") == [(0,)]
    layout.warehouse().unlink()
    catalog.refresh(settings(tmp_path))
    assert asked(tmp_path, "SELECT count(*) FROM repeated_uuids") == [(3,)]
