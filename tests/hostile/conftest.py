"""What the tests of hostile input share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import bascule
from testsources import Yields


class Reader:
    """Reads ``testsources.Yields``, as ``hostile:Yields``, through DuckDB; after a failure the connection must still work."""

    def __init__(self, con: duckdb.DuckDBPyConnection):
        self.con = con

    def rows(
        self, schema: pa.Schema, items: Callable[[], Iterator[Any]], full: bool = False, sql: str = "FROM {}"
    ) -> list[tuple[Any, ...]]:
        Yields.schema, Yields.items = schema, items()
        setting = ", bascule_validation := 'full'" if full else ""
        return self.con.execute(sql.format(f"python('hostile:Yields'{setting})")).fetchall()

    def fails(self, schema: pa.Schema, items: Callable[[], Any], full: bool = False) -> str:
        """The message that the user reads."""
        with pytest.raises(duckdb.Error) as caught:
            self.rows(schema, items, full)
        fine = pa.record_batch([pa.array([1, 2], pa.int64())], names=["a"])
        assert self.rows(fine.schema, lambda: iter([fine])) == [(1,), (2,)], "the connection goes on"
        return str(caught.value)


@pytest.fixture
def read(monkeypatch) -> Iterator[Reader]:
    monkeypatch.setitem(sys.modules, "hostile", SimpleNamespace(Yields=Yields))
    monkeypatch.setattr(Yields, "schema", Yields.schema)  # put back at the end
    monkeypatch.setattr(Yields, "items", Yields.items)
    with bascule.connect(config={"threads": 2}) as con:
        yield Reader(con)
