"""Small sources: rows in memory, a function as a source, tables one after the other, a function over batches."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import bascule
from bascule import filters as f
from bascule.check import run

NUMBERS = pa.table({"n": range(100), "text": [f"t{i}" for i in range(100)]})


@pytest.fixture(params=["inprocess", "process"])
def executor(request):
    return request.param


# ---- rows in memory ----


def test_rows_in_memory(executor):
    table = bascule.table(bascule.MemoryDataSource(NUMBERS, partitions=7), executor=executor)
    assert table.to_arrow() == NUMBERS
    assert len(table.partitions()) == 7
    assert table.where(f.In("n", [3, 97])).select("text").to_arrow()["text"].to_pylist() == ["t3", "t97"]
    assert table.where(f.GreaterThan("n", 10)).limit(4).to_arrow()["n"].to_pylist() == [11, 12, 13, 14]
    assert table.count() == 100
    assert table.statistics() == bascule.Statistics(100, exact=True, total_bytes=NUMBERS.nbytes)


def test_rows_in_memory_keep_the_contract():
    cls = bascule._table._objects.class_of(bascule.MemoryDataSource(NUMBERS, 3))
    report = run(cls)
    assert report.ok, [result for result in report.results if result.status == "failed"]


@pytest.mark.parametrize(
    "data", [NUMBERS.to_batches()[0], NUMBERS.slice(0, 0), NUMBERS.to_pandas()], ids=["batch", "empty", "frame"]
)
def test_what_may_be_rows_in_memory(data):
    assert bascule.table(bascule.MemoryDataSource(data, 2)).count() == len(data)
    with pytest.raises(ValueError, match="at least one partition"):
        bascule.MemoryDataSource(data, 0)


# ---- a function as a source ----


@bascule.source(partitions=range(3), schema=pa.schema({"n": pa.int64()}))
def squares(partition, factor: int = 1):
    """Squares."""
    yield pa.record_batch({"n": [factor * partition**2]})


def days(first: int, n: int = 2):
    return range(first, first + n)


@bascule.source(partitions=days)
def by_day(day: int, first: int, n: int | None = None) -> pa.schema({"day": pa.int64(), "n": pa.int64()}):
    yield pa.record_batch([[day], [n]], schema=pa.schema({"day": pa.int64(), "n": pa.int64()}))


@bascule.source
def alone(region="eu"):
    return pa.table({"region": [region]})


def test_a_function_is_a_source(executor):
    assert bascule.table(squares, executor=executor, factor=10).to_arrow()["n"].to_pylist() == [0, 10, 40]
    assert bascule.table(f"{__name__}:squares").count() == 3
    assert bascule.table(by_day, executor=executor, first=5, n=3).to_arrow().to_pylist() == [
        {"day": day, "n": 3} for day in (5, 6, 7)
    ]
    assert bascule.table(alone, executor=executor, region="us").to_arrow().to_pydict() == {"region": ["us"]}
    assert squares.__doc__ == "Squares."


def test_partitions_of_an_iterator_are_there_again():
    once = bascule.source(partitions=(i for i in range(3)))(lambda i: iter([pa.record_batch({"i": [i]})]))
    assert [bascule.table(once).count() for _ in range(2)] == [3, 3]


def test_a_functions_parameters_are_its_options():
    assert [(o.name, o.type, o.default, o.required) for o in by_day.OPTIONS] == [
        ("first", int, None, True),
        ("n", int, None, False),
    ]
    with pytest.raises(bascule.OptionError, match="'first'"):
        bascule.table(by_day).count()
    with pytest.raises(bascule.OptionError, match="did you mean 'factor'"):
        bascule.table(squares, facto=1).count()
    with pytest.raises(bascule.OptionError, match="an integer"):
        bascule.table(squares, factor="x").count()


def test_a_function_that_keeps_the_contract():
    assert run(squares).ok


def test_functions_that_are_no_source():
    with pytest.raises(TypeError, match="takes no partition"):
        bascule.source(partitions=[1])(lambda: ())
    with pytest.raises(TypeError, match="can't be given by its name"):

        @bascule.source
        def some(*args):
            yield

    @bascule.source
    def nothing():
        yield from ()

    with pytest.raises(bascule.BasculeError, match="yields no batch that tells the columns"):
        _ = bascule.table(nothing).schema


# ---- tables of tables ----


def test_tables_one_after_the_other(executor):
    parts = [
        bascule.table(bascule.MemoryDataSource(NUMBERS.slice(start, 50), 2), executor=executor) for start in (0, 50)
    ]
    both = bascule.concat(*parts)
    assert both.to_arrow() == NUMBERS
    assert len(both.partitions()) == 4
    assert both.where(f.EqualTo("n", 60)).select("text").to_arrow()["text"].to_pylist() == ["t60"]
    assert both.statistics().num_rows == 100
    assert bascule.concat(parts[0].where(f.LessThan("n", 2)), parts[1].select("n", "text")).count() == 52
    with pytest.raises(bascule.BasculeError, match="has other columns than"):
        bascule.concat(parts[0], parts[1].select("n"))
    with pytest.raises(bascule.BasculeError, match="has a limit"):
        bascule.concat(parts[0].limit(1))


def double(batch):
    return batch.append_column("twice", pc.multiply(batch["n"], 2))


SCHEMA = pa.schema({"n": pa.int64(), "twice": pa.int64()})


def test_a_function_over_batches(executor, con):
    numbers = bascule.table("pushsources:Claims", executor=executor).select("id")
    doubled = bascule.map_batches(
        numbers,
        lambda batch: pa.record_batch([batch["id"], pc.multiply(batch["id"], 2)], names=["id", "twice"]),
        pa.schema({"id": pa.int64(), "twice": pa.int64()}),
        keeps=["id"],
    )
    assert doubled.count() == 100
    assert doubled.where(f.EqualTo("id", 42)).to_arrow().to_pylist() == [{"id": 42, "twice": 84}]
    inner = next(row for row in bascule.scans().to_pylist() if row["source"] == "pushsources:Claims")
    assert (inner["partitions_read"], inner["pushed_columns"]) == (1, "id")
    assert doubled.where(f.EqualTo("twice", 84)).select("id").to_arrow()["id"].to_pylist() == [42]
    assert doubled.to_duckdb(con).filter("id < 3").aggregate("sum(twice)").fetchall() == [(6,)]


def test_a_function_over_batches_that_cant_be():
    numbers = bascule.table(bascule.MemoryDataSource(NUMBERS))
    with pytest.raises(bascule.BasculeError, match="'x' can't be kept: it is no column of the schema"):
        bascule.map_batches(numbers, double, SCHEMA, keeps=["x"])
    with pytest.raises(bascule.BasculeError, match="has no column 'nope'"):
        bascule.map_batches(numbers, double, SCHEMA, reads=["nope"])
    with pytest.raises(bascule.BasculeError, match="the function returned an int, expected a record batch"):
        bascule.map_batches(numbers, lambda batch: 7, SCHEMA).to_arrow()
    with pytest.raises(bascule.BasculeError, match="column 'text'"):
        bascule.map_batches(numbers, double, SCHEMA).to_arrow()


def test_composed_tables_and_their_partitions_are_pickled(executor):
    numbers = bascule.table("testsources:Numbers", executor=executor, partitions=2)
    memory = bascule.table(bascule.MemoryDataSource(pa.table({"p": [1, 2]}), partitions=2))
    doubled = bascule.map_batches(numbers, lambda batch: batch, numbers.schema)
    for table, n in ((bascule.concat(numbers, numbers), 40), (doubled, 20), (memory, 2)):
        code = "import pickle, sys, pyarrow as pa; print([pa.table(t).num_rows for t in pickle.load(sys.stdin.buffer)])"
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        given = pickle.dumps([table, *table.partitions()])
        done = subprocess.run([sys.executable, "-c", code], input=given, env=env, capture_output=True, check=True)
        whole, *parts = json.loads(done.stdout)
        assert (whole, sum(parts)) == (n, n)
