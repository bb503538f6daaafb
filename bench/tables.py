"""Queries of a table of nine columns, and their answers."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset  # DuckDB's scan of a Table imports it at its first query

import bascule
from bench import sources
from bench.measure import check, stopwatch

N_THREADS = 2
N_PARTITIONS = 32
TABLE = "arrow_table"


def connect() -> duckdb.DuckDBPyConnection:
    con = bascule.connect()
    con.execute(f"SET threads = {N_THREADS}")
    con.execute("SET enable_progress_bar = false")
    return con


def timed(con: duckdb.DuckDBPyConnection, sql: str, expected: list[tuple[Any, ...]], n_batches: int) -> float:
    """Seconds for a query, its answer and the batches that its class yielded in this process checked."""
    sources.YIELDED.take()
    seconds, rows = stopwatch(lambda: con.execute(sql).fetchall())
    check(sql, rows, expected)
    check(f"batches read by {sql}", sources.YIELDED.take(), n_batches)
    return seconds


class WideTable:
    """`Wide`, its queries and their answers."""

    def __init__(self, rows: int, batches: int) -> None:
        self.batch = sources.wide_batch(rows)
        self.rows, self.batches = rows, batches
        self.n_batches = batches * N_PARTITIONS
        self.n_rows = rows * self.n_batches
        self.source = (
            f"python('bench.sources:Wide', rows := {rows}, batches := {batches}, partitions := {N_PARTITIONS})"
        )

    def table(self) -> pa.Table:
        return pa.Table.from_batches([self.batch] * self.n_batches)

    def sum_of(self, column: str) -> Any:
        return pc.sum(self.batch[column]).as_py() * self.n_batches

    def all_columns(self) -> tuple[str, list[tuple[Any, ...]]]:
        numbers = [name for name in self.batch.schema.names if name != "s"]
        answer = (*(self.sum_of(name) for name in numbers), pc.max(self.batch["s"]).as_py())
        return f"SELECT {', '.join(f'sum({name})' for name in numbers)}, max(s) FROM {{}}", [answer]

    def group_by(self) -> tuple[str, list[tuple[Any, ...]]]:
        counts = {c["values"]: c["counts"] * self.n_batches for c in pc.value_counts(self.batch["s"]).to_pylist()}
        return "SELECT s, count(*) FROM {} GROUP BY s ORDER BY s", sorted(counts.items())

    def one_column(self) -> tuple[str, list[tuple[Any, ...]]]:
        return "SELECT sum(i1) FROM {}", [(self.sum_of("i1"),)]

    def count(self) -> tuple[str, list[tuple[Any, ...]]]:
        return "SELECT count(*) FROM {}", [(self.n_rows,)]

    def describe(self) -> str:
        return (
            f"{self.n_rows / 1e6:.1f} M rows of 84 bytes (4 int64, 4 float64, a string of 16 distinct values), "
            f"{self.n_batches:,} batches of {self.rows:,} rows in {N_PARTITIONS} partitions, {N_THREADS} DuckDB threads"
        )


QUERIES = {
    "all nine columns": WideTable.all_columns,
    "string group-by": WideTable.group_by,
    "sum of one column": WideTable.one_column,
    "count(*)": WideTable.count,
}
