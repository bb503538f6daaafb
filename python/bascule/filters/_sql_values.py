"""Literals of a predicate as values of a kind of column, and these as SQL: bound, or written out with their type."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from typing import Any

import pyarrow as pa
from sqlglot import exp

from bascule.filters._sql_rules import Kind, has_infinity, has_nan

_EPOCH = datetime.datetime(1970, 1, 1)
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
#: Whole numbers up to here are doubles, each its own.
_WHOLE = 2**53
#: Digits that a decimal may have on either side of its point.
_DIGITS = 76


def fitted(scalar: pa.Scalar, kind: Kind, dialect: str) -> Any | None:
    """The literal as a value that a column of ``kind`` compares with as the engine would; None: there is none."""
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.DictionaryScalar):
        scalar = scalar.value
    try:
        value = _moment(scalar) if pa.types.is_timestamp(scalar.type) else scalar.as_py()
        return _FITS[kind](value, dialect) if kind in _FITS else None
    except (OverflowError, ValueError, decimal.InvalidOperation):
        return None


def _moment(scalar: pa.Scalar) -> datetime.datetime:
    """Microseconds, exactly. Raises ValueError for what is none."""
    micros, rest = divmod(scalar.value * 10**6, _TICKS[scalar.type.unit])
    if rest:
        raise ValueError("nanoseconds")
    moment = _EPOCH + datetime.timedelta(microseconds=micros)
    return moment.replace(tzinfo=datetime.UTC) if scalar.type.tz else moment


def _integer(value: Any, dialect: str) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        # Beyond, an engine that compares doubles takes other integers for equal.
        value = int(value) if value.is_integer() and abs(value) < _WHOLE else None
    elif isinstance(value, decimal.Decimal):
        value = int(value) if value == value.to_integral_value() else None
    if not isinstance(value, int):
        return None
    least, most = (-(2**63), 2**63) if dialect in ("sqlite", "other") else (-(2**64), 2**64)
    return value if least <= value < most else None


def _decimal(value: Any, dialect: str) -> decimal.Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, decimal.Decimal)):
        return None
    made = decimal.Decimal(value)
    digits = 38 if dialect == "duckdb" else 60 if dialect == "mysql" else _DIGITS
    whole, fraction = max(made.adjusted() + 1, 1), max(-int(made.as_tuple().exponent), 0)
    if not made.is_finite() or whole + fraction > digits or (dialect == "mysql" and fraction > 30):
        return None
    return made


def _float(value: Any, dialect: str) -> float | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _WHOLE:
        value = float(value)
    if not isinstance(value, float):
        return None
    if math.isnan(value):
        return value if has_nan(dialect) else None
    return value if has_infinity(dialect) or not math.isinf(value) else None


def _boolean(value: Any, dialect: str) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any, dialect: str) -> str | None:
    if not isinstance(value, str) or "\0" in value:
        return None
    value.encode()  # half a surrogate pair is a UnicodeEncodeError, a ValueError
    return value


def _bytes(value: Any, dialect: str) -> bytes | None:
    return value if isinstance(value, bytes) else None


def _date(value: Any, dialect: str) -> datetime.date | None:
    if isinstance(value, datetime.datetime):
        # Dates are compared with timestamps as their midnights.
        return value.date() if value.tzinfo is None and value.time() == datetime.time() else None
    return value if isinstance(value, datetime.date) else None


def _timestamp(value: Any, dialect: str) -> datetime.datetime | None:
    if isinstance(value, datetime.datetime):
        return value if value.tzinfo is None else None
    return datetime.datetime.combine(value, datetime.time()) if isinstance(value, datetime.date) else None


def _instant(value: Any, dialect: str) -> datetime.datetime | None:
    if not isinstance(value, datetime.datetime) or value.tzinfo is None:
        return None
    # Beyond MySQL's range of TIMESTAMP a constant becomes what its plan makes of it.
    inside = datetime.datetime(1970, 1, 2) <= value.replace(tzinfo=None) < datetime.datetime(2038, 1, 19)
    return value if inside or dialect != "mysql" else None


def _time(value: Any, dialect: str) -> datetime.time | None:
    return value if isinstance(value, datetime.time) else None


def _uuid(value: Any, dialect: str) -> uuid.UUID | None:
    if isinstance(value, bytes):
        return uuid.UUID(bytes=value)
    if isinstance(value, str):
        value = uuid.UUID(value) if str(uuid.UUID(value)) == value else None
    return value if isinstance(value, uuid.UUID) else None


_FITS = {
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.FLOAT: _float,
    Kind.REAL: _float,
    Kind.BOOLEAN: _boolean,
    Kind.TEXT: _text,
    Kind.FOLDED: _text,
    Kind.LOOSE: _text,
    Kind.BINARY: _bytes,
    Kind.DATE: _date,
    Kind.TIMESTAMP: _timestamp,
    Kind.INSTANT: _instant,
    Kind.TIME: _time,
    Kind.UUID: _uuid,
}

#: The types that values are cast to, where a driver or the literal's form would say another.
_TYPES = {
    "postgres": {
        Kind.DECIMAL: "numeric",
        Kind.FLOAT: "double precision",
        Kind.REAL: "double precision",
        Kind.BOOLEAN: "boolean",
        Kind.TEXT: "text",
        Kind.FOLDED: "text",
        Kind.BINARY: "bytea",
        Kind.DATE: "date",
        Kind.TIMESTAMP: "timestamp",
        Kind.INSTANT: "timestamptz",
        Kind.TIME: "time",
        Kind.UUID: "uuid",
    },
    "mysql": {
        Kind.DATE: "date",
        Kind.TIMESTAMP: "datetime(6)",
        Kind.INSTANT: "datetime(6)",
        Kind.TIME: "time(6)",
        Kind.BINARY: "binary",
    },
    "duckdb": {
        Kind.FLOAT: "double",
        Kind.REAL: "double",
        Kind.TEXT: "varchar",
        Kind.FOLDED: "varchar",
        Kind.LOOSE: "varchar",
        Kind.BINARY: "blob",
        Kind.DATE: "date",
        Kind.TIMESTAMP: "timestamp",
        Kind.INSTANT: "timestamptz",
        Kind.TIME: "time",
        Kind.UUID: "uuid",
    },
}


class Values:
    """Makes nodes of values.

    Args:
        inline: written out, for drivers that can't bind.
    """

    def __init__(self, dialect: str, inline: bool) -> None:
        self.dialect, self.inline = dialect, inline
        self._bound: dict[int, tuple[exp.Expr, pa.Scalar]] = {}

    def bound(self, node: exp.Expr) -> pa.Scalar:
        return self._bound[id(node)][1]

    def is_bound(self, node: exp.Expr) -> bool:
        return id(node) in self._bound

    def node(self, value: Any, kind: Kind) -> exp.Expr | None:
        """A value as SQL; None: it can't be written out so that it keeps its meaning."""
        if self.inline:
            return self._written(value, kind)
        return self._typed(self._placeholder(_parameter(value, self.dialect)), kind)

    def _placeholder(self, scalar: pa.Scalar) -> exp.Expr:
        is_numbered = self.dialect == "postgres"
        made: exp.Expr = exp.Parameter(this=exp.Literal.number(0)) if is_numbered else exp.Placeholder()
        self._bound[id(made)] = made, scalar
        return made

    def _typed(self, node: exp.Expr, kind: Kind) -> exp.Expr:
        name = _TYPES.get(self.dialect, {}).get(kind)
        if kind is Kind.INTEGER and self.dialect == "postgres":
            name = "bigint" if self.inline or pa.types.is_integer(self.bound(node).type) else "numeric"
        return node if name is None else self._cast(node, name)

    def _cast(self, node: exp.Expr, name: str) -> exp.Expr:
        to = exp.DataType.build(name, dialect=self.dialect, udt=True)
        return exp.Cast(this=node, to=to)

    def _written(self, value: Any, kind: Kind) -> exp.Expr | None:
        if isinstance(value, bool):
            return exp.Boolean(this=value) if self.dialect in ("postgres", "duckdb") else exp.Literal.number(int(value))
        if isinstance(value, (int, decimal.Decimal)):
            return self._number(format(value, "f") if isinstance(value, decimal.Decimal) else str(value))
        if isinstance(value, float):
            return self._double(value, kind)
        if isinstance(value, str):
            return self._string(value, kind)
        if isinstance(value, bytes):
            return self.bytes(value)
        text = exp.Literal.string(_text_of(value, self.dialect))
        return self._typed(text, kind)

    def _number(self, text: str) -> exp.Expr:
        if self.dialect == "postgres" and text == str(-(2**63)):
            return self._cast(exp.Literal.string(text), "bigint")  # its digits alone are beyond a bigint
        number = exp.Literal.number(text.removeprefix("-"))
        return exp.Neg(this=number) if text.startswith("-") else number

    def _double(self, value: float, kind: Kind) -> exp.Expr | None:
        if self.dialect in ("postgres", "duckdb"):
            return self._typed(exp.Literal.string(repr(value)), kind)
        if self.dialect == "sqlite" and not (value.is_integer() and abs(value) < _WHOLE):
            return None  # its reading of digits is not exact in all versions
        text = repr(value)
        return self._number(text if "e" in text or self.dialect != "mysql" else f"{text}e0")

    def _string(self, value: str, kind: Kind) -> exp.Expr | None:
        if self.dialect == "mysql":
            # As hexadecimal digits: what a backslash means is up to the session's sql_mode.
            return exp.Introducer(this="_utf8mb4", expression=exp.HexString(this=value.encode().hex()))
        if "\\" in value and self.dialect == "sqlite":
            return None  # ConnectorX takes it for an escape, whatever SQLite does
        if self.dialect != "postgres" or "\\" not in value:
            return exp.Literal.string(value)
        if kind is Kind.LOOSE:
            return None
        # What a backslash in quotes means is up to the session's standard_conforming_strings.
        backslash = exp.Anonymous(this="CHR", expressions=[exp.Literal.number(92)])
        first, *parts = value.split("\\")
        made: exp.Expr = exp.Literal.string(first)
        for part in parts:
            made = exp.DPipe(
                this=exp.DPipe(this=made, expression=backslash.copy()), expression=exp.Literal.string(part)
            )
        return exp.paren(made, copy=False)

    def bytes(self, value: bytes) -> exp.Expr:
        if not self.inline:
            return self._typed(self._placeholder(pa.scalar(value, pa.binary())), Kind.BINARY)
        if self.dialect != "postgres":
            return exp.HexString(this=value.hex())
        return exp.Anonymous(this="DECODE", expressions=[exp.Literal.string(value.hex()), exp.Literal.string("hex")])


