"""ConnectorX: reads a whole result as fast as it comes. It holds what is not read yet, without a bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from bascule.sources.jdbc._database import needs

BATCH_ROWS = 65_536


class ConnectorXStream:
    """A statement that ConnectorX runs. It can't be cancelled: it ends when its reader is dropped."""

    def __init__(self, uri: str, sql: str, before: Sequence[str] = (), fetchsize: int | None = None) -> None:
        more: dict[str, Any] = {"pre_execution_query": list(before)} if before else {}
        self._reader: pa.RecordBatchReader | None = needs("connectorx").read_sql(
            uri, sql, return_type="arrow_stream", batch_size=fetchsize or BATCH_ROWS, **more
        )

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        assert self._reader is not None
        yield from self._reader

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        self._reader = None
