"""Relations, statements, cursors and connections: run twice, interrupted, closed in the middle."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter

import duckdb
import pytest

import bascule
from life.sources import Life, life_rows, wait_until

LIFE = "python('life.sources:Life')"
ROWS = life_rows()


class Running:
    """A call on a thread of its own; ``error`` is what it raised, ``result`` what it returned."""

    def __init__(self, call):
        self.result = self.error = None
        self.thread = threading.Thread(target=self._run, args=(call,))
        self.thread.start()

    def _run(self, call):
        try:
            self.result = call()
        except BaseException as e:
            self.error = e

    def join(self) -> Running:
        self.thread.join(20)
        assert not self.thread.is_alive(), "the query hangs"
        return self


# ---- one source twice in a query ----


def test_one_source_twice_in_a_query_is_one_instance_and_two_scans(con):
    rows = con.execute(
        f"SELECT a.p, b.k FROM {LIFE} a JOIN {LIFE} b ON a.p = b.p AND a.k = b.k ORDER BY ALL"
    ).fetchall()
    assert rows == ROWS
    assert (Life.calls["made"], Life.calls["schema"], Life.calls["plan"]) == (1, 1, 2)
    assert Life.calls["read"] == 6
    assert Life.all_closed()


def test_a_cross_join_of_a_source_with_itself_has_every_pair(con):
    small = "python('life.sources:Life', partitions := 2, batches := 2, rows := 2)"
    rows = life_rows(2, 2, 2)
    found = con.execute(f"SELECT a.p, a.k, b.p, b.k FROM {small} a, {small} b").fetchall()
    assert Counter(found) == Counter((*a, *b) for a in rows for b in rows)
    assert Life.calls["made"] == 1


def test_a_union_of_a_source_with_itself_has_its_rows_twice(con):
    found = con.execute(f"FROM {LIFE} UNION ALL FROM {LIFE}").fetchall()
    assert Counter(found) == Counter(ROWS * 2)
    assert Life.calls["made"] == 1


def test_a_correlated_subquery_over_the_same_source(con):
    found = con.execute(
        f"SELECT DISTINCT p, (SELECT max(k) FROM {LIFE} b WHERE b.p = a.p AND b.k < 5) FROM {LIFE} a ORDER BY p"
    ).fetchall()
    assert found == [(0, 4), (1, 4), (2, 4)]
    assert Life.all_closed()


@pytest.mark.parametrize("materialized", ["", "MATERIALIZED", "NOT MATERIALIZED"])
def test_a_cte_that_is_used_twice(con, materialized):
    found = con.execute(
        f"WITH c AS {materialized} (FROM {LIFE}) SELECT count(*), sum(a.k + b.k) FROM c a JOIN c b USING (p, k)"
    ).fetchall()
    assert found == [(len(ROWS), 2 * sum(k for _, k in ROWS))]
    assert Life.calls["made"] == 1
    assert Life.all_closed()


def test_a_source_under_a_recursive_cte(con):
    found = con.execute(
        f"""WITH RECURSIVE r AS (
              SELECT 0 AS p, 0 AS depth
              UNION ALL SELECT l.p, r.depth + 1 FROM r JOIN {LIFE} l ON l.p = r.p + 1 AND l.k = 0)
            FROM r ORDER BY depth"""
    ).fetchall()
    assert found == [(0, 0), (1, 1), (2, 2)]
    assert Life.all_closed()


# ---- run twice ----


def test_a_relation_may_be_executed_any_number_of_times(con):
    relation = con.sql(f"FROM {LIFE}")
    for _ in range(3):
        assert relation.fetchall() == ROWS
    assert relation.filter("k < 3").fetchall() == [r for r in ROWS if r[1] < 3]
    assert relation.aggregate("count(*)").fetchall() == [(len(ROWS),)]
    assert Life.calls["plan"] == 5, "each execution is a scan of its own"
    assert Life.calls["schema"] <= 8, "asked at most once for each of the 8 calls"
    del relation
    assert Life.all_closed()


def test_relations_over_one_relation_are_read_in_turns(con):
    base = con.sql(f"FROM {LIFE}")
    even, odd = base.filter("k % 2 = 0"), base.filter("k % 2 = 1")
    assert Counter(even.union(odd).fetchall()) == Counter(ROWS)
    assert base.join(base.set_alias("other"), "p, k").count("*").fetchall() == [(len(ROWS),)]
    assert even.fetchall() + odd.fetchall() == [r for r in ROWS if r[1] % 2 == 0] + [r for r in ROWS if r[1] % 2 == 1]


def test_a_prepared_statement_is_another_source_for_each_parameter(con):
    con.execute("PREPARE q AS SELECT count(*) FROM python('life.sources:Life', partitions := $n, rows := $rows)")
    for n, rows in [(1, 1), (5, 10), (0, 3), (1, 1), (7, 2)]:
        assert con.execute(f"EXECUTE q(n := {n}, rows := {rows})").fetchall() == [(n * rows * 3,)]
    con.execute("DEALLOCATE q")
    assert {(seen["partitions"], seen["rows"]) for seen in Life.options_seen} >= {("5", "10"), ("0", "3"), ("7", "2")}
    assert Life.all_closed()


def test_a_parameter_in_the_where_clause_leaves_the_source_alone(con):
    con.execute(f"PREPARE q AS SELECT count(*) FROM {LIFE} WHERE k < ?")
    for most in (0, 4, 100, 4):
        assert con.execute(f"EXECUTE q({most})").fetchall() == [(3 * min(most, 30),)]
    con.execute("DEALLOCATE q")
    assert Life.all_closed()


def test_one_statement_with_many_parameters(con):
    con.execute("CREATE TABLE counts (n BIGINT)")
    con.executemany("INSERT INTO counts SELECT count(*) FROM python('life.sources:Life', partitions := ?)", [[1], [4]])
    assert con.execute("FROM counts ORDER BY n").fetchall() == [(30,), (120,)]
    sql = "SELECT count(*) FROM python('life.sources:Life', partitions := ?) WHERE p = ?"
    assert [con.execute(sql, [n, p]).fetchone() for n, p in [(2, 1), (2, 2), (3, 2)]] == [(30,), (0,), (30,)]


def test_a_view_is_bound_for_each_query(con):
    con.execute(f"CREATE VIEW v AS SELECT p, k * 2 AS twice FROM {LIFE}")
    Life.reset()
    for _ in range(2):
        assert con.execute("FROM v").fetchall() == [(p, 2 * k) for p, k in ROWS]
    assert con.execute("SELECT count(*) FROM v a JOIN v b USING (p, twice)").fetchall() == [(len(ROWS),)]
    assert Life.calls["plan"] == 4
    assert Life.all_closed()


def test_a_macro_hands_its_arguments_to_the_class(con):
    con.execute("CREATE MACRO life(n) AS TABLE SELECT * FROM python('life.sources:Life', partitions := n)")
    assert con.execute("SELECT count(*) FROM life(2)").fetchall() == [(60,)]
    assert con.execute("SELECT count(*) FROM life(4)").fetchall() == [(120,)]


# ---- interrupt ----


@pytest.mark.parametrize("moment", ["plan", "read", "batch", "end"])
@pytest.mark.parametrize("api", ["fetchall", "arrow", "reader"])
def test_an_interrupt_ends_the_query_wherever_the_class_is(con, moment, api):
    sql = f"SELECT p, k FROM python('life.sources:Life', stop := '{moment}', partitions := 50, rows := 3000)"

    def query():
        if api == "fetchall":
            return len(con.execute(sql).fetchall())
        if api == "arrow":
            return con.sql(sql).to_arrow_table().num_rows
        return sum(len(batch) for batch in con.sql(sql).to_arrow_reader(1000))

    running = Running(query)
    assert Life.reached.wait(20)
    con.interrupt()
    time.sleep(0.05)  # the class is inside Python all the while
    Life.go.set()
    running.join()
    assert re.search("Interrupted|was cancelled", str(running.error)), (running.error, running.result)
    # From a reader it is an OSError: pyarrow's word for a stream that failed.
    assert isinstance(running.error, (duckdb.InterruptException, OSError))
    assert con.execute(f"FROM {LIFE}").fetchall() == ROWS, "the connection goes on"
    assert wait_until(Life.all_closed)
    assert Life.calls["read"] < 50


def test_an_interrupt_during_the_bind_ends_the_query(con):
    running = Running(lambda: con.execute("FROM python('life.sources:Life', stop := 'schema')").fetchall())
    assert Life.reached.wait(20)
    con.interrupt()
    Life.go.set()
    assert isinstance(running.join().error, duckdb.InterruptException)
    assert Life.calls["read"] == 0
    assert Life.all_closed()


def test_an_interrupt_between_two_queries_is_forgotten(con):
    con.interrupt()
    assert con.execute(f"FROM {LIFE}").fetchall() == ROWS
    con.interrupt()
    relation = con.sql(f"FROM {LIFE}")
    con.interrupt()
    assert relation.fetchall() == ROWS


def test_an_interrupt_while_a_stream_is_half_read_ends_it(con):
    reader = con.sql(
        "SELECT p, k FROM python('life.sources:Life', partitions := 1000, batches := 20, rows := 4000)"
    ).to_arrow_reader(1000)
    assert len(reader.read_next_batch()) > 0
    con.interrupt()
    with pytest.raises(OSError, match=r"Interrupted|was cancelled"):
        while True:
            reader.read_next_batch()
    reader.close()
    assert con.execute(f"FROM {LIFE}").fetchall() == ROWS
    assert wait_until(Life.all_closed)


def test_an_interrupt_of_one_cursor_leaves_the_others_alone(con):
    cursors = [con.cursor() for _ in range(3)]
    sql = "SELECT count(*) FROM python('life.sources:Life', stop := 'batch')"
    running = [Running(lambda c=c: c.execute(sql).fetchall()) for c in cursors]
    assert wait_until(lambda: Life.calls["batch"] >= 3)
    cursors[1].interrupt()
    Life.go.set()
    results = [r.join() for r in running]
    assert [r.result for r in results] == [[(90,)], None, [(90,)]]
    assert isinstance(results[1].error, duckdb.InterruptException)


def test_interrupts_from_many_threads_at_random_moments(con):
    """None hangs, none leaves anything open, and the rows are right where there are rows."""
    stop = threading.Event()

    def interrupt():
        while not stop.wait(0.003):
            con.interrupt()

    threads = [threading.Thread(target=interrupt) for _ in range(2)]
    for thread in threads:
        thread.start()
    outcomes = Counter[str]()
    try:
        for _ in range(150):
            try:
                assert con.execute(f"FROM {LIFE}").fetchall() == ROWS
                outcomes["read"] += 1
            except duckdb.InterruptException:
                outcomes["interrupted"] += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert outcomes.total() == 150
    assert outcomes["interrupted"] > 0
    assert wait_until(Life.all_closed)


# ---- cursors and connections ----


def test_a_connection_that_closes_with_a_result_half_fetched_ends_its_scan():
    con = bascule.connect(config={"threads": 2})
    con.execute("FROM python('life.sources:Life', partitions := 1000, rows := 3000)")
    assert con.fetchone() == (0, 0)
    con.close()
    assert wait_until(Life.all_closed)
    with pytest.raises(duckdb.Error, match="No open result set"):
        con.fetchone()


def test_a_reader_whose_connection_is_closed_gives_rows_or_an_error_and_ends():
    con = bascule.connect(config={"threads": 2})
    reader = con.sql("FROM python('life.sources:Life', partitions := 100, rows := 3000)").to_arrow_reader(1000)
    rows = len(reader.read_next_batch())
    con.close()
    try:
        for batch in reader:
            rows += len(batch)
    except (OSError, duckdb.Error):
        pass
    else:
        assert rows == 100 * 3 * 3000
    del reader
    assert wait_until(Life.all_closed)


@pytest.mark.parametrize("moment", ["read", "batch", "end"])
def test_a_connection_in_a_query_refuses_to_close_until_it_is_interrupted(moment):
    """The refusal is DuckDB's, as is the advice to use a cursor."""
    con = bascule.connect(config={"threads": 2})
    sql = f"SELECT count(*) FROM python('life.sources:Life', stop := '{moment}', partitions := 100, rows := 3000)"
    running = Running(lambda: con.execute(sql).fetchall())
    assert Life.reached.wait(20)
    time.sleep(0.2)  # into fetchall: between two calls close() would wait for the class
    with pytest.raises(duckdb.Error, match="connection is busy with another call"):
        con.close()
    con.interrupt()
    Life.go.set()
    assert isinstance(running.join().error, duckdb.InterruptException)
    con.close()
    assert wait_until(Life.all_closed)


