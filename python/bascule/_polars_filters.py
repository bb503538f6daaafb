"""Polars' predicates as ours, as far as both mean the same: hints, since Polars' own filter runs on what comes.

Polars shows an expression's parts by ``Expr.meta.pop`` and their kinds by its JSON, which is no stable format: what isn't
known here isn't pushed.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import polars as pl

from bascule import filters as f

__all__ = ["translated"]

_COMPARISONS: dict[str, type[f.Comparison]] = {
    "Eq": f.EqualTo,
    "EqValidity": f.EqualNullSafe,
    "Gt": f.GreaterThan,
    "GtEq": f.GreaterThanOrEqual,
    "Lt": f.LessThan,
    "LtEq": f.LessThanOrEqual,
}
_MIRRORED = {"Gt": "Lt", "GtEq": "LtEq", "Lt": "Gt", "LtEq": "GtEq"}
_NEGATED = {"NotEq": "Eq", "NotEqValidity": "EqValidity"}
_STRINGS: dict[str, type[f.StringPredicate]] = {"StartsWith": f.StringStartsWith, "EndsWith": f.StringEndsWith}
_BETWEEN = {
    "Both": (f.GreaterThanOrEqual, f.LessThanOrEqual),
    "Left": (f.GreaterThanOrEqual, f.LessThan),
    "Right": (f.GreaterThan, f.LessThanOrEqual),
    "None": (f.GreaterThan, f.LessThan),
}


def translated(predicate: pl.Expr, schema: pl.Schema) -> list[f.Filter]:
    """Predicates, joined by AND, that are true of every row that ``predicate`` is true of."""
    kind, node = _kind(predicate)
    if kind == "BinaryExpr" and node["op"] in ("And", "LogicalAnd"):
        return [said for part in _parts(predicate) for said in translated(part, schema)]
    said = _said(predicate, schema)
    return [] if said is None else [said]


def _said(expression: pl.Expr, schema: pl.Schema) -> f.Filter | None:
    """A predicate of the same meaning; None: there is none."""
    kind, node = _kind(expression)
    if kind == "BinaryExpr":
        return _binary(node["op"], _parts(expression), schema)
    if kind == "Function":
        return _function(node["function"], _parts(expression), schema)
    name = _column(expression, schema, pl.Boolean)
    return None if name is None else f.EqualTo(name, True)


def _binary(op: str, parts: list[pl.Expr], schema: pl.Schema) -> f.Filter | None:
    left, right = parts
    if op in ("And", "LogicalAnd", "Or", "LogicalOr"):
        a, b = _said(left, schema), _said(right, schema)
        if a is None or b is None:
            return None
        return a & b if op.endswith("And") else a | b
    if op in _NEGATED:
        said = _binary(_NEGATED[op], parts, schema)
        return None if said is None else f.Not(said)
    if op not in _COMPARISONS:
        return None
    if right.meta.root_names():
        left, right, op = right, left, _MIRRORED.get(op, op)
    name = _column(left, schema)
    literal = None if name is None else _literal(right, schema[name])
    return None if name is None or literal is None else _COMPARISONS[op](name, literal)


def _function(function: Any, parts: list[pl.Expr], schema: pl.Schema) -> f.Filter | None:
    group, which = next(iter(function.items())) if isinstance(function, dict) else ("", function)
    what, details = next(iter(which.items())) if isinstance(which, dict) else (which, {})
    if (group, what) == ("Boolean", "Not"):
        said = _said(parts[0], schema)
        return None if said is None else f.Not(said)
    name = _column(parts[0], schema)
    if name is None:
        return None
    if group == "Boolean" and what in ("IsNull", "IsNotNull"):
        return f.IsNull(name) if what == "IsNull" else f.IsNotNull(name)
    if (group, what) == ("Boolean", "IsBetween"):
        low, high = (_literal(part, schema[name]) for part in parts[1:])
        kinds = _BETWEEN.get(str(details.get("closed")))
        return (
            None if kinds is None or low is None or high is None else f.And(kinds[0](name, low), kinds[1](name, high))
        )
    if (group, what) == ("Boolean", "IsIn") and not details.get("nulls_equal", True):
        return _is_in(name, parts[1], schema[name])
    if group == "StringExpr" and schema[name] == pl.String:
        kind = f.StringContains if what == "Contains" and details.get("literal") else _STRINGS.get(what)
        text = None if kind is None else _literal(parts[1], schema[name])
        return None if kind is None or text is None else kind(name, text)
    return None


def _is_in(name: str, values: pl.Expr, dtype: pl.DataType) -> f.Filter | None:
    if values.meta.root_names():
        return None
    series = pl.select(values).to_series()
    if len(series) != 1 or series.dtype not in (pl.List(dtype), pl.Array(dtype, getattr(series.dtype, "size", 0))):
        return None
    # A NULL in the list matches nothing, and makes no NULL of a value that isn't there.
    among = _scalars(series.explode().drop_nulls())
    return f.In(name, among) if among else None


def _column(expression: pl.Expr, schema: pl.Schema, dtype: Any = None) -> str | None:
    """The name of a column that compares here as it does there."""
    kind, name = _kind(expression)
    if kind != "Column" or name not in schema or (dtype is not None and schema[name] != dtype):
        return None
    plain = schema[name].is_numeric() or schema[name].is_temporal() or schema[name] in (pl.String, pl.Boolean)
    return str(name) if plain else None


def _literal(expression: pl.Expr, dtype: pl.DataType) -> Any:
    """A literal of a column's own type, as Arrow's scalar; None: it is of another, or no literal."""
    if expression.meta.root_names():
        return None
    try:
        series = pl.select(expression).to_series()
    except pl.exceptions.PolarsError:
        return None
    return _scalars(series)[0] if len(series) == 1 and series.dtype == dtype else None


def _scalars(series: pl.Series) -> list[Any]:
    """Its values as literals: Arrow's, or texts."""
    return series.to_list() if series.dtype == pl.String else list(series.to_arrow())


def _kind(expression: pl.Expr) -> tuple[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its format may change
        node = json.loads(expression.meta.serialize(format="json"))
    return next(iter(node.items())) if isinstance(node, dict) and len(node) == 1 else ("", None)


def _parts(expression: pl.Expr) -> list[pl.Expr]:
    return expression.meta.pop()[::-1]
