"""Every Arrow type through a worker process: what comes out is what the class yielded there."""

from __future__ import annotations

import pyarrow as pa
import pytest

from arrays import catalogue, variants
from bascule._native import Source
from reading import as_batch, connect, select
from refusals import castable
from test_scan import CATALOGUE
from values import decode, in_microseconds

MANY = 75


def options(name: str) -> dict[str, str]:
    return {"field": name, "many": str(MANY), "bascule_executor": "process", "bascule_validation": "full"}


@pytest.mark.parametrize("group", CATALOGUE)
def test_a_worker_gives_what_the_class_yielded(group):
    for name, field in CATALOGUE[group].items():
        given = variants(name, field, MANY)
        schema = pa.schema([field.with_name("v")])
        plan = Source("shipped:Variants", options(name)).plan()
        assert pa.schema(plan).equals(schema, check_metadata=True), name
        assert plan.partition_count == len(given)
        scan = plan.scan()
        for i, (variant, items) in enumerate(given.items()):
            batches = list(pa.RecordBatchReader.from_stream(scan.partition(i)))
            want = [b for b in (as_batch(item, schema) for item in items) if b.num_rows]
            assert [b.num_rows for b in batches] == [b.num_rows for b in want], (name, variant)
            for a, b in zip(batches, want, strict=True):
                a.validate(full=True)
                assert a.column(0).null_count == b.column(0).null_count, (name, variant)
                assert decode(a.column(0)) == decode(b.column(0)), (name, variant)


@pytest.mark.parametrize("group", catalogue())
def test_duckdb_reads_the_same_from_a_worker(group):
    con = connect()
    for name, field in catalogue()[group].items():
        if castable(field) is not field:
            continue  # refused at bind, whatever runs the class
        quoted = name.replace("'", "''")
        call = f"python('shipped:Variants', field := '{quoted}', many := {MANY}, bascule_executor := 'process')"
        got = [v for chunk in select(con, call).chunks for v in decode(chunk)]
        schema = pa.schema([field.with_name("v")])
        items = [item for batches in variants(name, field, MANY).values() for item in batches]
        assert got == [v for item in items for v in decode(as_batch(item, schema).column(0), in_microseconds)], name
    con.close()
