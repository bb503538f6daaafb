"""DuckDB's SQL for the differential test: literals, predicates, and queries of many shapes.

A query names its table ``{s}``, for which the test puts a call of ``python(...)`` or a table's name. Its rows, as a
multiset, depend on the table's rows alone: sums are of integers, whatever needs an order has a total one.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from bascule import filters as f
from differential.data import PER_SECOND, Column, Data
from differential.predicates import is_text, parts, trees

TABLE = "{s}"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text_sql(value: str) -> str:
    """A string literal. SQL text can't hold a NUL."""
    parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\0")]
    return parts[0] if len(parts) == 1 else "(" + " || chr(0) || ".join(parts) + ")"


def type_sql(type_: pa.DataType) -> str:
    """DuckDB's name of a type."""
    t = pa.types
    fixed = {
        pa.bool_(): "BOOLEAN",
        pa.int8(): "TINYINT",
        pa.int16(): "SMALLINT",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.time64("ns"): "TIME_NS",
        pa.timestamp("us"): "TIMESTAMP",
        pa.uuid(): "UUID",
    }
    if type_ in fixed:
        return fixed[type_]
    if t.is_unsigned_integer(type_):
        return "U" + type_sql({8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[type_.bit_width])
    if t.is_decimal(type_):
        return f"DECIMAL({type_.precision}, {type_.scale})"
    if t.is_timestamp(type_):
        if type_.tz is not None:
            return "TIMESTAMPTZ_NS" if type_.unit == "ns" else "TIMESTAMPTZ"
        return f"TIMESTAMP_{type_.unit.upper()}"
    for is_it, name in ((t.is_date, "DATE"), (t.is_time, "TIME"), (t.is_duration, "INTERVAL")):
        if is_it(type_):
            return name
    return "VARCHAR" if is_text_type(type_) else "BLOB"


def is_text_type(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        return is_text_type(type_.value_type)
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def ticks_of(scalar: pa.Scalar) -> int:
    array = pa.repeat(scalar, 1)
    return int(array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())[0].as_py())


def temporal_text(scalar: pa.Scalar) -> str:
    """A date, time or moment (UTC) as text with all its digits."""
    type_, ticks = scalar.type, ticks_of(scalar)
    if abs(ticks) == 2 ** (type_.bit_width - 1) - 1:
        return "infinity" if ticks > 0 else "-infinity"
    epoch = datetime.datetime(1970, 1, 1)
    if pa.types.is_date(type_):
        return str((epoch + datetime.timedelta(days=ticks // (1 if type_ == pa.date32() else 86_400_000))).date())
    per = PER_SECOND[type_.unit]
    seconds, rest = divmod(ticks, per)
    moment = epoch + datetime.timedelta(seconds=seconds)
    fraction = f".{rest:0{len(str(per)) - 1}d}" if rest else ""
    if pa.types.is_time(type_):
        return f"{moment.time()}{fraction}"
    return f"{moment}{fraction}{'+00' if type_.tz else ''}"


def literal_sql(scalar: pa.Scalar) -> str:
    """A literal of exactly the type that DuckDB makes of the scalar's."""
    type_, t = scalar.type, pa.types
    name = type_sql(type_)
    if not scalar.is_valid:
        return f"NULL::{name}"
    if t.is_boolean(type_):
        return str(scalar.as_py()).upper()
    if is_text_type(type_):
        return text_sql(scalar.as_py())
    if t.is_duration(type_):
        micros = abs(ticks_of(scalar)) * 10**6 // PER_SECOND[type_.unit]
        return f"to_microseconds({micros if ticks_of(scalar) > 0 else -micros})"
    if t.is_temporal(type_):
        return f"'{temporal_text(scalar)}'::{name}"
    value = scalar.as_py()
    if isinstance(value, bytes):
        return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
    return f"'{value}'::{name}"


def filter_sql(node: f.Filter) -> str:
    """A tree, as DuckDB says it."""
    if isinstance(node, f.Not):
        return f"(NOT {filter_sql(node.child)})"
    if isinstance(node, f.And | f.Or):
        return "(" + (" AND " if isinstance(node, f.And) else " OR ").join(map(filter_sql, node.children)) + ")"
    column = quoted(node.column)
    if isinstance(node, f.IsNull | f.IsNotNull):
        return f"({column} IS {'NOT ' if isinstance(node, f.IsNotNull) else ''}NULL)"
    if isinstance(node, f.In):
        return f"({column} IN ({', '.join(map(literal_sql, node.literals))}))"
    if isinstance(node, f.StringPredicate):
        function = {f.StringStartsWith: "starts_with", f.StringEndsWith: "ends_with", f.StringContains: "contains"}
        return f"{function[type(node)]}({column}, {text_sql(node.value)})"
    operator = {
        f.EqualTo: "=",
        f.EqualNullSafe: "IS NOT DISTINCT FROM",
        f.LessThan: "<",
        f.LessThanOrEqual: "<=",
        f.GreaterThan: ">",
        f.GreaterThanOrEqual: ">=",
    }[type(node)]
    return f"({column} {operator} {literal_sql(node.literal)})"


# What is beyond the trees: all that a WHERE may say of a table's columns.

OPERATORS = ("=", "<>", "<", "<=", ">", ">=", "==", "!=")


def family(type_: pa.DataType) -> str:
    """Types of one family compare with each other."""
    t = pa.types
    if t.is_integer(type_) or t.is_floating(type_) or t.is_decimal(type_):
        return "number"
    if t.is_timestamp(type_) or t.is_date(type_):
        return "moment"
    return type_sql(type_)


@dataclass(frozen=True)
class Scope:
    """The columns that a predicate may name, and under which alias."""

    columns: tuple[Column, ...]
    alias: str = ""

    def name(self, column: Column) -> str:
        return f"{self.alias}.{quoted(column.name)}" if self.alias else quoted(column.name)

    def under(self, alias: str) -> Scope:
        return Scope(self.columns, alias)


def constants(column: Column) -> st.SearchStrategy[str]:
    """Constants that compare with the column, mostly of its own type and values."""
    own = st.sampled_from(column.literals()).map(literal_sql)
    kind = family(column.type)
    if kind == "number":
        others = [
            "0",
            "1",
            "2",
            "1.5",
            "0.5",
            "-1",
            "3::TINYINT",
            "1::UTINYINT",
            "2::HUGEINT",
            "0.5::DOUBLE",
            "1 + 1",
            "abs(-3)",
        ]
        others += ["'1'", "'nan'::DOUBLE", "'-0.0'::FLOAT", "NULL", "CAST('2' AS INTEGER)", "round(1.4)", "2 * 2 - 3"]
        if not pa.types.is_integer(column.type):
            others += ["'nan'::FLOAT", "'infinity'::DOUBLE", "1e300"] if pa.types.is_floating(column.type) else ["0.10"]
        return own | own | st.sampled_from(others)
    if kind == "moment":
        others = ["DATE '2020-01-01'", "TIMESTAMP '2020-01-01 00:00:00'", "'2020-01-01'", "NULL"]
        others += [
            "DATE '2019-12-31' + INTERVAL 1 DAY",
            "TIMESTAMPTZ '2020-01-01 01:00:00+01'",
            "'1970-01-01'::TIMESTAMP_S",
        ]
        return own | own | st.sampled_from(others)
    if is_text(column):
        return (
            own
            | own
            | st.sampled_from(["'a' || 'b'", "upper('ab')", "NULL", "''", "'ab'::VARCHAR", "concat('a', 'bc')"])
        )
    return own | own | own | st.just("NULL")


def _pattern(text: str) -> str:
    return "".join("\\" + c if c in "%_\\" else c for c in text)


@st.composite
def _of_text(draw: st.DrawFn, name: str, column: Column) -> str:
    """A predicate of a text column."""
    text = draw(parts(column))
    form = draw(st.integers(0, 8))
    if form <= 3:
        function = draw(st.sampled_from(("starts_with", "prefix", "ends_with", "suffix", "contains")))
        return f"{draw(st.sampled_from(('', 'NOT ')))}{function}({name}, {text_sql(text)})"
    if form <= 5:
        around = draw(st.sampled_from(("{}%", "%{}", "%{}%", "{}", "_{}", "{}_%", "%{}_", "%{}%{}%")))
        negated = draw(st.sampled_from(("LIKE", "LIKE", "NOT LIKE", "ILIKE")))
        if draw(st.booleans()):
            return f"{name} {negated} {text_sql(around.replace('{}', _pattern(text)))} ESCAPE '\\'"
        return f"{name} {negated} {text_sql(around.replace('{}', text))}"
    others = [
        *(
            f"{name} ^@ {text_sql(text)}",
            f"lower({name}) = {text_sql(text)}",
            f"length({name}) > 1",
            f"{name} GLOB 'a*'",
        ),
        *(f"regexp_matches({name}, '^ab')", f"{name} SIMILAR TO 'a.*'", f"{name} COLLATE NOCASE = {text_sql(text)}"),
        *(f"{name} COLLATE NOCASE <> {text_sql(text)}", f"{name} COLLATE NOACCENT = 'e'", f"{name} || 'b' = 'ab'"),
        *(
            f"substr({name}, 1, 1) = {text_sql(text)}",
            f"{name} COLLATE NOCASE IN ('AB', 'b')",
            f"left({name}, 2) >= 'ab'",
        ),
    ]
    return draw(st.sampled_from(others))


@st.composite
def _leaf(draw: st.DrawFn, scope: Scope) -> str:
    """A predicate of one column, or of two, without AND and OR."""
    column = draw(st.sampled_from(scope.columns))
    name, constant = scope.name(column), constants(column)
    number = family(column.type) == "number"
    form = draw(st.integers(0, 21))
    if form <= 5:
        a, b = name, draw(constant)
        if draw(st.booleans()):
            a, b = b, a
        return f"{a} {draw(st.sampled_from(OPERATORS))} {b}"
    if form == 6:
        word = draw(st.sampled_from(("BETWEEN", "NOT BETWEEN")))
        return f"{name} {word} {draw(constant)} AND {draw(constant)}"
    if form <= 8:
        values = draw(st.lists(constant, min_size=1, max_size=4))
        if number and draw(st.integers(0, 4)) == 4:
            values += map(str, range(60))  # beyond what stays a filter: DuckDB makes a join of it
        return f"{name} {draw(st.sampled_from(('IN', 'IN', 'NOT IN')))} ({', '.join(values)})"
    if form == 9:
        return f"{name} IS {draw(st.sampled_from(('NULL', 'NOT NULL')))}"
    if form == 10:
        return f"{name} IS {draw(st.sampled_from(('DISTINCT FROM', 'NOT DISTINCT FROM')))} {draw(constant)}"
    if (form <= 13 or form >= 20) and is_text(column):
        return draw(_of_text(name, column))
    if form == 14:
        alike = [c for c in scope.columns if family(c.type) == family(column.type)]
        return f"{name} {draw(st.sampled_from(OPERATORS))} {scope.name(draw(st.sampled_from(alike)))}"
    if form == 15:
        return draw(
            st.sampled_from(
                [
                    *(f"{name}::VARCHAR = '1'", f"{name}::VARCHAR < 'b'", f"TRY_CAST({name}::VARCHAR AS INTEGER) = 1"),
                    *(
                        f"{name}::VARCHAR LIKE '1%'",
                        f"starts_with({name}::VARCHAR, '2020-01')",
                        f"hash({name}) % 2 = 0",
                    ),
                    *([f"{name}::DOUBLE > 0.5", f"TRY_CAST({name} AS TINYINT) = 1"] if number else []),
                    *([f"{name}::DATE = DATE '2020-01-01'"] if pa.types.is_timestamp(column.type) else []),
                ]
            )
        )
    if form == 16:
        k = scope.name(scope.columns[1])
        return draw(
            st.sampled_from(
                [f"{k} + 1 = 3", f"-{k} < -1", f"{k} * 2 >= 4", f"{k} % 2 = 0", f"{k} - 1 IN (0, 2)", f"5 - {k} > 3"]
            )
        )
    if form == 17:
        constant_sql = draw(constant)
        return draw(
            st.sampled_from(
                [
                    *(f"coalesce({name}, {constant_sql}) = {constant_sql}", f"({name} = {constant_sql}) IS NOT TRUE"),
                    *(
                        f"({name} > {constant_sql}) IS NULL",
                        f"CASE WHEN {name} IS NULL THEN TRUE ELSE {name} = {constant_sql} END",
                    ),
                    *(f"nullif({name}, {constant_sql}) IS NULL", f"({name} <= {constant_sql}) = TRUE"),
                    *(f"({name} = {constant_sql}) IS NOT DISTINCT FROM NULL", f"({name} < {constant_sql}) <> FALSE"),
                    f"if({name} > {constant_sql}, TRUE, NULL)",
                ]
            )
        )
    if form == 18:
        k, id_ = scope.name(scope.columns[1]), scope.name(scope.columns[0])
        return draw(
            st.sampled_from(
                [f"({k}, {id_}) = (1, 0)", f"({k}, {id_}) IN ((1, 0), (2, 3), (NULL, 1))", f"({k}, {id_}) < (2, 5)"]
            )
        )
    if form == 19:
        return draw(st.sampled_from(("TRUE", "FALSE", "NULL", "1 = 1", "random() < 2", f"{name} = {name}")))
    if pa.types.is_boolean(column.type):
        return draw(
            st.sampled_from((name, f"NOT {name}", f"{name} IS TRUE", f"{name} IS NOT FALSE", f"{name} IS UNKNOWN"))
        )
    if pa.types.is_floating(column.type):
        return draw(st.sampled_from((f"isnan({name})", f"NOT isinf({name})", f"abs({name}) > 1", f"{name} = -{name}")))
    return f"{name} {draw(st.sampled_from(OPERATORS))} {draw(constant)}"


@st.composite
def where(draw: st.DrawFn, scope: Scope, depth: int = 3) -> str:
    """Any predicate, in parentheses where it needs them."""
    form = draw(st.integers(0, 9)) if depth else 0
    if form <= 4:
        return draw(_leaf(scope))
    if form == 5:
        return f"NOT ({draw(where(scope, depth - 1))})"
    if form == 6:  # what becomes an IN, or a range
        column = draw(st.sampled_from(scope.columns))
        values = draw(st.lists(constants(column), min_size=2, max_size=4))
        word, operator = draw(st.sampled_from(((" OR ", "="), (" AND ", "<>"), (" AND ", ">="), (" OR ", "<"))))
        return "(" + word.join(f"{scope.name(column)} {operator} {value}" for value in values) + ")"
    word = " AND " if form <= 8 else " OR "
    return "(" + word.join(draw(st.lists(where(scope, depth - 1), min_size=2, max_size=3))) + ")"


@dataclass(frozen=True)
class Query:
    """A query over ``{s}``.

    Attributes:
        statements: usually one; their answers are compared one by one.
        setup: what is run before them, over ``{s}`` too.
        parameters: each statement is run with each of these; once without any where there are none.
    """

    statements: tuple[str, ...]
    setup: tuple[str, ...] = ()
    parameters: tuple[tuple[Any, ...], ...] = ()

    def over(self, table: str) -> Query:
        """The query, of that table."""
        statements, setup = (tuple(s.replace(TABLE, table) for s in part) for part in (self.statements, self.setup))
        return Query(statements, setup, self.parameters)


class Pick:
    """What a shape draws: predicates, columns, words."""

    def __init__(self, draw: st.DrawFn, data: Data) -> None:
        self.draw = draw
        self.scope = Scope(data.columns)

    def where(self, alias: str = "") -> str:
        return self.draw(where(self.scope.under(alias)))

    def simple(self, alias: str = "") -> str:
        return self.draw(where(self.scope.under(alias), depth=0))

    def one(self, *words: str) -> str:
        return self.draw(st.sampled_from(words))

    def columns(self, alias: str = "") -> str:
        """Some of the columns."""
        chosen = self.draw(st.lists(st.sampled_from(self.scope.columns), min_size=1, max_size=3, unique=True))
        return ", ".join(self.scope.under(alias).name(column) for column in chosen)

    def column(self) -> str:
        return self.columns().split(", ")[0]

    def value(self) -> str:
        """A column, for min, max and count."""
        return quoted(self.draw(st.sampled_from(self.scope.columns)).name)


Shape = Callable[[Pick], str | Query]
#: By name, the shapes in which DuckDB offers a table function the predicates of at least one scan.
OFFERED: dict[str, Shape] = {}
#: Those in which it offers none.
NOT_OFFERED: dict[str, Shape] = {}


def shape(function: Shape) -> Shape:
    OFFERED[function.__name__] = function
    return function


def not_offered(function: Shape) -> Shape:
    """Its docstring says why."""
    assert function.__doc__
    NOT_OFFERED[function.__name__] = function
    return function


@shape
def plain(p: Pick) -> str:
    return f"SELECT * FROM {TABLE} WHERE {p.where()}"


@shape
def tree(p: Pick) -> str:
    """A predicate that is a tree, every kind of node among them."""
    return f"SELECT * FROM {TABLE} WHERE {filter_sql(p.draw(trees(p.scope.columns, depth=2)))}"


@shape
def subset(p: Pick) -> str:
    return f"SELECT {p.columns()} FROM {TABLE} WHERE {p.where()}"


@shape
def count(p: Pick) -> str:
    return f"SELECT count(*) FROM {TABLE} WHERE {p.where()}"


@shape
def aggregates(p: Pick) -> str:
    return f"SELECT count(*), sum(id), min({p.value()}), max({p.value()}), count(DISTINCT {p.value()}) FROM {TABLE} WHERE {p.where()}"


@shape
def group_by(p: Pick) -> str:
    group = p.one("k", "ROLLUP (k)", "k % 2", "CUBE (k, id % 2)")
    having = p.one("", " HAVING count(*) > 1", " HAVING sum(id) < 50")
    return f"SELECT count(*), sum(id), min(k) FROM {TABLE} WHERE {p.where()} GROUP BY {group}{having}"


@shape
def having_on_the_group(p: Pick) -> str:
    return f"SELECT k, count(*) FROM {TABLE} GROUP BY k HAVING k {p.one('= 1', '> 1', 'IS NULL', 'IN (0, 2)', 'IS DISTINCT FROM 1')}"


@shape
def distinct(p: Pick) -> str:
    return f"SELECT DISTINCT {p.columns()} FROM {TABLE} WHERE {p.where()}"


@shape
def order_and_limit(p: Pick) -> str:
    return f"SELECT * FROM {TABLE} WHERE {p.where()} ORDER BY id {p.one('', 'DESC')} LIMIT {p.one('1', '3', '7')} OFFSET {p.one('0', '2')}"


@shape
def over_a_subquery(p: Pick) -> str:
    return f"SELECT * FROM (SELECT *, id + 1 AS next FROM {TABLE} WHERE {p.where()}) WHERE {p.where()} AND next > 1"


@shape
def self_join(p: Pick) -> str:
    on = p.one("a.k = b.k", "a.id = b.id", "a.k = b.k AND a.id < b.id", "a.id = b.k", "a.k IS NOT DISTINCT FROM b.k")
    tests = p.one("{a}", "{b}", "{a} AND {b}", "{a} OR {b}").format(a=p.simple("a"), b=p.simple("b"))
    return f"SELECT {p.columns('a')}, {p.columns('b')} FROM {TABLE} AS a JOIN {TABLE} AS b ON {on} WHERE {tests}"


@shape
def join_on_a_constant_column(p: Pick) -> str:
    """The constant of one side holds for the other."""
    return f"SELECT a.id, b.id FROM {TABLE} AS a, {TABLE} AS b WHERE a.k = b.k AND a.k {p.one('= 1', '> 1', '<= 2', 'IN (1, 3)')} AND {p.simple('b')}"


@shape
def outer_join(p: Pick) -> str:
    kind = p.one("LEFT", "RIGHT", "FULL")
    left, right = (
        f"(SELECT * FROM {TABLE} WHERE {p.where()})",
        p.one(TABLE, f"(SELECT * FROM {TABLE} WHERE {p.simple()})"),
    )
    tests = p.one("TRUE", p.simple("a"), p.simple("b"), f"{p.simple('a')} AND {p.simple('b')}")
    return f"SELECT a.id, b.id, {p.columns('b')} FROM {left} AS a {kind} JOIN {right} AS b ON a.k = b.k AND {p.simple('b')} WHERE {tests}"


@shape
def semi_join(p: Pick) -> str:
    word = p.one("SEMI", "ANTI")
    return f"SELECT * FROM {TABLE} AS a {word} JOIN (SELECT * FROM {TABLE} WHERE {p.where()}) AS b ON a.k = b.k WHERE {p.simple('a')}"


@shape
def in_subquery(p: Pick) -> str:
    word = p.one("IN", "NOT IN")
    return f"SELECT * FROM {TABLE} WHERE k {word} (SELECT {p.one('k', 'id', 'k + 1')} FROM {TABLE} WHERE {p.where()}) AND {p.simple()}"


@shape
def exists(p: Pick) -> str:
    word, correlated = p.one("EXISTS", "NOT EXISTS"), p.one("AND b.k = a.k", "AND b.id > a.id", "")
    return f"SELECT id FROM {TABLE} AS a WHERE {word} (SELECT 1 FROM {TABLE} AS b WHERE {p.where('b')} {correlated}) AND {p.simple('a')}"


@shape
def set_operation(p: Pick) -> str:
    words = p.one("UNION ALL", "UNION", "EXCEPT", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL", "UNION ALL BY NAME")
    columns = p.columns()
    return f"SELECT {columns} FROM {TABLE} WHERE {p.where()} {words} SELECT {columns} FROM {TABLE} WHERE {p.where()}"


@shape
def over_a_set_operation(p: Pick) -> str:
    words = p.one("UNION ALL", "UNION", "EXCEPT", "INTERSECT")
    return f"SELECT * FROM (SELECT id, k FROM {TABLE} WHERE {p.simple()} {words} SELECT id, k FROM {TABLE}) WHERE k {p.one('= 1', '> 0', 'IS NULL', '<> 2')}"


@shape
def cte_once(p: Pick) -> str:
    hint = p.one("", "MATERIALIZED ", "NOT MATERIALIZED ")
    return f"WITH x AS {hint}(SELECT * FROM {TABLE} WHERE {p.simple()}) SELECT * FROM x WHERE {p.where()}"


@shape
def cte_twice(p: Pick) -> str:
    hint = p.one("", "MATERIALIZED ", "NOT MATERIALIZED ")
    inner = p.one("", f" WHERE {p.simple()}")
    x = f"WITH x AS {hint}(SELECT * FROM {TABLE}{inner})"
    return p.one(
        f"{x} SELECT id FROM x WHERE {p.simple()} UNION ALL SELECT id FROM x WHERE {p.simple()}",
        f"{x} SELECT a.id, b.id FROM x AS a JOIN x AS b ON a.k = b.k WHERE {p.simple('a')} AND {p.simple('b')}",
        f"{x} SELECT id FROM x WHERE {p.simple()} EXCEPT SELECT id FROM x",
        f"{x} SELECT (SELECT sum(id) FROM x WHERE {p.simple()}), (SELECT count(*) FROM x WHERE {p.simple()})",
        f"{x} SELECT id FROM x WHERE {p.simple()} AND k = (SELECT max(k) FROM x WHERE {p.simple()})",
        f"{x} SELECT * FROM (SELECT id FROM x WHERE {p.simple()} ORDER BY id LIMIT 3) UNION ALL SELECT id FROM x WHERE {p.simple()}",
    )


@shape
def scalar_subqueries(p: Pick) -> str:
    """Equal plans but for their predicates: where accepted filters gave one of the answers for both."""
    aggregate = p.one("sum(id)", "count(*)", "max(k)", "min(id)")
    if p.one("alike", "any") == "alike":
        test = f"{p.value()} {p.one('=', '>', 'IS NOT DISTINCT FROM')} "
        column = next(c for c in p.scope.columns if test.startswith(quoted(c.name) + " "))
        tests = [test + p.draw(constants(column)) for _ in range(3)]
    else:
        tests = [p.simple() for _ in range(3)]
    return "SELECT " + ", ".join(f"(SELECT {aggregate} FROM {TABLE} WHERE {test})" for test in tests)


@shape
def aggregates_alike(p: Pick) -> str:
    """Equal subplans, or nearly: what common_subplan merges."""
    first = p.where()
    second = p.one(first, p.where())
    one, two = (
        f"SELECT k, count(*) AS n, sum(id) AS t FROM {TABLE} WHERE {test} GROUP BY k" for test in (first, second)
    )
    third = p.simple()
    return p.one(
        f"{one} UNION ALL {two}",
        f"SELECT a.k, a.n, b.t FROM ({one}) AS a JOIN ({two}) AS b ON a.k = b.k",
        f"SELECT * FROM ({one}) AS a WHERE n = (SELECT max(n) FROM ({two}))",
        f"({one}) UNION ALL ({two}) UNION ALL (SELECT k, count(*), sum(id) FROM {TABLE} WHERE {third} GROUP BY k)",
        f"SELECT DISTINCT k FROM {TABLE} WHERE {first} INTERSECT SELECT DISTINCT k FROM {TABLE} WHERE {second}",
    )


@shape
def joins_alike(p: Pick) -> str:
    """Equal joins, which common_subplan merges too."""
    test, other = p.simple("a"), p.simple("b")
    join = f"SELECT a.id, b.k FROM {TABLE} AS a JOIN {TABLE} AS b ON a.k = b.k WHERE {test} AND {other}"
    second = p.one(
        join, f"SELECT a.id, b.k FROM {TABLE} AS a JOIN {TABLE} AS b ON a.k = b.k WHERE {test} AND {p.simple('b')}"
    )
    return f"SELECT id, k FROM ({join}) WHERE id > 1 UNION ALL SELECT id, k FROM ({second}) WHERE k < 3"


@shape
def correlated(p: Pick) -> str:
    aggregate = p.one("count(*)", "sum(b.id)", "max(b.k)")
    return f"SELECT a.id, (SELECT {aggregate} FROM {TABLE} AS b WHERE b.k {p.one('=', '<', 'IS NOT DISTINCT FROM')} a.k AND {p.simple('b')}) FROM {TABLE} AS a WHERE {p.where('a')}"


@shape
def lateral(p: Pick) -> str:
    return f"SELECT a.id, n FROM {TABLE} AS a, LATERAL (SELECT count(*) AS n FROM {TABLE} AS b WHERE b.k = a.k AND {p.simple('b')}) WHERE {p.where('a')} AND n > {p.one('0', '1')}"


@shape
def window(p: Pick) -> str:
    function = p.one(
        "row_number() OVER (PARTITION BY k ORDER BY id)",
        "sum(id) OVER (PARTITION BY k)",
        "count(*) OVER (PARTITION BY k)",
    )
    qualify = p.one("", f" QUALIFY {function} {p.one('= 1', '< 3', '> 5')}")
    return f"SELECT id, {function} AS w FROM {TABLE} WHERE {p.where()}{qualify}"


@shape
def over_a_partitioned_window(p: Pick) -> str:
    function = p.one(
        "row_number() OVER (PARTITION BY k ORDER BY id)",
        "sum(id) OVER (PARTITION BY k)",
        "count(*) OVER (PARTITION BY k)",
    )
    return f"SELECT * FROM (SELECT id, k, {function} AS w FROM {TABLE}) WHERE k {p.one('= 1', '> 1', 'IS NULL', 'IN (0, 3)')} AND w {p.one('> 0', '= 1')}"


@shape
def view(p: Pick) -> Query:
    setup = f"CREATE OR REPLACE TEMP VIEW v AS SELECT * FROM {TABLE} WHERE {p.simple()}"
    second = p.one("", f" UNION ALL SELECT * FROM v WHERE {p.simple()}")
    return Query((f"SELECT * FROM v WHERE {p.where()}{second}",), (setup,))


@shape
def table_as(p: Pick) -> Query:
    setup = f"CREATE OR REPLACE TEMP TABLE made AS SELECT * FROM {TABLE} WHERE {p.where()}"
    return Query(("SELECT * FROM made",), (setup,))


@shape
def asof_join(p: Pick) -> str:
    right = p.one(TABLE, f"(SELECT * FROM {TABLE} WHERE {p.simple()})")
    return f"SELECT a.id, b.id FROM {TABLE} AS a ASOF {p.one('', 'LEFT ')}JOIN {right} AS b ON a.k = b.k AND a.id > b.id WHERE {p.simple('a')}"


@shape
def positional_join(p: Pick) -> str:
    sides = [f"(SELECT id FROM {TABLE} WHERE {p.simple()} ORDER BY id)" for _ in range(2)]
    return f"SELECT * FROM {sides[0]} AS a POSITIONAL JOIN {sides[1]} AS b"


@shape
def recursive(p: Pick) -> str:
    return f"WITH RECURSIVE r AS (SELECT id, 0 AS n FROM {TABLE} WHERE {p.simple()} UNION SELECT b.id, n + 1 FROM r, {TABLE} AS b WHERE b.id = r.id + 1 AND n < 3 AND {p.simple('b')}) SELECT * FROM r"


#: What Python hands over as it is.
_PARAMETERS = (int, float, str, bytes, bool, decimal.Decimal, type(None))


@shape
def parameters(p: Pick) -> Query:
    """A value by ``$1``, run with several values, each time planned for the value."""
    column = p.draw(
        st.sampled_from([c for c in p.scope.columns if not pa.types.is_temporal(c.type) and c.type != pa.uuid()])
    )
    values = [v for v in column.pool if isinstance(v, _PARAMETERS)]
    name = quoted(column.name)
    test = p.one(
        "{} = $1", "{} < $1", "{} IN ($1, $2)", "{} IS NOT DISTINCT FROM $1", "{} BETWEEN $1 AND $2", "{} <> $2"
    ).format(name)
    given = p.draw(st.lists(st.tuples(st.sampled_from(values), st.sampled_from(values)), min_size=1, max_size=3))
    if "$2" not in test:
        given = [(first,) for first, _ in given]
    elif "$1" not in test:
        test += " AND $1 IS NOT DISTINCT FROM $1"
    return Query((f"SELECT * FROM {TABLE} WHERE {test} AND {p.simple()}",), (), tuple(given))


@shape
def prepared(p: Pick) -> Query:
    """A prepared statement that is executed again with other values."""
    column = p.draw(st.sampled_from(p.scope.columns))
    test = f"{quoted(column.name)} {p.one('=', '>=', 'IS NOT DISTINCT FROM', '<')} $1::{type_sql(column.type)}"
    setup = f"PREPARE q AS SELECT * FROM {TABLE} WHERE {test} AND {p.simple()}"
    values = p.draw(st.lists(st.sampled_from(column.literals()), min_size=2, max_size=3))
    return Query(tuple(f"EXECUTE q({literal_sql(value)})" for value in values), (setup,))


@not_offered
def over_a_limit(p: Pick) -> str:
    """A predicate above LIMIT stays there."""
    return f"SELECT * FROM (SELECT * FROM {TABLE} ORDER BY id LIMIT {p.one('3', '9')}) WHERE {p.where()}"


@not_offered
def over_a_window(p: Pick) -> str:
    """A predicate above a window stays there, unless it is on all its partition keys."""
    return f"SELECT * FROM (SELECT *, row_number() OVER (ORDER BY id) AS w FROM {TABLE}) WHERE {p.where()}"


@not_offered
def aggregate_filter(p: Pick) -> str:
    """FILTER (WHERE ...) is the aggregate's, not the table's."""
    return f"SELECT count(*) FILTER (WHERE {p.where()}), sum(id) FILTER (WHERE {p.where()}) FROM {TABLE}"


@not_offered
def select_list(p: Pick) -> str:
    """A predicate as a value drops no row."""
    return f"SELECT id, {p.where()} AS t FROM {TABLE}"


@st.composite
def queries(draw: st.DrawFn, data: Data, shape: str) -> Query:
    """A query of a shape."""
    made = (OFFERED | NOT_OFFERED)[shape](Pick(draw, data))
    return made if isinstance(made, Query) else Query((made,))
