"""`make sql`: tables on a terminal, CSV elsewhere, a prompt that outlives errors, and a private copy."""

import csv
import io
import os
import pty
import subprocess
import sys
import uuid
from collections.abc import Sequence

import duckdb
import pytest
from processes import ROOT
from rich.console import Console

from pipeline.operations import sql
from pipeline.settings import Settings
from pipeline.store.paths import Layout
from pipeline.warehouse import catalog
from pipeline.warehouse.query import opened

sys.path.append(str(ROOT / "tests" / "warehouse"))
from partitions import day, load, row, unload

PROGRAM = """
import pathlib, sys
from rich.console import Console
from pipeline.operations import sql
from pipeline.settings import Settings
settings = Settings(data_dir=pathlib.Path(sys.argv[1]))
sys.exit(sql.ask(settings, sys.argv[2], Console()) if len(sys.argv) > 2 else sql.prompt(settings, Console()))
"""


@pytest.fixture
def settings(tmp_path):
    rows = [row(day(0), event_type=f"type {number % 3}", user_id=f"user {number}") for number in range(50)]
    load(Layout(tmp_path / "data"), day(0), rows)
    return Settings(data_dir=tmp_path / "data", threads=2)


def asked(settings, query: str, *, table: bool, width: int = 100) -> str:
    out = io.StringIO()
    assert sql.ask(settings, query, Console(file=out, width=width), table=table) == 0
    return out.getvalue()


def as_csv(settings, query: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(asked(settings, query, table=False), newline="")))


def process(settings, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-c", PROGRAM, str(settings.data_dir), *arguments)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, **options)


def typed(settings, lines: Sequence[str]) -> str:
    """Returns what a terminal shows while somebody types."""
    leader, follower = pty.openpty()
    command = (sys.executable, "-c", PROGRAM, str(settings.data_dir))
    env = {**os.environ, "TERM": "dumb", "COLUMNS": "120"}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdin=follower, stdout=follower, stderr=follower) as started:
        os.close(follower)
        os.write(leader, "".join(f"{line}\n" for line in lines).encode())
        shown = b""
        try:
            while piece := os.read(leader, 65536):
                shown += piece
        except OSError:
            pass
        os.close(leader)
    assert started.returncode == 0, shown
    return shown.decode()


def test_it_brings_the_warehouse_up_to_date_first(settings):
    query = "SELECT count(*) AS events FROM events"
    assert as_csv(settings, query) == [["events"], ["50"]]
    load(Layout(settings.data_dir), day(1), [row(day(1))])
    assert as_csv(settings, query) == [["events"], ["51"]]
    unload(Layout(settings.data_dir), day(0))
    assert as_csv(settings, query) == [["events"], ["1"]]


def test_what_is_left_out_is_said_beside_the_answer(settings, tmp_path):
    query, layout = "SELECT count(*) AS events FROM events", Layout(settings.data_dir)
    assert process(settings, query).stderr == ""
    layout.raw_zip(day(1)).parent.mkdir()
    layout.raw_zip(day(1)).touch()
    done = process(settings, query)
    assert (done.returncode, done.stdout) == (0, "events\n50\n")
    what = f"1 day between {day(0)} and {day(1)}, the first {day(1)}"
    assert done.stderr == f"Not loaded, and so in no answer: {what}. Type: make status\n"
    load(layout, day(3), [row(day(3))])
    what = f"2 days between {day(0)} and {day(3)}, the first {day(1)}"
    assert process(settings, query).stderr == f"Not loaded, and so in no answer: {what}. Type: make status\n"
    (tmp_path / "empty").mkdir()
    done = process(Settings(data_dir=tmp_path / "empty"), query)
    assert (done.returncode, done.stdout) == (0, "events\n0\n")
    assert done.stderr == f"No day is stored in {tmp_path}/empty/. Type: make run\n"


def test_a_data_folder_that_is_not_there_is_refused_and_not_made(project):
    mistyped = project.path / "mistyped"
    done = project.pipeline("sql", "--query", "SELECT 1", PIPELINE_DATA_DIR=str(mistyped))
    assert (done.returncode, done.stdout) == (40, "")
    assert f"There is no {mistyped}/: nothing can be asked. Mend PIPELINE_DATA_DIR, or begin" in done.stderr
    assert not mistyped.exists()


def test_a_table_shows_every_column_and_numbers_to_the_right(settings):
    text = asked(settings, "SELECT event_type, count(*) AS events FROM events GROUP BY 1 ORDER BY 1", table=True)
    assert [line.rstrip() for line in text.splitlines()] == [
        "event_type  events",
        "type 0          17",
        "type 1          17",
        "type 2          16",
    ]


def test_more_columns_than_the_width_stand_below_each_other(settings):
    text = asked(settings, "SELECT * FROM events LIMIT 2", table=True, width=80)
    assert text.count("device_manufacturer") == 2
    assert "row 2" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_table_is_cut_and_says_so_and_csv_is_not(settings):
    text = asked(settings, "SELECT user_id FROM events", table=True)
    assert len(text.splitlines()) == 42
    assert text.splitlines()[-1].startswith("The first 40 rows; for all of them:")
    assert len(as_csv(settings, "SELECT user_id FROM events")) == 51
    assert "The first" not in asked(settings, "SELECT user_id FROM events LIMIT 40", table=True)
    assert asked(settings, "SELECT 1 AS one LIMIT 0", table=True).split() == ["one", "0", "rows"]


