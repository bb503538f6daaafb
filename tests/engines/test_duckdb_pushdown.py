"""What of a DuckDB query reaches the class: predicates as hints, pruned partitions, statistics; in both executors."""

from __future__ import annotations

import re

import duckdb
import pytest

import bascule

EXECUTORS = ["inprocess", "process"]


@pytest.fixture(params=EXECUTORS)
def call(request, con):
    """The text of a call of a class of pushsources."""
    con.execute(f"SET bascule_executor = '{request.param}'")

    def text(name: str, **options: object) -> str:
        return f"python('pushsources:{name}'{''.join(f', {k} := {v!r}' for k, v in options.items())})"

    return text


def last(source: str) -> dict:
    """What the last scan of a source did."""
    rows = bascule.scans().to_pylist()
    return next(row for row in rows if row["source"] == f"pushsources:{source}")


# ---- predicates ----


@pytest.mark.parametrize(
    ("where", "pushed"),
    [
        ("id = 3", "id = 3"),
        ("3 < id", "id > 3"),
        ("id BETWEEN 1 AND 3", "id >= 1 AND id <= 3"),
        ("id > 1 AND id < 3", "id >= 1 AND id <= 3"),  # DuckDB's BETWEEN without its ends: they aren't told apart
        ("id IN (1, 2, NULL)", "id IN (1, 2, NULL)"),
        ("id NOT IN (1, 2)", "NOT (id IN (1, 2))"),
        ("id <> 3", "NOT (id = 3)"),
        ("name IS NULL", "name IS NULL"),
        ("name IS NOT NULL", "name IS NOT NULL"),
        ("id = 3 OR name = 'n4'", "id = 3 OR name = 'n4'"),
        ("NOT (id = 3 AND name = 'x')", "NOT (id = 3) OR NOT (name = 'x')"),
        ("name LIKE 'n1%'", "starts_with(name, 'n1')"),
        ("name LIKE '%1'", "ends_with(name, '1')"),
        ("name LIKE '%1%'", "contains(name, '1')"),
        ("name LIKE 'n1'", "name = 'n1'"),
        ("name LIKE 'n_1%'", "starts_with(name, 'n')"),
        ("name NOT LIKE 'n1%'", "NOT (starts_with(name, 'n1'))"),
        ("starts_with(name, 'n1')", "starts_with(name, 'n1')"),
        ("suffix(name, '1')", "ends_with(name, '1')"),
        ("contains(name, '1')", "contains(name, '1')"),
        ("id IS DISTINCT FROM 3", "NOT (id IS NOT DISTINCT FROM 3)"),
        ("id IS NOT DISTINCT FROM 3", "id IS NOT DISTINCT FROM 3"),
        ("id IS NOT DISTINCT FROM NULL", "id IS NULL"),
        ("day = '2026-01-02'", "day = DATE '2026-01-02'"),
        ("id = '3'::INT", "id = 3"),
        ("id + 1 = 3", "id = 2"),
        ("price > 'nan'::DOUBLE", "price > DOUBLE 'nan'"),
        # AND leaves out what can't be said, OR and NOT can't.
        ("id = 3 AND length(name) = 2", "id = 3"),
        ("id = 3 OR length(name) = 2", None),
        ("NOT (id = 3 AND length(name) = 9)", None),
        ("name NOT LIKE 'n_1%'", None),
        ("id = price", None),
        ("id::DOUBLE = 3.5", None),
        ("id % 2 = 0", None),
        ("name ILIKE 'N1%'", None),
        ("name COLLATE NOCASE = 'N1'", None),
        ("random() > 2", None),
    ],
)
def test_predicate_reaches_the_class_and_the_rows_are_right(con, call, where, pushed):
    plain = con.execute(f"SELECT id FROM {call('Plain')} WHERE {where} ORDER BY id").fetchall()
    assert con.execute(f"SELECT id FROM {call('Filters')} WHERE {where} ORDER BY id").fetchall() == plain
    assert last("Filters")["pushed_filters"] == pushed


