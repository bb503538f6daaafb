"""Ranges of a column: each row in exactly one, NULLs in the first.

Cut points c1 < c2 < ... make the partitions ``x < c1 OR x IS NULL``, ``c1 <= x AND x < c2``, ...,
``cn <= x``. Bounds only say where the cuts are: rows beyond them are in the first and the last.
"""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import pyarrow as pa
from sqlglot import exp

from bascule import OptionError
from bascule.sources.jdbc import _sql

_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class Kind:
    """A kind of partition column: its values as numbers, and back as text that the database reads.

    Attributes:
        name: for messages.
        number: a value's text -> a number; raises ValueError.
        text: a number -> the value's text; of ``whole`` kinds for whole numbers alone.
        sql_type: the type to cast the text to; None for a number as it is.
    """

    name: str
    number: Callable[[str], Fraction]
    text: Callable[[Fraction], str]
    whole: bool = True
    sql_type: str | None = None


def _integer(text: str) -> Fraction:
    value = Fraction(Decimal(text.strip()))
    if value.denominator != 1:
        raise ValueError("no whole number")
    return value


def _decimal(text: str) -> Fraction:
    value = Decimal(text.strip())
    if value.is_finite() and not -400 < value.adjusted() <= 308:
        raise ValueError("beyond what a double holds")
    return Fraction(value)


def _decimal_text(number: Fraction) -> str:
    return format(Decimal(number.numerator) / Decimal(number.denominator), "f")


def _float_text(number: Fraction) -> str:
    return repr(float(number))


def _date(text: str) -> Fraction:
    return Fraction(datetime.date.fromisoformat(text.strip()[:10]).toordinal())


def _date_text(number: Fraction) -> str:
    return datetime.date.fromordinal(int(number)).isoformat()


