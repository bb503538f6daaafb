"""Each predicate that is no AND, OR or NOT as SQL: how ``_sql_rules.py``'s table is kept."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlglot import exp

from bascule.filters._sql_rules import IN_LIMIT, Kind, SqlColumn, kind_of_literal, null_rule, rule
from bascule.filters._sql_values import Values, fitted
from bascule.filters._translate import NO, Exactness, Translated
from bascule.filters._tree import (
    Comparison,
    EqualNullSafe,
    EqualTo,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNotNull,
    IsNull,
    LessThan,
    LessThanOrEqual,
    StringEndsWith,
    StringPredicate,
    StringStartsWith,
)

__all__ = ["Leaves"]

_ESCAPE = "!"


class Leaves:
    """Predicates that are no AND, OR or NOT."""

    def __init__(self, values: Values, columns: Mapping[str, SqlColumn] | None) -> None:
        self._values, self._columns = values, columns
        self._dialect = values.dialect
        self.n_values = 0
        self._orders: dict[type[Filter], type[exp.Binary]] = {
            GreaterThan: exp.GT,
            GreaterThanOrEqual: exp.GTE,
            LessThan: exp.LT,
            LessThanOrEqual: exp.LTE,
        }

    def leaf(self, node: Filter) -> Translated[exp.Expr]:
        if isinstance(node, (IsNull, IsNotNull)):
            column = self._column(node.column, Kind.OTHER)
            return NO if column is None else self._null(column, isinstance(node, IsNull))
        if isinstance(node, StringPredicate):
            column = self._column(node.column, Kind.LOOSE)
            value = None if column is None else fitted(pa.scalar(node.value), column.kind, self._dialect)
            return NO if column is None or value is None else self._match(node, column, value)
        if isinstance(node, In):
            return self._in(node)
        if isinstance(node, Comparison):
            return self._comparison(node)
        return NO

    def _column(self, name: str, otherwise: Kind) -> SqlColumn | None:
        if self._columns is not None:
            known = self._columns.get(name)
            if known is None or known.compared is not None:
                return known
        else:
            known = SqlColumn(otherwise)
        tree = exp.column(exp.to_identifier(name, quoted=True))
        return SqlColumn(known.kind, tree, known.bare, known.strict)

    def _null(self, column: SqlColumn, is_null: bool) -> Translated[exp.Expr]:
        what = column.bare if column.bare is not None else column.compared
        assert what is not None
        made: exp.Expr = exp.Is(this=what.copy(), expression=exp.null())
        if not is_null:
            made = exp.not_(exp.paren(made, copy=False), copy=False)
        return Translated(made, null_rule(self._dialect))

    def _comparison(self, node: Comparison) -> Translated[exp.Expr]:
        column = self._column(node.column, kind_of_literal(node.literal.type))
        if column is None:
            return NO
        if isinstance(node, EqualNullSafe) and not node.literal.is_valid:
            return self._null(column, True)
        value = fitted(node.literal, column.kind, self._dialect)
        if value is None:
            return NO
        self.n_values += 1
        exactness = rule(self._dialect, column.kind)
        if type(node) in self._orders:
            return self._said(self._order(self._orders[type(node)], column, value), exactness.order)
        if not isinstance(node, (EqualTo, EqualNullSafe)):
            return NO
        made = self._said(self._equal(column, [value]), exactness.equal)
        if made.expression is None or isinstance(node, EqualTo):
            return made
        # Not IS NOT DISTINCT FROM, which no index of PostgreSQL serves.
        there = self._null(column, False)
        assert there.expression is not None
        both = exp.and_(made.expression, there.expression, copy=False)
        return Translated(both, min(made.exactness, there.exactness))

    def _in(self, node: In) -> Translated[exp.Expr]:
        literals = [scalar for scalar in node.literals if scalar.is_valid]
        if not literals:
            return NO
        kinds = {kind_of_literal(scalar.type) for scalar in literals}
        column = self._column(node.column, kinds.pop() if len(kinds) == 1 else Kind.OTHER)
        if column is None:
            return NO
        found = [fitted(scalar, column.kind, self._dialect) for scalar in literals]
        if any(value is None for value in found):
            return NO
        exactness = rule(self._dialect, column.kind)
        if len(found) > IN_LIMIT:
            return self._span(column, found)
        self.n_values += len(found)
        # x IN (1, NULL) is NULL where ours without the NULL is false: for NOT, that is another row.
        most = Exactness.EXACT if len(literals) == len(node.literals) else Exactness.SUPERSET
        return self._said(self._equal(column, found), min(exactness.equal, most))

    def _span(self, column: SqlColumn, values: list[Any]) -> Translated[exp.Expr]:
        """From the least to the greatest."""
        key = (lambda v: v.encode()) if column.kind.is_text else (lambda v: (v != v, v))
        ordered = sorted(values, key=key)
        exactness = min(rule(self._dialect, column.kind).order, Exactness.SUPERSET)
        self.n_values += 2
        low = self._order(exp.GTE, column, ordered[0])
        high = self._order(exp.LTE, column, ordered[-1])
        return self._said(None if low is None or high is None else exp.and_(low, high, copy=False), exactness)

    def _said(self, made: exp.Expr | None, exactness: Exactness) -> Translated[exp.Expr]:
        return NO if made is None or exactness is Exactness.NO else Translated(made, exactness)

    # ---- comparisons ----

    def _equal(self, column: SqlColumn, values: Sequence[Any]) -> exp.Expr | None:
        kind, what = column.kind, column.compared
        assert what is not None
        if self._dialect == "sqlite" and kind is Kind.TIMESTAMP:
            low = self._order(exp.GTE, column, min(values))
            high = self._order(exp.LTE, column, max(values))
            return None if low is None or high is None else exp.and_(low, high, copy=False)
        own = kind not in (Kind.TEXT, Kind.FOLDED) or (kind is Kind.TEXT and self._dialect == "postgres")
        if own:
            return self._one_of(what.copy(), [self._values.node(value, kind) for value in values])
        exact = self._one_of(self._by_bytes(column), [self._text(value, kind) for value in values])
        if kind is Kind.TEXT or column.strict or self._dialect in ("sqlite", "duckdb") or exact is None:
            return exact
        # An index serves this one, which is true for more, if anything.
        more = self._one_of(what.copy(), [self._values.node(value, kind) for value in values])
        return exact if more is None else exp.and_(more, exact, copy=False)

    def _one_of(self, what: exp.Expr, values: Sequence[exp.Expr | None]) -> exp.Expr | None:
        said = [value for value in values if value is not None]
        if len(said) < len(values):
            return None
        if len(said) == 1:
            return exp.EQ(this=what, expression=said[0])
        return exp.In(this=what, expressions=said)

    def _order(self, compare: type[exp.Binary], column: SqlColumn, value: Any) -> exp.Expr | None:
        kind, what = column.kind, column.compared
        assert what is not None
        if self._dialect == "sqlite" and kind is Kind.TIMESTAMP:
            return self._day(compare, what, value)
        is_text = kind in (Kind.TEXT, Kind.FOLDED)
        literal = self._text(value, kind) if is_text else self._values.node(value, kind)
        side = self._by_bytes(column) if is_text else what.copy()
        return None if literal is None else compare(this=side, expression=literal)

    def _day(self, compare: type[exp.Binary], what: exp.Expr, value: Any) -> exp.Expr | None:
        """Text that begins with a date, which is all that the forms of SQLite's timestamps share."""
        is_low = compare in (exp.GT, exp.GTE)
        day = value.date()
        if not is_low:
            if day == datetime.date.max:
                return None
            day += datetime.timedelta(days=1)
        literal = self._values.node(day, Kind.DATE)
        side = self._collate(what, "BINARY")
        return exp.GTE(this=side, expression=literal) if is_low else exp.LT(this=side, expression=literal)

    # ---- strings ----

    def _collate(self, what: exp.Expr, name: str) -> exp.Expr:
        return exp.Collate(this=what.copy(), expression=exp.to_identifier(name, quoted=name == "C"))

    def _by_bytes(self, column: SqlColumn) -> exp.Expr:
        """The column as strings that compare by their bytes."""
        what = column.compared
        assert what is not None
        if self._dialect != "mysql":
            return self._collate(what, "BINARY" if self._dialect == "sqlite" else "C")
        # Its collations by code point ignore spaces at the end, or are not MariaDB's and MySQL's both.
        return self._as_bytes(what.copy())

    def _as_bytes(self, what: exp.Expr) -> exp.Expr:
        utf8 = exp.DataType(this=exp.DataType.Type.CHARACTER_SET, kind=exp.Var(this="utf8mb4"))
        return exp.Cast(this=exp.Cast(this=what, to=utf8), to=exp.DataType.build("binary", dialect="mysql"))

    def _text(self, value: str, kind: Kind) -> exp.Expr | None:
        """A string to compare with ``_by_bytes``."""
        if self._dialect != "mysql":
            return self._values.node(value, kind)
        return self._values.bytes(value.encode())

    def _match(self, node: StringPredicate, column: SqlColumn, value: str) -> Translated[exp.Expr]:
        exactness = rule(self._dialect, column.kind).match
        if exactness is Exactness.NO:
            return NO
        self.n_values += 2
        made = {"postgres": self._like, "mysql": self._match_mysql, "sqlite": self._match_sqlite}.get(
            self._dialect, self._match_duckdb
        )(node, column, value)
        return self._said(made, exactness)

    def _call(self, name: str, *arguments: exp.Expr) -> exp.Expr:
        # As they are written: sqlglot's own functions may turn arguments around, and the parameters' order with them.
        return exp.Anonymous(this=name, expressions=list(arguments))

    def _like(self, node: StringPredicate, column: SqlColumn, value: str) -> exp.Expr | None:
        pattern = value
        for special in (_ESCAPE, "%", "_"):
            pattern = pattern.replace(special, _ESCAPE + special)
        before = "" if isinstance(node, StringStartsWith) else "%"
        after = "" if isinstance(node, StringEndsWith) else "%"
        literal = self._values.node(f"{before}{pattern}{after}", column.kind)
        assert column.compared is not None
        # A nondeterministic collation has no LIKE.
        what = column.compared.copy() if column.kind is Kind.TEXT else self._by_bytes(column)
        like = exp.Like(this=what, expression=literal)
        return None if literal is None else exp.Escape(this=like, expression=exp.Literal.string(_ESCAPE))

    def _match_mysql(self, node: StringPredicate, column: SqlColumn, value: str) -> exp.Expr | None:
        data = value.encode()
        what = self._by_bytes(column)
        if isinstance(node, (StringStartsWith, StringEndsWith)):
            part = "LEFT" if isinstance(node, StringStartsWith) else "RIGHT"
            side = self._call(part, what, exp.Literal.number(len(data)))
            return exp.EQ(this=side, expression=self._values.bytes(data))
        return exp.GT(this=self._call("LOCATE", self._values.bytes(data), what), expression=exp.Literal.number(0))

    def _match_sqlite(self, node: StringPredicate, column: SqlColumn, value: str) -> exp.Expr | None:
        assert column.compared is not None
        if not value:  # all but NULL
            return exp.GTE(this=self._call("LENGTH", column.compared.copy()), expression=exp.Literal.number(0))
        if isinstance(node, StringStartsWith):
            return self._begins_sqlite(column, value)
        literal = self._values.node(value, column.kind)
        assert literal is not None
        if isinstance(node, StringEndsWith):
            tail = self._call("SUBSTR", column.compared.copy(), exp.Neg(this=exp.Literal.number(len(value))))
            return exp.EQ(this=self._collate(tail, "BINARY"), expression=literal)
        found = self._call("INSTR", column.compared.copy(), literal)
        return exp.GT(this=found, expression=exp.Literal.number(0))

    def _begins_sqlite(self, column: SqlColumn, value: str) -> exp.Expr | None:
        """A range, which an index serves: up to the next string that doesn't begin so."""
        assert column.compared is not None
        literal = self._values.node(value, column.kind)
        last = ord(value[-1])
        if last == 0x10FFFF:
            head = self._call("SUBSTR", column.compared.copy(), exp.Literal.number(1), exp.Literal.number(len(value)))
            return exp.EQ(this=self._collate(head, "BINARY"), expression=literal)
        after = value[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        low = exp.GTE(this=self._by_bytes(column), expression=literal)
        high = exp.LT(this=self._by_bytes(column), expression=self._values.node(after, column.kind))
        return exp.and_(low, high, copy=False)

    def _match_duckdb(self, node: StringPredicate, column: SqlColumn, value: str) -> exp.Expr | None:
        names: dict[type[StringPredicate], str] = {StringStartsWith: "STARTS_WITH", StringEndsWith: "ENDS_WITH"}
        literal = self._values.node(value, column.kind)
        return (
            None if literal is None else self._call(names.get(type(node), "CONTAINS"), self._by_bytes(column), literal)
        )
