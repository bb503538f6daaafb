"""Predicates to try on a source, made of the values of a sample of its rows: the same for the same sample."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from bascule.errors import BasculeError
from bascule.filters import (
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
    _wire,
    filter_table,
)
from bascule.filters._order import cut, family, plain, ticks

__all__ = ["Request", "requests"]

#: What a source is asked in one read: predicates, joined by AND.
Request: TypeAlias = tuple[Filter, ...]

_MOST = 200
_SOME_VALUES = 2_000  # of a column
_DEEP = 8  # columns that all is tried on
_FEW = 3  # predicates for each of the others
_ORDERS = (GreaterThan, LessThan, GreaterThanOrEqual, LessThanOrEqual)


@dataclass(frozen=True)
class _Values:
    """Literals for a column.

    Args:
        mid, low, high: that it holds.
        others: that it does not hold, or may not.
        null: NULL of its type.
    """

    mid: pa.Scalar
    low: pa.Scalar
    high: pa.Scalar
    others: tuple[pa.Scalar, ...]
    null: pa.Scalar


def requests(sample: pa.Table) -> list[Request]:
    """Predicates for rows as those of ``sample``, the telling ones first: of each column with a name of its own and a type
    that has literals, then of two columns at once.
    """
    schema = sample.schema
    names = [name for name in schema.names if len(schema.get_all_field_indices(name)) == 1]
    found = {name: _values(sample.column(name)) for name in names}
    empty = schema.empty_table()
    deep = _deep(schema, names)
    of_columns = [
        itertools.islice(_of_column(name, values), None if name in deep else _FEW) for name, values in found.items()
    ]
    alone: Iterator[Request] = ((filter,) for filter in _in_turn(of_columns))
    pairs = _pairs({name: values for name, values in found.items() if values})
    # Those of one column alone would take all of the room where there are many.
    out: dict[Request, None] = {}
    for request in _in_turn([alone, alone, alone, alone, pairs]):
        if len(out) == _MOST:
            break
        if _can_be_asked(request, empty):
            out.setdefault(request)
    return list(out)


def _deep(schema: pa.Schema, names: list[str]) -> set[str]:
    """The columns that all is tried on: of each type the first, then the second, …"""
    of_type: dict[str, list[str]] = {}
    for name in names:
        of_type.setdefault(str(schema.field(name).type), []).append(name)
    return set(itertools.islice(_in_turn([iter(some) for some in of_type.values()]), _DEEP))


def _in_turn(parts: Sequence[Iterator[Any]]) -> Iterator[Any]:
    """The first of each, the second of each, …"""
    running = list(parts)
    while running:
        for part in list(running):
            try:
                yield next(part)
            except StopIteration:
                running = [other for other in running if other is not part]


def _can_be_asked(request: Request, empty: pa.Table) -> bool:
    """Can it be told to a source, and applied to rows exactly?"""
    try:
        _wire.dump(request)
        filter_table(request, empty)
    except (BasculeError, ValueError, pa.ArrowException):
        return False
    return True


# ---- values ----


def _values(column: pa.ChunkedArray) -> _Values | None:
    """Literals for a column; None where its type has none, or where it holds no value."""
    type_ = column.type
    while isinstance(type_, pa.DictionaryType):
        type_ = type_.value_type
    kind = family(type_)
    if not kind or not len(column):
        return None
    step = max(1, -(-len(column) // _SOME_VALUES))
    scalars: dict[Any, pa.Scalar] = {}
    for i in range(0, len(column), step):
        scalar = plain(column[i])
        if scalar.is_valid and not _is_nan(scalar):
            scalars.setdefault(_key(scalar), scalar)
    if not scalars:
        return None
    in_order = [scalars[key] for key in sorted(scalars)]
    low, mid, high = in_order[0], in_order[len(in_order) // 2], in_order[-1]
    others = tuple(_others(kind, type_, low, mid, high))
    return _Values(mid, low, high, others, pa.scalar(None, mid.type))


def _key(scalar: pa.Scalar) -> Any:
    if pa.types.is_temporal(scalar.type):
        return scalar.value
    value = scalar.as_py()
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


def _is_nan(scalar: pa.Scalar) -> bool:
    return pa.types.is_floating(scalar.type) and math.isnan(scalar.as_py())


def _others(kind: str, type_: pa.DataType, low: pa.Scalar, mid: pa.Scalar, high: pa.Scalar) -> Iterator[pa.Scalar]:
    """Values near those, beyond them, and such as are easily taken for them."""
    if kind == "text":
        text = mid.as_py()
        for other in (text.swapcase(), f"{text} ", text[:-1], "", f"{text}'", "%", f"{high.as_py()}~"):
            if other != text:
                yield pa.scalar(other, mid.type)
    elif kind == "bytes":
        data = mid.as_py()
        if not pa.types.is_fixed_size_binary(mid.type):
            yield from (pa.scalar(other, mid.type) for other in (data + b"\0", data[:-1], high.as_py() + b"\xff"))
    elif pa.types.is_floating(type_):
        number = float(mid.as_py())
        beyond = (float(low.as_py()) - 1, float(high.as_py()) + 1)
        for other in (math.nan, math.nextafter(number, math.inf), *beyond, -number, math.inf):
            yield pa.scalar(other).cast(mid.type, safe=False)
    elif (among := ticks(type_)) is not None:
        for scalar, by in ((mid, 1), (low, -1), (high, 1)):
            at = cut(type_, among, scalar)
            if at is not None and among.first <= at.low + by <= among.last:
                yield among.scalar(at.low + by)


# ---- predicates ----


def _of_column(name: str, values: _Values | None) -> Iterator[Filter]:
    if values is None:
        yield from (IsNotNull(name), IsNull(name), Not(IsNull(name)))
        return
    mid, others = values.mid, values.others
    yield EqualTo(name, mid)
    yield from (order(name, mid) for order in _ORDERS)
    yield IsNull(name)
    yield Not(EqualTo(name, mid))
    if pa.types.is_floating(mid.type):
        yield from _of_nan(name, values)
    if family(mid.type) == "text":
        yield from _of_text(name, mid.as_py())
    yield In(name, [mid, values.high])
    yield Not(In(name, [mid, values.high]))
    yield IsNotNull(name)
    yield EqualNullSafe(name, mid)
    yield EqualNullSafe(name, values.null)
    yield Not(EqualNullSafe(name, mid))
    yield Not(EqualNullSafe(name, values.null))
    yield Or(EqualTo(name, mid), IsNull(name))
    yield Not(Or(EqualTo(name, mid), EqualTo(name, values.low)))
    yield And(GreaterThanOrEqual(name, values.low), LessThan(name, values.high))
    yield Not(And(GreaterThanOrEqual(name, mid), LessThanOrEqual(name, values.high)))
    yield Not(GreaterThan(name, mid))
    yield Not(LessThanOrEqual(name, mid))
    yield from (GreaterThanOrEqual(name, values.high), GreaterThan(name, values.high))
    yield from (LessThanOrEqual(name, values.low), LessThan(name, values.low))
    yield In(name, [mid, values.null])
    yield Not(In(name, [mid, values.null]))
    yield Not(EqualTo(name, values.null))
    for other in others:
        yield EqualTo(name, other)
        yield Not(EqualTo(name, other))
        yield GreaterThan(name, other)
        yield LessThan(name, other)
    yield In(name, [*others, values.low])
    yield Not(In(name, [*others, values.low]))
    kinds: tuple[type[Comparison], ...] = (EqualTo, *_ORDERS)
    yield from (kind(name, values.null) for kind in kinds)
    yield Not(Not(EqualTo(name, mid)))
    yield And(IsNotNull(name), Or(EqualTo(name, mid), EqualTo(name, values.high)))
    yield Or(Not(GreaterThan(name, mid)), EqualTo(name, values.high))


def _of_nan(name: str, values: _Values) -> Iterator[Filter]:
    nan = pa.scalar(math.nan).cast(values.mid.type)
    yield EqualTo(name, nan)
    yield GreaterThan(name, values.high)
    yield Not(LessThanOrEqual(name, values.high))
    yield from (GreaterThanOrEqual(name, nan), LessThan(name, nan), Not(EqualTo(name, nan)))
    yield In(name, [values.mid, nan])
    yield Not(In(name, [values.mid, nan]))
    yield from (EqualNullSafe(name, nan), LessThanOrEqual(name, nan), GreaterThan(name, nan))


def _of_text(name: str, text: str) -> Iterator[Filter]:
    other = text.swapcase()
    head, tail, middle = text[:2], text[-2:], text[len(text) // 3 : len(text) // 3 + 2]
    made: tuple[Callable[[str, str], StringPredicate], ...] = (StringStartsWith, StringEndsWith, StringContains)
    if other != text:
        yield EqualTo(name, other)
        yield Not(EqualTo(name, other))
    yield from (EqualTo(name, f"{text} "), Not(EqualTo(name, f"{text} ")))
    for make, part in zip(made, (head, tail, middle), strict=True):
        yield make(name, part)
        yield Not(make(name, part))
        if part.swapcase() != part:
            yield make(name, part.swapcase())
            yield Not(make(name, part.swapcase()))
    if other != text:
        yield from (LessThan(name, other), GreaterThanOrEqual(name, other), In(name, [other]))
    # What LIKE takes for something else.
    for sign in ("%", "_", "\\", "'"):
        yield StringContains(name, sign)
        yield Not(StringContains(name, sign))
    yield from (EqualTo(name, ""), GreaterThan(name, ""), StringStartsWith(name, ""), Not(EqualTo(name, "")))
    yield StringEndsWith(name, f"{tail} ")


def _pairs(found: dict[str, _Values | None]) -> Iterator[Request]:
    """Predicates of two columns, or of one twice."""
    known = {name: values for name, values in found.items() if values is not None}
    for name, values in known.items():
        yield GreaterThanOrEqual(name, values.low), LessThan(name, values.high)
    for (x, of_x), (y, of_y) in itertools.combinations(known.items(), 2):
        yield EqualTo(x, of_x.mid), EqualTo(y, of_y.mid)
        yield LessThanOrEqual(x, of_x.mid), GreaterThanOrEqual(y, of_y.mid)
        yield (Or(EqualTo(x, of_x.mid), EqualTo(y, of_y.mid)),)
        yield (Or(EqualTo(x, of_x.high), IsNull(y)),)
        yield (Not(And(EqualTo(x, of_x.mid), EqualTo(y, of_y.mid))),)
        yield (Not(Or(LessThan(x, of_x.mid), IsNull(y))),)
        yield In(x, [of_x.low, of_x.mid]), Not(EqualTo(y, of_y.mid))
