"""How each engine reads a source. An engine declares its quirks here; nothing else differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Engine:
    """An engine under one executor.

    Attributes:
        read: source name, options, columns (None: all) -> the rows, in partition order.
        count: source name, options -> number of rows, as the engine counts them.
        fails_with: the exceptions in which a source's error arrives.
    """

    name: str
    read: Callable[[str, dict[str, str], list[str] | None], pa.Table]
    count: Callable[[str, dict[str, str]], int]
    fails_with: tuple[type[BaseException], ...]


#: The option that chooses the executor.
EXECUTOR = "bascule_executor"


def _native_read(executor: str, source: str, options: dict[str, str], columns: list[str] | None) -> pa.Table:
    from bascule._native import Source

    plan = Source(source, {**options, EXECUTOR: executor}).plan(columns)
    scan = plan.scan()
    streams = [pa.RecordBatchReader.from_stream(scan.partition(i)) for i in range(plan.partition_count)]
    return pa.Table.from_batches([b for s in streams for b in s], schema=pa.schema(plan))


def _native(executor: str) -> Engine:
    from bascule import BasculeError

    read = partial(_native_read, executor)
    return Engine(
        "native",
        read,
        lambda source, options: read(source, options, []).num_rows,
        (BasculeError, OSError, pa.ArrowException),
    )


def _duckdb(executor: str) -> Engine:
    import duckdb

    import bascule

    con = bascule.connect(config={"threads": 2})
    con.execute(f"SET {EXECUTOR} = '{executor}'")

    def call(source: str, options: dict[str, str]) -> tuple[str, list[Any]]:
        return "python(?, options := map_from_entries(?))", [source, [{"k": k, "v": v} for k, v in options.items()]]

    def read(source: str, options: dict[str, str], columns: list[str] | None) -> pa.Table:
        function, parameters = call(source, options) if options else ("python(?)", [source])
        names = "*" if columns is None else ", ".join(f'"{c}"' for c in columns)
        return con.sql(f"SELECT {names} FROM {function}", params=parameters).to_arrow_table()

    def count(source: str, options: dict[str, str]) -> int:
        function, parameters = call(source, options) if options else ("python(?)", [source])
        (row,) = con.execute(f"SELECT count(*) FROM {function}", parameters).fetchall()
        return int(row[0])

    return Engine("duckdb", read, count, (duckdb.Error,))


#: By name and executor: each is made when first used.
ENGINES: dict[str, Callable[[], Engine]] = {
    f"{name}-{executor}": partial(make, executor)
    for executor in ("inprocess", "process")
    for name, make in (("native", _native), ("duckdb", _duckdb))
}
