"""A source of much data that costs nothing to make."""

from __future__ import annotations

import array

import pyarrow as pa

SCHEMA = pa.schema([("n", pa.int64())])
#: 1 MiB.
BATCH = pa.RecordBatch.from_arrays(
    [pa.Array.from_buffers(pa.int64(), 131072, [None, pa.py_buffer(array.array("q", range(131072)))])], schema=SCHEMA
)


class Large:
    """One partition that yields a batch of 131,072 numbers, 1 MiB, ``batches`` times."""

    def infer_schema(self, options):
        return SCHEMA

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, spec, options):
        for _ in range(int(options["batches"])):
            yield BATCH
