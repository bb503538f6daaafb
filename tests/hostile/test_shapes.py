"""Names, widths, heights and counts beyond the usual."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from bascule import _native

ODD_NAMES = [
    *(
        "",
        " ",
        "a b",
        'quo"te',
        "apo'strophe",
        "back\\slash",
        "new\nline",
        "tab\t",
        "semi;colon",
        "per%cent",
        "{brace}",
    ),
    *("größe", "日本語", "🦆", "e\u0301", "\u200b", "select", "rowid", "a.b", "*", "?", "$1", "--", "x" * 10_000),
]


@pytest.fixture
def read(monkeypatch, con):
    """Reads batches; one partition for each list of them."""

    def rows(schema, *partitions, sql="FROM {}"):
        class Source:
            def infer_schema(self, options):
                return schema

            def plan_partitions(self, options):
                return [{"i": i} for i in range(len(partitions))]

            def read_partition(self, spec, options):
                yield from partitions[spec["i"]]

        monkeypatch.setitem(sys.modules, "shapes", SimpleNamespace(Source=Source))
        return con.execute(sql.replace("{}", "python('shapes:Source')"))

    return rows


# ---- names ----


@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda n: ascii(n[:12]))
def test_an_odd_name_is_read_selected_and_named_in_an_error(read, name):
    fine = pa.record_batch([pa.array([1]), pa.array([2])], names=[name, "other"])
    found = read(fine.schema, [fine])
    expected = [column[0] for column in duckdb.from_arrow(pa.Table.from_batches([fine])).description]
    assert [column[0] for column in found.description] == expected
    assert found.fetchall() == [(1, 2)]
    if name and "\0" not in name:
        quoted = '"' + name.replace('"', '""') + '"'
        assert read(fine.schema, [fine], sql="SELECT " + quoted + " FROM {}").fetchall() == [(1,)]
    wrong = pa.record_batch([pa.array(["text"]), pa.array([2])], names=[name, "other"])
    with pytest.raises(duckdb.Error) as caught:
        read(fine.schema, [wrong]).fetchall()
    assert f"column '{name[:50]}" in str(caught.value)
    assert "is string, but infer_schema said int64" in str(caught.value)
    assert len(str(caught.value)) < 5_000


def test_duplicate_names_are_read_by_position(read):
    batch = pa.record_batch([pa.array([1]), pa.array(["x"]), pa.array([3])], names=["a", "a", "b"])
    assert read(batch.schema, [batch]).fetchall() == [(1, "x", 3)]


def test_duplicate_names_in_another_order_are_an_error(read):
    batch = pa.record_batch([pa.array([1]), pa.array(["x"])], names=["a", "a"])
    turned = pa.record_batch([pa.array(["x"]), pa.array([1])], names=["a", "a"])
    with pytest.raises(duckdb.Error, match="column 'a'"):
        read(batch.schema, [turned]).fetchall()


def test_names_that_differ_in_case_alone_are_two_columns(read):
    batch = pa.record_batch([pa.array([1]), pa.array([2])], names=["a", "A"])
    turned = batch.select(["A", "a"])
    assert read(batch.schema, [batch, turned]).fetchall() == [(1, 2), (1, 2)]


# ---- sizes ----


def test_5000_columns_in_any_order(read):
    names = [f"column {i}" for i in range(5000)]
    batch = pa.record_batch([pa.array([i, -i]) for i in range(5000)], names=names)
    found = read(batch.schema, [batch, batch.select(names[::-1])]).fetchall()
    assert found == [tuple(range(5000)), tuple(-i for i in range(5000))] * 2
    sql = 'SELECT sum("column 4999"), sum("column 0") FROM {} WHERE "column 1" = 1'
    assert read(batch.schema, [batch], sql=sql).fetchall() == [(4999, 0)]


def test_a_missing_column_among_5000_is_named(read):
    names = [f"column {i}" for i in range(5000)]
    batch = pa.record_batch([pa.array([i]) for i in range(5000)], names=names)
    with pytest.raises(duckdb.Error, match="column 'column 2500'") as caught:
        read(batch.schema, [batch.drop_columns(["column 2500"])]).fetchall()
    assert len(str(caught.value)) < 5_000


def test_a_batch_of_10_million_rows(read):
    n = 10_000_000
    batch = pa.record_batch([pa.array(np.arange(n)), pa.array(np.arange(n) % 7).cast(pa.int8())], names=["a", "b"])
    found = read(batch.schema, [batch], sql="SELECT count(*), sum(a), sum(b), max(a) FROM {}").fetchall()
    assert found == [(n, n * (n - 1) // 2, int((np.arange(n) % 7).sum()), n - 1)]


def test_slices_of_a_batch_of_10_million_rows(read):
    n = 10_000_000
    batch = pa.record_batch([pa.array(np.arange(n))], names=["a"])
    slices = [batch.slice(3, 5), batch.slice(n - 2), batch.slice(n), batch.slice(0, 0), batch.slice(4_999_999, 2049)]
    expected = [*range(3, 8), n - 2, n - 1, *range(4_999_999, 4_999_999 + 2049)]
    assert [a for (a,) in read(batch.schema, slices).fetchall()] == expected


def test_rows_of_no_bytes_beyond_what_memory_could_hold(read):
    """A column of nulls has no buffers: 10 million of them are a number."""
    batch = pa.record_batch([pa.nulls(10_000_000)], names=["a"])
    assert read(batch.schema, [batch] * 10, sql="SELECT count(*), count(a) FROM {}").fetchall() == [(100_000_000, 0)]


# ---- many partitions ----


class Million:
    """A million partitions, one row in each 100,000th."""

    SCHEMA = pa.schema([("a", pa.int64())])

    def infer_schema(self, options):
        return self.SCHEMA

    def plan_partitions(self, options):
        return [{"i": i} for i in range(int(options.get("n", 1_000_000)))]

    def read_partition(self, spec, options):
        if spec["i"] % 100_000 == 0:
            yield pa.record_batch([[spec["i"]]], schema=self.SCHEMA)


@pytest.fixture
def million(monkeypatch):
    monkeypatch.setitem(sys.modules, "million", SimpleNamespace(Million=Million))


def test_a_million_partitions_are_read_in_order(million, con):
    rows = con.execute("FROM python('million:Million')").fetchall()
    assert rows == [(i,) for i in range(0, 1_000_000, 100_000)]


def test_a_limit_over_a_million_partitions_reads_few(million, con):
    assert con.execute("FROM python('million:Million') LIMIT 1").fetchall() == [(0,)]


def test_the_last_of_a_million_partitions_is_reached_alone(million):
    plan = _native.Source("million:Million").plan()
    assert plan.partition_count == 1_000_000
    assert pa.RecordBatchReader.from_stream(plan.scan().partition(900_000)).read_all().to_pydict() == {"a": [900_000]}
    with pytest.raises(IndexError, match="partition 1000000: the plan has 1000000"):
        plan.scan().partition(1_000_000)
