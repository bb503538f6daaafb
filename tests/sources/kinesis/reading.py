"""Reads KinesisDataSource as its users do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

import bascule
from bascule import declared
from bascule.sources.kinesis import KinesisDataSource
from kinesis_server import Kinesis

SOURCE = "bascule.sources.kinesis:KinesisDataSource"
EXECUTORS = ("inprocess", "process")
#: Waits that a test has the time for.
QUICK = {"backoff": "0.01", "timeout": "5", "reads_per_second": "1000"}


def options(kinesis: Kinesis, stream: str = "s", **more: Any) -> dict[str, str]:
    return {**kinesis.options, "stream": stream, **QUICK, **{name: str(value) for name, value in more.items()}}


def table(kinesis: Kinesis, stream: str = "s", *, executor: str = "inprocess", **more: Any) -> bascule.Table:
    return bascule.table(SOURCE, options(kinesis, stream, **more), executor=executor, workers=2)


def read(kinesis: Kinesis, stream: str = "s", **more: Any) -> pa.Table:
    return table(kinesis, stream, **more).to_arrow()


def texts(found: pa.Table) -> list[str]:
    return [data.decode() for data in found["data"].to_pylist()]


def numbered(first: int, after: int) -> Iterable[tuple[str, bytes]]:
    """Records whose data are numbers, each with a partition key of its own."""
    return [(f"key {i}", str(i).encode()) for i in range(first, after)]


class Direct:
    """The class without a bridge."""

    def __init__(self, kinesis: Kinesis, stream: str = "s", **more: Any) -> None:
        self.source = KinesisDataSource()
        self.options = declared(options(kinesis, stream, **more), KinesisDataSource.OPTIONS)

    def read(self, specs: Iterable[dict[str, Any]]) -> list[int]:
        return [
            int(data.as_py())
            for spec in specs
            for batch in self.source.read_partition(spec, self.options)
            for data in batch.column("data")
        ]

    def between(self, start: Any, end: Any) -> list[int]:
        return self.read(self.source.plan_partitions(self.options, start=start, end=end))

    def latest(self, start: Any = None, end: Any = None) -> dict[str, Any]:
        return self.source.latest_offset(self.options, start=start, end=end)

    def initial(self) -> dict[str, Any]:
        return self.source.initial_offset(self.options)

    def plan(self, *filters: Any) -> list[dict[str, Any]]:
        return self.source.plan_partitions(self.options, filters=filters)
