"""ConnectorX: reads a whole result as fast as it comes, and holds it until it is handed on.

Its own stream has no backpressure either, and keeps the GIL while it waits for the database: no
thread of Python would go on meanwhile, and no interrupt would come through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from bascule.sources.jdbc._database import needs

BATCH_ROWS = 65_536


class ConnectorXStream:
    """A statement that ConnectorX runs. It can't be cancelled: it ends by itself."""

    def __init__(self, uri: str, sql: str, before: Sequence[str] = (), fetchsize: int | None = None) -> None:
        self._uri, self._sql = uri, sql
        self._options: dict[str, Any] = {"pre_execution_query": list(before)} if before else {}
        self._rows = fetchsize or BATCH_ROWS
        self._batches: list[pa.RecordBatch] = []

    def open(self) -> None:
        table = needs("connectorx").read_sql(self._uri, self._sql, return_type="arrow", **self._options)
        self._batches = table.to_batches(self._rows)[::-1]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while self._batches:
            yield self._batches.pop()  # and lets go of it

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        self._batches = []
