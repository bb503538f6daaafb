"""A source that yields what the test says, and the ways to read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from bascule._native import Source


class Parts:
    """A partition for each list of ``parts``, which yields its items, under ``schema``."""

    schema: pa.Schema
    parts: list[list[Any]] = []  # noqa: RUF012

    def infer_schema(self, options):
        return self.schema

    def plan_partitions(self, options):
        return [{"i": i} for i in range(len(self.parts))]

    def read_partition(self, partition_spec, options) -> Iterator[Any]:
        yield from self.parts[partition_spec["i"]]


def give(schema: pa.Schema, parts: list[list[Any]]) -> None:
    """What Parts yields from now on."""
    Parts.schema, Parts.parts = schema, parts


def as_batch(item: pa.RecordBatch | pa.StructArray, schema: pa.Schema) -> pa.RecordBatch:
    """A yielded item as the record batch that it stands for."""
    return pa.RecordBatch.from_arrays(item.flatten(), schema=schema) if isinstance(item, pa.StructArray) else item


def scan(options: dict[str, str] | None = None) -> list[list[pa.RecordBatch]]:
    """Every partition of Parts through the core's scan, batch by batch."""
    plan = Source("reading:Parts", options).plan()
    assert pa.schema(plan).equals(Parts.schema, check_metadata=True)
    opened = plan.scan()
    readers = [pa.RecordBatchReader.from_stream(opened.partition(i)) for i in range(plan.partition_count)]
    for reader in readers:
        assert reader.schema.equals(Parts.schema, check_metadata=True)
    return [list(reader) for reader in readers]


# ---- DuckDB ----


def connect() -> Any:
    """A database whose Arrow output keeps DuckDB's own types apart (UUID, HUGEINT ...)."""
    import bascule

    con = bascule.connect(config={"threads": 2})
    con.execute("SET arrow_lossless_conversion = true")
    return con


def select(con: Any, source: str) -> pa.ChunkedArray:
    """Column v of a source. Fixed-size lists that hold lists come as lists: DuckDB 2.0.0 gives those out wrong."""
    rel = con.sql(f"SELECT v FROM {source}")
    kind = str(rel.types[0])
    if re.search(r"(\[\]|MAP).*\[\d+\]", kind):
        lists = re.sub(r"\[\d+\]", "[]", kind)
        rel = con.sql(f"SELECT v::{lists} AS v FROM {source}")
    return rel.to_arrow_table().column(0)


def table(schema: pa.Schema, batches: list[Any]) -> pa.Table:
    return pa.Table.from_batches([as_batch(item, schema) for item in batches], schema=schema)
