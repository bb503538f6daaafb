"""DataFusion over a table: partitions, columns and predicates reach the class, and no answer differs."""

from __future__ import annotations

import datafusion
import pyarrow as pa
import pytest

import bascule
import testsources
from bascule import filters as f
from bascule.datafusion import register


@pytest.fixture(params=["inprocess", "process"])
def executor(request):
    return request.param


@pytest.fixture
def context():
    return datafusion.SessionContext()


def rows(context, query):
    return context.sql(query).to_pydict()


def test_a_query_reads_the_columns_and_partitions_that_it_needs(context, executor):
    register(context, "days", bascule.table("pushsources:Filters", executor=executor))
    assert rows(context, "SELECT price FROM days WHERE id IN (5, 42) ORDER BY price") == {"price": [1.25, 10.5]}
    last = bascule.scans().to_pylist()[0]
    assert set(last["pushed_columns"].split(", ")) == {"id", "price"}
    assert (last["partitions"], last["partitions_read"]) == (2, 2)  # the eight others are pruned by their bounds


def test_what_datafusion_cant_push_it_does_itself(context, executor):
    register(context, "numbers", bascule.table("testsources:Numbers", executor=executor, partitions=4))
    assert rows(context, "SELECT p FROM numbers WHERE k % 5 = 4 AND p > 1 ORDER BY p") == {"p": [2, 2, 3, 3]}
    assert rows(context, "SELECT count(*) AS n FROM numbers") == {"n": [40]}
    assert rows(context, "SELECT count(*) AS n FROM numbers WHERE s IS NULL") == {"n": [16]}
    assert len(rows(context, "SELECT * FROM numbers LIMIT 3")["p"]) == 3


def test_each_query_is_a_new_read(context, executor):
    register(context, "numbers", bascule.table("testsources:Numbers", executor=executor).where(f.LessThan("k", 3)))
    query = "SELECT a.k FROM numbers a JOIN numbers b ON a.p = b.p AND a.k = b.k ORDER BY a.p, a.k"
    assert rows(context, query) == rows(context, query) == {"k": [0, 1, 2] * 3}


VALUES = [1.0, None, float("nan"), -0.0, 0.0, float("inf")]


@pytest.mark.parametrize("value", ["1.0", "0.0", "-0.0", "'NaN'::double", "'inf'::double", "NULL::double"])
@pytest.mark.parametrize("compare", ["=", "<>", "<", "<=", ">", ">="])
def test_comparisons_answer_as_datafusion_does(context, compare, value, monkeypatch):
    table = pa.table({"x": VALUES, "i": range(len(VALUES))})
    monkeypatch.setattr(testsources.Yields, "schema", table.schema)
    monkeypatch.setattr(testsources.Yields, "items", [table])
    register(context, "ours", bascule.table(testsources.Yields))
    context.register_record_batches("theirs", [table.to_batches()])
    for where in (f"x {compare} {value}", f"NOT (x {compare} {value})", f"x {compare} {value} OR i = 1"):
        ours, theirs = (rows(context, f"SELECT i FROM {name} WHERE {where} ORDER BY i") for name in ("ours", "theirs"))
        assert ours.get("i", []) == theirs.get("i", []), where


@pytest.mark.parametrize(
    "where",
    [
        "a NOT IN (1, 2, 7, 8)",
        "a IN (1, 2, 7, 8)",
        "NOT (a IN (1, 2, 7, 8)) OR a = 1",
        "a NOT IN (1, 2, 7, 8, NULL)",
        "NOT (a IN (1, 2, 7, 8) AND a < 100)",
        "a IN (1, 2, 3, NULL)",
        "x NOT IN (1.0, 2.0, 3.0, 4.0)",
        "x IN (2.0, 9, 8, 7)",
        "s NOT IN ('a', 'b', 'c', 'd')",
        "s IN ('', 'b', 'c', 'd')",
        "a BETWEEN 2 AND 5",
        "a NOT BETWEEN 2 AND 5",
        "x IN (1.0, NULL)",
        "x NOT IN (2.0, NULL)",
        "NOT (x > 1 OR NULL)",
        "x = 2 OR (i = 0 AND NULL)",
        "x > 1 AND true",
        "NOT (x > 1 AND false)",
        "a IS NULL OR s = 'a'",
        "NOT (a IS NULL) AND s IS NULL",
        "NOT (a = 1 OR s = 'a')",
        "a <> 1",
        "b",
        "NOT b",
        "b IS NULL",
    ],
)
def test_nulls_answer_as_datafusion_does(context, where, monkeypatch):
    table = pa.table(
        {
            "a": [1, 2, 3, None, 5],
            "x": [0.0, -0.0, None, float("nan"), 2.0],
            "s": ["a", None, "", "é", "b"],
            "b": [True, False, None, True, False],
            "i": range(5),
        }
    )
    monkeypatch.setattr(testsources.Yields, "schema", table.schema)
    monkeypatch.setattr(testsources.Yields, "items", [table])
    register(context, "ours", bascule.table(testsources.Yields))
    context.register_record_batches("theirs", [table.to_batches()])
    ours, theirs = (rows(context, f"SELECT i FROM {name} WHERE {where} ORDER BY i") for name in ("ours", "theirs"))
    assert ours.get("i", []) == theirs.get("i", [])


def test_failures_name_source_and_partition(context):
    register(context, "broken", bascule.table("sparksources:ReadRaises"))
    with pytest.raises(
        Exception, match=r"sparksources:ReadRaises, partition \d of 4: read_partition raised ValueError"
    ):
        rows(context, "SELECT * FROM broken")


def test_a_table_with_a_limit_is_refused(context):
    with pytest.raises(bascule.BasculeError, match=r"\.limit\(3\) has a limit. DataFusion reads its partitions apart"):
        register(context, "numbers", bascule.table("testsources:Numbers").limit(3))


def test_two_thousand_partitions(context):
    register(context, "numbers", bascule.table("testsources:Numbers", partitions=2000, rows=1, batches=1))
    assert rows(context, "SELECT count(*) AS n, sum(p) AS p FROM numbers") == {"n": [2000], "p": [1999000]}
