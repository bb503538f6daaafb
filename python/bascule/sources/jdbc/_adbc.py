"""What the ADBC drivers share."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, Self

import pyarrow as pa

from bascule import BasculeError
from bascule.sources.jdbc._database import Session


class AdbcStream:
    """A statement on an ADBC connection of its own."""

    def __init__(
        self,
        connect: Callable[[], Any],
        sql: str,
        options: dict[str, str],
        parameters: Sequence[pa.Scalar] = (),
        closed: Callable[[], object] | None = None,
        give_back: Callable[[Any], object] | None = None,
    ) -> None:
        self._connect, self._sql, self._options, self._closed = connect, sql, options, closed
        self._parameters = parameters
        self._give_back = give_back  # takes the connection of a statement that was read to its end
        self._is_through = False
        self._connection: Any = None
        self._cursor: Any = None
        self._reader: pa.RecordBatchReader | None = None
        self._cancelled = False

    def open(self) -> None:
        self._connection = self._connect()
        self._cursor = self._connection.cursor()
        if self._cancelled:
            raise BasculeError("cancelled")
        self._cursor.adbc_statement.set_options(**self._options)
        self._cursor.execute(self._sql, _batch(self._parameters))
        self._reader = self._cursor.fetch_record_batch()
        if self._cancelled:
            raise BasculeError("cancelled")

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        assert self._reader is not None
        yield from self._reader
        self._is_through = True

    def cancel(self) -> None:
        self._cancelled = True
        if self._cursor is not None:
            with contextlib.suppress(Exception):  # it may be through
                self._cursor.adbc_cancel()

    def close(self) -> None:
        # In this order: the driver crashes or complains in others. What fails here has failed before.
        for part in (self._reader, self._cursor):
            if part is not None:
                with contextlib.suppress(Exception):
                    part.close()
        if self._connection is not None and self._is_through and not self._cancelled and self._give_back is not None:
            self._give_back(self._connection)
        elif self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
        if self._closed is not None:
            self._closed()


def _batch(parameters: Sequence[pa.Scalar]) -> pa.RecordBatch | None:
    """What a statement is run with: one row."""
    if not parameters:
        return None
    return pa.RecordBatch.from_arrays([pa.array([p]) for p in parameters], [str(i) for i in range(len(parameters))])


class Connects(Protocol):
    """A database that ADBC connects to."""

    _sessions: weakref.WeakSet[Session]

    def connect(self) -> Any: ...
    def explain(self, error: BaseException) -> BasculeError: ...


class AdbcSession:
    """An ADBC connection for questions with short answers."""

    def __init__(self, database: Connects) -> None:
        self._database = database
        self._cursor: Any = None
        try:
            self.connection = database.connect()
        except Exception as e:
            raise database.explain(e) from None
        database._sessions.add(self)

    @contextlib.contextmanager
    def cursor(self) -> Iterator[Any]:
        with self.connection.cursor() as cursor:
            self._cursor = cursor
            try:
                yield cursor
            finally:
                self._cursor = None

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            with self.cursor() as cursor:
                cursor.execute(sql)
                return [tuple(row.values()) for row in cursor.fetch_arrow_table().to_pylist()]
        except Exception as e:
            raise self._database.explain(e) from None

    def export_snapshot(self) -> str | None:
        return None

    def cancel(self) -> None:
        cursor = self._cursor
        if cursor is not None:
            with contextlib.suppress(Exception):  # it may be through
                cursor.adbc_cancel()

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