def test_a_relation_outlives_the_name_of_its_connection():
    relation = bascule.connect().sql(f"FROM {LIFE}")
    assert relation.fetchall() == ROWS
    del relation
    assert wait_until(Life.all_closed)


def test_a_relation_of_a_closed_connection_is_an_error_and_lets_its_source_go():
    con = bascule.connect()
    relation = con.sql(f"FROM {LIFE}")
    con.close()
    with pytest.raises(duckdb.Error, match="closed"):
        relation.fetchall()
    del relation
    assert wait_until(Life.all_closed)


def test_a_new_query_on_a_connection_ends_the_half_read_one(con):
    con.execute("FROM python('life.sources:Life', partitions := 1000, rows := 3000)")
    assert con.fetchone() == (0, 0)
    assert con.execute("SELECT 1").fetchall() == [(1,)]
    assert wait_until(Life.all_closed)


def test_cursors_read_the_same_source_in_turns(con):
    cursors = [con.cursor().execute(f"FROM {LIFE}") for _ in range(4)]
    rows = [[] for _ in cursors]
    for _ in ROWS:
        for cursor, got in zip(cursors, rows, strict=True):
            got.append(cursor.fetchone())
    assert rows == [ROWS] * 4
    assert [cursor.fetchone() for cursor in cursors] == [None] * 4
    assert Life.calls["made"] >= 4, "a cursor is a connection of its own"
    assert wait_until(Life.all_closed)


