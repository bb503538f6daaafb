"""Predicates as a session's ``row_restriction``, in GoogleSQL.

Ours are DuckDB's: NaN equals itself and is above all, strings compare by their UTF-8 bytes. GoogleSQL: a comparison with NaN
is false, strings compare by the column's collation, of which the Arrow schema says nothing.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from bascule.filters import (
    EqualNullSafe,
    EqualTo,
    Exactness,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNotNull,
    IsNull,
    LessThan,
    LessThanOrEqual,
    StringPredicate,
    StringStartsWith,
)
from bascule.filters._sql_rules import IN_LIMIT, Kind
from bascule.filters._translate import NO, Translated, translate

__all__ = ["restriction"]

_ORDERS: dict[type[Filter], str] = {GreaterThan: ">", GreaterThanOrEqual: ">=", LessThan: "<", LessThanOrEqual: "<="}
_MICROSECOND = datetime.timedelta(microseconds=1)
#: The service takes a restriction of 1 MB.
_LONGEST = 500_000


def restriction(filters: Iterable[Filter], schema: pa.Schema) -> tuple[str | None, bool]:
    """SQL that is true for every row that all predicates are true for, None for no such; whether it is true for no other."""
    said, is_exact, length = [], True, 0
    for each in filters:
        made = translate(each, lambda node: _leaf(node, schema), _joined(" AND "), _joined(" OR "), "(NOT {})".format)
        if made.expression is not None:
            length += len(made.expression.encode())
        if made.expression is None or length > _LONGEST:
            is_exact = False
            continue
        said.append(made.expression)
        is_exact = is_exact and made.exactness is Exactness.EXACT
    return " AND ".join(said) or None, is_exact


def _joined(word: str) -> Any:
    return lambda parts: f"({word.join(parts)})"


def _leaf(node: Filter, schema: pa.Schema) -> Translated[str]:
    name = getattr(node, "column", None)
    i = schema.get_field_index(name) if isinstance(name, str) else -1
    if i < 0 or "`" in schema.names[i] or "\\" in schema.names[i]:
        return NO
    field, column = schema.field(i), f"`{name}`"
    if isinstance(node, (IsNull, IsNotNull)):
        # An array is never NULL there: what was stored as NULL is read as empty.
        return NO if pa.types.is_list(field.type) else _exact(_null(column, isinstance(node, IsNull)))
    kind = _kind(field)
    if kind is None:
        return NO
    if isinstance(node, StringPredicate):
        return _starts(node, column, kind)
    if isinstance(node, In):
        return _in(node, column, kind)
    literal = getattr(node, "literal", None)
    if literal is None:
        return NO
    if isinstance(node, EqualNullSafe) and not literal.is_valid:
        return _exact(_null(column, True))
    value = _value(literal, kind, field.type)
    if value is None:
        return NO
    if type(node) in _ORDERS:
        return _exact(_order(_ORDERS[type(node)], column, kind, value))
    if not isinstance(node, (EqualTo, EqualNullSafe)):
        return NO
    made = _equal(column, kind, value)
    return _exact(f"({made} AND {_null(column, False)})" if isinstance(node, EqualNullSafe) else made)


def _exact(text: str) -> Translated[str]:
    return Translated(text, Exactness.EXACT)


def _null(column: str, is_null: bool) -> str:
    return f"({column} IS {'' if is_null else 'NOT '}NULL)"


def _in(node: In, column: str, kind: Kind) -> Translated[str]:
    given = [scalar for scalar in node.literals if scalar.is_valid]
    found = [_value(scalar, kind, scalar.type) for scalar in given]
    if not found or len(found) > IN_LIMIT or any(value is None for value in found):
        return NO
    # x IN (1, NULL) is NULL where ours without the NULL is false: for NOT, that is another row.
    exactness = Exactness.EXACT if len(given) == len(node.literals) else Exactness.SUPERSET
    if kind in (Kind.INSTANT, Kind.FOLDED):
        return Translated(f"({' OR '.join(_equal(column, kind, value) for value in found)})", exactness)
    return Translated(f"{column} IN ({', '.join(_written(value, kind) for value in found)})", exactness)


def _starts(node: StringPredicate, column: str, kind: Kind) -> Translated[str]:
    value = _value(pa.scalar(node.value), kind, pa.string())
    if not isinstance(node, StringStartsWith) or kind is not Kind.FOLDED or value is None:
        return NO
    return _exact(f"STARTS_WITH(CAST({column} AS BYTES), {_bytes(value.encode())})")


def _equal(column: str, kind: Kind, value: Any) -> str:
    if kind is Kind.FOLDED:
        # The first one, which a collation makes true for more, if anything, prunes blocks.
        return f"({column} = {_text(value)} AND CAST({column} AS BYTES) = {_bytes(value.encode())})"
    if kind is Kind.INSTANT:
        return f"({column} >= {_written(value, kind)} AND {column} < {_written(value + _MICROSECOND, kind)})"
    return f"{column} = {_written(value, kind)}"


def _order(compare: str, column: str, kind: Kind, value: Any) -> str:
    if kind is Kind.FOLDED:
        return f"CAST({column} AS BYTES) {compare} {_bytes(value.encode())}"
    if kind is Kind.INSTANT and compare in (">", "<="):
        # TIMESTAMP(12) comes without its picoseconds: all that is read as this microsecond.
        compare, value = ">=" if compare == ">" else "<", value + _MICROSECOND
    made = f"{column} {compare} {_written(value, kind)}"
    return f"({made} OR IS_NAN({column}))" if kind is Kind.FLOAT and compare in (">", ">=") else made


def _kind(field: pa.Field) -> Kind | None:
    """How a column compares; None: it is of a type that doesn't, or not so."""
    kind, extension = field.type, (field.metadata or {}).get(b"ARROW:extension:name", b"")
    if isinstance(kind, pa.BaseExtensionType) or extension not in (b"", b"google:sqlType:datetime"):
        return None  # JSON, GEOGRAPHY, INTERVAL, RANGE
    if pa.types.is_timestamp(kind):
        if kind.unit != "us":
            return None
        return Kind.INSTANT if kind.tz else Kind.TIMESTAMP
    tests = (
        (pa.types.is_int64, Kind.INTEGER),
        (pa.types.is_float64, Kind.FLOAT),
        (pa.types.is_boolean, Kind.BOOLEAN),
        (pa.types.is_string, Kind.FOLDED),
        (pa.types.is_binary, Kind.BINARY),
        (pa.types.is_date32, Kind.DATE),
        (pa.types.is_time64, Kind.TIME),
        (pa.types.is_decimal128, Kind.DECIMAL),
        (pa.types.is_decimal256, Kind.DECIMAL),
    )
    return next((found for test, found in tests if test(kind)), None)


