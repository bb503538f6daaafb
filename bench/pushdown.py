"""What pushing costs where nothing is pushed, and what it saves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa

from bascule.filters import EqualTo, Filter
from bench.machine import REPOSITORY
from bench.measure import Case, Figure, alternate, check, differences, ratios, scaled, stopwatch
from bench.tables import TABLE, connect

sys.path.insert(0, str(REPOSITORY / "tools"))

KEYS = 1_000


class Keys:
    """``partitions`` partitions of ``KEYS`` rows: k rises over all of them. Takes nothing."""

    SCHEMA = pa.schema([("k", pa.int64()), ("v", pa.int64())])

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        return self.SCHEMA

    def plan_partitions(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"first": i * KEYS} for i in range(int(options["partitions"]))]

    def read_partition(self, partition_spec: dict[str, Any], options: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        yield batch_of(partition_spec["first"])


class BoundedKeys(Keys):
    """Says what its partitions hold."""

    def plan_partitions(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        specs = super().plan_partitions(options)
        return [spec | {"bascule_bounds": {"k": (spec["first"], spec["first"] + KEYS - 1)}} for spec in specs]


class FilteredKeys(Keys):
    """Plans the one partition that a predicate wants."""

    def plan_partitions(  # type: ignore[override]
        self, options: Mapping[str, str], *, filters: tuple[Filter, ...] = ()
    ) -> list[dict[str, Any]]:
        for filter in filters:
            if isinstance(filter, EqualTo):
                return [{"first": filter.value // KEYS * KEYS}]
        return super().plan_partitions(options)


def batch_of(first: int) -> pa.RecordBatch:
    keys = list(range(first, first + KEYS))
    return pa.record_batch({"k": keys, "v": keys})


def pushdown(quick: bool) -> Case:
    """Small queries: of one partition, and by key of a thousand."""
    n = 50 if quick else 300
    con = connect()
    many = 100 if quick else 1000
    tables = {k: pa.Table.from_batches([batch_of(i * KEYS) for i in range(k)]) for k in (1, many)}
    for k, table in tables.items():
        con.register(f"{TABLE}_{k}", table)
    con.execute(f"CREATE TABLE native AS FROM {TABLE}_{many}")

    def timed(sql: str, answer: object) -> float:
        seconds, rows = stopwatch(lambda: con.execute(sql).fetchall())
        check(sql, rows, answer)
        return seconds

    def source(cls: str, k: int) -> str:
        return f"python('bench.pushdown:{cls}', partitions := {k})"

    total = KEYS * (KEYS - 1) // 2
    small: list[Callable[[], float]] = [
        partial(timed, f"SELECT sum(v) FROM {source('Keys', 1)}", [(total,)]),
        partial(timed, f"SELECT sum(v) FROM {source('Keys', 1)} WHERE k >= 0 AND v < {KEYS}", [(total,)]),
        partial(timed, f"SELECT sum(v) FROM {TABLE}_1", [(total,)]),
        partial(timed, f"SELECT sum(v) FROM {TABLE}_1 WHERE k >= 0 AND v < {KEYS}", [(total,)]),
    ]
    plain, where, table, table_where = alternate(n, *small)
    key = many * KEYS - 7
    answer = [(key,)]
    by_key: list[Callable[[], float]] = [
        partial(timed, f"SELECT v FROM {source(cls, many)} WHERE k = {key}", answer)
        for cls in ("Keys", "BoundedKeys", "FilteredKeys")
    ]
    unpushed, bounded, filtered = alternate(9, *by_key)

    def ms(values: list[float]) -> Any:
        return scaled(values, 1e3)

    figures = [
        Figure("a query of one partition, nothing to push: more than the Table", "ms more", differences(plain, table, 1e3), 1.0, ms(plain), ms(table), "ms"),
        Figure("the same with a WHERE, for a class that takes none: more than the Table", "ms more", differences(where, table_where, 1e3), 1.0, ms(where), ms(table_where), "ms"),
        Figure(f"by key, one of {many:,} partitions by its bounds: of reading them all", "x", ratios(bounded, unpushed), None, ms(bounded), ms(unpushed), "ms"),
        Figure(f"by key, a class that plans by the predicate: of reading all {many:,}", "x", ratios(filtered, unpushed), None, ms(filtered), ms(unpushed), "ms"),
    ]  # fmt: skip
    setup = (
        f"partitions of {KEYS:,} rows of two int64 columns, {n} rounds of the small queries and 9 of those by key. The whole "
        "query, from execute to fetchall: bind, plan, pushdown and records of metrics with it"
    )
    return Case("Pushdown", setup, figures)


# ---- a database ----


def point_query(quick: bool) -> Case:
    """One row by its key of a table in PostgreSQL, connecting anew each time."""
    import adbc_driver_postgresql.dbapi

    from bench.databases import TABLE as CREATE
    from servers import Postgres

    n, rounds = (500_000, 10) if quick else (10_000_000, 60)
    with Postgres.start() as server:
        server.run(CREATE.format(n=n), "postgres", timeout_s=900)
        server.run(f"ALTER TABLE t{n} ADD PRIMARY KEY (id)", "postgres", timeout_s=900)
        server.run(f"VACUUM ANALYZE t{n}", "postgres", timeout_s=900)
        url = server.url(database="postgres")
        con = connect()
        call = f"python('jdbc', url := '{url}', dbtable := 't{n}')"

        def ours(key: int) -> float:
            return _checked(con, f"SELECT name, x FROM {call} WHERE id = {key}", key)

        def driver(key: int) -> float:
            def run() -> list[tuple[Any, ...]]:
                with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
                    cursor.execute(f"SELECT name, x FROM t{n} WHERE id = $1", (key,))
                    return list(cursor.fetchall())

            seconds, rows = stopwatch(run)
            check("the driver's row", rows, [(f"name-{key % 5000}", key * 0.5)])
            return seconds

        keys = iter(range(12345, n, n // (4 * rounds)))
        pairs = alternate(rounds, lambda: ours(next(keys)), lambda: driver(next(keys)))
    mine, direct = pairs
    figure = Figure(
        f"one row of {n / 1e6:g} M by its primary key, against ADBC directly",
        *("x", ratios(mine, direct), 2.0, scaled(mine, 1e3), scaled(direct, 1e3), "ms"),
    )
    setup = (
        f"PostgreSQL 16 on this machine; a new connection for each query on both sides, {rounds} pairs. Ours binds (the "
        "table's columns are looked up), plans and reads; the driver is given the SQL"
    )
    return Case("A point query", setup, [figure], ("python('jdbc', ...)", "ADBC"))


def _checked(con: duckdb.DuckDBPyConnection, sql: str, key: int) -> float:
    seconds, rows = stopwatch(lambda: con.execute(sql).fetchall())
    check(sql, rows, [(f"name-{key % 5000}", key * 0.5)])
    return seconds
