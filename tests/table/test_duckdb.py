"""DuckDB over a table: as a stream, as a relation, as a view."""

from __future__ import annotations

import gc

import pyarrow.compute as pc
import pytest

import bascule
import testsources
from bascule import _instance
from bascule import filters as f
from bascule.duckdb import register


@pytest.fixture(params=["inprocess", "process"])
def days(request):
    return bascule.table("pushsources:Filters", executor=request.param, password="hunter2")


def last():
    return bascule.scans().to_pylist()[0]


def test_a_variable_is_a_table(con, days):
    assert con.sql("SELECT count(*), sum(price) FROM days WHERE id < 10").fetchall() == [(10, 11.25)]
    assert con.sql("SELECT count(*) FROM days").fetchall() == [(100,)]


def test_a_relation_pushes_what_a_query_needs(con, days):
    relation = days.to_duckdb(con)
    assert relation.filter("id = 42").select("name").fetchall() == [("n42",)]
    inner = next(row for row in bascule.scans().to_pylist() if row["source"] == "pushsources:Filters")
    assert set(inner["pushed_columns"].split(", ")) == {"id", "name"}
    assert (inner["partitions_read"], inner["partitions_pruned"]) == (
        1,
        9,
    )  # the nine others are pruned by their bounds


def test_a_view_is_read_again_and_again_and_shows_no_option(con, days):
    register(con, "my days", days.where(f.LessThan("id", 20)).select("id", "price"))
    for _ in range(2):
        gc.collect()
        assert con.sql('SELECT count(*), max(id) FROM "my days" WHERE price >= 1').fetchall() == [(16, 19)]
    assert "hunter2" not in str(con.sql("SELECT sql FROM duckdb_views()").fetchall())
    register(con, "my days", days.limit(3))
    assert con.sql('SELECT id FROM "my days" ORDER BY id').fetchall() == [(0,), (1,), (2,)]


def test_what_the_table_was_asked_holds(con, days):
    asked = days.where(pc.field("price") * 4 > 90, f.StringEndsWith("name", "5")).to_duckdb(con)
    assert asked.select("id").order("id").fetchall() == [(95,)]
    assert asked.filter("id < 50").fetchall() == []


def test_the_order_of_partitions_is_kept(con):
    relation = bascule.table("testsources:Numbers", partitions=8).to_duckdb(con)
    assert relation.select("p").fetchall() == [(p,) for p in range(8) for _ in range(10)]


def test_a_database_without_python_is_an_error(tmp_path):
    import subprocess
    import sys

    code = (
        "import duckdb; con = duckdb.connect(); import bascule\n"
        "try: bascule.table('x:Y').to_duckdb(con)\n"
        "except bascule.BasculeError as e: print(e)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "this connection's database does not know python(...): open it by bascule.connect()" in done.stdout


def test_a_connection_keeps_no_source_open_for_relations_that_are_gone(con):
    """It keeps their classes, for relations that came of them; what these have open is closed."""
    gc.collect()
    before, calls = set(_instance._found), []

    class Closes(testsources.Numbers):
        def close(self):
            calls.append("close")

    table = bascule.table(Closes)
    relation = table.to_duckdb(con).filter("k = 3")
    register(con, "mapped", bascule.map_batches(bascule.concat(table, table), lambda batch: batch, table.schema))
    for _ in range(2):
        assert relation.count("*").fetchall() == [(3,)]
        assert con.sql("SELECT count(*) FROM mapped").fetchall() == [(60,)]
        table = None  # the second time each query opens one of its own
        gc.collect()
    assert set(_instance._found) <= before
    assert calls
