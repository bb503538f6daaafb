"""Predicates as SQL: built as sqlglot's trees, values bound (or written out with their types), never pasted.

What may be said, and how exact it is, is ``_sql_rules.py``'s table; here is how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from bascule.errors import BasculeError
from bascule.filters._sql_rules import Kind, SqlColumn, dialect_of
from bascule.filters._translate import NO, Translated, translate
from bascule.filters._tree import And, Filter, Not, Or

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["Kind", "Sql", "SqlColumn", "to_sql"]

#: The most values in all of a predicate: databases have limits, SQLite 32,766.
_PARAMETER_LIMIT = 10_000
#: How deep a predicate may be nested. SQLite takes 1,000 levels of expressions, of which each makes several.
_DEPTH_LIMIT = 30


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

        from bascule.filters._sql_leaves import Leaves
        from bascule.filters._sql_values import Values
    except ModuleNotFoundError as e:
        if e.name != "sqlglot":
            raise
        raise BasculeError(
            "predicates as SQL need sqlglot, which is not installed: pip install 'bascule[jdbc]'"
        ) from None

    row = dialect_of(dialect)
    values = Values(row, inline)
    leaves = Leaves(values, columns)
    if _depth(filter) > _DEPTH_LIMIT:
        return NO
    made = translate(
        filter,
        leaves.leaf,
        lambda parts: _joined(exp.and_, parts),
        lambda parts: _joined(exp.or_, parts),
        lambda part: exp.not_(exp.paren(part, copy=False), copy=False),
    )
    if made.expression is None:
        return NO
    nodes = [n for n in made.expression.find_all(exp.Placeholder, exp.Parameter, bfs=False) if values.is_bound(n)]
    if leaves.n_values > _PARAMETER_LIMIT:
        return NO
    parameters = tuple(values.bound(node) for node in nodes)
    if row == "postgres":
        for i, node in enumerate(nodes):
            node.set("this", exp.Literal.number(i + 1))
    written = {"postgres": "postgres", "mysql": "mysql"}.get(row, dialect)
    return Translated(Sql(made.expression, parameters, written), made.exactness)


def _joined(join: Callable[..., exp.Expr], parts: Sequence[exp.Expr]) -> exp.Expr:
    """In halves of halves: one after the other, each would be a level deeper."""
    if len(parts) < 3:
        return join(*parts, copy=False)
    half = len(parts) // 2
    return join(_joined(join, parts[:half]), _joined(join, parts[half:]), copy=False)


def _depth(filter: Filter) -> int:
    deepest, open_ = 0, [(filter, 1)]
    while open_ and deepest <= _DEPTH_LIMIT:
        node, depth = open_.pop()
        deepest = max(deepest, depth)
        children = node.children if isinstance(node, (And, Or)) else (node.child,) if isinstance(node, Not) else ()
        open_ += [(child, depth + 1) for child in children]
    return deepest
