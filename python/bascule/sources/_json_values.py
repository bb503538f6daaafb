"""From JSON values to Arrow, each exactly, or with an error that says where it is and what to do."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from bascule.sources._json import Number, encode, kind_of, shortened
from bascule.sources._json_schema import is_double, named

__all__ = ["Misfit", "Rows"]

Converter = Callable[[Any], Any]
_LARGEST_FLOAT = 3.4028234663852886e38
_TOO_FINE = re.compile(r"[.,]\d{6}\d*[1-9]")
_WRITTEN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class Misfit(ValueError):
    """A value that is none of its column's type."""

    def __init__(self, record: int, path: str, value: Any, kind: pa.DataType, why: str) -> None:
        super().__init__(record, path, why)
        self.record = record
        shown = f"{kind_of(value)}, {shortened(value)}" if value is not None else "null"
        self.text = f"'{path}' is {shown}, which is no {named(kind)}{why and f': {why}'}"


class Rows:
    """Makes record batches of records.

    Args:
        schema: the table's.
        is_given: by the user: then texts are read as numbers, and fractions rounded to a DOUBLE or FLOAT.
    """

    def __init__(self, schema: pa.Schema, is_given: bool) -> None:
        self.schema = schema
        self._is_given = is_given
        self._converters = {field.name: self._converter(field.type) for field in schema}

    def batch(self, records: Sequence[dict[str, Any]], names: Iterable[str]) -> pa.RecordBatch:
        """The records as a batch of some columns. Raises Misfit."""
        fields = [self.schema.field(name) for name in names]
        return pa.RecordBatch.from_arrays(
            [self._array([record.get(f.name) for record in records], f) for f in fields], schema=pa.schema(fields)
        )

    def _array(self, values: list[Any], field: pa.Field) -> pa.Array:
        convert = self._converters[field.name]
        try:
            return pa.array([None if v is None else convert(v) for v in values], field.type)
        except (ValueError, OverflowError, TypeError):  # those of pyarrow are such
            for i, value in enumerate(values):
                if (misfit := self._look(value, field.type, field.name)) is not None:
                    raise Misfit(i, *misfit) from None
            raise

    def _look(self, value: Any, kind: pa.DataType, path: str) -> tuple[str, Any, pa.DataType, str] | None:
        """The innermost part of a value that doesn't fit."""
        if value is None:
            return None
        try:
            pa.array([self._converter(kind)(value)], kind)
        except (ValueError, OverflowError, TypeError) as e:
            parts: list[tuple[Any, pa.DataType, str]] = []
            if pa.types.is_struct(kind) and isinstance(value, dict):
                parts = [(value.get(f.name), f.type, f"{path}.{f.name}") for f in kind]
            elif pa.types.is_list(kind) and isinstance(value, list):
                parts = [(item, kind.value_type, f"{path}[{i}]") for i, item in enumerate(value)]
            elif pa.types.is_map(kind) and isinstance(value, dict):
                parts = [(item, kind.item_type, f"{path}.{key}") for key, item in value.items()]
            inner = next((found for part in parts if (found := self._look(*part))), None)
            return inner or (path, value, kind, _worded(e))
        return None

    def _converter(self, kind: pa.DataType) -> Converter:
        """What makes a value that pyarrow takes for the type; raises ValueError, with the reason."""
        if pa.types.is_struct(kind):
            fields = [(f.name, self._converter(f.type)) for f in kind]
            return lambda v: {n: None if (x := v.get(n)) is None else c(x) for n, c in fields} if _is(v, dict) else None
        if pa.types.is_list(kind):
            item = self._converter(kind.value_type)
            return lambda v: [None if x is None else item(x) for x in v] if _is(v, list) else None
        if pa.types.is_map(kind):
            item = self._converter(kind.item_type)
            return lambda v: [(k, None if x is None else item(x)) for k, x in v.items()] if _is(v, dict) else None
        if pa.types.is_integer(kind):
            return self._integer(kind)
        if pa.types.is_floating(kind):
            return self._floating(kind)
        if pa.types.is_decimal(kind):
            return self._decimal(kind.precision, kind.scale)
        if pa.types.is_timestamp(kind):
            return _timestamp_utc if kind.tz else _timestamp
        return {pa.string(): _text, pa.bool_(): self._boolean, pa.date32(): _date, pa.time64("us"): _time}[kind]

    def _is_number(self, value: Any) -> bool:
        kind = type(value)
        return kind is int or kind is Number or (self._is_given and kind is str)

    def _integer(self, kind: pa.DataType) -> Converter:
        signed = pa.types.is_signed_integer(kind)
        low, high = (-(1 << kind.bit_width - 1), 1 << kind.bit_width - 1) if signed else (0, 1 << kind.bit_width)
        size = "DECIMAL(38, 0) or VARCHAR" if kind.bit_width == 64 else "BIGINT"

        def convert(value: Any) -> int:
            if type(value) is not int:
                if not self._is_number(value):
                    raise ValueError
                number = _number(value)
                if number != number.to_integral_value():
                    raise ValueError("it has a fraction; declare it DOUBLE or DECIMAL by option 'schema'")
                value = int(number) if number.adjusted() < 40 else 1 << 200
            if not low <= value < high:
                raise ValueError(f"it is beyond that; declare it {size} by option 'schema'")
            return int(value)

        return convert

    def _floating(self, kind: pa.DataType) -> Converter:
        is_single = kind.bit_width == 32

        def convert(value: Any) -> float:
            if not self._is_number(value):
                raise ValueError
            if type(value) is str:
                _number(value)
            try:
                number = float(value)
            except OverflowError:
                number = float("inf")
            if abs(number) == float("inf") or (is_single and abs(number) > _LARGEST_FLOAT):
                raise ValueError("it is beyond that; declare it VARCHAR by option 'schema'")
            if number != value if type(value) is int else not self._is_given and not is_double(value):
                raise ValueError("it has more digits than that holds; declare it DECIMAL or VARCHAR by option 'schema'")
            return number

        return convert

    def _decimal(self, precision: int, scale: int) -> Converter:
        def convert(value: Any) -> Decimal:
            if not self._is_number(value):
                raise ValueError
            number = Decimal(value) if type(value) is int else _number(value)
            _, digits, exponent = number.as_tuple()
            assert isinstance(exponent, int)
            zeros = len(digits) - len(str(int("".join(map(str, digits)))).rstrip("0")) if any(digits) else 0
            if number and (exponent + zeros < -scale or number.adjusted() >= precision - scale):
                raise ValueError(
                    "it has more digits than that holds; declare it larger, or VARCHAR, by option 'schema'"
                )
            return number if number else Decimal(0)

        return convert

    def _boolean(self, value: Any) -> bool:
        if type(value) is bool:
            return value
        if self._is_given and type(value) is str and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise ValueError


