"""The source that the fault tests read: every way into _native that a class can take."""

from __future__ import annotations

import weakref
from typing import Any, ClassVar

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("a", pa.int64()),
        ("b", pa.string()),
        ("c", pa.struct([("x", pa.int64()), ("y", pa.string())])),
        ("d", pa.dictionary(pa.int32(), pa.string())),
    ]
)


def rows(first: int, n: int) -> pa.RecordBatch:
    k = range(first, first + n)
    columns = [
        pa.array(list(k), pa.int64()),
        pa.array([f"row {i}" for i in k]),
        pa.array([{"x": i, "y": f"y{i}"} for i in k], SCHEMA.field("c").type),
        pa.array([f"d{i % 2}" for i in k]).dictionary_encode(),
    ]
    return pa.record_batch(columns, schema=SCHEMA)


class Source:
    """Two partitions: batches, one of them a slice; then a stream, and columns in another order."""

    alive: ClassVar[weakref.WeakSet[Source]] = weakref.WeakSet()

    def __init__(self) -> None:
        self.alive.add(self)

    def infer_schema(self, options: Any) -> pa.Schema:
        return SCHEMA

    def plan_partitions(self, options: Any, *, columns: list[str] | None = None) -> list[dict[str, int]]:
        return [{"p": 0}, {"p": 1}]

    def read_partition(self, partition_spec: dict[str, int], options: Any) -> Any:
        if partition_spec["p"] == 0:
            yield rows(0, 2)
            yield rows(0, 6).slice(3, 2)
        else:
            yield pa.Table.from_batches([rows(10, 2), rows(20, 1)])
            yield rows(30, 2).select(["d", "c", "b", "a"])

    def close(self) -> None:
        pass


class Asked(Source):
    """Takes what a query asks, and says what its partitions hold."""

    def statistics(self, options: Any) -> Any:
        import bascule

        return bascule.Statistics(7, exact=True, total_bytes=100)

    def push_filters(self, filters: Any, options: Any) -> list[Any]:
        return []

    def plan_partitions(self, options: Any, *, columns: list[str] | None = None) -> list[dict[str, Any]]:
        return [{"p": 0, "bascule_rows": 4, "bascule_bounds": {"a": (0, 9)}}, {"p": 1, "bascule_rows": 5}]

    def read_partition(
        self, partition_spec: dict[str, int], options: Any, *, filters: Any = (), limit: Any = None
    ) -> Any:
        import bascule

        bascule.report_metric("read")
        return super().read_partition(partition_spec, options)


class Refused(Source):
    """A type that DuckDB doesn't read, and what it is to be cast to needs memory."""

    def infer_schema(self, options: Any) -> pa.Schema:
        return pa.schema([("fine", pa.int64()), ("many", pa.list_(pa.decimal256(38, 4)))])


class Nested(Source):
    """What the DuckDB adapter hands over as shadows: a slice with offsets, rows cut off, lists that are all empty."""

    schema = pa.schema(
        [
            ("offset", pa.struct([("x", pa.struct([("y", pa.int64())]))])),
            ("cut", pa.struct([("x", pa.dictionary(pa.int8(), pa.string()))])),
            ("empty", pa.list_(pa.dictionary(pa.int32(), pa.string()))),
            ("wide", pa.decimal128(3, 5)),
        ]
    )

    def infer_schema(self, options: Any) -> pa.Schema:
        return self.schema

    def read_partition(self, partition_spec: dict[str, int], options: Any) -> Any:
        row = {"offset": {"x": {"y": 1}}, "cut": {"x": "a"}, "empty": [], "wide": None}
        full = {**row, "offset": None, "empty": ["a", None]}
        yield pa.RecordBatch.from_pylist([full, row, row, full], schema=self.schema).slice(1)
