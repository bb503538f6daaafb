"""Reads BigQueryDataSource as its users do."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

import bascule
from bascule import declared
from bascule.sources.bigquery import BigQueryDataSource
from bigquery_server import BigQuery

SOURCE = "bascule.sources.bigquery:BigQueryDataSource"
EXECUTORS = ("inprocess", "process")


def options(server: BigQuery, **more: Any) -> dict[str, str]:
    given = {"table_id": "p.d.t", **server.options, "backoff": "0.01", "timeout": "10"}
    return given | {name: str(value) for name, value in more.items()}


def table(server: BigQuery, *, executor: str = "inprocess", **more: Any) -> bascule.Table:
    return bascule.table(SOURCE, options(server, **more), executor=executor, workers=2)


def numbers(n: int) -> pa.Table:
    return pa.table({"id": pa.array(range(n), pa.int64()), "name": [f"é{i % 3}" for i in range(n)]})


class Direct:
    """The class without a bridge."""

    def __init__(self, server: BigQuery, **more: Any) -> None:
        self.source = BigQueryDataSource()
        self.options = declared(options(server, **more), BigQueryDataSource.OPTIONS)

    def read(self, specs: list[dict[str, Any]], **hints: Any) -> list[dict[str, Any]]:
        return [
            row
            for spec in specs
            for batch in self.source.read_partition(spec, self.options, **hints)
            for row in batch.to_pylist()
        ]

    def plan(self, *filters: Any, columns: list[str] | None = None) -> list[dict[str, Any]]:
        return self.source.plan_partitions(self.options, filters=filters, columns=columns)