def _is(value: Any, kind: type) -> bool:
    if type(value) is not kind:
        raise ValueError
    return True


def _number(value: str) -> Decimal:
    if not _WRITTEN.fullmatch(value):
        raise ValueError
    try:
        return Decimal(value)
    except InvalidOperation:  # an exponent beyond all bounds
        raise ValueError from None


def _text(value: Any) -> str:
    return value if type(value) is str else str(value) if type(value) is Number else encode(value)


def _moment(value: Any) -> datetime.datetime:
    if type(value) is not str:
        raise ValueError("a time is read from ISO 8601 text; declare it BIGINT or DOUBLE by option 'schema'")
    if _TOO_FINE.search(value):
        raise ValueError("it is finer than a microsecond; declare it VARCHAR by option 'schema'")
    return datetime.datetime.fromisoformat(value)


def _timestamp(value: Any) -> datetime.datetime:
    moment = _moment(value)
    return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)


def _timestamp_utc(value: Any) -> datetime.datetime:
    moment = _moment(value)
    if moment.tzinfo is None:
        raise ValueError("it has no time zone; declare it TIMESTAMP by option 'schema'")
    return moment.astimezone(datetime.UTC)


def _date(value: Any) -> datetime.date:
    if type(value) is not str:
        raise ValueError
    return datetime.date.fromisoformat(value)


def _time(value: Any) -> datetime.time:
    if type(value) is not str:
        raise ValueError
    if _TOO_FINE.search(value):
        raise ValueError("it is finer than a microsecond; declare it VARCHAR by option 'schema'")
    time = datetime.time.fromisoformat(value)
    if time.tzinfo is not None:
        raise ValueError("it has a time zone; declare it VARCHAR by option 'schema'")
    return time


def _worded(error: Exception) -> str:
    """The reason, where it says more than that the value doesn't fit."""
    if isinstance(error, UnicodeEncodeError):
        return "it has half of a surrogate pair, which is no character"
    text = str(error)
    return text if "option 'schema'" in text else ""
