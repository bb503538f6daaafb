"""What dbtable, query and predicates may be, and that nothing in them escapes its place."""

from __future__ import annotations

import pytest
from sqlglot import exp

from bascule import OptionError
from bascule.sources.jdbc import _sql


def made(dialect: str = "postgres", dbtable: str | None = None, query: str | None = None) -> str:
    source = _sql.relation(dbtable, query, dialect)
    return _sql.generate(_sql.select([exp.Star()], source), dialect)


@pytest.mark.parametrize(
    ("dbtable", "sql"),
    [
        ("users", "SELECT * FROM users"),
        ("Shop.Users", "SELECT * FROM Shop.Users"),
        ('"My Shop"."a ""b"" c"', 'SELECT * FROM "My Shop"."a ""b"" c"'),
        ("users AS u", "SELECT * FROM users AS u"),
        ("(SELECT 1 AS a) AS t", "SELECT * FROM (SELECT 1 AS a) AS t"),
        ("(SELECT 1 AS a)", "SELECT * FROM (SELECT 1 AS a) AS bascule_source"),
        ("a JOIN b USING (k)", "SELECT * FROM (SELECT * FROM a JOIN b USING (k)) AS bascule_source"),
        ("users -- a comment", "SELECT * FROM users"),
        ("generate_series(1, 3)", "SELECT * FROM GENERATE_SERIES(1, 3)"),
    ],
)
def test_dbtable_is_what_may_stand_in_a_from_clause(dbtable, sql):
    assert made(dbtable=dbtable) == sql


@pytest.mark.parametrize(
    ("query", "sql"),
    [
        ("SELECT a FROM t;", "SELECT * FROM (SELECT a FROM t) AS bascule_source"),
        (
            "WITH c AS (SELECT 1 AS a) SELECT * FROM c ORDER BY a LIMIT 3",
            "SELECT * FROM (WITH c AS (SELECT 1 AS a) SELECT * FROM c ORDER BY a LIMIT 3) AS bascule_source",
        ),
        ("SELECT 1 AS a UNION ALL SELECT 2", "SELECT * FROM (SELECT 1 AS a UNION ALL SELECT 2) AS bascule_source"),
        ("SELECT ')) --' AS a", "SELECT * FROM (SELECT ')) --' AS a) AS bascule_source"),
    ],
)
def test_a_query_is_a_subquery(query, sql):
    assert made(query=query) == sql


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
    assert _sql.generate(_sql.condition("a < 5 OR b IS NULL", "postgres"), "postgres") == "a < 5 OR b IS NULL"
    for text in ("a < 5 GROUP BY a", "1 = 1; DROP TABLE users", "a < 5) OR (1 = 1", "a <"):
        with pytest.raises(OptionError):
            _sql.condition(text, "postgres")
