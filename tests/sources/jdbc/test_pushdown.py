"""Predicates and limits in each database's SQL: random ones, against the same rows filtered in Python."""

from __future__ import annotations

import datetime
import sqlite3
import uuid
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bascule import filters as f
from bascule.sources.jdbc import JDBCArrowDataSource
from bascule.sources.jdbc._pushdown import push
from sources.jdbc import pushing
from sources.jdbc.pushing import Pools, Reading, rows_of

EXAMPLES = 80
#: A name that would end a string, an identifier, a statement.
ODD = "o'd\"d`; DROP TABLE t; --"


def hypothesized(reading: Reading) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(reading.predicates(), min_size=1, max_size=2))
    def run(filters: list[f.Filter]) -> None:
        reading.check(*filters)

    run()
    # A source that pushes nothing would pass, too.
    assert reading.n_exact > 0.15 * EXAMPLES
    assert reading.n_cut > 0.3 * EXAMPLES


#: Strings that a collation, an affinity or an escape could take for others.
TELLING = ["a", "A", "a ", "e\u0301", "ss", "a\\b", "\\' OR 1=1 --", "5", " "]


def swept(reading: Reading, *columns: str) -> None:
    """Each predicate of strings, with each of those."""
    for name in columns:
        for value in TELLING:
            for kind in (f.EqualTo, f.LessThan, f.StringStartsWith, f.StringEndsWith, f.StringContains):
                reading.check(kind(name, value))
            reading.check(f.Not(f.EqualTo(name, value)))


def postgres_literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return f"convert_from(decode('{value.encode().hex()}', 'hex'), 'UTF8')"
    if isinstance(value, bytes):
        return f"decode('{value.hex()}', 'hex')"
    if isinstance(value, (bool, int, Decimal)):
        return f"({value})"
    return f"'{value}'"


POSTGRES: Pools = {
    "i2": ("int2", [0, 5, -1, 32767]),
    "i8": ("int8", pushing.INTEGERS),
    "o": ("oid", [0, 5, 2**32 - 1]),
    "f8": ("float8", pushing.FLOATS + pushing.ENDLESS + pushing.NAN),
    "f4": ("float4", pushing.FLOATS_32 + pushing.ENDLESS + pushing.NAN),
    "d": ("numeric(10, 2)", pushing.DECIMALS),
    "free": ("numeric", [Decimal("1.10"), Decimal("1.1"), Decimal("-3")]),
    "b": ("bool", [True, False]),
    "t": ("text", pushing.STRINGS),
    ODD: ("varchar(20)", pushing.STRINGS),
    "c": ("char(4)", ["", "a", "A", "ab", "é"]),
    "n": ("name", ["a", "A", "x" * 63]),
    "e": ("mood", ["sad", "ok", "Sad"]),
    "y": ("bytea", pushing.BYTES),
    "day": ("date", pushing.DATES),
    "ts": ("timestamp", pushing.STAMPS),
    "tz": ("timestamptz", pushing.INSTANTS),
    "tm": ("time", pushing.TIMES),
    "u": ("uuid", pushing.UUIDS),
    "j": ("jsonb", ["{}"]),
}


def postgres_table(pg, pools: Pools) -> None:
    quoted = ['"' + name.replace('"', '""') + '"' for name in pools]
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in zip(quoted, pools.values(), strict=True))
    kinds = ["int", *(kind.partition(" COLLATE")[0] for kind, _ in pools.values())]
    rows = ", ".join(
        "(" + ", ".join(f"CAST({postgres_literal(v)} AS {k})" for v, k in zip(row, kinds, strict=True)) + ")"
        for row in rows_of(pools)
    )
    pg.run("CREATE TYPE mood AS ENUM ('sad', 'ok', 'Sad')")
    pg.run(f"CREATE TABLE t (id int, {columns}); INSERT INTO t VALUES {rows}")


@pytest.mark.parametrize("driver", ["adbc", "connectorx"])
def test_postgresql_reads_what_is_true(pg, driver):
    postgres_table(pg, POSTGRES)
    # What a literal means is up to these two, if one lets it.
    pg.run(f"ALTER DATABASE {pg.name} SET standard_conforming_strings = off")
    pg.run(f"ALTER DATABASE {pg.name} SET timezone = 'Asia/Kolkata'")
    reading = Reading(url=pg.url(), dbtable="t", driver=driver)
    hypothesized(reading)
    if driver == "adbc":
        swept(reading, "t", "c", "e")


def test_postgresql_reads_what_is_true_of_a_query(pg):
    postgres_table(pg, POSTGRES)
    query = "SELECT *, t || 'x' AS tx, i8 % 7 AS m FROM t WHERE id >= 0 OR false -- all"
    hypothesized(Reading(url=pg.url(), query=query))


