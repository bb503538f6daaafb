"""Each row is in exactly one partition: random values and bounds, NULLs, extremes."""

from __future__ import annotations

import datetime
import pickle
import sqlite3
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bascule.sources.jdbc import JDBCArrowDataSource
from sources.jdbc.reading import parts

FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
INT64 = st.integers(-(2**63), 2**63 - 1)
SMALL = st.integers(-20, 20)
DATES = st.dates(datetime.date(1, 1, 1), datetime.date(9999, 12, 31))
TIMES = st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31))
DECIMALS = st.decimals(-(10**15), 10**15, places=3, allow_nan=False)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
COUNTS = st.integers(1, 40)


def ways(values, bounds):
    """A column's values with NULLs, what else is given, how many partitions."""
    return given(
        values=st.lists(st.one_of(st.none(), values), max_size=60),
        low=st.one_of(st.none(), bounds),
        high=st.one_of(st.none(), bounds),
        n=COUNTS,
        cut=st.sampled_from(["range", "quantile"]),
    )


def options(low, high, n, cut):
    if low is not None and high is not None and low > high:
        low, high = high, low
    more = {"numPartitions": n, "partitionColumn": "x", "partitionBounds": cut}
    more |= {} if low is None else {"lowerBound": low}
    return more | ({} if high is None else {"upperBound": high})


def check(found, values, n):
    """Every row once, in at most ``n`` partitions, the NULLs in one of them."""
    assert len(found) <= n
    rows = Counter(i for part in found for i in part.column("i").to_pylist())
    assert rows == Counter(range(len(values)))
    with_nulls = [p for p in found if p.column("x").null_count]
    assert len(with_nulls) <= 1


def in_sqlite(folder: Path, kind: str, values):
    file = folder / "x.db"
    file.unlink(missing_ok=True)
    with sqlite3.connect(file) as db:
        db.execute(f"CREATE TABLE t (i INTEGER, x {kind})")
        db.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(values)))
    db.close()
    return {"url": f"sqlite:{file}", "dbtable": "t"}


@pytest.mark.parametrize("kind", ["INTEGER", "REAL", "DATE", "TIMESTAMP"])
def test_sqlite(tmp_path, kind):
    values, text = {
        "INTEGER": (st.one_of(SMALL, INT64), lambda x: x),
        "REAL": (st.floats(allow_nan=False, allow_infinity=False), lambda x: x),
        "DATE": (DATES, lambda x: x.isoformat()),
        "TIMESTAMP": (TIMES, lambda x: x.isoformat(" ", "microseconds")),
    }[kind]

    @FEW
    @ways(values, values)
    def run(values, low, high, n, cut):
        where = in_sqlite(tmp_path, kind, [None if v is None else text(v) for v in values])
        given = options(low, high, n, cut)
        given |= {name: text(v) for name, v in given.items() if name.endswith("Bound")}
        check(parts(**where, **given), values, n)

    run()


def literal(value):
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else f"'{value}'"


def fill(database, kind, values):
    database.run("DROP TABLE IF EXISTS t")
    database.run(f"CREATE TABLE t (i INTEGER, x {kind})")
    if values:
        rows = ", ".join(f"({i}, {literal(v)})" for i, v in enumerate(values))
        database.run(f"INSERT INTO t VALUES {rows}")


SERVER = settings(FEW, max_examples=10)
KINDS = {
    "bigint": (st.one_of(SMALL, INT64), SMALL),
    "numeric(20,3)": (DECIMALS, DECIMALS),
    "double precision": (FLOATS, st.floats(-1e6, 1e6)),
    "date": (DATES, DATES),
    "timestamp": (TIMES, TIMES),
    "timestamptz": (st.datetimes(datetime.datetime(2, 1, 1), datetime.datetime(9999, 12, 30)), TIMES),
}


@pytest.mark.parametrize("kind", KINDS)
def test_postgresql(pg, kind):
    values, bounds = KINDS[kind]

    @SERVER
    @ways(values, bounds)
    def run(values, low, high, n, cut):
        fill(pg, kind, values)
        check(parts(url=pg.url(), dbtable="t", **options(low, high, n, cut)), values, n)

    run()


@pytest.mark.parametrize("kind", ["bigint", "numeric(20,3)", "double precision", "date", "datetime(6)", "timestamp(6)"])
def test_mariadb(maria, kind):
    values, bounds = KINDS.get(kind, (None, None))
    if kind in ("datetime(6)", "timestamp(6)"):
        # The hour that a change of the clock repeats, too.
        values = bounds = st.datetimes(datetime.datetime(2024, 10, 27), datetime.datetime(2024, 10, 28))
    elif kind == "double precision":
        values = st.floats(allow_nan=False, allow_infinity=False)
    elif kind == "date":
        values = bounds = st.dates(datetime.date(1000, 1, 1), datetime.date(9999, 12, 31))

    @SERVER
    @ways(values, bounds)
    def run(values, low, high, n, cut):
        fill(maria, kind + (" NULL" if kind.startswith("timestamp") else ""), values)
        check(parts(url=maria.url(), dbtable="t", **options(low, high, n, cut)), values, n)

    run()


