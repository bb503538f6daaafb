"""What every engine must make of a source: the cases, and the rows that are right.

A case is a class (importable as ``cases:Name``), its options, and what a read of all columns gives:
rows as dicts, in partition order. Nothing here knows an engine.
"""

from __future__ import annotations

import datetime
import decimal
from dataclasses import dataclass, field
from typing import Any

import nanoarrow as na
import pandas as pd
import polars as pl
import pyarrow as pa


@dataclass(frozen=True)
class Case:
    source: type
    options: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"cases:{self.source.__name__}"

    def rows(self) -> list[dict[str, Any]]:
        """The right answer, by reading the class without any of our code."""
        instance = self.source()
        out = []
        for spec in instance.plan_partitions(self.options):
            for item in instance.read_partition(spec, self.options):
                table = pa.table(pa.RecordBatch.from_struct_array(item) if isinstance(item, pa.StructArray) else item)
                names = pa.schema(instance.infer_schema(self.options)).names
                out += table.select(names).to_pylist() if len(set(names)) == len(names) else table.to_pylist()
        return out


class _Plain:
    """Three partitions of two batches each."""

    schema = pa.schema([("p", pa.int64()), ("i", pa.int32()), ("s", pa.string())])

    def infer_schema(self, options):
        return self.schema

    def plan_partitions(self, options):
        return [{"p": p} for p in range(3)]

    def batches(self, p):
        for b in range(2):
            yield pa.record_batch([[p] * 4, range(b * 4, b * 4 + 4), ["a", None, "", f"{p}é{b}"]], schema=self.schema)

    def read_partition(self, spec, options):
        yield from self.batches(spec["p"])


class Batches(_Plain):
    pass


class Tables(_Plain):
    def read_partition(self, spec, options):
        yield pa.Table.from_batches(list(self.batches(spec["p"])))


class Readers(_Plain):
    def read_partition(self, spec, options):
        yield pa.RecordBatchReader.from_batches(self.schema, self.batches(spec["p"]))


class StructArrays(_Plain):
    def read_partition(self, spec, options):
        for batch in self.batches(spec["p"]):
            yield batch.to_struct_array()


class Nanoarrow(_Plain):
    def read_partition(self, spec, options):
        for batch in self.batches(spec["p"]):
            yield na.Array(batch)


class PolarsFrames(_Plain):
    schema = pa.schema([("p", pa.int64()), ("i", pa.int32()), ("s", pa.string_view())])

    def read_partition(self, spec, options):
        for batch in self.batches(spec["p"]):
            yield pl.DataFrame(batch)


class PandasFrames(_Plain):
    schema = pa.schema([("p", pa.int64()), ("x", pa.float64())])

    def read_partition(self, spec, options):
        yield pd.DataFrame({"p": [spec["p"]] * 3, "x": [0.5, 1.5, 2.5]})


class Reordered(_Plain):
    def read_partition(self, spec, options):
        for batch in self.batches(spec["p"]):
            yield batch.select(["s", "p", "i"])


class TakesColumns(_Plain):
    def plan_partitions(self, options, *, columns=None):
        return super().plan_partitions(options)

    def read_partition(self, spec, options, *, columns=None):
        for batch in self.batches(spec["p"]):
            yield batch if columns is None else batch.select(columns)


class TakesColumnsAndReturnsMore(_Plain):
    def read_partition(self, spec, options, *, columns=None):
        for batch in self.batches(spec["p"]):
            yield batch if columns is None else batch.select([n for n in batch.schema.names if n in (*columns, "p")])


class Slices(_Plain):
    def read_partition(self, spec, options):
        for batch in self.batches(spec["p"]):
            yield batch.slice(1, 2)
            yield batch.to_struct_array().slice(2)


class Empties(_Plain):
    """Empty batches, tables and partitions among others."""

    def read_partition(self, spec, options):
        yield self.schema.empty_table()
        if spec["p"] != 1:
            yield pa.record_batch([[], [], []], schema=self.schema)
            yield from self.batches(spec["p"])
            yield self.schema.empty_table()


class NoPartitions(_Plain):
    def plan_partitions(self, options):
        return []


class NoBatches(_Plain):
    def read_partition(self, spec, options):
        return iter(())


class Lists(_Plain):
    """A list of batches, not a generator."""

    def read_partition(self, spec, options):
        return list(self.batches(spec["p"]))


class ManyPartitions(_Plain):
    def plan_partitions(self, options):
        return [{"p": p} for p in range(200)]


class LargeBatch(_Plain):
    schema = pa.schema([("k", pa.int64())])

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, spec, options):
        yield pa.record_batch([pa.array(range(70_001))], schema=self.schema)


class ByOptions(_Plain):
    schema = pa.schema([("name", pa.string()), ("value", pa.string())])

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, spec, options):
        yield pa.record_batch([list(options), [options[n] for n in options]], schema=self.schema)


class Scalars(_Plain):
    """A column of each common type, with nulls."""

    schema = pa.schema(
        [
            ("bool", pa.bool_()),
            ("i8", pa.int8()),
            ("u64", pa.uint64()),
            ("f32", pa.float32()),
            ("f64", pa.float64()),
            ("dec", pa.decimal128(20, 3)),
            ("text", pa.string()),
            ("large", pa.large_string()),
            ("bin", pa.binary()),
            ("day", pa.date32()),
            ("at", pa.timestamp("us")),
            ("time", pa.time64("us")),
            ("list", pa.list_(pa.int32())),
            ("struct", pa.struct([("x", pa.int8()), ("y", pa.string())])),
        ]
    )

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, spec, options):
        rows = [
            {
                "bool": True,
                "i8": -128,
                "u64": 2**64 - 1,
                "f32": 0.5,
                "f64": 1e300,
                "dec": decimal.Decimal("12345678901234567.891"),
                "text": "ünï",
                "large": "x" * 1000,
                "bin": b"\x00\xff",
                "day": datetime.date(1969, 12, 31),
                "at": datetime.datetime(2026, 1, 31, 12, 0, 0, 1),
                "time": datetime.time(23, 59, 59, 999999),
                "list": [1, None, 3],
                "struct": {"x": 1, "y": None},
            },
            dict.fromkeys(self.schema.names),
        ]
        yield pa.RecordBatch.from_pylist(rows * 3, schema=self.schema)


CASES = [Case(c) for c in _Plain.__subclasses__() if c is not ByOptions]
CASES.append(Case(ByOptions, {"CamelCase": "x", "empty": "", "ünï": "é"}))