def test_a_collation_that_takes_strings_for_equal_loses_no_rows(pg):
    try:
        pg.run("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
    except Exception as e:
        if "ICU is not supported in this build" not in str(e):
            raise
        return  # then there are none
    postgres_table(pg, {"ci": ("text COLLATE ci", pushing.STRINGS), "t": ("text", pushing.STRINGS)})
    assert pg.run("SELECT count(*) FROM t WHERE ci = 'a' AND ci COLLATE \"C\" <> 'a'") != ["0"]
    reading = Reading(url=pg.url(), dbtable="t")
    hypothesized(reading)
    swept(reading, "ci")
    assert reading.source.push_filters([f.EqualTo("ci", "a"), f.StringContains("ci", "a")], reading.options) == []


def test_postgresql_in_latin1_pushes_no_text(postgres):
    database = postgres.create_database()
    postgres.run("CREATE DATABASE latin WITH ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    try:
        postgres.run("CREATE TABLE t AS SELECT 1 AS id, 'a'::text AS t", "latin")
        reading = Reading(url=postgres.url(database="latin"), dbtable="t")
        reading.check(f.EqualTo("t", "\U0001f600"))
        assert reading.source.push_filters([f.EqualTo("t", "a"), f.EqualTo("id", 1)], reading.options) == [
            f.EqualTo("t", "a")
        ]
    finally:
        postgres.run("DROP DATABASE latin WITH (FORCE)")
        database.drop()


def mysql_literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return f"_utf8mb4 x'{value.encode().hex()}'"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float):
        return f"{value!r}" + ("" if "e" in repr(value) else "e0")
    if isinstance(value, datetime.datetime):
        return f"'{value.replace(tzinfo=None)}'"
    return f"'{value}'" if isinstance(value, (datetime.date, datetime.time, uuid.UUID)) else str(value)


MYSQL: Pools = {
    "i1": ("tinyint", [0, 5, -128]),
    "i8": ("bigint", pushing.INTEGERS),
    "u8": ("bigint unsigned", [0, 5, 2**64 - 1, 2**63]),
    "f8": ("double", [x for x in pushing.FLOATS if x != 5e-324]),
    "f4": ("float", pushing.FLOATS_32),
    "d": ("decimal(10, 2)", pushing.DECIMALS),
    "w": ("decimal(40, 5)", [Decimal("1.50000"), Decimal("12345678901234567890123456789012345.12345")]),
    "t": ("varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", pushing.STRINGS),
    ODD: ("text CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", pushing.STRINGS),
    "b": ("varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", pushing.STRINGS),
    "l": ("varchar(20) CHARACTER SET latin1", ["a", "A", "é", "ß", "a "]),
    "c": ("char(5) CHARACTER SET utf8mb4", ["", "a", "A", "ab"]),
    "e": ("enum('sad', 'ok')", ["sad", "ok"]),
    "y": ("varbinary(20)", pushing.BYTES),
    "yb": ("binary(3)", [b"a", b"\xff"]),
    "day": ("date", pushing.DATES),
    "ts": ("datetime(6)", pushing.STAMPS),
    "ts0": ("datetime", [datetime.datetime(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4, 5)]),
    "tz": ("timestamp(6) NULL", pushing.INSTANTS),
    "tm": ("time(6)", pushing.TIMES),
    "yr": ("year", [1970, 2020, 2070]),
    "bits": ("bit(10)", [0, 5, 70]),
    "u": ("uuid", pushing.UUIDS),
}


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES", "PAD_CHAR_TO_FULL_LENGTH"])
def test_mariadb_reads_what_is_true(maria, mode):
    quoted = ["`" + name.replace("`", "``") + "`" for name in MYSQL]
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in zip(quoted, MYSQL.values(), strict=True))
    rows = ", ".join("(" + ", ".join(map(mysql_literal, row)) + ")" for row in rows_of(MYSQL))
    maria.run(f"SET time_zone = '+00:00'; CREATE TABLE t (id int, {columns}, KEY (t)); INSERT INTO t VALUES {rows}")
    init = {"sessionInitStatement": f"SET sql_mode = '{mode}'"} if mode else {}
    reading = Reading(url=maria.url(), dbtable="t", **init)
    hypothesized(reading)
    swept(reading, "t", *([] if mode else [ODD, "l", "u"]))
    if not mode:
        hypothesized(Reading(url=maria.url(), query="SELECT *, concat(t, 'x') AS tx FROM t"))


