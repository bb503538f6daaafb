"""One read of a table: its batches once, its progress and its bar, what it took."""

from __future__ import annotations

import asyncio
import gc
import io
import sys
import threading
import time

import pyarrow as pa
import pytest

import bascule
from bascule import _instance
from bascule import filters as f


@pytest.fixture(params=["inprocess", "process"])
def numbers(request):
    """Four partitions of ten rows."""
    return bascule.table("testsources:Numbers", executor=request.param, partitions=4)


def test_a_scan_is_read_once_by_whatever_takes_it(numbers):
    assert sum(batch.num_rows for batch in numbers.scan()) == 40
    assert numbers.scan().to_reader().read_all().num_rows == 40
    assert pa.table(numbers.select("p").scan()).column_names == ["p"]
    assert pa.schema(numbers.limit(3).scan()) == numbers.schema
    scan = numbers.limit(3).scan()
    assert sum(batch.num_rows for batch in scan.batches()) == 3
    for again in (scan.batches, scan.to_reader, lambda: iter(scan)):
        with pytest.raises(bascule.BasculeError, match="read once"):
            again()


def test_it_tells_how_far_it_is_and_what_it_took(numbers):
    scan = numbers.scan(threads=1)
    assert scan.progress == 0
    assert "0% read" in repr(scan)
    batches = scan.batches()
    assert next(batches).num_rows == 5
    assert 0 <= scan.progress < 1
    assert sum(batch.num_rows for batch in batches) == 35
    assert scan.progress == 1
    found = scan.metrics()
    assert (found["rows"], found["partitions_read"], found["source"]) == (40, 4, "testsources:Numbers")
    assert found["executor"] == numbers.scan().metrics()["executor"]


def test_a_cancelled_scan_ends_with_an_error(numbers):
    scan = numbers.scan(threads=1)
    batches = scan.batches()
    next(batches)
    scan.cancel()
    with pytest.raises(bascule.BasculeError, match="cancelled"):
        list(batches)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Known:
    """Three partitions of 100 rows; ``rows``: they say so."""

    def infer_schema(self, options):
        return pa.schema([("n", pa.int64())])

    def plan_partitions(self, options):
        return [{"bascule_rows": 100} if "rows" in options else {}] * 3

    def read_partition(self, partition_spec, options):
        for i in range(10):
            yield pa.record_batch({"n": range(10 * i, 10 * i + 10)})


@pytest.mark.parametrize(
    ("table", "drawn"),
    [
        (lambda: bascule.table(Known, rows=1), "300/300"),
        (lambda: bascule.table(Known, rows=1).limit(50), "50.0/50.0"),
        (lambda: bascule.table(Known, rows=1).where(f.LessThan("n", 5)), "3/3"),
        (lambda: bascule.table(Known), "3/3"),
    ],
    ids=["rows", "limit", "filtered", "partitions"],
)
def test_the_bar_is_of_rows_where_their_number_is_known_else_of_partitions(table, drawn, monkeypatch):
    table = table()
    for read in (
        lambda: table.to_arrow(progress=True),
        lambda: table.to_pandas(progress=True),
        lambda: table.to_reader(progress=True).read_all(),
        lambda: list(table.batches(progress=True)),
        lambda: table.to_polars(progress=True).collect(),
    ):
        monkeypatch.setattr(sys, "stderr", Terminal())
        read()
        last = sys.stderr.getvalue().rpartition("\r")[2]
        assert "100%" in last
        assert drawn in last
        assert last.startswith("table.test_scan:Known") or "Known" in last


def test_a_bar_of_a_read_that_fails_or_is_dropped_is_closed(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(bascule.BasculeError, match="no rows today"):
        bascule.table("sparksources:ReadRaises").to_arrow(progress=True)
    assert sys.stderr.getvalue().endswith("\n")
    monkeypatch.setattr(sys, "stderr", Terminal())
    batches = bascule.table(Known).batches(progress=True)
    next(batches)
    batches.close()
    assert sys.stderr.getvalue().endswith("\n")


def test_without_tqdm_a_bar_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(bascule.BasculeError, match=r"pip install 'bascule\[progress\]'"):
        bascule.table(Known).scan(progress=True)
    assert bascule.table(Known).to_arrow().num_rows == 300


def test_a_scan_does_nothing_before_its_batches_are_asked_for():
    class Counts(Known):
        begun = 0

        def read_partition(self, partition_spec, options):
            Counts.begun += 1
            return super().read_partition(partition_spec, options)

    scan = bascule.table(Counts).scan()
    batches = scan.batches()
    time.sleep(0.05)
    assert Counts.begun == 0
    next(batches)
    assert Counts.begun > 0


def test_states_of_scans_are_true_while_one_has_them_in_hand(numbers):
    def ended(scan):
        for _ in scan:
            pass
        return scan

    assert ended(numbers.scan()).metrics()["state"] == "done"
    limited = ended(numbers.limit(3).scan())
    assert (limited.metrics()["state"], limited.progress) == ("ended early", 1)
    dropped = numbers.scan()
    next(dropped.batches())
    assert dropped.metrics()["state"] == "ended early"
    cancelled = numbers.scan()
    batches = cancelled.batches()
    next(batches)
    cancelled.cancel()
    with pytest.raises(bascule.BasculeError):
        list(batches)
    assert cancelled.metrics()["state"] == "cancelled"
    failed = bascule.table("sparksources:ReadRaises").scan()
    with pytest.raises(bascule.BasculeError):
        list(failed)
    assert failed.metrics()["state"] == "failed"
    numbers.head()
    assert bascule.scans()["state"][0].as_py() == "ended early"


def test_a_table_that_is_only_looked_at_leaves_no_scan(numbers):
    before = bascule.scans()["scan"].to_pylist()
    _ = repr(numbers), numbers._repr_html_(), numbers.partitions(), numbers.schema, numbers.statistics()
    assert bascule.scans()["scan"].to_pylist() == before


def test_a_cancel_wakes_whoever_waits():
    class Sleeps(Known):
        def read_partition(self, partition_spec, options):
            time.sleep(20)
            yield from ()

    scan = bascule.table(Sleeps, executor="process").scan()
    threading.Timer(0.3, scan.cancel).start()
    begun = time.monotonic()
    with pytest.raises(bascule.BasculeError, match="was cancelled"):
        list(scan)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "how", [{"threads": 0}, {"threads": -1}, {"threads": "2"}, {"max_bytes": 0}, {"max_bytes": None}]
)
def test_numbers_that_are_none_are_refused(how):
    with pytest.raises(bascule.OptionError, match="a number of at least 1"):
        bascule.table(Known).scan(**how)


def test_batches_for_async_code(numbers):
    async def count(table):
        n = 0
        async for batch in table.batches_async(ordered=False, threads=2):
            n += batch.num_rows
        async for batch in table.scan().batches_async():
            n += batch.num_rows
        return n

    assert asyncio.run(count(numbers)) == 80


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_a_read_that_failed_leaves_no_circle_that_keeps_its_source_open(executor):
    gc.collect()
    gc.disable()
    try:
        before = len(_instance._found)
        for read in (
            lambda t: t.to_arrow(),
            lambda t: list(t.batches()),
            lambda t: t.to_polars().collect(),
            lambda t: t.count(),
        ):
            with pytest.raises(Exception, match="no rows today"):
                read(bascule.table("sparksources:ReadRaises", executor=executor))
            assert len(_instance._found) == before
    finally:
        gc.enable()
