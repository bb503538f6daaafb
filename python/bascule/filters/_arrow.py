"""Predicates as expressions of Arrow compute, with DuckDB's semantics.

Arrow's own differ for NaN, which it says equals nothing and is greater than nothing, so NaN is spelled out. Columns are
compared with literals of their own type (see ``_order``), so that Arrow casts nothing implicitly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from bascule.filters._columns import Column, column_of, has
from bascule.filters._order import as_float, cut, family, plain, ticks, value
from bascule.filters._translate import NO, Exactness, Translated, translate
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
    StringContains,
    StringEndsWith,
    StringPredicate,
    StringStartsWith,
)

__all__ = ["to_arrow"]

Expression: TypeAlias = pc.Expression
_Said: TypeAlias = Translated[Expression]

_FEW = 4
"""So many values of an IN are compared one by one."""
_MOST = 500
"""So many predicates make one expression: Arrow walks it recursively, and ten thousand overflow the stack."""


def to_arrow(filter: Filter, schema: pa.Schema) -> Translated[pc.Expression]:
    """A predicate as an expression of ``pyarrow.compute``.

    Args:
        schema: of the tables that the expression is for. A column that it doesn't have, or has twice, can't be said.

    Example:
        >>> import pyarrow as pa
        >>> from bascule.filters import GreaterThan, to_arrow
        >>> to_arrow(GreaterThan("x", 5), pa.schema({"x": pa.float64()})).expression
        <pyarrow.compute.Expression ((x > 5) or is_nan(x))>
    """
    bounded = _bounded(filter, _MOST)
    if bounded is None:
        return NO
    said = translate(bounded, lambda leaf: _leaf(leaf, schema), _all_of, _any_of, lambda child: ~child)
    if bounded is filter or said.expression is None:
        return said
    return Translated(said.expression, Exactness.SUPERSET)


def _size(node: Filter) -> int:
    if isinstance(node, (And, Or)):
        return 1 + sum(map(_size, node.children))
    return 1 + _size(node.child) if isinstance(node, Not) else 1


def _bounded(node: Filter, most: int) -> Filter | None:
    """A predicate, or what of its conjuncts is small enough."""
    if _size(node) <= most:
        return node
    kept: list[Filter] = []
    for child in node.conjuncts():
        if child is not node and _size(child) <= most - len(kept) - 1:
            kept.append(child)
            most -= _size(child) - 1
    return And(*kept) if kept else None


def _all_of(parts: Sequence[Expression]) -> Expression:
    """Expressions joined by AND."""
    return _balanced(parts, lambda a, b: a & b)


def _any_of(parts: Sequence[Expression]) -> Expression:
    """Expressions joined by OR."""
    return _balanced(parts, lambda a, b: a | b)


def _balanced(parts: Sequence[Expression], join: Callable[[Expression, Expression], Expression]) -> Expression:
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return join(_balanced(parts[:half], join), _balanced(parts[half:], join))


def _leaf(node: Filter, schema: pa.Schema) -> _Said:
    if isinstance(node, (IsNull, IsNotNull)):
        return _null_test(node, schema)
    if not isinstance(node, (Comparison, In, StringPredicate)):
        return NO
    column = column_of(node.column, schema)
    if column is None:
        return NO
    if pa.types.is_null(column.type):
        return _of_nulls(node, column)
    if isinstance(node, StringPredicate):
        return _string(node, column)
    if not column.has("less"):
        return NO
    return _in(node, column) if isinstance(node, In) else _comparison(type(node), column, node.literal)


def _exact(expression: Expression) -> _Said:
    return Translated(expression, Exactness.EXACT)


def _null_test(node: IsNull | IsNotNull, schema: pa.Schema) -> _Said:
    indices = schema.get_all_field_indices(node.column)
    if len(indices) != 1:
        return NO
    field, type_ = pc.field(node.column), schema.field(indices[0]).type
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        # Their values may be NULL where their indices are not.
        column = column_of(node.column, schema)
        if column is None:
            return NO
        field = column.field
    elif pa.types.is_nested(type_) or not has(type_, "is_null"):
        return NO
    return _exact(field.is_null() if isinstance(node, IsNull) else field.is_valid())


def _of_nulls(node: Comparison | In | StringPredicate, column: Column) -> _Said:
    """A predicate of a column that is all NULL."""
    if isinstance(node, EqualNullSafe):
        return _exact(column.field.is_valid() if node.literal.is_valid else column.field.is_null())
    return _exact(pc.scalar(pa.scalar(None, pa.bool_())))


def _string(node: StringPredicate, column: Column) -> _Said:
    make = {
        StringStartsWith: ("starts_with", pc.starts_with),
        StringEndsWith: ("ends_with", pc.ends_with),
        StringContains: ("match_substring", pc.match_substring),
    }.get(type(node))
    if make is None or column.family != "text" or not column.has(make[0]):
        return NO
    return _exact(make[1](column.field, node.value))


def _comparison(kind: type[Comparison], column: Column, scalar: pa.Scalar) -> _Said:
    scalar = plain(scalar)
    if kind is EqualNullSafe:
        if not scalar.is_valid:
            return _exact(column.field.is_null())
        equal = _comparison(EqualTo, column, scalar)
        if equal.expression is None:
            return NO
        return Translated(column.field.is_valid() & equal.expression, equal.exactness)
    if not scalar.is_valid:
        return _exact(column.field == pa.scalar(None, column.type))
    if kind not in (EqualTo, LessThan, LessThanOrEqual, GreaterThan, GreaterThanOrEqual):
        return NO
    if pa.types.is_floating(column.type):
        return _of_floats(kind, column, scalar)
    if ticks(column.type) is not None:
        return _of_ticks(kind, column, scalar)
    if column.family != family(scalar.type):
        return NO
    return _exact(_plainly(kind, column.field, pa.scalar(value(scalar), column.type)))


def _plainly(kind: type[Comparison], field: Expression, scalar: pa.Scalar) -> Expression:
    if kind is EqualTo:
        return field == scalar
    if kind is LessThan:
        return field < scalar
    if kind is LessThanOrEqual:
        return field <= scalar
    return field > scalar if kind is GreaterThan else field >= scalar


def _of_ticks(kind: type[Comparison], column: Column, scalar: pa.Scalar) -> _Said:
    among = ticks(column.type)
    at = cut(column.type, among, scalar) if among else None
    if among is None or at is None:
        return NO
    # The ticks of the result, from start to before end.
    start, end = among.first, among.last + 1
    if kind is LessThan:
        end = at.low if at.exact else at.high
    elif kind is LessThanOrEqual:
        end = at.high
    elif kind is GreaterThan:
        start = at.high if at.exact else at.low
    elif kind is GreaterThanOrEqual:
        start = at.low
    else:
        start, end = at.low, at.high
    exactness = Exactness.EXACT if at.exact else Exactness.SUPERSET
    if start >= end or start > among.last or end <= among.first:
        return Translated(column.never(), exactness)
    parts = []
    if start + 1 == end:
        parts.append(column.field == among.scalar(start))
    else:
        # Of two ways to say the same, the one with the literal's own value.
        if start > among.first:
            after = kind is GreaterThan and at.low + 1 == at.high
            parts.append(column.field > among.scalar(start - 1) if after else column.field >= among.scalar(start))
        if end <= among.last:
            upto = kind is not LessThan
            parts.append(column.field <= among.scalar(end - 1) if upto else column.field < among.scalar(end))
    return Translated(_all_of(parts) if parts else column.always(), exactness)


def _of_floats(kind: type[Comparison], column: Column, scalar: pa.Scalar) -> _Said:
    if family(scalar.type) != "number":
        return NO
    field, type_ = column.field, column.type
    if pa.types.is_floating(scalar.type):
        wanted = value(scalar)
        number = as_float(scalar, type_)
    else:
        number = wanted = as_float(scalar, type_)
    if math.isnan(number):
        if kind in (EqualTo, GreaterThanOrEqual):
            return _exact(pc.is_nan(field))
        if kind is LessThan:
            return _exact(~pc.is_nan(field))
        return _exact(column.never() if kind is GreaterThan else column.always())
    exactness = Exactness.EXACT
    if pa.types.is_decimal(scalar.type) and not _rounds_as_duckdb(scalar, type_):
        # DuckDB's cast of such a decimal may round otherwise: leave room.
        exactness = Exactness.SUPERSET
        room = abs(number) * (2**-20 if pa.types.is_float32(type_) else 2**-48)
        low, high = pa.scalar(number - room, type_), pa.scalar(number + room, type_)
        parts = []
        if kind in (EqualTo, GreaterThan, GreaterThanOrEqual):
            parts.append(field >= low)
        if kind in (EqualTo, LessThan, LessThanOrEqual):
            parts.append(field <= high)
        expression = _all_of(parts)
    else:
        if number != wanted:
            # A FLOAT column and a DOUBLE between two of its values.
            if kind is EqualTo:
                return _exact(column.never())
            up = number > wanted
            if kind in (LessThan, LessThanOrEqual):
                kind = LessThan if up else LessThanOrEqual
            else:
                kind = GreaterThanOrEqual if up else GreaterThan
        expression = _plainly(kind, field, pa.scalar(number, type_))
    if kind in (GreaterThan, GreaterThanOrEqual):
        expression = expression | pc.is_nan(field)
    return Translated(expression, exactness)


def _rounds_as_duckdb(scalar: pa.Scalar, type_: pa.DataType) -> bool:
    _sign, digits, exponent = scalar.as_py().as_tuple()
    unscaled = int("".join(map(str, digits)) or "0")
    if pa.types.is_float32(type_):
        return bool(unscaled < 2**24 and -10 <= exponent <= 0)
    return bool(unscaled < 2**53 and -22 <= exponent <= 0)


def _in(node: In, column: Column) -> _Said:
    scalars = [plain(scalar) for scalar in node.literals]
    valid = [scalar for scalar in scalars if scalar.is_valid]
    exactness, parts = Exactness.EXACT, list[Expression]()
    points: list[pa.Scalar] = []
    for scalar in valid:
        point = _point(column, scalar)
        if point is not None:
            points += point
            continue
        equal = _comparison(EqualTo, column, scalar)
        if equal.expression is None:
            return NO
        exactness = min(exactness, equal.exactness)
        parts.append(equal.expression)
    if len(points) > _FEW and column.has("is_in"):
        # is_in says false of NULL: never() makes it NULL.
        parts += [column.field.isin(pa.array(points, column.type)), column.never()]
    else:
        parts += [column.field == point for point in points]
    if len(valid) < len(scalars):
        parts.append(column.field == pa.scalar(None, column.type))
    if len(parts) > _MOST:
        return NO
    return Translated(_any_of(parts) if parts else column.never(), exactness)


def _point(column: Column, scalar: pa.Scalar) -> list[pa.Scalar] | None:
    """The values of the column that equal a literal, where they are few enough to be listed."""
    among = ticks(column.type)
    if among is not None:
        at = cut(column.type, among, scalar)
        if at is None or not at.exact or at.high - at.low > 1:
            return None
        return [among.scalar(at.low)] if among.first <= at.low < at.high <= among.last + 1 else []
    if not pa.types.is_floating(column.type):
        return [pa.scalar(value(scalar), column.type)] if column.family == family(scalar.type) else None
    if not pa.types.is_floating(scalar.type):
        return None
    number = value(scalar)
    if math.isnan(number) or as_float(scalar, column.type) != number:
        return None
    # is_in tells 0.0 from -0.0.
    return [pa.scalar(each, column.type) for each in ((0.0, -0.0) if number == 0 else (number,))]
