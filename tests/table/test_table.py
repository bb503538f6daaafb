"""The table object: what is asked of it, what it hands over, and that each read is whole and new."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
import gc
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pytest

import bascule
import pushsources
import testsources
from bascule import filters as f

TESTS = Path(__file__).parents[1]


@pytest.fixture(params=["inprocess", "process"])
def executor(request):
    return request.param


@pytest.fixture
def numbers(executor):
    """Four partitions of ten rows: p, k = 0..9, x, s."""
    return bascule.table("testsources:Numbers", executor=executor, partitions=4)


def made_here(rows=3):
    """A class that no other process can import."""

    class Mine:
        closed = 0

        def infer_schema(self, options):
            return pa.schema([("n", pa.int64())])

        def plan_partitions(self, options):
            return [{"n": n} for n in range(rows)]

        def read_partition(self, partition_spec, options):
            yield pa.record_batch({"n": [partition_spec["n"]]})

        def close(self):
            Mine.closed += 1

    return Mine


# ---- what it is made of ----


@pytest.mark.parametrize(
    "source",
    [
        "testsources:Numbers",
        testsources.Numbers,
        testsources.Numbers(),
        str(TESTS / "testsources.py") + ":Numbers",
    ],
    ids=["name", "class", "instance", "file"],
)
def test_a_source_is_named_or_given(source, executor):
    assert bascule.table(source, executor=executor, partitions=2).to_arrow().num_rows == 20


def test_a_class_of_a_function_is_read_here_and_by_workers(executor):
    assert bascule.table(made_here(), executor=executor).to_arrow()["n"].to_pylist() == [0, 1, 2]
    one, other = (bascule.table(made_here(n), executor=executor) for n in (1, 5))
    assert (one.count(), other.count()) == (1, 5)


def test_a_class_whose_name_another_takes_stays_the_one_that_was_given(monkeypatch):
    first, second = made_here(1), made_here(2)
    module = sys.modules[__name__]
    early = bascule.table(first)
    monkeypatch.setattr(module, "Mine", second, raising=False)
    for cls in (first, second):
        cls.__qualname__ = "Mine"
    late, unread = bascule.table(second), bascule.table(second)
    assert (early.count(), late.count(), bascule.table(first).count()) == (1, 2, 1)
    monkeypatch.setattr(module, "Mine", first)
    assert (unread.count(), late.count()) == (2, 2)


@dataclasses.dataclass(frozen=True)
class Frozen(testsources.Numbers):
    partitions: int = 3

    def plan_partitions(self, options):
        return super().plan_partitions({**options, "partitions": str(self.partitions)})


class Slots:
    __slots__ = ("rows",)

    def __init__(self, rows):
        self.rows = rows

    def infer_schema(self, options):
        return pa.schema([("n", pa.int64())])

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, partition_spec, options):
        yield pa.record_batch({"n": range(self.rows)})


@pytest.mark.parametrize(("instance", "rows"), [(Frozen(5), 50), (Slots(7), 7)], ids=["frozen", "slots"])
def test_instances_of_any_shape(instance, rows, executor):
    assert bascule.table(instance, executor=executor).count() == rows


def test_an_instance_keeps_what_it_holds_and_is_not_closed(executor):
    cls = made_here()
    cls.plan_partitions = lambda self, options: [{"n": n} for n in self.numbers]
    mine = cls()
    mine.numbers = [7, 8]
    table = bascule.table(mine, executor=executor)
    assert table.to_arrow()["n"].to_pylist() == [7, 8]
    del table
    gc.collect()
    assert cls.closed == 0


def test_the_instance_lives_as_long_as_a_table_of_it():
    cls = made_here()
    table = bascule.table(cls)
    selected = table.select("n")
    assert selected.count() == table.count() == 3
    del table
    gc.collect()
    assert cls.closed == 0
    del selected
    gc.collect()
    assert cls.closed == 1


def test_options_are_texts_numbers_booleans_dates_times_and_paths():
    made = bascule.table(
        "testsources:Options",
        {"a": 1, "b": True, "c": 1.5, "d": decimal.Decimal("1.50"), "e": Path("/x"), "f": None},
        g=datetime.date(2026, 1, 2),
        h=datetime.datetime(2026, 1, 2, 3, 4, 5),
        i=datetime.time(3, 4),
    )
    assert made._bound.options == {
        "a": "1",
        "b": "true",
        "c": "1.5",
        "d": "1.50",
        "e": "/x",
        "g": "2026-01-02",
        "h": "2026-01-02 03:04:05",
        "i": "03:04:00",
    }
    with pytest.raises(bascule.OptionError, match="'a' is a list: options are texts"):
        bascule.table("x:Y", a=[1])
    with pytest.raises(bascule.OptionError, match="'A' is given twice"):
        bascule.table("x:Y", {"a": 1}, A=2)


def test_a_class_that_is_not_there_is_an_error_of_its_first_use():
    table = bascule.table("nowhere:Orders")
    with pytest.raises(bascule.SourceNotFoundError, match="there is no module 'nowhere'"):
        _ = table.schema


# ---- what is asked of it ----


def test_columns(numbers):
    assert numbers.schema == testsources.Numbers.SCHEMA
    some = numbers.select("s", "k")
    assert some.schema.names == ["s", "k"]
    assert some.to_arrow().schema == some.schema
    assert some.select(["k"]).to_arrow()["k"].to_pylist() == list(range(10)) * 4
    with pytest.raises(bascule.BasculeError, match="has no column 'K': did you mean 'k'"):
        numbers.select("K")
    with pytest.raises(bascule.BasculeError, match="has no column 'x'"):
        some.select("x")


@pytest.mark.parametrize(
    "predicate", [f.GreaterThanOrEqual("k", 8), pc.field("k") >= 8, (pc.field("k") + 1) > 8, pc.field("k").isin([8, 9])]
)
def test_predicates_of_either_kind(numbers, predicate):
    found = numbers.where(predicate).to_arrow()
    assert found["k"].to_pylist() == [8, 9] * 4
    assert numbers.where(predicate, f.EqualTo("p", 2)).select("x").to_arrow().num_rows == 2
    assert numbers.select("s").where(predicate).count() == 8


def test_arrow_expressions_say_what_they_say_in_arrow(executor, monkeypatch):
    rows = pa.table({"x": [1.0, float("nan"), None, 9.0]})
    numbers = bascule.table(testsources.Yields, executor="inprocess")
    monkeypatch.setattr(testsources.Yields, "schema", rows.schema)
    monkeypatch.setattr(testsources.Yields, "items", [rows])
    assert numbers.where(pc.field("x") > 5).to_arrow()["x"].to_pylist() == [9.0]
    assert len(numbers.where(f.GreaterThan("x", 5.0)).to_arrow()) == 2  # NaN is the greatest


def test_predicates_are_pushed_and_claims_are_trusted(executor):
    days = bascule.table("pushsources:Claims", executor=executor)
    assert days.where(f.EqualTo("id", 42)).select("name").to_arrow()["name"].to_pylist() == ["n42"]
    assert bascule.scans().to_pylist()[0]["pushed_filters"] == "id = 42"
    assert days.where(pc.field("id") == 42).count() == 1
    assert bascule.scans().to_pylist()[0]["pushed_filters"] == "id = 42"


def test_predicates_that_cant_be(numbers):
    with pytest.raises(bascule.BasculeError, match="has no column 'nope', which the query reads"):
        numbers.where(f.EqualTo("nope", 1))
    with pytest.raises(bascule.BasculeError, match="has no column 'nope'"):
        numbers.where(pc.field("nope") == 1)
    with pytest.raises(bascule.BasculeError, match="can't filter rows by"):
        numbers.where(pc.field("k") == "text")
    with pytest.raises(TypeError, match="a predicate is a bascule"):
        numbers.where("k > 1")
    with pytest.raises(bascule.BasculeError, match=r"where\(\) comes before limit\(\)"):
        numbers.limit(3).where(f.EqualTo("k", 1))


def test_limits(numbers):
    assert numbers.limit(3).to_arrow()["k"].to_pylist() == [0, 1, 2]
    assert numbers.limit(15).to_arrow()["k"].to_pylist() == [*range(10), *range(5)]
    assert numbers.limit(0).to_arrow().num_rows == 0
    assert numbers.limit(5).limit(2).count() == numbers.limit(2).limit(5).count() == 2
    assert numbers.limit(1000).count() == 40
    assert numbers.head().num_rows == 5
    assert numbers.where(f.EqualTo("k", 3)).head(2)["p"].to_pylist() == [0, 1]
    for wrong in (-1, True, 1.5):
        with pytest.raises(ValueError, match="a limit is a number of rows"):
            numbers.limit(wrong)


def test_counting_reads_nothing_where_every_partition_says_its_rows(executor):
    days = bascule.table(pushsources.Days, executor=executor)
    before = bascule.scans()["scan"].to_pylist()
    assert days.count() == 100
    assert days.limit(7).count() == 7
    assert bascule.scans()["scan"].to_pylist() == before
    assert days.where(f.EqualTo("id", 42)).count() == 1


@pytest.mark.parametrize("predicate", [pc.field("id") + 1 > 50, pc.scalar(False), f.GreaterThan("id", 48)], ids=str)
def test_counting_sees_predicates_that_nobody_was_told(executor, predicate):
    asked = bascule.table(pushsources.Days, executor=executor).where(predicate)
    assert asked.count() == asked.to_arrow().num_rows < 100
    assert asked.limit(3).count() == asked.limit(3).to_arrow().num_rows


def test_statistics(executor):
    assert bascule.table("testsources:Numbers", executor=executor).statistics() is None


# ---- handed over ----


def test_pyarrow_writes_it_out_batch_by_batch(numbers, tmp_path):
    pyarrow.dataset.write_dataset(
        numbers.to_reader(), tmp_path, format="parquet", partitioning=["p"], partitioning_flavor="hive"
    )
    written = pyarrow.dataset.dataset(tmp_path, partitioning="hive").to_table()
    assert sorted(tmp_path.glob("p=*/*.parquet"))
    assert written.num_rows == 40
    assert written.group_by("p").aggregate([("k", "sum")]).sort_by("p")["k_sum"].to_pylist() == [45] * 4


def test_it_is_an_arrow_stream_again_and_again(numbers):
    assert pa.schema(numbers) == numbers.schema
    assert pa.table(numbers) == pa.table(numbers) == numbers.to_arrow()
    assert pa.RecordBatchReader.from_stream(numbers).read_all().num_rows == 40


def test_another_schema_is_cast_to(numbers):
    wanted = pa.schema([("p", pa.int32()), ("k", pa.int32()), ("x", pa.float64()), ("s", pa.large_string())])
    assert pa.RecordBatchReader.from_stream(numbers, schema=wanted).read_all().schema == wanted


def test_batches_in_order_and_as_they_come(numbers):
    for ordered in (True, False):
        batches = list(numbers.batches(ordered=ordered))
        assert sorted(zip(*(pa.Table.from_batches(batches)[c].to_pylist() for c in "pk"), strict=True)) == [
            (p, k) for p in range(4) for k in range(10)
        ]
    assert [b.column("p")[0].as_py() for b in numbers.batches()] == sorted([0, 1, 2, 3] * 2)


def test_async_batches_let_other_tasks_run(numbers):
    async def main():
        rows = 0
        async for batch in numbers.batches_async():
            rows += batch.num_rows
        async for batch in numbers.batches_async(ordered=False):
            rows += batch.num_rows
            break
        return rows

    assert asyncio.run(main()) == 45


def test_a_task_that_is_cancelled_ends_the_read(executor):
    class Sleeps(testsources.Numbers):
        def read_partition(self, partition_spec, options):
            yield next(super().read_partition(partition_spec, options))
            end = time.monotonic() + 60
            while time.monotonic() < end:
                time.sleep(0.01)

    async def main():
        seen = 0
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                async for _ in bascule.table(Sleeps, executor=executor).batches_async():
                    seen += 1
        assert seen >= 1
        assert time.monotonic() - begun < 20

    asyncio.run(main())


def test_pandas(numbers):
    frame = numbers.select("p", "k").limit(3).to_pandas(types_mapper=pd.ArrowDtype)
    assert frame["k"].tolist() == [0, 1, 2]
    assert frame.dtypes["k"] == pd.ArrowDtype(pa.int64())


def test_partitions_are_read_apart_in_any_process(numbers):
    parts = numbers.where(pc.field("k") > 7).select("p", "k").partitions()
    assert [pa.table(part)["p"].to_pylist() for part in parts] == [[i] * 2 for i in range(4)]
    code = "import pickle, sys, pyarrow as pa; print(pa.table(pickle.loads(sys.stdin.buffer.read())).to_pydict())"
    told = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(parts[2]), capture_output=True, check=True, cwd=TESTS
    )
    assert told.stdout.decode() == "{'p': [2, 2], 'k': [8, 9]}\n"
    assert repr(parts[2]).startswith("<partition 2 of 4 of bascule.table('testsources:Numbers'")


def test_a_table_is_pickled_with_what_is_asked_of_it(numbers):
    asked = numbers.where(f.EqualTo("k", 3)).select("p").limit(2)
    assert pickle.loads(pickle.dumps(asked)).to_arrow() == asked.to_arrow()


def test_many_threads_read_one_table(numbers):
    found, failures = [], []

    def read():
        try:
            found.append(numbers.where(f.GreaterThan("k", 4)).to_arrow().num_rows)
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, failures) == ([20] * 8, [])


# ---- reading ahead ----


def test_a_reader_that_is_dropped_ends_the_read(executor):
    class Endless(testsources.Numbers):
        def read_partition(self, partition_spec, options):
            while True:
                time.sleep(0.001)
                yield next(super().read_partition(partition_spec, options))

    reader = bascule.table(Endless, executor=executor).to_reader()
    reader.read_next_batch()
    begun = time.monotonic()
    del reader
    gc.collect()
    assert time.monotonic() - begun < 5
    assert not [t for t in threading.enumerate() if t.name.startswith("bascule-read")]


def test_what_a_class_raises_is_raised_where_its_turn_comes(executor):
    table = bascule.table("sparksources:ReadRaises", executor=executor)
    for read in (table.to_arrow, lambda: list(table.batches()), lambda: table.to_reader().read_all(), table.count):
        with pytest.raises(
            bascule.BasculeError, match=r"partition \d of 4: read_partition raised ValueError: no rows today"
        ):
            read()


def test_read_ahead_is_bounded():
    """Two partitions of 100 batches of 8 KiB: 64 KiB are read ahead, of all of them; of few who takes few."""
    begun = {0: 0, 1: 0}

    class Counts:
        def infer_schema(self, options):
            return pa.schema([("n", pa.int64())])

        def plan_partitions(self, options):
            return [{"p": 0}, {"p": 1}]

        def read_partition(self, partition_spec, options):
            for _ in range(100):
                begun[partition_spec["p"]] += 1
                yield pa.record_batch({"n": range(1024)})

    for ordered in (True, False):
        begun.update({0: 0, 1: 0})
        reader = bascule.table(Counts).to_reader(max_bytes=64 << 10, ordered=ordered, threads=2)
        for taken in range(1, 41):
            reader.read_next_batch()
            if taken in (1, 4, 40):
                time.sleep(0.2)
                ahead = sum(begun.values()) - taken
                # Each thread has one more in its hands.
                assert 1 <= ahead <= min(8, max(2, taken)) + 2 + 1, (ordered, taken, ahead)
        assert sum(batch.num_rows for batch in reader) == 160 * 1024


def test_threads_begin_where_batches_are_waited_for():
    """A source whose batches come at once is read by one thread; one that lets wait by as many as there may be."""
    threads = set()

    class Source:
        def infer_schema(self, options):
            return pa.schema([("n", pa.int64())])

        def plan_partitions(self, options):
            return [{}] * 8

        def read_partition(self, partition_spec, options):
            for _ in range(20):
                threads.add(threading.get_ident())
                time.sleep(float(options["pause"]))
                yield pa.record_batch({"n": range(10)})

    for ordered in (True, False):
        for pause, takes, least, most in (("0", 0.003, 1, 3), ("0.02", 0, 4, 4)):
            threads.clear()
            rows = 0
            for batch in bascule.table(Source, pause=pause).to_reader(ordered=ordered, threads=4):
                time.sleep(takes)
                rows += batch.num_rows
            assert rows == 8 * 20 * 10
            assert least <= len(threads) <= most, (ordered, pause, len(threads))


# ---- as people see it ----


def test_its_text_says_what_is_asked_and_no_secret():
    table = bascule.table("testsources:Numbers", partitions=4, password="hunter2", url="http://me:hunter2@host/")
    asked = table.select("p").where(f.EqualTo("k", 3)).limit(5)
    assert repr(asked).endswith(").select('p').where(k = 3).limit(5)")
    assert "partitions='4'" in repr(asked)
    for text in (repr(asked), asked._repr_html_()):
        assert "hunter2" not in text
        assert "***" in text


def test_options_that_a_class_calls_secret_are_hidden_and_so_are_all_until_it_is_known():
    class Secretive(testsources.Numbers):
        OPTIONS = (bascule.Option("dsn", secret=True), bascule.Option("n", int, default=1))

    table = bascule.table(Secretive, dsn="canary", n=3)
    for text in (repr(table), table._repr_html_()):
        assert "canary" not in text
        assert "3" in text
    with pytest.raises(bascule.BasculeError) as e:
        bascule.concat(table.limit(1))
    assert "canary" not in str(e.value)
    assert "canary" not in repr(bascule.table("not_imported_yet:Orders", dsn="canary"))


def test_its_page_lists_columns_and_partitions():
    table = bascule.table("testsources:Numbers", partitions=4)
    html = table._repr_html_()
    assert "4 partitions" in html
    assert "<td>x</td><td>double</td>" in html