@pytest.mark.parametrize("rows", [0, 1, 7, 5000])
def test_the_places_of_rows_part_a_table(pg, tmp_path, rows):
    pg.run(f"CREATE TABLE t AS SELECT g AS i, repeat('x', 200) AS x FROM generate_series(0, {rows} - 1) g")
    check(parts(url=pg.url(), dbtable="t", numPartitions=8), range(rows), 8)
    where = in_sqlite(tmp_path, "TEXT", ["x"] * rows)
    found = parts(**where, numPartitions=8)
    check(found, range(rows), 8)
    assert len(found) == (8 if rows == 5000 else len(found))
    if rows == 5000:
        assert len({p.num_rows for p in found}) == 1


def test_quantiles_are_of_equally_many_rows_where_ranges_are_not(pg):
    pg.run("CREATE TABLE t AS SELECT g AS i, (g ^ 3)::int8 AS x FROM generate_series(0, 999) g")
    by = {
        cut: [p.num_rows for p in parts(url=pg.url(), dbtable="t", **options(None, None, 4, cut))]
        for cut in ("range", "quantile")
    }
    assert by["quantile"] == [250] * 4
    assert max(by["range"]) > 600


def test_bounds_cut_as_they_say(pg):
    pg.run("CREATE TABLE t AS SELECT g AS i, g AS x FROM generate_series(0, 99) g")
    found = parts(url=pg.url(), dbtable="t", **options(0, 49, 5, "range"))
    assert [p.num_rows for p in found] == [10, 10, 10, 10, 60]
    found = parts(url=pg.url(), dbtable="t", partitionColumn="X", lowerBound=40, upperBound=40, numPartitions=9)
    assert [p.num_rows for p in found] == [100], "a range of one value is one partition"


def test_decimals_are_cut_exactly(pg):
    pg.run("CREATE TABLE t AS SELECT g AS i, (g / 1000.0)::numeric(30, 20) AS x FROM generate_series(0, 99) g")
    found = parts(url=pg.url(), dbtable="t", **options(None, None, 3, "range"))
    assert sorted(p.num_rows for p in found) == [33, 33, 34]
    assert all(isinstance(v, Decimal) for p in found for v in p.column("x").to_pylist())


BOUNDED = {
    "int": ("int", ["1", "1000", "-7"]),
    "date": ("date", ["'2020-01-01'", "'2021-06-01'", "'2019-12-31'"]),
    "timestamp": ("timestamp", ["'2020-01-01 01:02:03'", "'2021-06-01'", "'2019-12-31'"]),
    "timestamptz": ("timestamptz", ["'2020-01-01 01:02:03+00'", "'2021-06-01+00'", "'2019-12-31+00'"]),
    "float8": ("float8", ["0.1", "7.7", "'NaN'", "'-infinity'"]),
    "numeric": ("numeric(10, 2)", ["0.1", "7.7", "-3.25"]),
}


@pytest.mark.parametrize("kind", BOUNDED)
def test_a_range_partitions_rows_are_within_its_bounds(pg, kind):
    declared, values = BOUNDED[kind]
    rows = ", ".join(f"({v})" for v in [*values, "NULL"])
    pg.run(f"CREATE TABLE t (x {declared}); INSERT INTO t VALUES {rows}")
    options = {"url": pg.url(), "dbtable": "t", "partitionColumn": "x", "numPartitions": "5"}
    source = JDBCArrowDataSource()
    specs = source.plan_partitions(options)
    assert len(specs) == 5
    bounds = [pickle.loads(pickle.dumps(spec))["bascule_bounds"]["x"] for spec in specs]
    assert bounds[0][0] is None
    assert bounds[-1][1] is None
    assert all(low is not None for low, _ in bounds[1:])
    n = 0
    for spec, (low, high) in zip(specs, bounds, strict=True):
        for batch in source.read_partition(spec, options):
            for value in batch.column(0).to_pylist():
                n += 1
                if value is None:
                    assert spec is specs[0]
                elif value != value:
                    assert high is None  # NaN is the greatest
                else:
                    assert low is None or low <= value
                    assert high is None or value <= high
    assert n == len(values) + 1


def test_bounds_are_not_said_where_the_database_means_others(tmp_path):
    db = sqlite3.connect(tmp_path / "t.db")
    db.execute("CREATE TABLE t (i INTEGER, ts TIMESTAMP, r REAL, d DATE)")
    db.executemany(
        "INSERT INTO t VALUES (?, ?, ?, ?)", [(i, f"2020-01-0{i}", i / 7, f"2020-01-0{i}") for i in range(1, 9)]
    )
    db.commit()
    db.close()
    options = {"url": f"sqlite:{tmp_path / 't.db'}", "dbtable": "t", "numPartitions": "3"}
    for column, is_said in {"i": True, "ts": False, "r": False, "d": True}.items():
        specs = JDBCArrowDataSource().plan_partitions({**options, "partitionColumn": column})
        assert len(specs) == 3
        assert all(("bascule_bounds" in spec) is is_said for spec in specs), column
    as_text = {**options, "partitionColumn": "i", "customSchema": "i STRING"}
    assert all("bascule_bounds" not in spec for spec in JDBCArrowDataSource().plan_partitions(as_text))
    assert all("bascule_bounds" not in spec for spec in JDBCArrowDataSource().plan_partitions(options))
