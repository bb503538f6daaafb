"""The table object: what its threads and workers gain, and what each library pays for it over a hand-written way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import duckdb
import pyarrow as pa

import bascule
from bench import process_sources
from bench.measure import Case, Figure, alternate, check, ratios, scaled, stopwatch
from bench.sources import wide_batch

ROWS = 1 << 16
PARTITIONS = 8
BATCH_S = 0.010


class Sleeps:
    """Partitions of `batches` batches, each of which is waited for."""

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        return pa.schema({"n": pa.int64()})

    def plan_partitions(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{}] * int(options["partitions"])

    def read_partition(self, partition_spec: dict[str, Any], options: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        for n in range(int(options["batches"])):
            time.sleep(BATCH_S)
            yield pa.record_batch({"n": [n]})


def reader(quick: bool) -> Case:
    """Two partitions at a time against one."""
    n_batches, n = (10, 3) if quick else (50, 21)
    loops = process_sources.calibrated(0.020)
    sleeps = bascule.table(Sleeps, partitions=2, batches=n_batches)
    options = {"partitions": 2, "batches": n_batches // 2, "loops": loops}
    held = bascule.table("bench.process_sources:Busy", options, executor="inprocess")
    worked = bascule.table("bench.process_sources:Busy", options, executor="process", workers=2)

    def read(table: bascule.Table, rows: int, **how: Any) -> Callable[[], float]:
        def run() -> float:
            seconds, seen = stopwatch(lambda: sum(batch.num_rows for batch in table.to_reader(**how)))
            check("rows", seen, rows)
            return seconds

        return run

    one, two = alternate(n, read(sleeps, 2 * n_batches, threads=1), read(sleeps, 2 * n_batches))
    lock, workers = alternate(n, read(held, 2 * (n_batches // 2)), read(worked, 2 * (n_batches // 2)))
    figures = [
        Figure("a source that waits: one thread over two", "x", ratios(one, two), 1.9, scaled(two, 1e3), scaled(one, 1e3), "ms", True),
        Figure("a source that holds Python's lock: in-process over two workers", "x", ratios(lock, workers), 1.8, scaled(workers, 1e3), scaled(lock, 1e3), "ms", True),
    ]  # fmt: skip
    setup = (
        f"to_reader() over 2 partitions: {n_batches} batches each that take 10 ms of sleep; {n_batches // 2} each that take 20 ms of "
        f"Python. {n} runs of the sides in turn"
    )
    return Case("A table's reader: partitions at a time", setup, figures, ("two at a time", "one"))


# ---- libraries ----

#: Reads all nine columns: the sum of every number, and the last of the texts.
Query = Callable[[], tuple[float, str]]


def engines(quick: bool) -> Case:
    """Each library over our table, and over the same batches as a hand-written adapter hands them over."""
    n_batches, n = (5, 3) if quick else (50, 31)
    batch = wide_batch(ROWS)
    options = {"rows": ROWS, "batches": n_batches, "partitions": PARTITIONS}
    table = bascule.table("bench.sources:Wide", options)
    rows = PARTITIONS * n_batches * ROWS
    names = batch.schema.names
    total = rows // ROWS * sum(pa.compute.sum(batch[name]).as_py() for name in names[:-1])
    answer = (float(total), pa.compute.max(batch["s"]).as_py())

    def sides(ours: Query, theirs: Query) -> tuple[list[float], list[float]]:
        def timed(run: Query) -> Callable[[], float]:
            def side() -> float:
                seconds, seen = stopwatch(run)
                check("the sum and the last text", seen, answer)
                return seconds

            return side

        a, b = alternate(n, timed(ours), timed(theirs))
        return a, b

    figures = []
    for name, (ours, theirs) in {
        "Polars, a LazyFrame over an io plugin": _polars(table, batch, PARTITIONS * n_batches),
        "DataFusion, a dataset": _datafusion(table, batch, n_batches),
        "DuckDB, a RecordBatchReader": _duckdb(table, batch, PARTITIONS * n_batches),
    }.items():
        a, b = sides(ours, theirs)
        figures.append(Figure(name, "x", ratios(b, a), 0.9, scaled(a, 1e3), scaled(b, 1e3), "ms", True))
    setup = (
        f"{rows / 1e6:.0f} M rows of nine columns in batches of 65,536, {PARTITIONS} partitions; the sum of every number, the last text. By hand: the same "
        f"batches, handed over by code for that library alone (polars.from_arrow, a pyarrow dataset, a RecordBatchReader), in one partition "
        f"but for DataFusion. {n} runs in turn"
    )
    return Case(
        "Libraries over a table: the speed of a hand-written way, and ours", setup, figures, ("ours", "by hand")
    )


def _polars(table: bascule.Table, batch: pa.RecordBatch, n: int) -> tuple[Query, Query]:
    import polars as pl
    from polars.io.plugins import register_io_source

    answers = pl.sum_horizontal(pl.col(name).sum() for name in batch.schema.names[:-1]), pl.col("s").max()
    schema = pl.from_arrow(batch).schema  # type: ignore[union-attr]

    def read(with_columns: Any, predicate: Any, n_rows: Any, batch_size: Any) -> Iterator[pl.DataFrame]:
        for _ in range(n):
            yield pl.from_arrow(batch if with_columns is None else batch.select(with_columns))  # type: ignore[misc]

    def collected(frame: pl.LazyFrame) -> Query:
        return lambda: frame.select(answers).collect(engine="streaming").row(0)

    return collected(table.to_polars()), collected(register_io_source(read, schema=schema))


def _datafusion(table: bascule.Table, batch: pa.RecordBatch, n: int) -> tuple[Query, Query]:
    import datafusion
    import pyarrow.dataset

    from bascule.datafusion import register

    class Scanner:
        def __init__(self, columns: Any) -> None:
            self.columns = columns
            self.projected_schema = pa.schema([batch.schema.field(name) for name in columns])

        def to_batches(self) -> Iterator[pa.RecordBatch]:
            for _ in range(n):
                yield batch.select(self.columns)

    class Fragment:
        def scanner(self, schema: Any = None, columns: Any = (), **more: Any) -> Scanner:
            return Scanner(columns)

    class ByHand(pyarrow.dataset.Dataset):
        schema = batch.schema

        def scanner(self, columns: Any, filter: Any = None, **more: Any) -> Scanner:
            return Scanner(columns)

        def get_fragments(self, filter: Any = None) -> list[Fragment]:
            return [Fragment() for _ in range(PARTITIONS)]

    ctx = datafusion.SessionContext()
    register(ctx, "ours", table)
    ctx.register_dataset("theirs", ByHand.__new__(ByHand))

    def answers(name: str) -> Query:
        def run() -> tuple[float, str]:
            row = ctx.sql(f"SELECT {_sums(batch)} AS total, max(s) AS last FROM {name}").to_pydict()
            return float(row["total"][0]), row["last"][0]

        return run

    return answers("ours"), answers("theirs")


def _sums(batch: pa.RecordBatch) -> str:
    return " + ".join(f"sum({name})" for name in batch.schema.names[:-1])


def _duckdb(table: bascule.Table, batch: pa.RecordBatch, n: int) -> tuple[Query, Query]:
    con = bascule.connect(config={"threads": 2})
    relation = table.to_duckdb(con)

    def answers(relation: duckdb.DuckDBPyRelation) -> tuple[float, str]:
        total, last = relation.aggregate(f"{_sums(batch)}, max(s)").fetchall()[0]
        return float(total), last

    def theirs() -> tuple[float, str]:
        reader = pa.RecordBatchReader.from_batches(batch.schema, (batch for _ in range(n)))
        return answers(con.from_arrow(reader))

    return lambda: answers(relation), theirs
