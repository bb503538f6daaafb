"""The predicates' meaning, spelled out in Python: what every translation is held against."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping
from typing import Any

from bascule import filters as f


def key(value: Any) -> Any:
    """Values so that Python's order of them is ours."""
    if isinstance(value, float):
        return (1, 0.0) if value != value else (0, value)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (int, decimal.Decimal)) and not isinstance(value, bool):
        return (0, value)
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.UTC)
    return value


def evaluate(node: f.Filter, row: Mapping[str, Any]) -> bool | None:
    """True, false, or None for NULL."""
    if isinstance(node, f.And):
        found = [evaluate(child, row) for child in node.children]
        return False if False in found else None if None in found else True
    if isinstance(node, f.Or):
        found = [evaluate(child, row) for child in node.children]
        return True if True in found else None if None in found else False
    if isinstance(node, f.Not):
        found = evaluate(node.child, row)
        return None if found is None else not found
    value = row[node.column]
    if isinstance(node, f.IsNull):
        return value is None
    if isinstance(node, f.IsNotNull):
        return value is not None
    if isinstance(node, f.EqualNullSafe):
        return (value is None) == (node.value is None) and (value is None or key(value) == key(node.value))
    if value is None:
        return None
    if isinstance(node, f.In):
        if any(v is not None and key(v) == key(value) for v in node.values):
            return True
        return None if None in node.values else False
    if isinstance(node, f.StringPredicate):
        return {
            f.StringStartsWith: str.startswith,
            f.StringEndsWith: str.endswith,
            f.StringContains: str.__contains__,
        }[type(node)](value, node.value)
    if node.value is None:
        return None
    a, b = key(value), key(node.value)
    return {
        f.EqualTo: a == b,
        f.LessThan: a < b,
        f.LessThanOrEqual: a <= b,
        f.GreaterThan: a > b,
        f.GreaterThanOrEqual: a >= b,
    }[type(node)]
