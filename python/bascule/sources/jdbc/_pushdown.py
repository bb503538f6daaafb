"""What of a query goes into the SQL: its predicates, as far as the database means the same by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from sqlglot import exp

from bascule.filters import Exactness, Filter
from bascule.filters._sql import Kind, SqlColumn, to_sql
from bascule.sources.jdbc import _partitions
from bascule.sources.jdbc._database import Column, Database


@dataclass(frozen=True)
class Pushed:
    """Predicates in SQL.

    Attributes:
        conditions: joined by AND, they are true for every row that the predicates are true for.
        parameters: of the conditions' placeholders, in order.
        is_exact: and for no other row.
    """

    conditions: tuple[exp.Expr, ...] = ()
    parameters: tuple[pa.Scalar, ...] = ()
    is_exact: bool = True


def push(filters: Iterable[Filter], database: Database, columns: Mapping[str, SqlColumn]) -> Pushed:
    """The predicates, as far as they can be said."""
    conditions: list[exp.Expr] = []
    parameters: list[pa.Scalar] = []
    is_exact = True
    for each in filters:
        made = to_sql(each, database.dialect, columns, inline=not database.binds)
        is_exact = is_exact and made.exactness is Exactness.EXACT
        if made.expression is not None:
            conditions.append(made.expression.tree)
            parameters += made.expression.parameters
    return Pushed(tuple(conditions), tuple(parameters), is_exact)


def unclaimed(filters: Iterable[Filter], database: Database, columns: Mapping[str, SqlColumn]) -> list[Filter]:
    """Those that the engine must check itself."""
    return [each for each in filters if not push([each], database, columns).is_exact]


def recast(database: Database, source: exp.Expr, column: Column, kind: pa.DataType) -> SqlColumn | None:
    """How a column compares that customSchema gives another type; None: in no way."""
    if kind == column.type:
        return column.compared
    if database.dialect not in ("postgres", "mysql") or column.kind not in (_partitions.INTEGER, _partitions.DECIMAL):
        return None
    # Numbers without a fraction that is cut: a value that doesn't fit is an error where it is read.
    if pa.types.is_integer(kind):
        return SqlColumn(Kind.INTEGER, database.column(source, column.name))
    return SqlColumn(Kind.DECIMAL, database.column(source, column.name)) if pa.types.is_decimal(kind) else None


def customized(
    database: Database, source: exp.Expr, columns: Sequence[Column], types: Mapping[str, pa.DataType]
) -> list[Column]:
    """The columns, those that are named with their new types."""
    made = []
    for column in columns:
        kind = types.get(column.name.casefold())
        if kind is not None:
            sql = database.selected_as(source, column, kind)
            column = replace(column, type=kind, sql=sql, compared=recast(database, source, column, kind))
        made.append(column)
    return made