def test_two_databases_are_two_sources():
    first, second = bascule.connect(), bascule.connect()
    one, two = first.sql(f"FROM {LIFE}"), second.sql(f"FROM {LIFE}")
    assert Life.calls["schema"] == 2
    assert one.fetchall() == two.fetchall() == ROWS
    first.close()
    assert two.fetchall() == ROWS
    del one, two
    second.close()
    assert wait_until(Life.all_closed)


def test_a_transaction_that_fails_in_the_source_can_be_rolled_back(con):
    con.execute("CREATE TABLE t (p BIGINT, k BIGINT)")
    con.execute("BEGIN")
    con.execute(f"INSERT INTO t FROM {LIFE}")
    with pytest.raises(duckdb.Error, match="this batch is missing"):
        con.execute("INSERT INTO t FROM python('life.sources:Life', fails_at := 1)")
    con.execute("ROLLBACK")
    assert con.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    assert Life.all_closed()


def test_an_insert_that_is_interrupted_inserts_nothing(con):
    con.execute("CREATE TABLE t (p BIGINT, k BIGINT)")
    running = Running(
        lambda: con.execute("INSERT INTO t FROM python('life.sources:Life', stop := 'batch', partitions := 20)")
    )
    assert Life.reached.wait(20)
    con.interrupt()
    Life.go.set()
    assert isinstance(running.join().error, duckdb.InterruptException)
    assert con.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    assert wait_until(Life.all_closed)