@pytest.mark.parametrize(
    ("where", "pushed"),
    [
        ("bool", "bool = TRUE"),
        ("NOT bool", "NOT (bool = TRUE)"),
        ("i8 = -1", "i8 = -1"),
        ("i8 > 300", None),
        ("u64 > 18446744073709551614", "u64 > 18446744073709551614"),
        ("f32 >= 0.5", "f32 >= 0.5"),
        ("dec = 1.5", "dec = 1.50"),
        ("dec > 1.555", None),
        ("text = 'it''s'", "text = 'it''s'"),
        ("dict = 'x'", "dict = 'x'"),
        ("bin = '\\x00x'::BLOB", "bin = X'0078'"),
        ("date > '2025-12-31'", "date > DATE '2025-12-31'"),
        ("date < 'infinity'::DATE", None),
        ("time = '12:00'", "time = TIME '12:00:00.000000'"),
        ("ts = '2026-01-01 12:00'", "ts = TIMESTAMP '2026-01-01 12:00:00'"),
        ("ts < '0001-01-01 (BC) 00:00'", None),
        ("tz = '2026-01-01 12:00+00'", "tz = TIMESTAMPTZ '2026-01-01 12:00:00+00'"),
        ("ts_s = '2026-01-01 12:00'::TIMESTAMP_S", "ts_s = TIMESTAMP '2026-01-01 12:00:00'"),
        ("ts_ns = '2026-01-01 12:00:00.000000001'::TIMESTAMP_NS", "ts_ns = TIMESTAMP '2026-01-01 12:00:00.000000001'"),
        ("list = [1]", None),
    ],
)
def test_literals_have_the_columns_type(con, call, where, pushed):
    con.execute("SET TimeZone = 'America/New_York'")
    con.execute(f"SELECT count(*) FROM {call('Types')} WHERE {where}")
    assert last("Types")["pushed_filters"] == pushed


def test_class_that_takes_no_predicates_is_told_none(con, call):
    assert con.execute(f"SELECT count(*) FROM {call('Plain')} WHERE id = 3").fetchall() == [(1,)]
    assert last("Plain")["pushed_filters"] is None


def test_prepared_parameters_reach_the_class_anew_each_time(con, call):
    con.execute(f"PREPARE q AS SELECT count(*) FROM {call('Filters')} WHERE id < $1 AND name <> $2")
    for most in (5, 50, 0):
        assert con.execute(f"EXECUTE q({most}, 'n1')").fetchall() == [(max(most - 1, 0),)]
        assert last("Filters")["pushed_filters"] == f"id < {most} AND NOT (name = 'n1')"


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT (SELECT sum(id) FROM {s} WHERE id = 5), (SELECT sum(id) FROM {s} WHERE id = 6)", [(5, 6)]),
        ("SELECT (SELECT sum(id) FROM {s} WHERE id = 5), (SELECT sum(id) FROM {s})", [(5, 4950)]),
        ("WITH c AS (SELECT * FROM {s}) SELECT a.id, b.id FROM c a, c b WHERE a.id = 5 AND b.id = 6", [(5, 6)]),
        (
            "WITH c AS MATERIALIZED (SELECT * FROM {s} WHERE id < 9) SELECT a.id, b.id FROM c a, c b "
            "WHERE a.id = 5 AND b.id = 6",
            [(5, 6)],
        ),
        (
            "WITH c AS NOT MATERIALIZED (FROM {s}) SELECT count(*) FROM c WHERE id < (SELECT max(id) FROM c) / 2",
            [(50,)],
        ),
        ("SELECT a.id FROM {s} a JOIN {s} b ON a.id = b.id + 1 WHERE a.id = 5", [(5,)]),
        (
            "SELECT a.id FROM {s} a LEFT JOIN {s} b ON a.id = b.id AND b.id = 3 WHERE a.id < 2 ORDER BY ALL",
            [(0,), (1,)],
        ),
        ("SELECT id FROM {s} WHERE id = 5 UNION ALL SELECT id FROM {s} WHERE id = 6 ORDER BY ALL", [(5,), (6,)]),
        ("SELECT id FROM {s} a WHERE id < 3 AND EXISTS (FROM {s} b WHERE b.id = a.id + 99)", [(0,)]),
        ("SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS r FROM {s}) WHERE r = 7 AND id > 2", [(6,)]),
        ("SELECT id, n FROM (SELECT id, count(*) OVER (PARTITION BY day) AS n FROM {s}) WHERE id = 7", [(7, 10)]),
        ("SELECT count(*) FROM v WHERE id > 97", [(2,)]),
        ("SELECT count(*) FROM (FROM v LIMIT 5) WHERE id > 97", [(0,)]),
        ("SELECT count(*) FROM v, LATERAL (SELECT * FROM {s} WHERE id = v.id + 1) WHERE v.id < 3", [(3,)]),
        ("SELECT id FROM {s} WHERE id IN (SELECT id * 2 FROM {s} WHERE id < 2) ORDER BY id", [(0,), (2,)]),
    ],
)
def test_query_that_reads_a_source_twice_mixes_no_predicates(con, call, query, rows):
    con.execute(f"CREATE VIEW v AS FROM {call('Filters')}")
    assert con.execute(query.replace("{s}", call("Filters"))).fetchall() == rows


