"""Predicates as SQL, per dialect: what is said, how exactly, with which parameters."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import sqlglot

from bascule import filters as f
from bascule.filters._sql import Kind, SqlColumn, to_sql
from bascule.filters._sql_rules import DIALECTS, RULES, Rule, rule

ROOT = Path(__file__).parents[2]
EXACT, SUPERSET, NO = f.Exactness.EXACT, f.Exactness.SUPERSET, f.Exactness.NO
KNOWN = {kind.name.lower(): SqlColumn(kind) for kind in Kind}
NAN = float("nan")

#: A predicate; of each dialect its SQL, bound, and written out.
SAID = [
    (
        f.EqualTo("integer", -5),
        {
            "postgres": ('"integer" = CAST($1 AS BIGINT)', '"integer" = -5'),
            "mysql": ("`integer` = ?", "`integer` = -5"),
            "sqlite": ('"integer" = ?', '"integer" = -5'),
            "duckdb": ('"integer" = ?', '"integer" = -5'),
            "oracle": ('"integer" = ?', '"integer" = -5'),
        },
    ),
    (
        f.EqualTo("folded", "a\\'b"),
        {
            "postgres": (
                '"folded" = CAST($1 AS TEXT) AND "folded" COLLATE "C" = CAST($2 AS TEXT)',
                "\"folded\" = ('a' || CHR(92) || '''b') AND \"folded\" COLLATE \"C\" = ('a' || CHR(92) || '''b')",
            ),
            "mysql": (
                "`folded` = ? AND CAST(CAST(`folded` AS CHAR CHARACTER SET utf8mb4) AS BINARY) = CAST(? AS BINARY)",
                "`folded` = _utf8mb4 x'615c2762' AND CAST(CAST(`folded` AS CHAR CHARACTER SET utf8mb4) AS BINARY) = x'615c2762'",
            ),
            "sqlite": ('"folded" COLLATE BINARY = ?', None),  # ConnectorX would take the backslash for an escape
            "duckdb": ('"folded" COLLATE "C" = CAST(? AS TEXT)', "\"folded\" COLLATE \"C\" = 'a\\''b'"),
        },
    ),
    (
        f.StringStartsWith("text", "a%"),
        {
            "postgres": ("\"text\" LIKE CAST($1 AS TEXT) ESCAPE '!'", "\"text\" LIKE 'a!%%' ESCAPE '!'"),
            "mysql": (
                "LEFT(CAST(CAST(`text` AS CHAR CHARACTER SET utf8mb4) AS BINARY), 2) = CAST(? AS BINARY)",
                "LEFT(CAST(CAST(`text` AS CHAR CHARACTER SET utf8mb4) AS BINARY), 2) = x'6125'",
            ),
            "sqlite": (
                '"text" COLLATE BINARY >= ? AND "text" COLLATE BINARY < ?',
                "\"text\" COLLATE BINARY >= 'a%' AND \"text\" COLLATE BINARY < 'a&'",
            ),
            "duckdb": ('STARTS_WITH("text" COLLATE "C", CAST(? AS TEXT))', 'STARTS_WITH("text" COLLATE "C", \'a%\')'),
        },
    ),
    (
        f.EqualNullSafe("boolean", True),
        {
            "postgres": (
                '"boolean" = CAST($1 AS BOOLEAN) AND NOT ("boolean" IS NULL)',
                '"boolean" = TRUE AND NOT ("boolean" IS NULL)',
            ),
            "sqlite": ('"boolean" = ? AND NOT ("boolean" IS NULL)', '"boolean" = 1 AND NOT ("boolean" IS NULL)'),
        },
    ),
    (
        f.LessThan("instant", datetime.datetime(2020, 1, 2, 3, tzinfo=datetime.UTC)),
        {
            "postgres": (
                '"instant" < CAST($1 AS TIMESTAMPTZ)',
                "\"instant\" < CAST('2020-01-02 03:00:00+00:00' AS TIMESTAMPTZ)",
            ),
            "mysql": ("`instant` < CAST(? AS DATETIME(6))", "`instant` < CAST('2020-01-02 03:00:00' AS DATETIME(6))"),
        },
    ),
    (
        f.In("decimal", [Decimal("1.50"), 2]),
        {"mysql": ("`decimal` IN (?, ?)", "`decimal` IN (1.50, 2)")},
    ),
    (
        f.Or(f.And(f.EqualTo("integer", 1), f.IsNull("date")), f.Not(f.EqualTo("integer", 2))),
        {
            "sqlite": (
                '("integer" = ? AND "date" IS NULL) OR NOT ("integer" = ?)',
                '("integer" = 1 AND "date" IS NULL) OR NOT ("integer" = 2)',
            ),
        },
    ),
]


@pytest.mark.parametrize(
    ("node", "dialect", "expected"),
    [(node, dialect, expected) for node, said in SAID for dialect, expected in said.items()],
)
def test_a_predicate_is_said_in_each_dialects_words(node, dialect, expected):
    for inline, text in zip((False, True), expected, strict=True):
        made = to_sql(node, dialect, KNOWN, inline=inline).expression
        if text is None:
            assert made is None
            continue
        assert made is not None
        assert made.text == text
        assert len(made.parameters) == (0 if inline else len(re.findall(r"\$\d|\?", text)))
        sqlglot.parse_one(made.text, dialect=made.dialect)


def test_parameters_stand_in_the_order_of_their_placeholders():
    node = f.And(
        f.StringContains("folded", "x"),
        f.Or(f.In("integer", [1, 2]), f.Not(f.EqualTo("binary", b"y"))),
        f.EqualTo("folded", "z"),
    )
    made = to_sql(node, "postgres", KNOWN).expression
    assert [p.as_py() for p in made.parameters] == ["%x%", 1, 2, b"y", "z", "z"]
    assert re.findall(r"\$\d", made.text) == ["$1", "$2", "$3", "$4", "$5", "$6"]
    made = to_sql(node, "mysql", KNOWN).expression
    assert [p.as_py() for p in made.parameters] == [b"x", 1, 2, b"y", "z", b"z"]


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_entry_of_the_table_is_kept(dialect, kind):
    literal = {
        Kind.INTEGER: 5,
        Kind.DECIMAL: Decimal("1.5"),
        Kind.FLOAT: 1.5,
        Kind.REAL: 1.5,
        Kind.BOOLEAN: True,
        Kind.BINARY: b"a",
        Kind.DATE: datetime.date(2020, 1, 1),
        Kind.TIMESTAMP: datetime.datetime(2020, 1, 1),
        Kind.INSTANT: datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        Kind.TIME: datetime.time(1),
        Kind.UUID: b"0123456789abcdef",
    }.get(kind, "a")
    columns = {"x": SqlColumn(kind)}
    allowed = rule(dialect, kind)
    for node, exactness in (
        (f.EqualTo("x", literal), allowed.equal),
        (f.In("x", [literal, literal]), allowed.equal),
        (f.LessThan("x", literal), allowed.order),
        (f.GreaterThanOrEqual("x", literal), allowed.order),
    ):
        assert to_sql(node, dialect, columns).exactness is exactness, node
        assert to_sql(f.Not(node), dialect, columns).exactness is (EXACT if exactness is EXACT else NO)
    if kind.is_text:
        for match in (f.StringStartsWith, f.StringEndsWith, f.StringContains):
            assert to_sql(match("x", "a"), dialect, columns).exactness is allowed.match


@pytest.mark.parametrize(
    ("node", "dialect", "exactness"),
    [
        (f.EqualTo("float", NAN), "postgres", EXACT),
        (f.EqualTo("float", NAN), "mysql", NO),
        (f.EqualTo("float", NAN), "sqlite", NO),
        (f.LessThan("float", float("inf")), "sqlite", EXACT),
        (f.LessThan("float", float("inf")), "mysql", NO),
        (f.EqualTo("float", 2**53 + 1), "postgres", NO),
        (f.EqualTo("integer", 1.5), "postgres", NO),
        (f.EqualTo("integer", float(2**53)), "postgres", NO),
        (f.EqualTo("integer", 7.0), "postgres", EXACT),
        (f.EqualTo("integer", "7"), "mysql", NO),
        (f.EqualTo("integer", True), "mysql", NO),
        (f.EqualTo("integer", 2**63), "sqlite", NO),
        (f.EqualTo("decimal", 1.5), "postgres", NO),
        (f.EqualTo("text", "a\0"), "postgres", NO),
        (f.EqualTo("text", 5), "mysql", NO),
        (f.EqualTo("date", datetime.datetime(2020, 1, 1)), "postgres", EXACT),
        (f.EqualTo("date", datetime.datetime(2020, 1, 1, 1)), "postgres", NO),
        (f.EqualTo("timestamp", pa.scalar(1, pa.timestamp("ns"))), "postgres", NO),
        (f.EqualTo("timestamp", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)), "postgres", NO),
        (f.EqualTo("instant", datetime.datetime(2020, 1, 1)), "postgres", NO),
        (f.EqualTo("instant", datetime.datetime(2050, 1, 1, tzinfo=datetime.UTC)), "mysql", NO),
        (f.EqualTo("integer", None), "postgres", NO),
        (f.EqualNullSafe("integer", None), "postgres", EXACT),
        (f.In("integer", [1, None]), "postgres", SUPERSET),
        (f.Not(f.In("integer", [1, None])), "postgres", NO),
        (f.In("integer", []), "postgres", NO),
        (f.In("integer", range(2000)), "postgres", SUPERSET),
        (f.In("loose", [str(i) for i in range(2000)]), "postgres", NO),
        (f.IsNull("other"), "postgres", EXACT),
        (f.IsNull("other"), "oracle", SUPERSET),
        (f.EqualTo("missing", 1), "postgres", NO),
        (f.And(f.EqualTo("missing", 1), f.EqualTo("integer", 1)), "postgres", SUPERSET),
        (f.Or(f.EqualTo("missing", 1), f.EqualTo("integer", 1)), "postgres", NO),
    ],
    ids=str,
)
def test_what_the_database_would_mean_otherwise_is_left_out(node, dialect, exactness):
    assert to_sql(node, dialect, KNOWN).exactness is exactness


def test_a_long_in_is_the_range_it_lies_in():
    made = to_sql(f.In("text", ["\uff5e", "\U0001f600", "a"] * 400), "sqlite", KNOWN)
    # By bytes the last is the greatest; by UTF-16 it would not be.
    assert [p.as_py() for p in made.expression.parameters] == ["a", "\U0001f600"]


def test_doubles_are_not_written_out_where_digits_are_read_inexactly():
    assert to_sql(f.EqualTo("float", 0.1), "sqlite", KNOWN, inline=True).exactness is NO
    assert to_sql(f.EqualTo("float", 3.0), "sqlite", KNOWN, inline=True).expression.text == '"float" = 3.0'


def test_the_next_string_after_a_prefix_is_a_string():
    made = f.StringStartsWith("x", "a\ud7ff").to_sql("sqlite", {"x": SqlColumn(Kind.TEXT)}).expression
    assert [p.as_py() for p in made.parameters] == ["a\ud7ff", "a\ue000"]
    made = f.StringStartsWith("x", "a\U0010ffff").to_sql("sqlite", {"x": SqlColumn(Kind.TEXT)}).expression
    assert made.text == 'SUBSTR("x", 1, 2) COLLATE BINARY = ?'


def test_names_are_quoted():
    name = 'a"b`; DROP TABLE t; --'
    for dialect in ("postgres", "mysql", "sqlite", "duckdb"):
        tree = sqlglot.parse_one(f.EqualTo(name, 1).to_sql(dialect).expression.text, dialect=dialect)
        assert tree.this.name == name


def test_of_unknown_columns_strings_are_a_superset():
    assert f.EqualTo("x", "a").to_sql("postgres").exactness is SUPERSET
    assert f.GreaterThan("x", "a").to_sql("postgres").exactness is NO
    assert f.EqualTo("x", 1).to_sql("mariadb").expression.text == "`x` = ?"


def test_sql_runs_with_its_parameters():
    con = duckdb.connect()
    con.execute("CREATE TABLE t AS SELECT x, x::VARCHAR AS s FROM range(10) r (x)")
    made = (f.In("x", [3, 5, 7]) & ~f.EqualTo("s", "5")).to_sql("duckdb", {"x": KNOWN["integer"], "s": KNOWN["folded"]})
    assert made.exactness is EXACT
    rows = con.execute(f"FROM t WHERE {made.expression.text}", [p.as_py() for p in made.expression.parameters])
    assert rows.fetchall() == [(3, "3"), (7, "7")]


def test_sqlglot_is_not_imported_before_it_is_used_and_missed_in_words():
    program = """
        import sys
        import bascule.filters
        assert "sqlglot" not in sys.modules
        sys.modules["sqlglot"] = None
        try:
            bascule.filters.EqualTo("x", 1).to_sql("sqlite")
        except bascule.BasculeError as e:
            print(e)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout == "predicates as SQL need sqlglot, which is not installed: pip install 'bascule[jdbc]'\n"


def test_the_docs_table_is_the_rules():
    text = (ROOT / "docs" / "jdbc.md").read_text("utf-8").partition("### What is exact")[2]
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    names = {
        "PostgreSQL": "postgres",
        "MySQL, MariaDB": "mysql",
        "SQLite": "sqlite",
        "DuckDB": "duckdb",
        "others": "other",
    }
    dialects = [names[cell] for cell in lines[0][1:]]
    assert dialects == list(RULES)
    documented = {cells[0]: cells[1:] for cells in lines[2 : 2 + len(Kind)]}
    assert documented == {
        kind.value: [rule(dialect, kind).shown(kind.is_text) for dialect in dialects] for kind in Kind
    }


def test_a_rule_is_shown_in_full():
    assert Rule(EXACT, EXACT, EXACT).shown(True) == "exact"
    assert Rule(SUPERSET, NO).shown(True) == "`=` superset, else –"
    assert Rule(EXACT, SUPERSET, NO).shown(True) == "`=` exact, `<` superset, LIKE –"