SQLITE: Pools = {
    "i": ("INTEGER", pushing.INTEGERS),
    "r": ("REAL", pushing.FLOATS + pushing.ENDLESS),
    "num": ("DECIMAL(10, 2)", [1, 1.5, 0.1, 2**53]),
    "t": ("TEXT", pushing.STRINGS),
    "nc": ("VARCHAR(20) COLLATE NOCASE", pushing.STRINGS),
    "rt": ("TEXT COLLATE RTRIM", pushing.STRINGS),
    # Of numeric affinity: what looks like a number becomes one, which is no string.
    "vague": ("STRING", [s for s in pushing.STRINGS if s.strip() not in ("5", "5.0")]),
    "none": ("", pushing.STRINGS),
    ODD: ("TEXT", pushing.STRINGS),
    "b": ("BOOLEAN", [True, False]),
    "y": ("BLOB", pushing.BYTES),
    "day": ("DATE", [str(d) for d in pushing.DATES]),
    "ts": (
        "TIMESTAMP",
        ["2020-01-02", "2020-01-02 00:00:00", "2020-01-02T03:04:05.000006", "2020-01-01 23:59:59.999999", "2037-12-31"],
    ),
}


@pytest.mark.parametrize("driver", ["adbc", "connectorx", "sqlite3"])
def test_sqlite_reads_what_is_true(tmp_path, driver):
    quoted = ['"' + name.replace('"', '""') + '"' for name in SQLITE]
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in zip(quoted, SQLITE.values(), strict=True))
    db = sqlite3.connect(tmp_path / "t.db")
    db.execute(f"CREATE TABLE t (id INTEGER, {columns})")
    db.executemany(f"INSERT INTO t VALUES (?{', ?' * len(SQLITE)})", rows_of(SQLITE))
    db.commit()
    db.close()
    url = f"sqlite:{tmp_path / 't.db'}"
    reading = Reading(url=url, dbtable="t", driver=driver)
    hypothesized(reading)
    if driver != "connectorx":
        swept(reading, "nc", "rt", "vague", "none")
    query = "SELECT *, t || '5' AS t5, CAST(i AS TEXT) AS it FROM t"
    hypothesized(Reading(url=url, query=query, driver=driver))


def test_sqlite_in_utf16_orders_no_text(tmp_path):
    db = sqlite3.connect(tmp_path / "t.db")
    db.executescript("PRAGMA encoding = 'UTF-16'; CREATE TABLE t (id INTEGER, t TEXT)")
    db.executemany("INSERT INTO t VALUES (?, ?)", enumerate(pushing.STRINGS))
    db.commit()
    db.close()
    reading = Reading(url=f"sqlite:{tmp_path / 't.db'}", dbtable="t")
    assert len(reading.read((f.GreaterThan("t", "\uff5e"),))) == len(reading.rows)
    reading.check(f.GreaterThan("t", "\uff5e"))
    reading.check(f.EqualTo("t", "\uff5e"))


DUCKDB: Pools = {
    "i": ("BIGINT", pushing.INTEGERS),
    "u8": ("UBIGINT", [0, 5, 2**64 - 1]),
    "h": ("HUGEINT", [0, 5]),
    "f8": ("DOUBLE", pushing.FLOATS + pushing.ENDLESS + pushing.NAN),
    "f4": ("FLOAT", pushing.FLOATS_32 + pushing.ENDLESS + pushing.NAN),
    "d": ("DECIMAL(10, 2)", pushing.DECIMALS),
    "b": ("BOOLEAN", [True, False]),
    "t": ("VARCHAR", pushing.STRINGS),
    "nc": ("VARCHAR COLLATE NOCASE", pushing.STRINGS),
    ODD: ("VARCHAR", pushing.STRINGS),
    "y": ("BLOB", pushing.BYTES),
    "day": ("DATE", pushing.DATES),
    "ts": ("TIMESTAMP", pushing.STAMPS),
    "tss": ("TIMESTAMP_S", [datetime.datetime(2020, 1, 2), datetime.datetime(1990, 1, 1)]),
    "tz": ("TIMESTAMPTZ", pushing.INSTANTS),
    "tm": ("TIME", pushing.TIMES),
    "u": ("UUID", pushing.UUIDS),
}


def test_duckdb_reads_what_is_true(tmp_path):
    quoted = ['"' + name.replace('"', '""') + '"' for name in DUCKDB]
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in zip(quoted, DUCKDB.values(), strict=True))
    with duckdb.connect(tmp_path / "t.duckdb") as con:
        con.execute(f"CREATE TABLE t (id INTEGER, {columns})")
        con.executemany(f"INSERT INTO t VALUES (?{', ?' * len(DUCKDB)})", rows_of(DUCKDB))
    reading = Reading(url=f"duckdb:{tmp_path / 't.duckdb'}", dbtable="t")
    hypothesized(reading)
    swept(reading, "nc")