def _text_of(value: Any, dialect: str) -> str:
    """Dates, times, UUIDs as the database reads them."""
    if isinstance(value, datetime.datetime):
        bare = value.replace(tzinfo=None).isoformat(" ")
        return bare if value.tzinfo is None or dialect == "mysql" else f"{bare}+00:00"
    return str(value)


def _parameter(value: Any, dialect: str) -> pa.Scalar:
    """As a driver takes it."""
    if isinstance(value, bool):
        return pa.scalar(int(value) if dialect in ("sqlite", "mysql") else value)
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return pa.scalar(value, pa.int64())
        return pa.scalar(str(value)) if dialect == "postgres" else pa.scalar(decimal.Decimal(value))
    if isinstance(value, decimal.Decimal):
        return pa.scalar(format(value, "f")) if dialect == "postgres" else pa.scalar(value)
    if isinstance(value, float):
        return pa.scalar(value, pa.float64())
    if isinstance(value, bytes):
        return pa.scalar(value, pa.binary())
    if dialect in ("sqlite", "mysql") or isinstance(value, uuid.UUID):
        return pa.scalar(_text_of(value, dialect))
    if isinstance(value, datetime.datetime):
        return pa.scalar(value, pa.timestamp("us", "UTC" if value.tzinfo else None))
    return pa.scalar(value, pa.time64("us")) if isinstance(value, datetime.time) else pa.scalar(value)
