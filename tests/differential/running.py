"""A query over each of its tables, and whether the answers are the same."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from differential.data import Data
from differential.duckdb_sql import Query, text_sql

Rows = Counter[tuple[Any, ...]]


def plain_values(column: pa.ChunkedArray) -> list[Any]:
    """Values that compare by what they are: NaN equals itself, -0.0 is 0.0, of moments their ticks."""
    type_ = column.type
    if pa.types.is_floating(type_):
        return [None if v is None else "nan" if v != v else v + 0.0 for v in column.to_pylist()]
    if isinstance(type_, pa.BaseExtensionType):
        return plain_values(pa.chunked_array([chunk.storage for chunk in column.chunks], type_.storage_type))
    if pa.types.is_interval(type_):
        return [None if v is None else tuple(v) for v in column.to_pylist()]
    if pa.types.is_temporal(type_):
        integers = pa.int32() if type_.bit_width == 32 else pa.int64()
        return [v for chunk in column.chunks for v in chunk.view(integers).to_pylist()]
    return column.to_pylist()  # type: ignore[no-any-return]


def rows_of(table: pa.Table) -> Rows:
    """The rows as a multiset."""
    return Counter(zip(*map(plain_values, table.columns), strict=True))


@dataclass(frozen=True)
class Answer:
    """What DuckDB says to a query: column types and rows, those of all executions together, each row behind its number."""

    types: tuple[pa.DataType, ...]
    rows: Rows

    def difference(self, other: Answer) -> str:
        """What the other has too few and too much of, in short; "" where nothing."""
        missing, more = self.rows - other.rows, other.rows - self.rows
        if missing or more:
            return f"{missing.total()} rows missing: {list(missing)[:3]}, {more.total()} too many: {list(more)[:3]}"
        return "" if self.types == other.types else f"types {other.types} instead of {self.types}"


def answer(con: duckdb.DuckDBPyConnection, query: Query) -> Answer:
    """Runs the query."""
    for statement in query.setup:
        con.execute(statement)
    rows: Rows = Counter()
    types: tuple[pa.DataType, ...] = ()
    for number, statement in enumerate(query.statements):
        for given, parameters in enumerate(query.parameters or ((),)):
            table = con.execute(statement, list(parameters)).to_arrow_reader().read_all()
            types = tuple(table.schema.types)
            rows.update({(number, given, *row): n for row, n in rows_of(table).items()})
    return Answer(types, rows)


def call(source: str, by_name: bool = False, **options: str) -> str:
    """``python(...)`` of a class of differential.source. ``by_name``: the form that common_subplan doesn't merge."""
    where = (
        f"python_module := 'differential.source', python_class := '{source}'"
        if by_name
        else f"'differential.source:{source}'"
    )
    return f"python({', '.join((where, *(f'{name} := {text_sql(value)}' for name, value in options.items())))})"


class Bench:
    """A connection, and a folder for tables; one after another."""

    def __init__(self, con: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.con = con
        con.execute("SET TimeZone = 'UTC'")
        self.folder = folder
        self.numbers = itertools.count()

    @contextmanager
    def table(self, data: Data) -> Iterator[tuple[str, Path]]:
        """The table's name in DuckDB, and the folder of its partitions."""
        name = f"t{next(self.numbers)}"
        folder = self.folder / name
        data.write(folder)
        arrow = data.table()
        self.con.register("arrow", arrow)
        self.con.execute(f"CREATE TABLE {name} AS SELECT * FROM arrow")
        self.con.unregister("arrow")
        try:
            yield name, folder
        finally:
            self.con.execute("DROP VIEW IF EXISTS temp.v; DROP TABLE IF EXISTS temp.made")
            self.con.execute(f"DROP TABLE {name}")
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
