"""Predicates as expressions of Arrow compute, with DuckDB's semantics.

Arrow's own differ for NaN, which it says equals nothing and is greater than nothing, so NaN is spelled out. Columns are
compared with literals of their own type (see ``_order``), so that Arrow casts nothing implicitly. Dictionaries are decoded, views and
fixed-size bytes are cast to the large types, which have every kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from bascule.filters._order import as_float, cut, extension_name, family, plain, ticks, value
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
    StringContains,
    StringEndsWith,
    StringPredicate,
    StringStartsWith,
)

__all__ = ["all_of", "any_of", "decoded", "to_arrow"]

Expression: TypeAlias = pc.Expression
_Said: TypeAlias = Translated[Expression]

_NO: _Said = Translated(None, Exactness.NO)
_FEW = 4
"""So many values of an IN are compared one by one."""


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
    return translate(filter, lambda leaf: _leaf(leaf, schema), all_of, any_of, lambda child: ~child)


def all_of(parts: Sequence[Expression]) -> Expression:
    """Expressions joined by AND."""
    return _balanced(parts, lambda a, b: a & b)


def any_of(parts: Sequence[Expression]) -> Expression:
    """Expressions joined by OR."""
    return _balanced(parts, lambda a, b: a | b)


def _balanced(parts: Sequence[Expression], join: Callable[[Expression, Expression], Expression]) -> Expression:
    # Arrow walks expressions recursively: ten thousand in a row would overflow its stack.
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return join(_balanced(parts[:half], join), _balanced(parts[half:], join))


@dataclass(frozen=True)
class _Column:
    """A column as comparisons see it."""

    field: Expression
    type: pa.DataType
    family: str

    def has(self, function: str) -> bool:
        """Whether this pyarrow can evaluate a function of the column."""
        return _has(self.type, function)

    def never(self) -> Expression:
        """False; NULL where the column is."""
        return self.field < self._least()

    def always(self) -> Expression:
        """True; NULL where the column is."""
        if pa.types.is_floating(self.type):
            return ~self.never()
        return self.field >= self._least()

    def _least(self) -> pa.Scalar:
        among = ticks(self.type)
        if among is not None:
            return among.scalar(among.first)
        if pa.types.is_floating(self.type):
            return pa.scalar(-math.inf, self.type)
        return pa.scalar("" if self.family == "text" else b"", self.type)


def _column(name: str, schema: pa.Schema) -> _Column | None:
    """A column decoded; None where there is no such column, or where it can't be decoded."""
    indices = schema.get_all_field_indices(name)
    if len(indices) != 1:
        return None
    type_, field, kind = schema.field(indices[0]).type, pc.field(name), ""
    found = decoded(type_)
    if found is None or not _casts(type_, found):
        return None
    if found != type_:
        field = field.cast(found)
    while isinstance(type_, pa.DictionaryType):
        type_ = type_.value_type
    if extension_name(type_) == "arrow.bool8":
        field, found = field != pa.scalar(0, pa.int8()), pa.bool_()
    kind = "uuid" if extension_name(type_) == "arrow.uuid" else family(found)
    return _Column(field, found, kind)


def decoded(type_: pa.DataType) -> pa.DataType | None:
    """The type that a column is compared as; None where it isn't compared."""
    types = pa.types
    while isinstance(type_, pa.DictionaryType):
        type_ = type_.value_type
    if isinstance(type_, pa.BaseExtensionType):
        if extension_name(type_) not in ("arrow.bool8", "arrow.json", "arrow.uuid"):
            return None
        type_ = type_.storage_type
    if types.is_string_view(type_):
        return pa.large_string()
    if types.is_binary_view(type_) or types.is_fixed_size_binary(type_):
        return pa.large_binary()
    if types.is_float16(type_):
        return pa.float32()
    return type_ if family(type_) or types.is_null(type_) else None


@lru_cache(maxsize=1024)
def _runs(type_: pa.DataType, make: Callable[[pa.DataType], Expression]) -> bool:
    # By trying: which kernels there are is nowhere listed, and differs between versions of pyarrow.
    try:
        pa.table({"x": pa.array([], type_)}).filter(make(type_))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return False
    return True


@lru_cache(maxsize=1024)
def _casts(from_: pa.DataType, to: pa.DataType) -> bool:
    return from_ == to or _runs(from_, lambda _: pc.field("x").cast(to).is_valid())


_PROBES: dict[str, Callable[[pa.DataType], Expression]] = {
    "less": lambda type_: pc.field("x") < pa.scalar(None, type_),
    "is_in": lambda type_: pc.field("x").isin(pa.array([], type_)),
    "is_null": lambda _: pc.field("x").is_null(),
    "starts_with": lambda _: pc.starts_with(pc.field("x"), "a"),
    "ends_with": lambda _: pc.ends_with(pc.field("x"), "a"),
    "match_substring": lambda _: pc.match_substring(pc.field("x"), "a"),
}


def _has(type_: pa.DataType, function: str) -> bool:
    return _runs(type_, _PROBES[function])


def _leaf(node: Filter, schema: pa.Schema) -> _Said:
    if isinstance(node, (IsNull, IsNotNull)):
        return _null_test(node, schema)
    if not isinstance(node, (Comparison, In, StringPredicate)):
        return _NO
    column = _column(node.column, schema)
    if column is None:
        return _NO
    if pa.types.is_null(column.type):
        return _of_nulls(node, column)
    if isinstance(node, StringPredicate):
        return _string(node, column)
    if not column.has("less"):
        return _NO
    return _in(node, column) if isinstance(node, In) else _comparison(type(node), column, node.literal)


