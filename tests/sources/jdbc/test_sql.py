"""What dbtable, query and predicates may be, and that nothing in them escapes its place."""

from __future__ import annotations

import sqlite3

import pytest
from sqlglot import exp

from bascule import OptionError
from bascule.sources.jdbc import _sql
from sources.jdbc.reading import only, parts, table


def made(dialect: str = "postgres", dbtable: str | None = None, query: str | None = None) -> str:
    source = _sql.relation(dbtable, query, dialect)
    return _sql.generate(_sql.select([exp.Star()], source), dialect)


SUBQUERY = "SELECT * FROM ({}\n) AS bascule_source"


@pytest.mark.parametrize(
    ("dbtable", "sql"),
    [
        ("users", "SELECT * FROM users"),
        ("Shop.Users", "SELECT * FROM Shop.Users"),
        ('"My Shop"."a ""b"" c"', 'SELECT * FROM "My Shop"."a ""b"" c"'),
        ("users -- a comment", "SELECT * FROM users"),
        ("users AS u", SUBQUERY.format("SELECT * FROM users AS u")),
        ("(SELECT 1 AS a) AS t", SUBQUERY.format("SELECT * FROM (SELECT 1 AS a) AS t")),
        ("a JOIN b USING (k)", SUBQUERY.format("SELECT * FROM a JOIN b USING (k)")),
        ("generate_series(1, 3)", SUBQUERY.format("SELECT * FROM generate_series(1, 3)")),
    ],
)
def test_dbtable_is_what_may_stand_in_a_from_clause(dbtable, sql):
    assert made(dbtable=dbtable) == sql


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a FROM t",
        "WITH c AS (SELECT 1 AS a) SELECT * FROM c ORDER BY a LIMIT 3",
        "SELECT 1 AS a UNION ALL SELECT 2",
        "SELECT ')) --' AS a",
        "SELECT a FROM t -- all of it",
        "SELECT |/ 25.0 AS r, date_part('week', d) FROM t",
    ],
)
def test_a_query_is_a_subquery_as_it_is_written(query):
    assert made(query=query) == SUBQUERY.format(query)
    assert made(query=f"  {query}; " if "--" not in query[-12:] else query) == SUBQUERY.format(query)


def test_what_a_dialect_would_be_written_anew_as_stays_what_it_was(tmp_path):
    """SQLite's CAST AS DATE takes the leading number, DATE() doesn't."""
    file = tmp_path / "x.db"
    with sqlite3.connect(file) as db:
        db.executescript("CREATE TABLE t (d TEXT); INSERT INTO t VALUES ('2020-05-01'), ('2021-05-01'), (NULL)")
    db.close()
    url = f"sqlite:{file}"
    assert only(url=url, query="SELECT CAST(d AS DATE) AS y FROM t") == [2020, 2021, None]
    conditions = '["CAST(d AS DATE) = 2020", "CAST(d AS DATE) <> 2020", "d IS NULL -- no date"]'
    assert [p.num_rows for p in parts(url=url, dbtable="t", predicates=conditions)] == [1, 1, 1]


def test_mariadb_s_own_words_are_left_to_it(maria):
    maria.run("CREATE TABLE t AS SELECT seq AS i, CONCAT('x', seq) AS s FROM seq_1_to_20")
    assert only(url=maria.url(), query="SELECT count(*) AS n FROM t WHERE s REGEXP '^x1' # those") == [11]
    conditions = "[\"s RLIKE '^x1'\", \"NOT s RLIKE '^x1'\"]"
    assert [p.num_rows for p in parts(url=maria.url(), dbtable="t", predicates=conditions)] == [11, 9]


def test_postgresql_s_own_words_are_left_to_it(pg):
    query = "SELECT |/ 25.0::float8 AS r, date_part('week', date '2020-05-01') AS w, 0x1F AS h"
    assert table(url=pg.url(), query=query).to_pylist() == [{"r": 5.0, "w": 18.0, "h": 31}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of the options dbtable and query says what to read, but neither is given"),
        ({"dbtable": "a", "query": "SELECT 1"}, "but both are given"),
        ({"dbtable": "users WHERE id = 1"}, "option 'dbtable' is no table"),
        ({"dbtable": "users; DROP TABLE users"}, "option 'dbtable' is more than one statement"),
        ({"dbtable": "users LIMIT 3"}, "option 'dbtable' is no table"),
        ({"dbtable": "users UNION SELECT 1"}, "option 'dbtable' is no table"),
        ({"dbtable": "my table of mine"}, "option 'dbtable' is no SQL of postgres"),
        ({"dbtable": ""}, "option 'dbtable' is no"),
        ({"query": "DELETE FROM users"}, "option 'query' is no SELECT"),
        ({"query": "SELECT 1; SELECT 2"}, "option 'query' is more than one statement"),
        ({"query": "SELECT 1) AS a; DROP TABLE users --"}, "option 'query' is no SQL of postgres"),
        ({"query": "SELEC 1"}, "option 'query' is no SQL of postgres"),
        ({"query": ""}, "option 'query' is more than one statement"),
    ],
)
def test_anything_else_is_refused(options, message):
    with pytest.raises(OptionError) as caught:
        made(**options)
    assert message in str(caught.value)


def test_a_predicate_is_a_condition_alone():
    assert _sql.generate(_sql.condition("a < 5 OR b IS NULL", "postgres"), "postgres") == "(a < 5 OR b IS NULL\n)"
    for text in ("a < 5 GROUP BY a", "1 = 1; DROP TABLE users", "a < 5) OR (1 = 1", "a <"):
        with pytest.raises(OptionError):
            _sql.condition(text, "postgres")
