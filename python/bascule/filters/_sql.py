"""Predicates as SQL: built as sqlglot's trees, values bound (or written out with their types), never pasted.

What may be said, and how exact it is, is ``_sql_rules.py``'s table; here is how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bascule.errors import BasculeError
from bascule.filters._sql_rules import IN_LIMIT, Kind, dialect_of, kind_of_literal, null_rule, rule
from bascule.filters._sql_values import Values, fitted
from bascule.filters._translate import Exactness, Translated, translate
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

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["Kind", "Sql", "SqlColumn", "to_sql"]

#: The most values in all of a predicate: databases have limits, SQLite 32,766.
_PARAMETER_LIMIT = 10_000
_ESCAPE = "!"
_NO: Translated[Any] = Translated(None, Exactness.NO)


@dataclass(frozen=True)
class Sql:
    """A condition.

    Attributes:
        tree: sqlglot's, with a placeholder for each parameter.
        parameters: in the order of the placeholders.
        dialect: as sqlglot names it.
    """

    tree: exp.Expr
    parameters: tuple[pa.Scalar, ...]
    dialect: str

    @property
    def text(self) -> str:
        """SQL with placeholders: ``$1`` in PostgreSQL's, ``?`` in others."""
        return self.tree.sql(dialect=self.dialect, comments=False)


@dataclass(frozen=True)
class SqlColumn:
    """A column as the database has it.

    Attributes:
        kind: how it compares.
        compared: what is compared; None: the column by its name.
        bare: what IS NULL is asked of; None: the same.
        strict: of ``FOLDED`` only: ``=`` by the column's own collation, which an index may serve, is left out.
    """

    kind: Kind
    compared: exp.Expr | None = None
    bare: exp.Expr | None = None
    strict: bool = False


def to_sql(
    filter: Filter, dialect: str, columns: Mapping[str, SqlColumn] | None = None, *, inline: bool = False
) -> Translated[Sql]:
    """``filter`` as a condition in SQL.

    Args:
        dialect: postgres, mysql (or mariadb), sqlite, duckdb; of others, by sqlglot's name, little is said.
        columns: what is known of them; a predicate on any other is left out. None: each is what its literals are, and
            its strings may be of any collation.
        inline: values are written out with their types, for drivers that can't bind.

    Raises:
        BasculeError: sqlglot is missing.

    Example:
        >>> from bascule.filters import EqualTo, In
        >>> made = (EqualTo("id", 7) & In("n", [1, 2])).to_sql("sqlite")
        >>> made.expression.text, made.expression.parameters, made.exactness.name
        ('"id" = ? AND "n" IN (?, ?)', (<pyarrow.Int64Scalar: 7>, <pyarrow.Int64Scalar: 1>, <pyarrow.Int64Scalar: 2>), 'EXACT')
    """
    try:
        from sqlglot import exp
    except ModuleNotFoundError as e:
        if e.name != "sqlglot":
            raise
        raise BasculeError("predicates as SQL need sqlglot, which is not installed: pip install 'bascule[jdbc]'") from None

    row = dialect_of(dialect)
    values = Values(row, inline)
    leaves = _Leaves(values, columns)
    try:
        made = translate(
            filter,
            leaves.leaf,
            lambda parts: exp.and_(*parts, copy=False),
            lambda parts: exp.or_(*parts, copy=False),
            lambda part: exp.not_(exp.paren(part, copy=False), copy=False),
        )
    except RecursionError:
        return _NO  # deeper than any query: left to the engine
    if made.expression is None:
        return _NO
    nodes = [n for n in made.expression.find_all(exp.Placeholder, exp.Parameter, bfs=False) if values.is_bound(n)]
    if leaves.n_values > _PARAMETER_LIMIT:
        return _NO
    parameters = tuple(values.bound(node) for node in nodes)
    if row == "postgres":
        for i, node in enumerate(nodes):
            node.set("this", exp.Literal.number(i + 1))
    written = {"postgres": "postgres", "mysql": "mysql"}.get(row, dialect)
    return Translated(Sql(made.expression, parameters, written), made.exactness)


