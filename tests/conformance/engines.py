"""How each engine reads a source. An engine declares its quirks here; nothing else differs."""

from __future__ import annotations

import os
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


def _of_tables(
    name: str,
    read: Callable[[Any], pa.Table],
    count: Callable[[Any], int],
    fails_with: tuple[type[BaseException], ...] = (),
) -> Callable[[str], Engine]:
    """An engine that is handed a table. ``read``, ``count``: of a ``bascule.Table``."""

    def make(executor: str) -> Engine:
        import bascule

        def table(source: str, options: dict[str, str], columns: list[str] | None = None) -> bascule.Table:
            whole = bascule.table(source, options, executor=executor)
            return whole if columns is None else whole.select(columns)

        return Engine(
            name,
            lambda source, options, columns: read(table(source, options, columns)),
            lambda source, options: count(table(source, options)),
            (bascule.BasculeError, *fails_with),
        )

    return make


#: As any library takes it: what it fails with is pyarrow's.
_stream = _of_tables(
    "stream",
    pa.table,
    lambda table: sum(b.num_rows for b in table.batches(ordered=False)),
    (pa.ArrowException, OSError),
)


def _pandas(table: Any) -> pa.Table:
    import pandas as pd

    return pa.Table.from_pandas(table.to_pandas(types_mapper=pd.ArrowDtype), table.schema, preserve_index=False)


def _polars(engine: str) -> Callable[[str], Engine]:
    import polars as pl

    return _of_tables(
        f"polars-{engine}",
        lambda table: table.to_polars().collect(engine=engine).to_arrow(),
        lambda table: table.to_polars().select(pl.len()).collect(engine=engine).item(),
        (pl.exceptions.PolarsError,),
    )


def _datafusion(executor: str) -> Engine:
    import datafusion

    from bascule.datafusion import register

    def over(table: Any, sql: str) -> pa.Table:
        ctx = datafusion.SessionContext()
        register(ctx, "t", table)
        frame = ctx.sql(sql)
        batches = [batch.to_pyarrow() for partition in frame.execute_stream_partitioned() for batch in partition]
        return pa.Table.from_batches(batches, frame.schema())

    return _of_tables(
        "datafusion",
        lambda table: over(table, "SELECT * FROM t"),
        lambda table: over(table, "SELECT count(*) AS n FROM t")["n"][0].as_py(),
        (Exception,),
    )(executor)


def _relation(executor: str) -> Engine:
    import duckdb

    import bascule

    con = bascule.connect(config={"threads": 2})
    return _of_tables(
        "relation",
        lambda table: table.to_duckdb(con).to_arrow_table(),
        lambda table: table.to_duckdb(con).count("*").fetchall()[0][0],
        (duckdb.Error,),
    )(executor)


#: Those that BASCULE_ENGINES names: where the whole runs once more, what is the libraries' own need not.
WANTED = os.environ.get("BASCULE_ENGINES", "").split()

#: By name and executor: each is made when first used.
ENGINES: dict[str, Callable[[], Engine]] = {
    f"{name}-{executor}": partial(make, executor)
    for executor in ("inprocess", "process")
    for name, make in (
        ("native", _native),
        ("duckdb", _duckdb),
        ("table", _of_tables("table", lambda table: table.to_arrow(), lambda table: table.count())),
        ("stream", _stream),
        ("pandas", _of_tables("pandas", _pandas, lambda table: len(table.to_pandas()))),
        ("polars", lambda executor: _polars("in-memory")(executor)),
        ("polars-streaming", lambda executor: _polars("streaming")(executor)),
        ("datafusion", _datafusion),
        ("relation", _relation),
    )
    if name in WANTED or not WANTED
}
