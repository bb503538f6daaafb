"""Sources and models of the tests."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema([("id", pa.int64()), ("a", pa.float64()), ("b", pa.float64()), ("text", pa.string())])
#: What ran in this process: which columns were read, how many rows the model saw.
seen: list[tuple[str, object]] = []


class Features:
    """`partitions` of 100 rows in two batches; ``bascule_bounds`` of id"""

    def infer_schema(self, options):
        return SCHEMA

    def plan_partitions(self, options):
        return [
            {"first": 100 * i, "bascule_bounds": {"id": (100 * i, 100 * i + 99)}}
            for i in range(int(options.get("partitions", "3")))
        ]

    def read_partition(self, partition_spec, options, *, columns=None):
        seen.append(("columns", columns))
        for first in (partition_spec["first"], partition_spec["first"] + 50):
            ids = list(range(first, first + 50))
            batch = pa.record_batch(
                [ids, [i / 10 for i in ids], [float(i % 7) for i in ids], [f"é{i}" for i in ids]], schema=SCHEMA
            )
            yield batch if columns is None else batch.select(columns)


class WithNulls(Features):
    def read_partition(self, partition_spec, options, *, columns=None):
        for batch in super().read_partition(partition_spec, options):
            arrays = [
                batch["id"],
                pc.if_else(pc.equal(pc.bit_wise_and(batch["id"], 1), 0), batch["a"], None),
                batch["b"],
                batch["text"],
            ]
            yield pa.record_batch(arrays, schema=SCHEMA)


def total(batch):
    seen.append(("rows", batch.num_rows))
    return pc.add(batch["a"], batch["b"])


def two(batch):
    return {"low": pc.multiply(batch["a"], 0.5), "where": pa.array([os.getpid()] * batch.num_rows)}


class Counter:
    """Made once for each process."""

    def __init__(self):
        self.calls = 0

    def __call__(self, batch):
        self.calls += 1
        return pa.table({"calls": [self.calls] * batch.num_rows})


def fails(batch):
    if batch["a"][0].as_py() >= 10:
        raise ArithmeticError("no weights today")
    return batch["a"]


def short(batch):
    return batch["a"].slice(1)
