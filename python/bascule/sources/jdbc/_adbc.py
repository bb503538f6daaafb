"""What the ADBC drivers share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Self

import pyarrow as pa


class AdbcStream:
    """A statement of an ADBC connection, which it owns."""

    def __init__(self, connection: Any, sql: str, options: dict[str, str]) -> None:
        self._connection = connection
        self._reader: pa.RecordBatchReader | None = None
        self._cursor = connection.cursor()
        try:
            self._cursor.adbc_statement.set_options(**options)
            self._cursor.execute(sql)
            self._reader = self._cursor.fetch_record_batch()
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        assert self._reader is not None
        yield from self._reader

    def cancel(self) -> None:
        with contextlib.suppress(Exception):  # it may be through
            self._cursor.adbc_cancel()

    def close(self) -> None:
        # In this order: the driver crashes or complains in others. What fails here has failed before.
        for part in (self._reader, self._cursor, self._connection):
            if part is not None:
                with contextlib.suppress(Exception):
                    part.close()


class AdbcSession:
    """An ADBC connection for questions with short answers."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return [tuple(row.values()) for row in cursor.fetch_arrow_table().to_pylist()]

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
