"""Where a literal stands among the values of a column: what comparing their types comes to, in one place.

A column of integers, decimals, dates, times or timestamps holds whole numbers of some unit, here its *ticks*. Any
literal of a comparable type divides them in three, those before it, those equal to it and those after it, so that a
comparison never needs a cast of the column, and a literal out of the column's range is no special case.

DuckDB compares numbers with a DOUBLE or a FLOAT in that type, so several ticks may equal one such literal.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pyarrow as pa

__all__ = ["Cut", "Ticks", "as_float", "cut", "family", "plain", "ticks", "value"]

_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DAY = 86_400 * 10**9


def extension_name(type_: pa.DataType) -> str:
    """The name of an extension type, else an empty string."""
    return str(type_.extension_name) if isinstance(type_, pa.BaseExtensionType) else ""


def plain(scalar: pa.Scalar) -> pa.Scalar:
    """The literal without its dictionary, and as its storage where that has the same order (JSON, bool8)."""
    while isinstance(scalar.type, pa.DictionaryType):
        scalar = scalar.value if scalar.is_valid else pa.scalar(None, scalar.type.value_type)
    name = extension_name(scalar.type)
    if name == "arrow.json":
        return scalar.value if scalar.is_valid else pa.scalar(None, scalar.type.storage_type)
    if name == "arrow.bool8":
        return pa.scalar(scalar.value.as_py() != 0 if scalar.is_valid else None, pa.bool_())
    return scalar


def family(type_: pa.DataType) -> str:
    """What it can be compared with; an empty string for what Bascule compares with nothing."""
    types = pa.types
    if isinstance(type_, pa.BaseExtensionType):
        return "uuid" if extension_name(type_) == "arrow.uuid" else ""
    if types.is_boolean(type_):
        return "bool"
    if types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_):
        return "number"
    if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return "text"
    if types.is_binary(type_) or types.is_large_binary(type_) or types.is_binary_view(type_):
        return "bytes"
    if types.is_fixed_size_binary(type_):
        return "bytes"
    if types.is_timestamp(type_):
        return "instant" if type_.tz else "moment"
    if types.is_date(type_):
        return "moment"
    if types.is_time(type_):
        return "time"
    return "duration" if types.is_duration(type_) else ""


def value(scalar: pa.Scalar) -> Any:
    """A valid literal as what compares exactly within its family: numbers, text, bytes; times in nanoseconds."""
    type_ = scalar.type
    if pa.types.is_date32(type_):
        return scalar.value * _DAY
    if pa.types.is_date64(type_):
        return scalar.value // 86_400_000 * _DAY
    if pa.types.is_temporal(type_):
        return scalar.value * _NANOSECONDS[type_.unit]
    if pa.types.is_decimal(type_):
        return Fraction(scalar.as_py())
    if extension_name(type_) == "arrow.uuid":
        return scalar.value.as_py()
    return float(scalar.as_py()) if pa.types.is_floating(type_) else scalar.as_py()


@dataclass(frozen=True)
class Ticks:
    """The values of a column: whole multiples of ``unit`` from ``first`` to ``last``."""

    first: int
    last: int
    unit: Fraction
    scalar: Callable[[int], pa.Scalar]
    """A tick as a literal of the column's type."""


def ticks(type_: pa.DataType) -> Ticks | None:
    """The ticks of a type that columns are compared as; None for what has none: text, bytes, floating point."""
    types = pa.types
    if types.is_boolean(type_):
        return Ticks(0, 1, Fraction(1), lambda tick: pa.scalar(bool(tick), type_))
    if types.is_integer(type_):
        bits = type_.bit_width
        first = -(2 ** (bits - 1)) if types.is_signed_integer(type_) else 0
        return Ticks(first, first + 2**bits - 1, Fraction(1), lambda tick: pa.scalar(tick, type_))
    if types.is_decimal(type_):
        last, scale = 10**type_.precision - 1, type_.scale

        def as_decimal(tick: int) -> pa.Scalar:
            digits = decimal.Decimal(tick).as_tuple().digits
            return pa.scalar(decimal.Decimal((int(tick < 0), digits, -scale)), type_)

        return Ticks(-last, last, Fraction(10) ** -scale, as_decimal)
    if types.is_temporal(type_) and type_ != pa.month_day_nano_interval():
        unit = _DAY if types.is_date(type_) else _NANOSECONDS[type_.unit]
        reach = 2 ** (type_.bit_width - 1)
        return Ticks(-reach, reach - 1, Fraction(unit), lambda tick: pa.scalar(tick, type_))
    return None


@dataclass(frozen=True)
class Cut:
    """A literal among ticks: those before ``low`` are less than it, those from ``high`` on are greater.

    Where it isn't ``exact`` those between may be less, equal or greater.
    """

    low: int
    high: int
    exact: bool = True


def cut(type_: pa.DataType, among: Ticks, scalar: pa.Scalar) -> Cut | None:
    """Where a valid literal stands among a column's ticks; None where DuckDB doesn't compare the two."""
    column, literal = family(type_), family(scalar.type)
    number = value(scalar) if literal else 0
    if column != literal and not (
        {column, literal} == {"bool", "number"} and isinstance(number, int) and not pa.types.is_decimal(type_)
    ):
        return None
    if not isinstance(number, float):
        position = Fraction(number) / among.unit
        return Cut(math.ceil(position), math.floor(position) + 1)
    if math.isnan(number) or number == math.inf:
        return Cut(among.last + 1, among.last + 1)
    if number == -math.inf:
        return Cut(among.first, among.first)
    single = not pa.types.is_float64(scalar.type)
    position = Fraction(number) / among.unit
    if pa.types.is_decimal(type_) and (single or type_.precision > 15 or not 0 <= type_.scale <= 22):
        # How the cast to floating point rounds is the engine's own: leave room.
        room = (abs(position) / 2**20 if single else abs(position) / 2**48) + Fraction(1, 2**120) / among.unit
        return Cut(math.ceil(position - room), math.floor(position + room) + 1, exact=False)
    if pa.types.is_decimal(type_):
        power = 10**type_.scale
        return _by_bisection(among, number, lambda tick: tick / power)
    if type_.bit_width <= (16 if single else 32):
        return Cut(math.ceil(position), math.floor(position) + 1)
    as_number = (lambda tick: as_float(pa.scalar(tick, type_), pa.float32())) if single else float
    return _by_bisection(among, number, as_number)


def _by_bisection(among: Ticks, number: float, as_number: Callable[[int], float]) -> Cut:
    return Cut(_first(among, number, as_number, False), _first(among, number, as_number, True))


def _first(among: Ticks, number: float, as_number: Callable[[int], float], strictly: bool) -> int:
    """The first tick that is, as a float, at least ``number``, or greater than it."""
    low, high = among.first, among.last + 1
    while low < high:
        middle = (low + high) // 2
        at = as_number(middle)
        if at > number or (at == number and not strictly):
            high = middle
        else:
            low = middle + 1
    return low


def as_float(scalar: pa.Scalar, type_: pa.DataType) -> float:
    """A valid number as a float of a type, rounded once."""
    if pa.types.is_decimal(scalar.type):
        number = float(scalar.as_py())
        return number if pa.types.is_float64(type_) else float(pa.scalar(number).cast(type_, safe=False).as_py())
    return float(scalar.cast(type_, safe=False).as_py())
