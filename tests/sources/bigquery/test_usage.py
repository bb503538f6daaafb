"""As users and engines meet it."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pyarrow as pa
import pytest

import bascule
from bascule import OptionError, check
from bascule.check import Limits
from bascule.filters import EqualTo, GreaterThan, StringContains
from bascule.sources.bigquery import BigQueryDataSource
from sources.bigquery.reading import EXECUTORS, SOURCE, Direct, numbers, options, table


@pytest.mark.parametrize("executor", EXECUTORS)
def test_duckdb_reads_it(bigquery, con, executor):
    bigquery.put("p.d.t", numbers(100))
    given = ", ".join(f"{name} := '{value}'" for name, value in options(bigquery).items())
    source = f"FROM python('bigquery', {given}, bascule_executor := '{executor}')"
    assert con.execute(f"SELECT count(*), sum(id) {source}").fetchall() == [(100, 4950)]
    assert con.execute(f"SELECT name {source} WHERE id = 42").fetchall() == [("é0",)]
    asked = bigquery.sessions[-1].read_session.read_options
    assert "`id` = 42" in asked.row_restriction
    assert len(con.execute(f"SELECT * {source} LIMIT 4").fetchall()) == 4
    assert con.execute(f"SELECT count(*) {source} WHERE name LIKE '%é1'").fetchone() == (33,)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_table_object_reads_it_and_asks_for_its_columns_alone(bigquery, executor):
    bigquery.put("p.d.t", numbers(100))
    found = table(bigquery, executor=executor).select("id").to_arrow()
    assert sorted(found["id"].to_pylist()) == list(range(100))
    assert list(bigquery.sessions[-1].read_session.read_options.selected_fields) == ["id"]


def test_one_session_serves_schema_and_a_plan_of_all(bigquery):
    bigquery.put("p.d.t", numbers(100))
    direct = Direct(bigquery)
    direct.source.infer_schema(direct.options)
    assert direct.source.statistics(direct.options).num_rows == 100
    specs = direct.plan()
    assert len(bigquery.sessions) == 1
    assert len(specs) == 3
    bigquery.put("p.d.t", numbers(5), at=1)
    assert len(direct.read(pickle.loads(pickle.dumps(specs)))) == 100
    assert len(direct.read(specs)) == 100, "the session's snapshot"
    assert len(direct.read(direct.plan())) == 5, "a plan of its own"


def test_it_passes_the_checks(bigquery):
    bigquery.put("p.d.t", numbers(40))
    report = check.run(BigQueryDataSource, options(bigquery), Limits(max_seconds=20))
    found = {result.id: (result.status, result.reasons) for result in report.results if result.status != "ok"}
    # Each plan is a session of its own.
    assert {name for name, (status, _) in found.items() if status != "skipped"} == {"plan_again"}, found
    assert found["plan_again"][0] == "warning"


def test_the_command_line_checks_it(bigquery):
    bigquery.put("p.d.t", numbers(20))
    given = [item for name, value in options(bigquery).items() for item in ("-o", f"{name}={value}")]
    command = [sys.executable, "-m", "bascule", "check", "bigquery", "--max-seconds", "3", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_limit_ends_the_stream_only_where_all_predicates_are_exact(bigquery):
    bigquery.put("p.d.t", numbers(3000))
    direct = Direct(bigquery, max_stream_count=1)
    assert len(direct.read(direct.plan(EqualTo("name", "é1")), limit=5)) == 10, "one message"
    assert len(direct.read(direct.plan(StringContains("name", "1")), limit=5)) == 3000
    assert direct.read(direct.plan(), limit=0) == []


def test_types_come_as_they_are(bigquery):
    d = pa.decimal256(76, 38)
    kinds = [
        pa.array([[1, 2], [], [3]], pa.list_(pa.int64())),
        pa.array([{"x": 1, "y": "é"}, None, {"x": None, "y": ""}], pa.struct([("x", pa.int64()), ("y", pa.string())])),
        pa.array([1, None, 3]).cast(pa.decimal128(38, 9)),
        pa.array([1, None, 3]).cast(d),
        pa.array([{"start": 1, "end": None}] * 3, pa.struct([("start", pa.date32()), ("end", pa.date32())])),
        pa.array(["POINT(1 2)", None, "x" * 1_000_000]),
    ]
    given = pa.table(kinds, names=["a", "s", "n", "g", "r", "geo"])
    metadata = {"ARROW:extension:name": "google:sqlType:geography"}
    given = given.cast(given.schema.set(5, given.schema.field("geo").with_metadata(metadata)))
    bigquery.put("p.d.t", given)
    for compression in ("none", "lz4_frame", "zstd"):
        direct = Direct(bigquery, compression=compression)
        assert direct.source.infer_schema(direct.options).equals(given.schema, check_metadata=True)
        assert direct.read(direct.plan()) == given.to_pylist()
    assert table(bigquery).select("a", "s", "n", "r", "geo").to_arrow().num_rows == 3


def test_an_empty_table_has_no_partitions(bigquery):
    bigquery.put("p.d.t", numbers(0))
    assert table(bigquery).to_arrow().num_rows == 0


def test_snapshot_and_a_restriction_of_ones_own(bigquery):
    bigquery.put("p.d.t", numbers(10))
    bigquery.put("p.d.t", numbers(90), at=1_700_000_000)
    old = table(bigquery, snapshot_time="2020-01-01T00:00:00Z", row_restriction="id < 4 OR id = 7 -- mine")
    assert sorted(old.to_arrow()["id"].to_pylist()) == [0, 1, 2, 3, 7]
    assert old.where(GreaterThan("id", 2)).to_arrow()["id"].to_pylist() == [3, 7]
    assert table(bigquery, pushdown="false").where(EqualTo("id", 5)).to_arrow().num_rows == 1
    assert bigquery.sessions[-1].read_session.read_options.row_restriction == ""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"table_id": "t"}, "has no project"),
        ({"table_id": "a.b.c.d/e"}, "expected project.dataset.table"),
        ({"project": "other"}, "two projects"),
        ({"access_token": "canary"}, "insecure"),
        ({"snapshot_time": "2020-01-01"}, "a time with a zone"),
        ({"insecure": "false", "credentials": '{"private_key": "canary"}'}, "no JSON of a service account's key"),
        ({"insecure": "false", "credentials": "/nowhere/canary.json"}, "can't be read"),
        ({"insecure": "false", "credentials": "{}", "access_token": "canary"}, "both given"),
    ],
)
def test_options_that_do_not_fit(bigquery, more, said):
    with pytest.raises(OptionError, match=said) as e:
        bascule.table(SOURCE, options(bigquery, **more)).to_arrow()
    assert "canary" not in str(e.value)


def test_names_of_tables(bigquery):
    bigquery.put("q.e.t", numbers(3))
    for given in (
        {"table_id": "q.e.t"},
        {"table_id": "e.t", "project": "q"},
        {"table_id": "t", "project": "q", "dataset": "e"},
    ):
        assert table(bigquery, **given, parent="payer").to_arrow().num_rows == 3
    assert bigquery.sessions[-1].parent == "projects/payer"
