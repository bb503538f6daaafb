"""Columns as they stand between the parentheses of a CREATE TABLE, for options that hold such."""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

__all__ = ["column_defs"]


def column_defs(text: str, dialect: str) -> list[Any]:
    """The columns, as sqlglot's ``ColumnDef`` with a type; none where the text is no list of such."""
    try:
        tree = sqlglot.parse_one(f"CREATE TABLE t ({text})", dialect=dialect)
    except SqlglotError:
        return []
    columns = list(tree.this.expressions) if isinstance(tree.this, exp.Schema) else []
    return columns if all(isinstance(c, exp.ColumnDef) and c.kind for c in columns) else []
