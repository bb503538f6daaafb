"""What the bounds of a partition say of a predicate, and which columns a predicate restricts.

Bounds are of the values that are neither NULL nor NaN, both ends included; None is an end that isn't known. A partition
may hold NULLs and, in columns of floats, NaNs beside them.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from bascule.filters._literal import value_of
from bascule.filters._tree import (
    And,
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
    Not,
    Or,
    StringStartsWith,
)

__all__ = ["may_match", "pins"]

#: What a predicate may say of the rows of a partition.
_TRUE, _FALSE, _NULL = 1, 2, 4
_ANYTHING = _TRUE | _FALSE | _NULL


def may_match(filter: Filter, bounds: Mapping[str, Any]) -> bool:
    """May a row of a partition with these bounds satisfy the predicate? False only where none can.

    Args:
        filter: the predicate.
        bounds: by column, a pair of the least and the greatest value: Python values, ``pyarrow.Scalar`` or None.

    Raises:
        ValueError: what is given for a column is no pair.

    Example:
        >>> from bascule.filters import GreaterThan
        >>> may_match(GreaterThan("n", 5), {"n": (1, 5)})
        False
    """
    for column, ends in bounds.items():
        if not isinstance(ends, (tuple, list)) or len(ends) != 2:
            raise ValueError(f"the bounds of {column!r} are {ends!r:.100}, expected a pair (min, max)")
    return bool(_outcomes(filter, bounds) & _TRUE)


def _outcomes(filter: Filter, bounds: Mapping[str, Any]) -> int:
    """What the predicate may be for a row: more than it really may, never less."""
    if isinstance(filter, Not):
        child = _outcomes(filter.child, bounds)
        return (child & _NULL) | (_FALSE if child & _TRUE else 0) | (_TRUE if child & _FALSE else 0)
    if isinstance(filter, (And, Or)):
        # Of children that may each be several things, any mixture may be: of the same row or not.
        together = [_outcomes(child, bounds) for child in filter.children]
        decisive, other = (_FALSE, _TRUE) if isinstance(filter, And) else (_TRUE, _FALSE)
        out = decisive if any(child & decisive for child in together) else 0
        if all(child & other for child in together):
            out |= other
        if any(child & _NULL for child in together) and all(child & (other | _NULL) for child in together):
            out |= _NULL
        return out
    column = filter.columns[0]
    if column not in bounds:
        return _ANYTHING
    return _of_leaf(filter, *(_plain(end) for end in bounds[column]))


def _of_leaf(filter: Filter, low: Any, high: Any) -> int:
    if isinstance(filter, (IsNull, IsNotNull)):
        return _TRUE | _FALSE  # whether there are NULLs isn't known
    if isinstance(filter, Comparison):
        value = _literal(filter.literal)
        if value is None and filter.literal.is_valid:
            return _ANYTHING
        if value is None:
            return _TRUE | _FALSE if isinstance(filter, EqualNullSafe) else _NULL
        outcomes = _compare(type(filter), value, low, high)
        # A NULL row makes IS NOT DISTINCT FROM false, the others NULL.
        return outcomes | (_FALSE if isinstance(filter, EqualNullSafe) else _NULL)
    if isinstance(filter, In):
        found = _FALSE | _NULL
        for scalar in filter.literals:
            value = _literal(scalar)
            if value is None and scalar.is_valid:
                return _ANYTHING
            if value is not None:
                found |= _compare(EqualTo, value, low, high) & _TRUE
        return found
    if isinstance(filter, StringStartsWith) and _is_before(low, high, filter.value):
        return _FALSE | _NULL
    return _ANYTHING


def _compare(kind: type[Comparison], value: Any, low: Any, high: Any) -> int:
    """What a comparison may be for the values between the ends, and for NaN where there may be one."""
    below = _less(value, low)  # the literal lies below all values: True, False or None for not known
    above = _less(high, value)
    floats = any(isinstance(x, float) for x in (value, low, high))
    if isinstance(value, float) and value != value:
        # NaN is the greatest: whatever the ends are, other values are less.
        outcomes = {
            EqualTo: _FALSE,
            EqualNullSafe: _FALSE,
            GreaterThan: _FALSE,
            GreaterThanOrEqual: _FALSE,
            LessThan: _TRUE,
            LessThanOrEqual: _TRUE,
        }[kind]
        of_nan = {GreaterThan: _FALSE, LessThan: _FALSE}.get(kind, _TRUE)
        return outcomes | of_nan
    if kind in (EqualTo, EqualNullSafe):
        outcomes = _FALSE if below is True or above is True else _TRUE | _FALSE
        of_nan = _FALSE
    elif kind is LessThan:  # x < value: false for all where low >= value, true for all where high < value
        outcomes = _FALSE if _less(low, value) is False else _TRUE if above is True else _TRUE | _FALSE
        of_nan = _FALSE
    elif kind is LessThanOrEqual:
        outcomes = _FALSE if below is True else _TRUE if _less(value, high) is False else _TRUE | _FALSE
        of_nan = _FALSE
    elif kind is GreaterThan:
        outcomes = _FALSE if _less(value, high) is False else _TRUE if below is True else _TRUE | _FALSE
        of_nan = _TRUE
    else:
        outcomes = _FALSE if above is True else _TRUE if _less(low, value) is False else _TRUE | _FALSE
        of_nan = _TRUE
    return outcomes | of_nan if floats else outcomes


def _is_before(low: Any, high: Any, prefix: str) -> bool:
    """Does no string between the ends begin with the prefix? Python's order of text is that of its UTF-8 bytes."""
    if isinstance(high, str) and high < prefix:
        return True
    return isinstance(low, str) and low > prefix and not low.startswith(prefix)