def _timestamp(text: str) -> Fraction:
    value = datetime.datetime.fromisoformat(text.strip())
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return Fraction((value - _EPOCH) // _MICROSECOND)


def _timestamp_text(number: Fraction) -> str:
    return (_EPOCH + int(number) * _MICROSECOND).isoformat(" ", "microseconds")


def _instant_text(number: Fraction) -> str:
    return _timestamp_text(number) + "+00:00"


INTEGER = Kind("integer", _integer, lambda n: str(int(n)))
DECIMAL = Kind("decimal", _decimal, _decimal_text, whole=False)
FLOAT = Kind("float", _decimal, _float_text, whole=False)
DATE = Kind("date", _date, _date_text, sql_type="date")
TIMESTAMP = Kind("timestamp", _timestamp, _timestamp_text, sql_type="timestamp")
INSTANT = Kind("timestamp with a zone", _timestamp, _instant_text, sql_type="timestamptz")


def parse_bound(kind: Kind, option: str, text: str) -> Fraction:
    """A bound that the user gave."""
    try:
        return kind.number(text)
    except (ValueError, InvalidOperation, OverflowError):
        raise OptionError(f"option '{option}' is '{text}', but the partition column is a {kind.name}") from None


def check_bounds(lower: Fraction, upper: Fraction, kind: Kind) -> None:
    if lower > upper:
        raise OptionError(
            f"option 'lowerBound' ({kind.text(lower)}) is beyond 'upperBound' ({kind.text(upper)}): swap them. They say "
            "where partitions are cut; no row is left out"
        )


def even_cuts(lower: Fraction, upper: Fraction, n: int, kind: Kind) -> list[str]:
    """The texts of at most ``n`` - 1 cut points between the bounds, rising; fewer where the range has fewer values."""
    width = (upper - lower + (1 if kind.whole else 0)) / n
    numbers = (lower + width * i for i in range(1, n))
    return distinct([kind.text(Fraction(math.floor(x)) if kind.whole else x) for x in numbers], kind, above=lower)


def distinct(texts: Iterable[str], kind: Kind, above: Fraction | None = None) -> list[str]:
    """The texts of rising values, each once, those beyond ``above`` alone: nothing is below the least value."""
    found: list[str] = []
    last = above
    for text in texts:
        number = kind.number(text)
        if last is None or number > last:
            found.append(text)
            last = number
    return found


def conditions(column: exp.Expr, cuts: Sequence[str], kind: Kind, dialect: str) -> list[exp.Expr | None]:
    """One condition for each partition; a single None where nothing is cut."""
    if not cuts:
        return [None]
    literals = [_literal(text, kind, dialect) for text in cuts]
    made: list[exp.Expr | None] = [
        exp.or_(exp.LT(this=column.copy(), expression=literals[0]), exp.Is(this=column.copy(), expression=exp.null()))
    ]
    for low, high in itertools.pairwise(literals):
        made.append(
            exp.and_(
                exp.GTE(this=column.copy(), expression=low.copy()), exp.LT(this=column.copy(), expression=high.copy())
            )
        )
    made.append(exp.GTE(this=column.copy(), expression=literals[-1].copy()))
    return made


def bounds(cuts: Sequence[str], kind: Kind, held: pa.DataType, dialect: str) -> list[tuple[Any, Any]] | None:
    """For each of the ``conditions``, the least and the greatest value (None: open) but NULL; None: they say too little.

    Args:
        held: the column's type as it is read: the bounds are values of it.
    """
    fits = _HELD.get(kind.name)
    if not cuts or fits is None or not fits(held):
        return None
    # SQLite compares its timestamps as text, whose order is not theirs; it and DuckDB read a double's digits, written
    # as a number, inexactly; MySQL's FLOAT was not tried.
    if (dialect, kind.name) in (("sqlite", "timestamp"), ("sqlite", "float"), ("duckdb", "float")) or (
        dialect == "mysql" and pa.types.is_float32(held)
    ):
        return None
    if dialect not in ("postgres", "mysql", "sqlite", "duckdb"):
        return None
    numbers = [kind.number(text) for text in cuts]
    lows = [None, *(_value(number, kind) for number in numbers)]
    highs = [*(_value(number - 1 if kind.whole else number, kind) for number in numbers), None]
    return list(zip(lows, highs, strict=True))


_HELD: dict[str, Callable[[pa.DataType], bool]] = {
    "integer": pa.types.is_integer,
    "decimal": pa.types.is_decimal,
    "float": pa.types.is_floating,
    "date": pa.types.is_date,
    "timestamp": lambda held: pa.types.is_timestamp(held) and held.tz is None,
    "timestamp with a zone": lambda held: pa.types.is_timestamp(held) and held.tz is not None,
}


def _value(number: Fraction, kind: Kind) -> Any:
    text = kind.text(number)
    if kind is INTEGER:
        return int(text)
    if kind is DECIMAL:
        return Decimal(text)
    if kind is FLOAT:
        return float(text)
    return datetime.date.fromisoformat(text) if kind is DATE else datetime.datetime.fromisoformat(text)


def _literal(text: str, kind: Kind, dialect: str) -> exp.Expr:
    if kind.sql_type is None:
        negative = text.startswith("-")
        number = exp.Literal.number(text.removeprefix("-"))
        return exp.Neg(this=number) if negative else number
    if dialect == "sqlite":  # dates are text there, and compare as such
        return _sql.text(text)
    if dialect == "mysql":
        return _sql.cast(_sql.text(text.removesuffix("+00:00")), "date" if kind is DATE else "datetime(6)", dialect)
    return _sql.cast(_sql.text(text), kind.sql_type, dialect)


def kind_of(kind: pa.DataType) -> Kind | None:
    """The kind of a column that a driver yields as this type; None: it can't be one to partition by."""
    if pa.types.is_integer(kind):
        return INTEGER
    if pa.types.is_floating(kind):
        return FLOAT
    if pa.types.is_decimal(kind):
        return DECIMAL
    if pa.types.is_date(kind):
        return DATE
    return TIMESTAMP if pa.types.is_timestamp(kind) and kind.tz is None else None
