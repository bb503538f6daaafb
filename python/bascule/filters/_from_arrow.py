"""Expressions of Arrow compute read back as predicates.

An expression tells nothing of itself but its text and its pickle: Arrow's own IPC file whose metadata lists calls,
columns and literals in prefix order (docs/decisions/016). Its NaN is not ours, so each part is read twice: for the
rows where it is true and, below a negation, for those where it is false.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from bascule.filters._translate import Exactness, Translated
from bascule.filters._tree import (
    Comparison,
    EqualTo,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
    StringContains,
    StringEndsWith,
    StringStartsWith,
)

__all__ = ["from_arrow"]

_Read: TypeAlias = Translated[Filter]

_NO: _Read = Translated(None, Exactness.NO)
_NAN = float("nan")
_COMPARISONS: dict[str, type[Comparison]] = {
    "equal": EqualTo,
    "less": LessThan,
    "less_equal": LessThanOrEqual,
    "greater": GreaterThan,
    "greater_equal": GreaterThanOrEqual,
}
_MIRRORED = {"less": "greater", "less_equal": "greater_equal", "greater": "less", "greater_equal": "less_equal"}
_OTHERWISE: dict[type[Comparison], type[Comparison]] = {
    LessThan: GreaterThanOrEqual,
    LessThanOrEqual: GreaterThan,
    GreaterThan: LessThanOrEqual,
    GreaterThanOrEqual: LessThan,
}
_STRINGS = {"starts_with": StringStartsWith, "ends_with": StringEndsWith, "match_substring": StringContains}


def from_arrow(expression: pc.Expression, schema: pa.Schema) -> Translated[Filter]:
    """An expression of ``pyarrow.compute`` as a predicate.

    Args:
        schema: of the tables that the expression is for: the types of its columns.

    Returns:
        A predicate that is true for every row for which Arrow says true, as exactly as can be. Arrow says false of
        ``NaN > 5`` and Bascule true: that comparison is a superset.

    Example:
        >>> import pyarrow as pa, pyarrow.compute as pc
        >>> from bascule.filters import from_arrow
        >>> from_arrow(pc.field("day") >= "2026-01-01", pa.schema({"day": pa.string()})).expression
        day >= '2026-01-01'
    """
    if not isinstance(expression, pc.Expression):
        raise TypeError(f"expected a pyarrow.compute.Expression, got {expression!r}")
    try:
        root = _parsed(expression)
    except pa.ArrowNotImplementedError:  # Columns by position, functions of a user's own.
        return _NO
    return _Reader(schema).read(root, True)


@dataclass
class _Node:
    kind: str
    """``call``, ``field_ref``, ``literal``, or what isn't known."""
    value: Any
    """A function's name, a column's name, or a scalar."""
    arguments: list[_Node] = field(default_factory=list)
    options: dict[str, pa.Scalar] = field(default_factory=dict)


def _parsed(expression: pc.Expression) -> _Node:
    _, (buffer, *_rest) = expression.__reduce__()
    with pa.ipc.open_file(buffer) as file:
        tokens = [(key.decode(), text.decode()) for key, text in (file.schema.metadata or {}).items()]
        batch = file.get_batch(0)
    return _node(iter(tokens), batch, None)


def _node(tokens: Iterator[tuple[str, str]], batch: pa.RecordBatch, into: _Node | None) -> _Node:
    raise NotImplementedError


class _Reader:
    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def read(self, node: _Node, want: bool) -> _Read:
        return _NO
