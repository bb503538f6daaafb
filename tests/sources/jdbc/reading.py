"""Reads JDBCArrowDataSource as a bridge does, without any."""

from __future__ import annotations

import pickle
from typing import Any

import pyarrow as pa

from bascule.sources.jdbc import JDBCArrowDataSource


def parts(columns: list[str] | None = None, **options: Any) -> list[pa.Table]:
    """What each partition holds, read by one instance; the specs go through pickle."""
    given = {name: str(value) for name, value in options.items()}
    source = JDBCArrowDataSource()
    schema = source.infer_schema(given)
    specs = source.plan_partitions(given)
    found = []
    for spec in specs:
        batches = list(source.read_partition(pickle.loads(pickle.dumps(spec)), given, columns=columns))
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in schema.names if name in columns])
        found.append(pa.Table.from_batches(batches, schema=schema))
    return found


def table(columns: list[str] | None = None, **options: Any) -> pa.Table:
    return pa.concat_tables(parts(columns, **options))


def only(**options: Any) -> list[Any]:
    """The values of the first column."""
    return table(**options).column(0).to_pylist()