def test_explain_plans_nothing(con, call):
    before = bascule.scans().num_rows
    con.execute(f"EXPLAIN SELECT * FROM {call('Required')}")
    assert bascule.scans().num_rows == before


def test_column_that_only_a_filter_needs_is_asked(con, call):
    assert con.execute(f"SELECT name FROM {call('Filters')} WHERE id = 3").fetchall() == [("n3",)]
    assert set(last("Filters")["pushed_columns"].split(", ")) == {"id", "name"}


# ---- why nothing is accepted ----


def test_duckdb_still_needs_to_check_each_row_again(con, call):
    """A class that takes a predicate and applies nothing: DuckDB's own Filter stands above the scan."""
    assert con.execute(f"SELECT count(*) FROM {call('Types')} WHERE i8 = 5").fetchall() == [(0,)]
    plan = con.execute(f"EXPLAIN SELECT * FROM {call('Types')} WHERE i8 = 5").fetchall()[0][1]
    assert "Filter" in plan.title()


# ---- partitions ----


@pytest.mark.parametrize(
    ("where", "read"),
    [
        ("day = '2026-01-03'", 1),
        ("day > '2026-01-08'", 2),
        ("id BETWEEN 5 AND 15", 2),
        ("day IN ('2026-01-01', '2026-01-05')", 2),
        ("day < '2026-01-03' OR id = 99", 3),
        ("NOT (day > '2026-01-02')", 2),
        ("name = 'n5'", 10),
        ("day IS NULL", 10),
        ("day > '2027-01-01'", 0),
    ],
)
def test_partitions_are_pruned_by_their_bounds(con, call, where, read):
    rows = con.execute(f"SELECT count(*) FROM {call('Days')} WHERE {where}").fetchall()
    con.execute(f"CREATE TABLE t AS FROM {call('Days')}")
    assert rows == con.execute(f"SELECT count(*) FROM t WHERE {where}").fetchall()
    scan = bascule.scans().to_pylist()[1]
    assert (scan["partitions"], scan["partitions_pruned"], scan["partitions_read"]) == (10, 10 - read, read)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("rows", "item 0 has bascule_rows = 'ten', which is no number of rows"),
        ("negative", "item 0 has bascule_rows = -1"),
        ("bounds", "item 0 has bascule_bounds = [1, 2], which is no dict of column: (min, max)"),
        ("pair", "item 0 has bascule_bounds that can't be used: the bounds of 'id' are 5, expected a pair (min, max)"),
    ],
)
def test_facts_that_cant_be_are_errors(con, call, how, says):
    with pytest.raises(duckdb.Error, match=re.escape(says)):
        con.execute(f"SELECT count(*) FROM {call('BadSpecs', how=how)} WHERE id = 3")


# ---- required filters ----


def test_query_must_restrict_what_the_class_requires(con, call):
    with pytest.raises(duckdb.Error, match=r"restrict day; or id and name \(required_filters\).* restricts nothing"):
        con.execute(f"SELECT count(*) FROM {call('Required')}")
    with pytest.raises(duckdb.Error, match="restricts id = 3"):
        con.execute(f"SELECT count(*) FROM {call('Required')} WHERE id = 3")
    assert con.execute(f"SELECT count(*) FROM {call('Required')} WHERE day < '2026-01-03'").fetchall() == [(20,)]
    assert con.execute(f"SELECT id FROM {call('Required')} WHERE id = 3 AND name = 'n3'").fetchall() == [(3,)]
    with pytest.raises(duckdb.Error, match="required_filters that are no list of lists of column names"):
        con.execute(f"FROM {call('BadRequired')}")


