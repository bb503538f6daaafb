"""PostgreSQL to DuckDB: the source ``jdbc`` against the drivers called directly.

Each side is a query of its own process's DuckDB that uses every column. The server is started for the
case, on this machine: it takes a core of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import duckdb

import bascule
from bench.machine import REPOSITORY
from bench.measure import Case, Figure, Spread, alternate, check, fresh_peak, ratios, scaled, stopwatch

sys.path.insert(0, str(REPOSITORY / "tools"))

TABLE = """
    CREATE UNLOGGED TABLE t{n} AS SELECT i::int8 AS id, (i % 1000)::int4 AS k, i * 0.5::float8 AS x,
        ((i % 1000000) / 100.0)::numeric(18, 2) AS amount, 'name-' || (i % 5000) AS name, date '2020-01-01' + (i % 1000)::int
        AS day, timestamp '2020-01-01' + i * interval '1 s' AS at, i % 3 = 0 AS flag
    FROM generate_series(1, {n}) AS i"""
QUERY = (
    'SELECT count(*), sum(id), sum(k), sum(x), sum(amount::DECIMAL(18, 2)), max(name), max(day), max("at"), '
    "count_if(flag) FROM {}"
)


def _answer(n: int) -> tuple[Any, ...]:
    numbers = range(1, n + 1)
    return (n, sum(numbers), sum(i % 1000 for i in numbers), sum(i * 0.5 for i in numbers))


def _timed(con: duckdb.DuckDBPyConnection, source: str, n: int) -> float:
    seconds, rows = stopwatch(lambda: con.execute(QUERY.format(source)).fetchall())
    check(f"rows of {source}", rows[0][:4], _answer(n))
    return seconds


def ours(con: duckdb.DuckDBPyConnection, url: str, n: int, partitions: int = 1) -> float:
    call = f"python('jdbc', url := '{url}', dbtable := 't{n}', numPartitions := {partitions})"
    return _timed(con, call, n)


def adbc(con: duckdb.DuckDBPyConnection, url: str, n: int) -> float:
    """The driver's stream, scanned by DuckDB; decimals come as text, which DuckDB casts."""
    import adbc_driver_postgresql.dbapi

    def run() -> float:
        with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM t{n}")
            con.register("direct", cursor.fetch_record_batch())
            return _timed(con, "direct", n)

    return stopwatch(run)[0]


def connectorx(con: duckdb.DuckDBPyConnection, url: str, n: int) -> float:
    import connectorx as cx

    def run() -> float:
        rows = cx.read_sql(url, f"SELECT * FROM t{n}", return_type="arrow_stream", batch_size=65536)
        con.register("direct", rows)
        return _timed(con, "direct", n)

    return stopwatch(run)[0]


def _connect() -> duckdb.DuckDBPyConnection:
    con = bascule.connect()
    con.execute("SET threads = 2")
    con.execute("SET enable_progress_bar = false")
    return con


def _read_once(url: str, n: int) -> None:
    """In a process of its own."""
    ours(_connect(), url, n)


def databases(quick: bool) -> Case:
    """A table of eight columns in PostgreSQL, into DuckDB."""
    from servers import Postgres

    few, many = (200_000, 2_000_000) if quick else (2_000_000, 20_000_000)
    pairs = 3 if quick else 9
    with Postgres.start() as server:
        for n in (few, many):
            server.run(TABLE.format(n=n), "postgres", timeout_s=600)
            server.run(f"VACUUM ANALYZE t{n}", "postgres", timeout_s=600)
        url = server.url(database="postgres")
        memory = []
        for n in (few, many):
            peaks = Spread.of(fresh_peak(_read_once, url, n) for _ in range(1 if quick else 3))
            memory.append(Figure(f"PostgreSQL: peak memory, {n / 1e6:g} M rows", "MiB", peaks, 256.0))
        con = _connect()
        sides: list[Callable[[], float]] = [
            partial(ours, con, url, few),
            partial(ours, con, url, few, 2),
            partial(adbc, con, url, few),
            partial(connectorx, con, url, few),
        ]
        one, two, by_adbc, by_cx = alternate(pairs, *sides)
        best = by_adbc if Spread.of(by_adbc).median < Spread.of(by_cx).median else by_cx
        name = "ADBC" if best is by_adbc else "ConnectorX"
        figures = [
            Figure(f"PostgreSQL: one partition, against {name} directly", "x", ratios(one, best), 1.10, _ms(one), _ms(best), "ms"),
            Figure("PostgreSQL: ConnectorX directly, against ADBC directly", "x", ratios(by_cx, by_adbc), None, _ms(by_cx), _ms(by_adbc), "ms"),
            Figure("PostgreSQL: two partitions, against one", "x", ratios(two, one), 1.0, _ms(two), _ms(one), "ms"),
        ]  # fmt: skip
        figures += memory
    setup = (
        f"{few / 1e6:g} M rows of 8 columns (2 integers, a double, a numeric(18, 2), text, date, timestamp, boolean) of a "
        f"PostgreSQL 16 on this machine, which shares its two cores; {pairs} rounds of the four reads. In the columns on the "
        "right: what is measured, and what it is measured against; for memory a new process for each read"
    )
    return Case("PostgreSQL", setup, figures)


def _ms(values: list[float]) -> Spread:
    return scaled(values, 1e3)