def test_several_statements_are_answered_in_order(settings):
    text = asked(settings, "SET threads = 1; SELECT 1 AS a; CREATE TEMP TABLE t AS SELECT 2 AS b; FROM t", table=True)
    assert text.split() == ["a", "1", "Count", "1", "b", "2"]


@pytest.mark.parametrize(("value", "said"), [
    ("NULL", ""), ("true", "true"), ("0.087394", "0.087394"), ("123456789012::BIGINT", "123456789012"),
    ("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
    ("TIMESTAMP '2026-01-15 01:02:03.000004'", "2026-01-15 01:02:03.000004"), ("'a,\"b\nc'", 'a,"b\nc'),
    ("['x', NULL]", '["x", null]'), ("{'a': 1}", '{"a": 1}'), ("'\\x00\\xFF'::BLOB", "00ff"),
    ("TIMESTAMPTZ '2026-01-15 00:00:00+00'", "2026-01-15 00:00:00+00"), ("-5", "-5"),
    ("'{\"k\": 1e400}'::JSON", '{"k": 1e400}'),
])  # fmt: skip
def test_values_are_said_as_they_are(settings, value, said):
    assert as_csv(settings, f"SET TimeZone = 'UTC'; SELECT {value} AS v")[1:] == [[said]] if said else [[]]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_P27_a_text_that_a_spreadsheet_takes_for_a_formula_is_escaped_in_csv_alone(settings, text):
    load(Layout(settings.data_dir), day(0), [row(day(0), event_type=text)])
    query = "SELECT event_type AS t FROM events"
    assert as_csv(settings, query) == [["t"], [f"'{text}"]]
    assert "'" not in asked(settings, query, table=True)
    with duckdb.connect(settings.data_dir / "warehouse.duckdb", read_only=True) as connection:
        assert connection.execute(query).fetchall() == [(text,)]


def test_a_table_shows_no_control_characters_of_the_events(settings):
    load(Layout(settings.data_dir), day(0), [row(day(0), event_type="\x1b[2Jgone [red]x[/red]\u202e")])
    text = asked(settings, "SELECT event_type FROM events", table=True)
    assert "\x1b" not in text
    assert "\\x1b[2Jgone [red]x[/red]\\u202e" in text


@pytest.mark.parametrize(("query", "word"), [
    ("SELECT nothing FROM events", "nothing"), ("SELEC 1", "SELEC"), ("CREATE TABLE mine AS SELECT 1 AS one", "read-only"),
    ("SELECT 'x'::INTEGER", "Conversion"), ("LOAD httpfs", "httpfs"),
])  # fmt: skip
def test_what_duckdb_refuses_is_said_in_its_own_words_with_status_2(settings, query, word):
    done = process(settings, query)
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_answers_before_an_error_are_there(settings):
    done = process(settings, "SELECT 1 AS one; SELECT nothing")
    assert (done.returncode, done.stdout) == (2, "one\n1\n")


def test_a_pipe_whose_reader_has_seen_enough_is_no_traceback(settings):
    command = f"'{sys.executable}' -c '{PROGRAM}' '{settings.data_dir}' 'FROM range(1000000)' | head -2"
    done = subprocess.run(("bash", "-c", command), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "range\n0\n"
    assert "Traceback" not in done.stderr


def test_a_script_on_standard_input_is_run(settings):
    assert process(settings, input="SELECT 1 AS one;\n-- a; comment\nSELECT 2 AS two;").stdout == "one\n1\ntwo\n2\n"


def test_the_prompt_goes_on_after_an_error_and_ends_when_told(settings):
    shown = typed(settings, [
        "", ".help", "SELECT count(*)", "AS n FROM events;", "SELECT nothing;", "SELECT 'a;b' AS x;", ".tables", ".quit",
    ])  # fmt: skip
    assert "Statements end with a semicolon" in shown
    assert "50" in shown
    assert "Binder Error" in shown
    assert "a;b" in shown.rpartition("SELECT 'a;b'")[2]
    assert "daily_users" in shown


@pytest.mark.parametrize("how", ["read_only=True", "read_only=False"])
def test_F18_a_notebook_that_holds_the_warehouse_is_no_error(settings, how):
    asked(settings, "SELECT 1", table=True)
    hold = f"import duckdb, sys; c = duckdb.connect(sys.argv[1], {how}); print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        (sys.executable, "-c", hold, str(settings.data_dir / "warehouse.duckdb")),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as notebook:  # fmt: skip
        notebook.stdout.readline()
        assert as_csv(settings, "SELECT count(*) AS n FROM events") == [["n"], ["50"]]
        notebook.communicate()


def test_nobody_is_locked_out_while_the_prompt_is_open(settings):
    catalog.refresh(settings)
    with opened(settings) as warehouse:
        answers = warehouse.ask("SELECT count(*) FROM events")
        with duckdb.connect(settings.data_dir / "warehouse.duckdb") as writer:
            writer.execute("CREATE TABLE mine AS SELECT 1 AS one")
        assert [list(answer.rows()) for answer in answers] == [[(50,)]]


def test_P24_uuids_in_two_days_are_listed(settings):
    same = uuid.uuid4()
    for number in (1, 2):
        load(Layout(settings.data_dir), day(number), [row(day(number), uuid=same)])
    assert as_csv(settings, "SELECT uuid, kept FROM repeated_uuids WHERE kept") == [
        ["uuid", "kept"],
        [str(same), "true"],
    ]