def test_hints_are_taken_by_keyword_alone(con, call):
    with pytest.raises(duckdb.Error, match="takes filters in read_partition, but not by keyword alone"):
        con.execute(f"FROM {call('Positional')}")


# ---- statistics ----


def estimate(con, text: str) -> str:
    return con.execute(f"EXPLAIN FROM {text}").fetchall()[0][1]


def test_statistics_reach_the_optimizer(con, call):
    assert "~100 rows" in estimate(con, call("Sized"))
    assert "~100 rows" in estimate(con, call("Sized", says="estimate"))
    assert "~1,000,000 rows" in estimate(con, call("Sized", says="nothing"))
    assert "~1,000,000 rows" in estimate(con, call("Days"))


def test_statistics_that_raise_say_nothing_and_the_query_runs(con, call):
    assert con.execute(f"SELECT count(*) FROM {call('Sized', says='raises')}").fetchall() == [(100,)]
    with pytest.raises(duckdb.Error, match=r"statistics returned an int, expected a bascule.Statistics"):
        con.execute(f"FROM {call('Sized', says='nonsense')}")


# ---- limits ----


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_limit_starts_few_partitions_and_reads_little(con, call, threads):
    con.execute(f"SET threads = {threads}")
    rows = con.execute(f"FROM {call('Plain', days=1000)} LIMIT 10").fetchall()
    assert len(rows) == 10
    scan = last("Plain")
    reported = dict(scan["reported"])
    assert scan["partitions"] == 1000
    assert reported["opened"] <= threads
    # The batch of the tenth row, and at most one more of each thread.
    assert scan["batches"] <= 2 * threads
    assert reported["batches made"] <= 2 * threads


# ---- what is seen ----


def test_scans_are_listed_in_sql(con, call):
    con.execute(f"SELECT name FROM {call('Filters')} WHERE id < 25").fetchall()
    row = con.execute(
        "SELECT source, executor, state, pushed_filters, partitions, partitions_pruned, partitions_read, rows, reported, "
        "len(per_partition) FROM bascule_scans() LIMIT 1"
    ).fetchone()
    executor = con.execute("SELECT current_setting('bascule_executor')").fetchone()[0]
    assert row == (
        "pushsources:Filters",
        executor,
        "done",
        "id < 25",
        10,
        7,
        3,
        25,
        {"opened": 3.0, "batches made": 3.0, "filters": 3.0, "limit": -3.0},
        3,
    )
    taken = con.execute("SELECT unnest(per_partition).rows FROM (FROM bascule_scans() LIMIT 1)").fetchall()
    assert sorted(taken) == [(5,), (10,), (10,)]


def test_time_in_python_and_bytes_are_counted(con, call):
    con.execute(f"SELECT sum(id), max(name) FROM {call('Plain', rows=1000, batch=100)}").fetchall()
    scan = last("Plain")
    assert (scan["rows"], scan["batches"]) == (10_000, 100)
    assert scan["bytes"] > 10_000 * 8
    assert 0 < scan["python_seconds"] < 10
    assert 0 < scan["planning_seconds"] < 5
    assert scan["readahead_bytes"] > 0 if scan["executor"] == "process" else scan["readahead_bytes"] == 0


def test_plan_is_in_duckdbs_log(con, call):
    con.execute("CALL enable_logging(level = 'info')")
    con.execute(f"SELECT count(*) FROM {call('Filters')} WHERE id = 3").fetchall()
    logged = con.execute("SELECT message FROM duckdb_logs WHERE type = 'Bascule'").fetchall()
    assert logged == [("pushsources:Filters: 1 partitions to read, pushed: id = 3",)]


def test_cache_is_cleared_in_sql(con, call):
    con.execute("SET bascule_cache_ttl = '60'")
    assert con.execute(f"SELECT count(*) FROM {call('Sized')}").fetchall() == [(100,)]
    assert con.execute("CALL bascule_clear_cache()").fetchall() == []
    assert con.execute(f"SELECT count(*) FROM {call('Sized')}").fetchall() == [(100,)]