def _exact(expression: Expression) -> _Said:
    return Translated(expression, Exactness.EXACT)


def _null_test(node: IsNull | IsNotNull, schema: pa.Schema) -> _Said:
    indices = schema.get_all_field_indices(node.column)
    if len(indices) != 1:
        return _NO
    field, type_ = pc.field(node.column), schema.field(indices[0]).type
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        # Their values may be NULL where their indices are not.
        column = _column(node.column, schema)
        if column is None:
            return _NO
        field = column.field
    elif pa.types.is_nested(type_) or not _has(type_, "is_null"):
        return _NO
    return _exact(field.is_null() if isinstance(node, IsNull) else field.is_valid())


def _of_nulls(node: Comparison | In | StringPredicate, column: _Column) -> _Said:
    """A predicate of a column that is all NULL."""
    if isinstance(node, EqualNullSafe):
        return _exact(column.field.is_valid() if node.literal.is_valid else column.field.is_null())
    return _exact(pc.scalar(pa.scalar(None, pa.bool_())))


def _string(node: StringPredicate, column: _Column) -> _Said:
    make = {
        StringStartsWith: ("starts_with", pc.starts_with),
        StringEndsWith: ("ends_with", pc.ends_with),
        StringContains: ("match_substring", pc.match_substring),
    }.get(type(node))
    if make is None or column.family != "text" or not column.has(make[0]):
        return _NO
    return _exact(make[1](column.field, node.value))


def _comparison(kind: type[Comparison], column: _Column, scalar: pa.Scalar) -> _Said:
    scalar = plain(scalar)
    if kind is EqualNullSafe:
        if not scalar.is_valid:
            return _exact(column.field.is_null())
        equal = _comparison(EqualTo, column, scalar)
        if equal.expression is None:
            return _NO
        return Translated(column.field.is_valid() & equal.expression, equal.exactness)
    if not scalar.is_valid:
        return _exact(column.field == pa.scalar(None, column.type))
    if kind not in (EqualTo, LessThan, LessThanOrEqual, GreaterThan, GreaterThanOrEqual):
        return _NO
    if pa.types.is_floating(column.type):
        return _of_floats(kind, column, scalar)
    if ticks(column.type) is not None:
        return _of_ticks(kind, column, scalar)
    if column.family != family(scalar.type):
        return _NO
    return _exact(_plainly(kind, column.field, pa.scalar(value(scalar), column.type)))


def _plainly(kind: type[Comparison], field: Expression, scalar: pa.Scalar) -> Expression:
    if kind is EqualTo:
        return field == scalar
    if kind is LessThan:
        return field < scalar
    if kind is LessThanOrEqual:
        return field <= scalar
    return field > scalar if kind is GreaterThan else field >= scalar


def _of_ticks(kind: type[Comparison], column: _Column, scalar: pa.Scalar) -> _Said:
    among = ticks(column.type)
    at = cut(column.type, among, scalar) if among else None
    if among is None or at is None:
        return _NO
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
    if pa.types.is_date64(column.type):
        # Its days hold milliseconds: two bounds, no equality.
        parts += [column.field >= among.scalar(start)] if start > among.first else []
        parts += [column.field < among.scalar(end)] if end <= among.last else []
    elif start + 1 == end:
        parts.append(column.field == among.scalar(start))
    else:
        # Of two ways to say the same, the one with the literal's own value.
        if start > among.first:
            after = kind is GreaterThan and at.low + 1 == at.high
            parts.append(column.field > among.scalar(start - 1) if after else column.field >= among.scalar(start))
        if end <= among.last:
            upto = kind is not LessThan
            parts.append(column.field <= among.scalar(end - 1) if upto else column.field < among.scalar(end))
    return Translated(all_of(parts) if parts else column.always(), exactness)


def _of_floats(kind: type[Comparison], column: _Column, scalar: pa.Scalar) -> _Said:
    if family(scalar.type) != "number":
        return _NO
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
        expression = all_of(parts)
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


def _in(node: In, column: _Column) -> _Said:
    scalars = [plain(scalar) for scalar in node.literals]
    valid = [scalar for scalar in scalars if scalar.is_valid]
    exactness, parts, points = Exactness.EXACT, [], []
    for scalar in valid:
        point = _point(column, scalar)
        if point is not None:
            points += point
            continue
        equal = _comparison(EqualTo, column, scalar)
        if equal.expression is None:
            return _NO
        exactness = min(exactness, equal.exactness)
        parts.append(equal.expression)
    if len(points) > _FEW and column.has("is_in"):
        # is_in says false of NULL: never() makes it NULL.
        parts += [column.field.isin(pa.array(points, column.type)), column.never()]
    else:
        parts += [column.field == pa.scalar(point, column.type) for point in dict.fromkeys(points)]
    if len(valid) < len(scalars):
        parts.append(column.field == pa.scalar(None, column.type))
    return Translated(any_of(parts) if parts else column.never(), exactness)


def _point(column: _Column, scalar: pa.Scalar) -> list[Any] | None:
    """The values of the column, as Python's, that equal a literal where ``is_in`` can say so."""
    if column.family != family(scalar.type):
        return None
    if column.family in ("text", "bytes", "uuid"):
        return [value(scalar)]
    if pa.types.is_floating(column.type) and pa.types.is_floating(scalar.type):
        number = value(scalar)
        if math.isnan(number) or as_float(scalar, column.type) != number:
            return None
        return [0.0, -0.0] if number == 0 else [number]
    among = ticks(column.type)
    if among is None or not (pa.types.is_integer(column.type) and pa.types.is_integer(scalar.type)):
        return None
    number = value(scalar)
    return [number] if among.first <= number <= among.last else []