class _Leaves:
    """Predicates that are no AND, OR or NOT."""

    def __init__(self, values: Values, columns: Mapping[str, SqlColumn] | None) -> None:
        from sqlglot import exp

        self._exp, self._values, self._columns = exp, values, columns
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
            return _NO if column is None else self._null(column, isinstance(node, IsNull))
        if isinstance(node, StringPredicate):
            column = self._column(node.column, Kind.LOOSE)
            value = None if column is None else fitted(pa.scalar(node.value), column.kind, self._dialect)
            return _NO if column is None or value is None else self._match(node, column, value)
        if isinstance(node, In):
            return self._in(node)
        if isinstance(node, Comparison):
            return self._comparison(node)
        return _NO

    def _column(self, name: str, otherwise: Kind) -> SqlColumn | None:
        if self._columns is not None:
            known = self._columns.get(name)
            if known is None or known.compared is not None:
                return known
        else:
            known = SqlColumn(otherwise)
        tree = self._exp.column(self._exp.to_identifier(name, quoted=True))
        return SqlColumn(known.kind, tree, known.bare, known.strict)

    def _null(self, column: SqlColumn, is_null: bool) -> Translated[exp.Expr]:
        what = column.bare if column.bare is not None else column.compared
        assert what is not None
        made: exp.Expr = self._exp.Is(this=what.copy(), expression=self._exp.null())
        if not is_null:
            made = self._exp.not_(self._exp.paren(made, copy=False), copy=False)
        return Translated(made, null_rule(self._dialect))

    def _comparison(self, node: Comparison) -> Translated[exp.Expr]:
        column = self._column(node.column, kind_of_literal(node.literal.type))
        if column is None:
            return _NO
        if isinstance(node, EqualNullSafe) and not node.literal.is_valid:
            return self._null(column, True)
        value = fitted(node.literal, column.kind, self._dialect)
        if value is None:
            return _NO
        self.n_values += 1
        exactness = rule(self._dialect, column.kind)
        if type(node) in self._orders:
            return self._said(self._order(self._orders[type(node)], column, value), exactness.order)
        if not isinstance(node, (EqualTo, EqualNullSafe)):
            return _NO
        made = self._said(self._equal(column, [value]), exactness.equal)
        if made.expression is None or isinstance(node, EqualTo):
            return made
        # Not IS NOT DISTINCT FROM, which no index of PostgreSQL serves.
        there = self._null(column, False)
        assert there.expression is not None
        both = self._exp.and_(made.expression, there.expression, copy=False)
        return Translated(both, min(made.exactness, there.exactness))

    def _in(self, node: In) -> Translated[exp.Expr]:
        literals = [scalar for scalar in node.literals if scalar.is_valid]
        if not literals:
            return _NO
        kinds = {kind_of_literal(scalar.type) for scalar in literals}
        column = self._column(node.column, kinds.pop() if len(kinds) == 1 else Kind.OTHER)
        if column is None:
            return _NO
        found = [fitted(scalar, column.kind, self._dialect) for scalar in literals]
        if any(value is None for value in found):
            return _NO
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
        low = self._order(self._exp.GTE, column, ordered[0])
        high = self._order(self._exp.LTE, column, ordered[-1])
        return self._said(None if low is None or high is None else self._exp.and_(low, high, copy=False), exactness)

    def _said(self, made: exp.Expr | None, exactness: Exactness) -> Translated[exp.Expr]:
        return _NO if made is None or exactness is Exactness.NO else Translated(made, exactness)

    # ---- comparisons ----

    def _equal(self, column: SqlColumn, values: Sequence[Any]) -> exp.Expr | None:
        kind, what = column.kind, column.compared
        assert what is not None
        if self._dialect == "sqlite" and kind is Kind.TIMESTAMP:
            low = self._order(self._exp.GTE, column, min(values))
            high = self._order(self._exp.LTE, column, max(values))
            return None if low is None or high is None else self._exp.and_(low, high, copy=False)
        own = kind not in (Kind.TEXT, Kind.FOLDED) or (kind is Kind.TEXT and self._dialect == "postgres")
        if own:
            return self._one_of(what.copy(), [self._values.node(value, kind) for value in values])
        exact = self._one_of(self._by_bytes(column), [self._text(value, kind) for value in values])
        if kind is Kind.TEXT or column.strict or self._dialect in ("sqlite", "duckdb") or exact is None:
            return exact
        # An index serves this one, which is true for more, if anything.
        more = self._one_of(what.copy(), [self._values.node(value, kind) for value in values])
        return exact if more is None else self._exp.and_(more, exact, copy=False)

    def _one_of(self, what: exp.Expr, values: Sequence[exp.Expr | None]) -> exp.Expr | None:
        said = [value for value in values if value is not None]
        if len(said) < len(values):
            return None
        if len(said) == 1:
            return self._exp.EQ(this=what, expression=said[0])
        return self._exp.In(this=what, expressions=said)

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
        import datetime

        is_low = compare in (self._exp.GT, self._exp.GTE)
        day = value.date()
        if not is_low:
            if day == datetime.date.max:
                return None
            day += datetime.timedelta(days=1)
        literal = self._values.node(day, Kind.DATE)
        side = self._collate(what, "BINARY")
        return self._exp.GTE(this=side, expression=literal) if is_low else self._exp.LT(this=side, expression=literal)

    # ---- strings ----

    def _collate(self, what: exp.Expr, name: str) -> exp.Expr:
        return self._exp.Collate(this=what.copy(), expression=self._exp.to_identifier(name, quoted=name == "C"))

    def _by_bytes(self, column: SqlColumn) -> exp.Expr:
        """The column as strings that compare by their bytes."""
        what = column.compared
        assert what is not None
        if self._dialect != "mysql":
            return self._collate(what, "BINARY" if self._dialect == "sqlite" else "C")
        # Its collations by code point ignore spaces at the end, or are not MariaDB's and MySQL's both.
        return self._as_bytes(what.copy())

    def _as_bytes(self, what: exp.Expr) -> exp.Expr:
        exp = self._exp
        utf8 = exp.DataType(this=exp.DataType.Type.CHARACTER_SET, kind=exp.Var(this="utf8mb4"))
        return exp.Cast(
            this=exp.Cast(this=what, to=utf8), to=exp.DataType.build("binary", dialect="mysql")
        )

    def _text(self, value: str, kind: Kind) -> exp.Expr | None:
        """A string to compare with ``_by_bytes``."""
        if self._dialect != "mysql":
            return self._values.node(value, kind)
        return self._values.bytes(value.encode())

    def _match(self, node: StringPredicate, column: SqlColumn, value: str) -> Translated[exp.Expr]:
        exactness = rule(self._dialect, column.kind).match
        if exactness is Exactness.NO:
            return _NO
        self.n_values += 2
        made = {"postgres": self._like, "mysql": self._match_mysql, "sqlite": self._match_sqlite}.get(
            self._dialect, self._match_duckdb
        )(node, column, value)
        return self._said(made, exactness)

    def _call(self, name: str, *arguments: exp.Expr) -> exp.Expr:
        # As they are written: sqlglot's own functions may turn arguments around, and the parameters' order with them.
        return self._exp.Anonymous(this=name, expressions=list(arguments))

    def _like(self, node: StringPredicate, column: SqlColumn, value: str) -> exp.Expr | None:
        exp = self._exp
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
        exp = self._exp
        data = value.encode()
        what = self._by_bytes(column)
        if isinstance(node, (StringStartsWith, StringEndsWith)):
            part = "LEFT" if isinstance(node, StringStartsWith) else "RIGHT"
            side = self._call(part, what, exp.Literal.number(len(data)))
            return exp.EQ(this=side, expression=self._values.bytes(data))
        return exp.GT(this=self._call("LOCATE", self._values.bytes(data), what), expression=exp.Literal.number(0))

    def _match_sqlite(self, node: StringPredicate, column: SqlColumn, value: str) -> exp.Expr | None:
        exp = self._exp
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
        exp = self._exp
        literal = self._values.node(value, column.kind)
        last = ord(value[-1])
        if last == 0x10FFFF or literal is None:
            assert column.compared is not None and literal is not None
            head = self._call("SUBSTR", column.compared.copy(), exp.Literal.number(1), exp.Literal.number(len(value)))
            return exp.EQ(this=self._collate(head, "BINARY"), expression=literal)
        after = value[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        low = exp.GTE(this=self._by_bytes(column), expression=literal)
        high = exp.LT(this=self._by_bytes(column), expression=self._values.node(after, column.kind))
        return exp.and_(low, high, copy=False)

    def _match_duckdb(self, node: StringPredicate, column: SqlColumn, value: str) -> exp.Expr | None:
        names: dict[type[StringPredicate], str] = {StringStartsWith: "STARTS_WITH", StringEndsWith: "ENDS_WITH"}
        literal = self._values.node(value, column.kind)
        return None if literal is None else self._call(names.get(type(node), "CONTAINS"), self._by_bytes(column), literal)
