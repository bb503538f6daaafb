"""Literals: typed values, as ``pyarrow.Scalar``, which a predicate compares a column with.

A Python value can't be every Arrow value (nanoseconds, a decimal's scale, a zone), so the scalar is the literal and the
Python value a view of it.
"""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pyarrow as pa

__all__ = ["key_of", "literal", "shown", "value_of"]


def literal(value: Any) -> pa.Scalar:
    """A Python value, or a scalar, as a literal. Raises TypeError for what has no scalar Arrow type."""
    if isinstance(value, pa.Scalar):
        scalar = value
    elif isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        # Beyond int64: what is left of Arrow's integers, else a whole decimal.
        scalar = pa.scalar(value, pa.uint64()) if 0 <= value < 2**64 else pa.scalar(decimal.Decimal(value))
    else:
        try:
            scalar = pa.scalar(value)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as e:
            raise TypeError(f"{value!r} is no literal of a predicate: {e}") from None
    if pa.types.is_nested(scalar.type):
        raise TypeError(f"{value!r} is no literal of a predicate: its type {scalar.type} is nested")
    return scalar


def value_of(scalar: pa.Scalar) -> Any:
    """The literal as a Python value; ``None`` for NULL.

    Raises:
        ValueError: Python has no such value: a timestamp, time or duration of nanoseconds that are no whole microseconds; a
            date or timestamp beyond the years 1 to 9999, infinity among them.
    """
    if not scalar.is_valid:
        return None
    if getattr(scalar.type, "unit", None) == "ns":
        # Not as_py(), which makes pandas' values where that is installed.
        nanoseconds = scalar.value
        if nanoseconds % 1000:
            raise ValueError(f"{shown(scalar)} has nanoseconds, which Python's values have not: use the Arrow literal")
        micros = nanoseconds // 1000
        if pa.types.is_timestamp(scalar.type):
            scalar = pa.scalar(micros, pa.timestamp("us", scalar.type.tz))
        elif pa.types.is_time64(scalar.type):
            scalar = pa.scalar(micros, pa.time64("us"))
        else:
            scalar = pa.scalar(micros, pa.duration("us"))
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        raise ValueError(f"{shown(scalar)} is beyond Python's years: use the Arrow literal") from None


def key_of(scalar: pa.Scalar) -> tuple[str, Any]:
    """What two equal literals have in common: type and bits, so that NaN equals NaN and 0.0 is not -0.0."""
    if not scalar.is_valid:
        return str(scalar.type), None
    if pa.types.is_floating(scalar.type):
        return str(scalar.type), scalar.as_py().hex()
    if pa.types.is_temporal(scalar.type):
        return str(scalar.type), scalar.value
    return str(scalar.type), scalar.as_py()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def shown(scalar: pa.Scalar) -> str:
    """The literal as SQL would have it, for people to read."""
    type_ = scalar.type
    if not scalar.is_valid:
        return "NULL"
    if pa.types.is_boolean(type_):
        return "TRUE" if scalar.as_py() else "FALSE"
    if pa.types.is_date(type_):
        return f"DATE {_quoted(_day(scalar))}"
    if pa.types.is_timestamp(type_):
        return f"{'TIMESTAMPTZ' if type_.tz else 'TIMESTAMP'} {_quoted(_moment(scalar))}"
    if pa.types.is_time(type_):
        return f"TIME {_quoted(str(scalar.cast(pa.string())))}"
    if pa.types.is_duration(type_):
        return f"INTERVAL {_quoted(f'{scalar.value} {type_.unit}')}"
    value = scalar.as_py()
    if isinstance(value, bytes):
        return f"X'{value.hex().upper()}'"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float):
        return f"{value!r}" if value == value and abs(value) != float("inf") else f"DOUBLE {_quoted(str(value))}"
    return str(value)


def _day(scalar: pa.Scalar) -> str:
    days = scalar.value if scalar.type == pa.date32() else scalar.value // 86_400_000
    try:
        return (datetime.date(1970, 1, 1) + datetime.timedelta(days=days)).isoformat()
    except OverflowError:
        return f"{days} days after 1970-01-01"


def _moment(scalar: pa.Scalar) -> str:
    """Date and time of day, in UTC where the type has a zone."""
    unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[scalar.type.unit]
    seconds, fraction = divmod(scalar.value, unit)
    digits = len(str(unit)) - 1
    try:
        moment = (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).isoformat(" ")
    except OverflowError:
        moment = f"{seconds} s after 1970-01-01"
    tail = f".{fraction:0{digits}d}" if fraction else ""
    return f"{moment}{tail}{'+00' if scalar.type.tz else ''}"
