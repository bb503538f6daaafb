"""The tables that are measured, each as batches and as a class over the same batches.

A class re-yields batches that were made before: what is timed is the way to DuckDB, not the making
of data. Each class counts the batches that it yielded, so that a case can tell that they were read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

N_STRINGS = 16


class Counter:
    """Counts what all threads yielded, a partition at a time: a lock per batch would be timed too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n = 0

    def add(self, n: int) -> None:
        with self._lock:
            self._n += n

    def take(self) -> int:
        """The count since the last call."""
        with self._lock:
            n, self._n = self._n, 0
        return n


YIELDED = Counter()


def _repeat(batch: pa.RecordBatch, n: int) -> Iterator[pa.RecordBatch]:
    yielded = 0
    try:
        while yielded < n:
            yielded += 1
            yield batch
    finally:
        YIELDED.add(yielded)


@lru_cache(maxsize=1)
def wide_batch(rows: int) -> pa.RecordBatch:
    """Four int64, four float64, one string of 16 distinct values of 16 bytes: 84 bytes a row.

    The floats are multiples of 0.5, so that their sums are exact in any order.
    """
    random = np.random.default_rng(7)
    names = [f"warehouse-key-{i:02}" for i in range(N_STRINGS)]
    columns: dict[str, pa.Array] = {}
    for i in range(4):
        columns[f"i{i}"] = pa.array(random.integers(0, 1 << 20, rows))
    for i in range(4):
        columns[f"f{i}"] = pa.array(random.integers(0, 1 << 20, rows) / 2)
    columns["s"] = pa.array([names[i] for i in random.integers(0, N_STRINGS, rows)])
    return pa.record_batch(columns)


class Wide:
    """One batch of `rows` rows, yielded `batches` times in each of `partitions` partitions."""

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        return wide_batch(int(options["rows"])).schema

    def plan_partitions(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"batches": int(options["batches"])}] * int(options["partitions"])

    def read_partition(self, partition_spec: dict[str, Any], options: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        return _repeat(wide_batch(int(options["rows"])), partition_spec["batches"])


@lru_cache(maxsize=1)
def row_batches(n: int) -> list[pa.RecordBatch]:
    """`n` batches of one row and one column: 0, 1, 2, …"""
    return [pa.record_batch({"n": pa.array([i])}) for i in range(n)]


class Rows:
    """`partitions` partitions of one row each."""

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        return row_batches(int(options["partitions"]))[0].schema

    def plan_partitions(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"row": i} for i in range(int(options["partitions"]))]

    def read_partition(self, partition_spec: dict[str, Any], options: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        return _repeat(row_batches(int(options["partitions"]))[partition_spec["row"]], 1)


@lru_cache(maxsize=2)
def columns_batch(columns: int, rows: int) -> pa.RecordBatch:
    """`columns` int64 columns c0, c1, …: column i holds i, i + 1, …"""
    return pa.record_batch({f"c{i}": pa.array(np.arange(i, i + rows)) for i in range(columns)})


class Columns:
    """One batch of `n` columns, yielded `batches` times in each of two partitions."""

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        return self._batch(options).schema

    def plan_partitions(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"batches": int(options["batches"])}] * 2

    def read_partition(self, partition_spec: dict[str, Any], options: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        return _repeat(self._batch(options), partition_spec["batches"])

    @staticmethod
    def _batch(options: Mapping[str, str]) -> pa.RecordBatch:
        return columns_batch(int(options["n"]), int(options["rows"]))


class PrunedColumns(Columns):
    """The same, and it yields only the columns that the query reads."""

    def read_partition(  # type: ignore[override]
        self, partition_spec: dict[str, Any], options: Mapping[str, str], *, columns: list[str] | None
    ) -> Iterator[pa.RecordBatch]:
        batch = self._batch(options)
        return _repeat(batch if columns is None else batch.select(columns), partition_spec["batches"])