# ---- values ----


def _plain(end: Any) -> Any:
    """An end of the bounds as a value that can be compared; None for one that isn't known."""
    if isinstance(end, pa.Scalar):
        return _literal(end)
    return None if isinstance(end, float) and end != end else end


def _literal(scalar: pa.Scalar) -> Any:
    """A literal's value; None for NULL, and for what Python has no value of."""
    try:
        return value_of(scalar)
    except (ValueError, OverflowError):
        return None


def _less(a: Any, b: Any) -> bool | None:
    """Is a < b? None where one isn't known, or they are of kinds that aren't compared."""
    if a is None or b is None or _kind(a) is None or _kind(a) != _kind(b):
        return None
    try:
        return bool(a < b)
    except (TypeError, ValueError, decimal.InvalidOperation, OverflowError):
        return None


def _kind(value: Any) -> object:
    """Values of one kind are compared with each other."""
    if isinstance(value, bool):
        return bool
    if isinstance(value, (int, float, decimal.Decimal)):
        return float
    if isinstance(value, datetime.datetime):
        return datetime.datetime, value.tzinfo is None
    for kind in (str, bytes, datetime.date, datetime.time, datetime.timedelta):
        if isinstance(value, kind):
            return kind
    return None


# ---- required_filters ----


def pins(filter: Filter, column: str) -> bool:
    """Does a predicate restrict a column to some of its values: by ``=``, ``IN``, ``<``, a beginning, ``IS NULL``? Then so
    does an AND with it, and an OR of such; ``IS NOT NULL`` and NOT do not.

    Example:
        >>> from bascule.filters import EqualTo, IsNotNull
        >>> pins(EqualTo("day", 1), "day"), pins(IsNotNull("day"), "day")
        (True, False)
    """
    if isinstance(filter, And):
        return any(pins(child, column) for child in filter.children)
    if isinstance(filter, Or):
        return all(pins(child, column) for child in filter.children)
    restricts = isinstance(filter, (Comparison, In, IsNull, StringStartsWith))
    return restricts and filter.columns == (column,)