@pytest.fixture
def numbers(tmp_path):
    db = sqlite3.connect(tmp_path / "n.db")
    db.execute("CREATE TABLE t (id INTEGER, t TEXT, ts TIMESTAMP)")
    db.executemany("INSERT INTO t VALUES (?, ?, ?)", [(i, f"x{i % 10}", f"2020-01-0{i % 9 + 1}") for i in range(100)])
    db.commit()
    db.close()
    return {"url": f"sqlite:{tmp_path / 'n.db'}", "dbtable": "t"}


@pytest.mark.parametrize("driver", ["adbc", "connectorx", "sqlite3"])
def test_a_limit_is_of_rows_that_are_true(numbers, driver):
    reading = Reading(**numbers, driver=driver)
    assert len(reading.read((), limit=3)) == 3
    assert len(reading.read((), limit=0)) == 0
    assert {row["t"] for row in reading.read((f.EqualTo("t", "x3"),), limit=4)} == {"x3"}
    assert len(reading.read((f.EqualTo("t", "x3"),), limit=4)) == 4


def test_a_limit_is_not_kept_where_a_predicate_is_not(numbers):
    reading = Reading(**numbers)
    late = f.GreaterThan("ts", datetime.datetime(2020, 1, 8, 12))
    assert reading.source.push_filters((late,), numbers) == [late]
    true = [row["id"] for row in reading.rows if row["ts"] > late.value]
    assert set(true) <= {row["id"] for row in reading.read((late,), limit=1)}


def test_a_predicate_is_joined_to_a_partitions_own_condition(numbers):
    options = {**numbers, "predicates": '["id < 50 OR id = 99", "id >= 50 AND id <> 99"]'}
    source = JDBCArrowDataSource()
    wanted = (f.Or(f.EqualTo("t", "x9"), f.EqualTo("t", "x0")),)
    found = [
        [row["id"] for batch in source.read_partition(spec, options, filters=wanted) for row in batch.to_pylist()]
        for spec in source.plan_partitions(options)
    ]
    assert found[0] == [0, 9, 10, 19, 20, 29, 30, 39, 40, 49, 99]
    assert found[1] == [50, 59, 60, 69, 70, 79, 80, 89, 90]


def test_a_predicate_is_joined_to_a_range_and_its_nulls(tmp_path):
    db = sqlite3.connect(tmp_path / "n.db")
    db.execute("CREATE TABLE t (x INTEGER, t TEXT)")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(None, "no"), (None, "yes"), (1, "no"), (1, "yes"), (9, "yes")])
    db.commit()
    db.close()
    options = {"url": f"sqlite:{tmp_path / 'n.db'}", "dbtable": "t", "partitionColumn": "x", "numPartitions": "2"}
    source = JDBCArrowDataSource()
    found = [
        [
            row["x"]
            for b in source.read_partition(spec, options, filters=(f.EqualTo("t", "yes"),))
            for row in b.to_pylist()
        ]
        for spec in source.plan_partitions(options)
    ]
    assert found == [[None, 1], [9]]


def test_a_column_that_custom_schema_makes_another_is_not_asked(numbers):
    reading = Reading(**numbers, customSchema="id STRING")
    assert reading.source.push_filters([f.EqualTo("id", "5")], reading.options) == [f.EqualTo("id", "5")]
    assert len(reading.read((f.GreaterThan("id", "5"),))) == 100
    assert reading.source.push_filters([f.IsNotNull("id")], reading.options) == []


def test_numbers_that_custom_schema_makes_decimals_are_asked(pg):
    pg.run("CREATE TABLE t AS SELECT g AS id, g / 4.0 AS n FROM generate_series(1, 8) g")
    reading = Reading(url=pg.url(), dbtable="t", customSchema="n DECIMAL(38, 10)")
    wanted = (f.EqualTo("n", Decimal("0.75")),)
    assert reading.source.push_filters(wanted, reading.options) == []
    assert [row["id"] for row in reading.read(wanted)] == [3]