def _value(scalar: pa.Scalar, kind: Kind, type_: pa.DataType) -> Any | None:
    from bascule.filters._sql_values import fitted

    value = fitted(scalar, kind, "other")
    if isinstance(value, decimal.Decimal):
        # NUMERIC has 29 digits before the point and 9 behind it, and is compared with BIGNUMERIC as that.
        shown = format(value.normalize(decimal.Context(prec=76)), "f")
        whole, _, fraction = shown.lstrip("-").partition(".")
        return value if len(whole) <= 29 and len(fraction) <= 9 else None
    if isinstance(value, datetime.datetime) and value.replace(tzinfo=None) > datetime.datetime(9999, 12, 31):
        return None  # no microsecond is after the last one
    return value


def _written(value: Any, kind: Kind) -> str:
    """A literal of GoogleSQL."""
    if kind is Kind.BOOLEAN:
        return "TRUE" if value else "FALSE"
    if kind is Kind.BINARY:
        return _bytes(value)
    if kind is Kind.DECIMAL:
        return f"NUMERIC '{format(value.normalize(decimal.Context(prec=76)), 'f')}'"
    if kind is Kind.INSTANT:
        return f"TIMESTAMP '{value.replace(tzinfo=None).isoformat(' ', 'microseconds')}+00'"
    if kind is Kind.TIMESTAMP:
        return f"DATETIME '{value.isoformat(' ', 'microseconds')}'"
    if kind in (Kind.DATE, Kind.TIME):
        return f"{kind.name} '{value.isoformat()}'"
    return repr(value)


def _text(value: str) -> str:
    for character, escape in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(character, escape)
    return f"'{value}'"


def _bytes(value: bytes) -> str:
    return "b'" + "".join(f"\\x{byte:02x}" for byte in value) + "'"
