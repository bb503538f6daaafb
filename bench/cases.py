"""The cases. Each returns its figures, or raises where a query did not do its work.

Both sides of a case run in one process, on one connection, over the same Arrow buffers: python(...)
in-process, and an in-memory pyarrow Table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from bench import bigquery, files, kafka, kinesis, native, predict, rest, sources, spark, table_object
from bench.commands import commands
from bench.databases import databases
from bench.measure import (
    Case,
    Figure,
    Spread,
    alternate,
    check,
    differences,
    fresh,
    fresh_peak,
    ratios,
    scaled,
    stopwatch,
)
from bench.peer import peer
from bench.processes import process_latency, process_repeats, transport, workers
from bench.pushdown import point_query, pushdown
from bench.tables import N_PARTITIONS, N_THREADS, QUERIES, TABLE, WideTable, connect, timed

# ---- nine columns ----

Compare = Callable[[list[float], list[float]], tuple[Spread, str, float | None]]


def _side_by_side(wide: WideTable, n: int, compare: dict[str, Compare]) -> list[Figure]:
    con = connect()
    con.register(TABLE, wide.table())
    figures = []
    for name, query in QUERIES.items():
        sql, answer = query(wide)
        python, table = sql.format(wide.source), sql.format(TABLE)
        ours, theirs = alternate(
            n,
            partial(timed, con, python, answer, wide.n_batches),
            partial(timed, con, table, answer, 0),
        )
        value, unit, target = compare[name](ours, theirs)
        figures.append(Figure(name, unit, value, target, scaled(ours, 1e3), scaled(theirs, 1e3), "ms"))
    return figures


def _noise(wide: WideTable, n: int) -> Figure:
    """The Table against itself: what of a ratio is the machine."""
    con = connect()
    con.register(TABLE, wide.table())
    sql, answer = wide.all_columns()
    first, second = alternate(n, *[partial(timed, con, sql.format(TABLE), answer, 0)] * 2)
    name = "noise: all nine columns of the Table against itself"
    return Figure(name, "x", ratios(first, second), None, scaled(first, 1e3), scaled(second, 1e3), "ms")


def _ratio(target: float) -> Compare:
    return lambda ours, theirs: (ratios(ours, theirs), "x", target)


def large_batches(quick: bool) -> Case:
    """100 M rows in batches of 64 Ki rows."""
    wide = WideTable(65536, 5 if quick else 48)
    n = 5 if quick else 15
    compare: dict[str, Compare] = {
        "all nine columns": _ratio(1.10),
        "string group-by": _ratio(1.10),
        "sum of one column": _ratio(1.25),
        "count(*)": lambda ours, theirs: (differences(ours, theirs, 1e3), "ms more", 20.0),
    }
    figures = [*_side_by_side(wide, n, compare), _noise(wide, n)]
    return Case(
        "Batches of 64 Ki rows", f"{wide.describe()}, {n} pairs. For the sum of one column 1.10 is wished", figures
    )


def small_batches(quick: bool) -> Case:
    """50 M rows in batches of 2,048 rows."""
    wide = WideTable(2048, 76 if quick else 763)

    def per_batch(ours: list[float], theirs: list[float]) -> tuple[Spread, str, float | None]:
        return differences(ours, theirs, 1e6 / wide.n_batches), "µs a batch more", 5.0

    compare: dict[str, Compare] = dict.fromkeys(QUERIES, per_batch)
    compare["all nine columns"] = _ratio(1.2)
    n = 5 if quick else 15
    setup = f"{wide.describe()}, {n} pairs. What a batch costs more is the difference of the two times, by the batches"
    return Case("Batches of 2,048 rows", setup, _side_by_side(wide, n, compare))


# ---- validation ----


def validation(quick: bool) -> Case:
    """The check of a batch of 64 Ki rows, of all that a thread spends on that batch in a query."""
    wide, n = WideTable(65536, 5 if quick else 48), 5 if quick else 15
    con = connect()
    queries = {
        "all nine columns": (WideTable.all_columns, "llllggggu"),
        "sum of one column": (WideTable.one_column, "l"),
    }
    figures = []
    for name, (query, columns) in queries.items():
        sql, answer = query(wide)
        whole, checked, counted = [], [], []
        for turn in range(n + 1):
            seconds = timed(con, sql.format(wide.source), answer, wide.n_batches)
            plain, with_bits = native.validate_batch(columns, wide.rows)
            if turn > 0:
                whole.append(seconds * N_THREADS / wide.n_batches)
                checked.append(plain)
                counted.append(with_bits)
        for what, seconds_each in (("", checked), (", each bit of a bitmap counted", counted)):
            share = Spread.of(100 * a / b for a, b in zip(seconds_each, whole, strict=True))
            micro = f"{Spread.of(seconds_each).median * 1e6:.2f} µs"
            figures.append(Figure(f"check of {name}{what}: {micro}", "%", share, 1.0, scaled(whole, 1e6), None, "µs"))
    setup = (
        "The core's check of a batch of the first case, by a program in C that calls it again and again, in percent of "
        f"the time that one of {N_THREADS} DuckDB threads has for a batch in that query, {n} pairs. The second line of "
        "each is the worst that such columns do: with nulls, whose number must be that of the bitmap"
    )
    return Case("Validation of a batch", setup, figures)


# ---- small things ----


def partitions(quick: bool) -> Case:
    """2,000 partitions of one row: the whole query, divided."""
    n, n_pairs = 200 if quick else 2000, 15
    con = connect()
    con.register(TABLE, pa.Table.from_batches(sources.row_batches(n)))
    answer = [(n * (n - 1) // 2,)]
    source = f"python('bench.sources:Rows', partitions := {n})"
    ours, theirs = alternate(
        n_pairs,
        lambda: timed(con, f"SELECT sum(n) FROM {source}", answer, n),
        lambda: timed(con, f"SELECT sum(n) FROM {TABLE}", answer, 0),
    )
    figure = Figure(
        "sum over all partitions, for each partition",
        "µs",
        scaled(ours, 1e6 / n),
        100.0,
        scaled(ours, 1e3),
        scaled(theirs, 1e3),
        "ms",
    )
    setup = f"{n:,} partitions of one row; the Table has a batch for each. {N_THREADS} DuckDB threads, {n_pairs} pairs"
    return Case("Many partitions", setup, [figure])


FIRST_ROW_RUNS = 20


def _first_rows(table: bool) -> tuple[list[float], int]:
    """In a process of its own: seconds of the first run and of the next ones, and the most batches that one pulled."""
    wide = WideTable(65536, 48)
    con = connect()
    if table:
        con.register(TABLE, wide.table())
    sql = f"SELECT i0, s FROM {TABLE if table else wide.source} LIMIT 1"
    expected = (wide.batch["i0"][0].as_py(), wide.batch["s"][0].as_py())
    sources.YIELDED.take()
    seconds, pulled = [], 0
    for _ in range(FIRST_ROW_RUNS + 1):
        elapsed, row = stopwatch(lambda: con.execute(sql).fetchone())
        check(sql, row, expected)
        seconds.append(elapsed)
        pulled = max(pulled, sources.YIELDED.take())
    check("batches read", pulled > 0, not table)
    return seconds, pulled


def first_row(quick: bool) -> Case:
    """LIMIT 1 of the 100 M rows: execute and fetchone, with the imports done."""
    n_processes = 3 if quick else 7
    ours, theirs, pulled = [], [], 0
    for _ in range(n_processes):
        seconds, n = fresh(_first_rows, False)
        ours.append(seconds)
        pulled = max(pulled, n)
        theirs.append(fresh(_first_rows, True)[0])

    def figure(name: str, pick: slice) -> Figure:
        mine = scaled((s for run in ours for s in run[pick]), 1e3)
        other = scaled((s for run in theirs for s in run[pick]), 1e3)
        return Figure(name, "ms", mine, 5.0, mine, other, "ms")

    figures = [
        figure("first query of a process", slice(0, 1)),
        figure(f"the next {FIRST_ROW_RUNS} queries", slice(1, None)),
    ]
    setup = (
        f"LIMIT 1 of the table of the first case, from execute to fetchone, imports done and connected, in {n_processes} "
        f"processes a side; a query pulled at most {pulled} of the {48 * N_PARTITIONS:,} batches"
    )
    return Case("First row", setup, figures)


# ---- many columns ----


def columns(quick: bool) -> Case:
    """The same rows with ten times the columns: what grows, how far, and how much of it is DuckDB's own."""
    few, many = (50, 500) if quick else (500, 5000)
    rows, batches, n_pairs = 1000, 5, 9
    con = connect()
    tables = {n: f"{TABLE}_{n}" for n in (few, many)}
    for n, name in tables.items():
        con.register(name, pa.Table.from_batches([sources.columns_batch(n, rows)] * (2 * batches)))

    def source(cls: str, n: int) -> str:
        return f"python('bench.sources:{cls}', n := {n}, rows := {rows}, batches := {batches})"

    def sum_of(column: int) -> int:
        return 2 * batches * sum(range(column, column + rows))

    def bind(origin: str, n: int, _: int) -> float:
        seconds, described = stopwatch(lambda: con.execute(f"DESCRIBE FROM {origin}").fetchall())
        check(f"columns of {origin}", [d[:2] for d in described], [(f"c{i}", "BIGINT") for i in range(n)])
        return seconds

    def bind_one(origin: str, n: int, _: int) -> float:
        sources.YIELDED.take()
        seconds, plan = stopwatch(lambda: con.execute(f"EXPLAIN SELECT c{n // 2} FROM {origin}").fetchall())
        check(f"plan of {origin}", f"c{n // 2}" in plan[0][1], True)
        check(f"batches read to plan {origin}", sources.YIELDED.take(), 0)
        return seconds

    def everything(origin: str, n: int, n_batches: int) -> float:
        sources.YIELDED.take()
        seconds, table = stopwatch(lambda: con.sql(f"FROM {origin}").to_arrow_table())
        assert table is not None
        check(f"sums of {origin}", [pc.sum(c).as_py() for c in table.columns], [sum_of(i) for i in range(n)])
        check(f"batches read from {origin}", sources.YIELDED.take(), n_batches)
        return seconds

    def one(origin: str, n: int, n_batches: int) -> float:
        return timed(con, f"SELECT sum(c{n // 2}) FROM {origin}", [(sum_of(n // 2),)], n_batches)

    plan = {
        "bind, list the columns (DESCRIBE)": (bind, "Columns"),
        "bind, name one column (EXPLAIN)": (bind_one, "Columns"),
        "all columns, to an Arrow table": (everything, "Columns"),
        "sum of one column": (one, "Columns"),
        "sum of one column, class takes columns": (one, "PrunedColumns"),
    }
    figures = []
    for name, (run, cls) in plan.items():
        small, large, table_small, table_large = alternate(
            n_pairs,
            partial(run, source(cls, few), few, 2 * batches),
            partial(run, source(cls, many), many, 2 * batches),
            partial(run, tables[few], few, 0),
            partial(run, tables[many], many, 0),
        )
        figures += [
            Figure(
                f"{name}: {many:,} columns against {few:,}",
                "x growth",
                ratios(large, small),
                None,
                ratios(large, small),
                ratios(table_large, table_small),
                "x growth",
            ),
            Figure(
                f"{name}: {many:,} columns, against the Table",
                "x",
                ratios(large, table_large),
                None,
                scaled(large, 1e3),
                scaled(table_large, 1e3),
                "ms",
            ),
        ]
    setup = (
        f"{2 * batches} batches of {rows:,} rows of int64 columns in 2 partitions, {few:,} and {many:,} columns, "
        f"{N_THREADS} DuckDB threads, {n_pairs} rounds of the four queries"
    )
    return Case("Many columns", setup, figures)


# ---- memory ----


def _aggregate(query: str, batches: int) -> None:
    """In a process of its own."""
    wide = WideTable(65536, batches)
    sql, answer = QUERIES[query](wide)
    timed(connect(), sql.format(wide.source), answer, wide.n_batches)


def memory(quick: bool) -> Case:
    """A hundred times the rows through an aggregate: peak memory of the process."""
    few, many = (2, 48) if quick else (5, 477)
    n = 1 if quick else 3
    figures = []
    for query in ("sum of one column", "all nine columns"):
        small, large = [], []
        for _ in range(n):
            small.append(fresh_peak(_aggregate, query, few))
            large.append(fresh_peak(_aggregate, query, many))
        more = differences(large, small, 1.0)
        name = f"{query}: {_rows(many)} rows against {_rows(few)}"
        figures.append(Figure(name, "MiB more", more, 64.0, Spread.of(large), None, "MiB"))
    setup = (
        f"the table of the first case with more and fewer batches, {N_THREADS} DuckDB threads; peak resident memory of a "
        f"new process for each query, {n} pairs"
    )
    return Case("Memory", setup, figures)


def _rows(batches: int) -> str:
    return f"{WideTable(65536, batches).n_rows / 1e6:,.0f} M"


CASES: dict[str, Callable[[bool], Case]] = {
    "large-batches": large_batches,
    "small-batches": small_batches,
    "validation": validation,
    "partitions": partitions,
    "first-row": first_row,
    "columns": columns,
    "memory": memory,
    "databases": databases,
    "commands": commands,
    "workers": workers,
    "transport": transport,
    "peer": peer,
    "pushdown": pushdown,
    "point-query": point_query,
    "process-latency": process_latency,
    "process-repeats": process_repeats,
    **spark.CASES,
    "table-reader": table_object.reader,
    "table-engines": table_object.engines,
    "files-parquet": files.parquet,
    "rest-pages": rest.pages,
    "predict-onnx": predict.onnx,
    "kafka-topic": kafka.topic,
    "bigquery-session": bigquery.session,
    "kinesis-stream": kinesis.stream,
}
