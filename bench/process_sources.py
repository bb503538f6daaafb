"""What the cases of worker processes read, beside `bench.sources`. Each class runs in either executor."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa

from bench.sources import YIELDED


def spin(loops: int) -> int:
    """Pure Python, so that it holds the GIL; returns what it counted."""
    n = 0
    for i in range(loops):
        n += i & 7
    return n


def calibrated(seconds: float) -> int:
    """How many loops of :func:`spin` take so long here, without anybody else on the core."""
    loops = 50_000
    best = float("inf")
    for _ in range(20):
        start = time.thread_time()
        spin(loops)
        best = min(best, time.thread_time() - start)
    return int(loops * seconds / best)


BUSY_SCHEMA = pa.schema({"n": pa.int64(), "counted": pa.int64()})


class Busy:
    """Partitions of `batches` batches, each made by `loops` loops of Python. Numbered over all partitions."""

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        return BUSY_SCHEMA

    def plan_partitions(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        n = int(options["batches"])
        return [{"first": i * n, "batches": n} for i in range(int(options["partitions"]))]

    def read_partition(self, partition_spec: dict[str, Any], options: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        loops, first = int(options["loops"]), partition_spec["first"]
        for i in range(first, first + partition_spec["batches"]):
            counted = spin(loops)
            yield pa.record_batch([[i], [counted]], schema=BUSY_SCHEMA)
        YIELDED.add(partition_spec["batches"])


@lru_cache(maxsize=2)
def batch_of(path: str) -> pa.RecordBatch:
    """The batch in an Arrow file, in memory of its own."""
    with pa.OSFile(path) as file:
        return pa.ipc.open_file(pa.BufferReader(file.read())).get_batch(0)


class FromFile:
    """The batch of `path`, `batches` times, in one partition."""

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        return batch_of(options["path"]).schema

    def plan_partitions(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{}]

    def read_partition(self, partition_spec: dict[str, Any], options: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        batch = batch_of(options["path"])
        for _ in range(int(options["batches"])):
            yield batch


#: Of memory, not of a list: pyarrow imports pandas for that, where there is one, which takes longer than all the rest.
NUMBERS = pa.record_batch(
    {"n": pa.Array.from_buffers(pa.int64(), 3, [None, pa.py_buffer(struct.pack("=3q", 0, 1, 2))])}
)


class Numbers:
    """`partitions` partitions of two batches: 0, 1, 2."""

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        return NUMBERS.schema

    def plan_partitions(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{}] * int(options["partitions"])

    def read_partition(self, partition_spec: dict[str, Any], options: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        yield NUMBERS
        yield NUMBERS