def test_text_of_an_injection_is_text(pg):
    pg.run("CREATE TABLE t AS SELECT 1 AS id, 'x'::text AS t")
    pg.run(f"ALTER DATABASE {pg.name} SET standard_conforming_strings = off")
    pg.run(f"ALTER DATABASE {pg.name} SET backslash_quote = on")
    reading = Reading(url=pg.url(), dbtable="t")
    for attempt in ("\\' OR true --", "' OR 'a' = 'a", "\\", "x'; DROP TABLE t; --", "$1", "%(x)s", "\\'"):
        for kind in (f.EqualTo, f.StringStartsWith, f.StringContains):
            assert reading.read((kind("t", attempt),)) == []
    assert reading.read((f.EqualTo('nowhere" OR true --', 1),)) == reading.rows  # not a column: left to the engine
    assert reading.source.push_filters([f.EqualTo("T", "x")], reading.options) == [f.EqualTo("T", "x")]


def test_a_long_in_is_a_range(pg):
    pg.run("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 5000) g")
    reading = Reading(url=pg.url(), dbtable="t")
    wanted = f.In("id", [pa.scalar(i, pa.int32()) for i in range(2000, 4000, 1)])
    assert len(reading.read((wanted,))) == 2000
    assert reading.source.push_filters([wanted], reading.options) == [wanted]
    assert len(reading.read((f.In("id", range(1000)),))) == 999
    assert reading.source.push_filters([f.In("id", range(1000))], reading.options) == []


def test_many_predicates_are_no_recursion(numbers):
    reading = Reading(**numbers)
    wide = f.Or(*[f.EqualTo("id", i) for i in range(3000)])
    reading.check(wide)
    deep: f.Filter = f.EqualTo("id", 1)
    for _ in range(400):
        deep = f.Not(f.And(deep, f.IsNotNull("id")))
    assert len(reading.read((deep,))) == 100
    assert reading.source.push_filters((wide, deep), numbers) == [deep]
    nested: f.Filter = f.EqualTo("id", 1)
    for i in range(14):
        nested = f.Not(f.And(nested, f.GreaterThan("id", i)))
    reading.check(nested)
    assert reading.source.push_filters((nested,), numbers) == []


def test_a_point_query_uses_the_index(pg):
    pg.run("CREATE TABLE t AS SELECT g::int8 AS id, 'k' || g AS k FROM generate_series(1, 20000) g")
    pg.run("CREATE INDEX ON t (id); CREATE INDEX ON t (k); ANALYZE t")
    reading = Reading(url=pg.url(), dbtable="t")
    relation = reading.source._relation
    assert relation is not None
    for wanted in (f.EqualTo("id", 77), f.EqualNullSafe("id", 77), f.EqualTo("k", "k77"), f.In("id", [1, 77])):
        pushed = push((wanted,), relation.database, relation.comparable)
        sql = relation.select(relation.columns, pushed.conditions).sql("postgres")
        assert any("Index" in line for line in pg.run(f"EXPLAIN {sql}")), wanted


def test_statistics_are_the_catalogs(pg, maria, tmp_path):
    def of(**options: str) -> Any:
        return JDBCArrowDataSource().statistics(options)

    pg.run('CREATE TABLE "My t" AS SELECT g AS id FROM generate_series(1, 1000) g; CREATE VIEW v AS SELECT 1 AS x')
    assert of(url=pg.url(), dbtable='"My t"') is None
    pg.run('ANALYZE "My t"')
    found = of(url=pg.url(), dbtable='"My t"')
    assert (found.num_rows, found.exact) == (1000, False)
    assert found.total_bytes > 10_000
    assert of(url=pg.url(), dbtable="v") is None
    assert of(url=pg.url(), query='SELECT * FROM "My t"') is None
    pg.run('CREATE TABLE child () INHERITS ("My t"); INSERT INTO child VALUES (1)')
    assert of(url=pg.url(), dbtable='"My t"') is None

    maria.run(
        "CREATE TABLE `my t` (id int) ENGINE=MyISAM; INSERT INTO `my t` VALUES (1), (2); CREATE VIEW v AS SELECT 1 x"
    )
    assert of(url=maria.url(), dbtable="`my t`").num_rows == 2
    assert of(url=maria.url(), dbtable="v") is None

    file = tmp_path / "s.db"
    db = sqlite3.connect(file)
    db.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT); CREATE INDEX i ON t (k)")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(i, str(i)) for i in range(50)])
    db.commit()
    db.close()
    assert of(url=f"sqlite:{file}", dbtable="T") is None
    db = sqlite3.connect(file)
    db.execute("ANALYZE")
    db.commit()
    db.close()
    assert of(url=f"sqlite:{file}", dbtable="T").num_rows == 50

    with duckdb.connect(tmp_path / "s.duckdb") as con:
        con.execute("CREATE TABLE t AS FROM range(70)")
    assert of(url=f"duckdb:{tmp_path / 's.duckdb'}", dbtable="T").num_rows == 70
    assert of(url=f"duckdb:{tmp_path / 's.duckdb'}", query="FROM t") is None
