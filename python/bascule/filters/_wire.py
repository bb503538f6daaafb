"""Predicates as bytes, from and to the core. src/filter/filter.h is the reference."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from bascule.filters import _tree
from bascule.filters._tree import And, Comparison, Filter, In, IsNotNull, IsNull, Not, Or, StringPredicate

__all__ = ["dump", "load"]

#: ``enum bsc_filter_kind``.
_KINDS: dict[int, type[Filter]] = {
    1: And,
    2: Or,
    3: Not,
    4: _tree.EqualTo,
    5: _tree.EqualNullSafe,
    6: _tree.GreaterThan,
    7: _tree.GreaterThanOrEqual,
    8: _tree.LessThan,
    9: _tree.LessThanOrEqual,
    10: In,
    11: IsNull,
    12: IsNotNull,
    13: _tree.StringStartsWith,
    14: _tree.StringEndsWith,
    15: _tree.StringContains,
}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}

#: Formats of the C Data Interface, of types without parameters.
_FORMATS = {
    "n": pa.null(),
    "b": pa.bool_(),
    "c": pa.int8(),
    "C": pa.uint8(),
    "s": pa.int16(),
    "S": pa.uint16(),
    "i": pa.int32(),
    "I": pa.uint32(),
    "l": pa.int64(),
    "L": pa.uint64(),
    "e": pa.float16(),
    "f": pa.float32(),
    "g": pa.float64(),
    "u": pa.string(),
    "z": pa.binary(),
    "tdD": pa.date32(),
    "tdm": pa.date64(),
    "tts": pa.time32("s"),
    "ttm": pa.time32("ms"),
    "ttu": pa.time64("us"),
    "ttn": pa.time64("ns"),
    "tDs": pa.duration("s"),
    "tDm": pa.duration("ms"),
    "tDu": pa.duration("us"),
    "tDn": pa.duration("ns"),
}
#: Those that only columns have.
_COLUMN_FORMATS = {"U": pa.large_string, "Z": pa.large_binary, "vu": pa.string_view, "vz": pa.binary_view}
_OF_TYPE = {str(kind): text for text, kind in _FORMATS.items()}
_UNITS = {"s": "s", "m": "ms", "u": "us", "n": "ns"}


# ---- reading ----


def load(data: bytes) -> tuple[Filter, ...]:
    """The predicates that the core wrote (``bsc__filters_put``), joined by AND.

    Literals get the type of their column where they keep their value; else they stay.
    """
    reader = _Reader(data)
    return tuple(reader.filter() for _ in range(reader.number()))


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        (value,) = struct.unpack_from("<I", self._data, self._at)
        self._at += 4
        return int(value)

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self) -> bytes:
        length = self.number()
        self._at += length
        return self._data[self._at - length : self._at]

    def filter(self) -> Filter:
        kind: Any = _KINDS[self._byte()]
        if kind in (And, Or, Not):
            children = [self.filter() for _ in range(self.number())]
            return kind(*children)  # type: ignore[no-any-return]
        column = self._bytes().decode("utf-8", "replace")
        type_ = _type_of_column(self._bytes().decode())
        literals = [self._literal() for _ in range(self.number())]
        if kind in (IsNull, IsNotNull):
            return kind(column)  # type: ignore[no-any-return]
        if issubclass(kind, StringPredicate):
            return kind(column, literals[0].as_py())  # type: ignore[no-any-return]
        literals = [_cast(scalar, type_) for scalar in literals]
        return kind(column, literals if kind is In else literals[0])  # type: ignore[no-any-return]

    def _literal(self) -> pa.Scalar:
        type_ = type_of_format(self._bytes().decode())
        if not self._byte():
            return pa.scalar(None, type_)
        return _from_bytes(self._bytes(), type_)


def _type_of_column(text: str) -> pa.DataType | None:
    """The type of a column's values; None where it isn't said, or is none of a scalar."""
    if text in _COLUMN_FORMATS:
        return _COLUMN_FORMATS[text]()
    try:
        return type_of_format(text)
    except ValueError:
        return None


def type_of_format(text: str) -> pa.DataType:
    """The scalar type of a format of the C Data Interface."""
    if text in _FORMATS:
        return _FORMATS[text]
    if text.startswith("d:"):
        precision, scale, *bits = (int(part) for part in text[2:].split(","))
        return pa.decimal256(precision, scale) if bits == [256] else pa.decimal128(precision, scale)
    if text.startswith("w:"):
        return pa.binary(int(text[2:]))
    if text.startswith("ts") and text[3:4] == ":":
        return pa.timestamp(_UNITS[text[2]], text[4:] or None)
    raise ValueError(f"{text!r} is no format of a literal")


def _from_bytes(value: bytes, type_: pa.DataType) -> pa.Scalar:
    if pa.types.is_boolean(type_):
        return pa.scalar(value != b"\0", type_)
    if type_ == pa.string():
        return pa.scalar(value.decode("utf-8", "replace"), type_)
    if type_ == pa.binary():
        return pa.scalar(value, type_)
    return pa.Array.from_buffers(type_, 1, [None, pa.py_buffer(value)])[0]


def _cast(scalar: pa.Scalar, type_: pa.DataType | None) -> pa.Scalar:
    """The literal in the type of its column, where that keeps its value."""
    if type_ is None or scalar.type == type_:
        return scalar
    try:
        cast = scalar.cast(type_)
        return cast if cast.cast(scalar.type).equals(scalar) else scalar
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return scalar


# ---- writing ----


def dump(filters: Iterable[Filter]) -> bytes:
    """Predicates, joined by AND, as the core reads them.

    Raises:
        ValueError: one has a literal whose type the core has no word for, or is an IN of no value.
    """
    return _joined([_said(filter) for filter in filters])


def sayable(filters: Iterable[Filter]) -> tuple[tuple[Filter, ...], bytes]:
    """Those predicates that the core has words for, and those words."""
    said, words = [], []
    for filter in filters:
        try:
            if _depth(filter) > _MOST_DEPTH:
                continue
            words.append(_said(filter))
        except (ValueError, RecursionError):
            continue
        said.append(filter)
    return tuple(said), _joined(words)


def _said(filter: Filter) -> bytes:
    out = bytearray()
    _put(out, filter)
    return bytes(out)


def _joined(words: list[bytes]) -> bytes:
    return struct.pack("<I", len(words)) + b"".join(words)


#: As src/filter/filter.c reads them, below the AND that joins all.
_MOST_DEPTH = 60


def _depth(filter: Filter) -> int:
    children = (filter.child,) if isinstance(filter, Not) else getattr(filter, "children", ())
    return 1 + max(map(_depth, children), default=0)


def _put(out: bytearray, filter: Filter) -> None:
    out.append(_NUMBERS[type(filter)])
    if isinstance(filter, (And, Or, Not)):
        children = (filter.child,) if isinstance(filter, Not) else filter.children
        out += struct.pack("<I", len(children))
        for child in children:
            _put(out, child)
        return
    literals: tuple[pa.Scalar, ...] = ()
    if isinstance(filter, Comparison):
        literals = (filter.literal,)
    elif isinstance(filter, In):
        literals = filter.literals
        if not literals:
            raise ValueError("an IN of no value can't be told to a source")
    elif isinstance(filter, StringPredicate):
        literals = (pa.scalar(filter.value),)
    out += _str(filter.columns[0].encode("utf-8", "surrogatepass"))
    out += _str(b"")  # the core knows the column's type
    out += struct.pack("<I", len(literals))
    for scalar in literals:
        _put_literal(out, scalar)


def _str(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def _put_literal(out: bytearray, scalar: pa.Scalar) -> None:
    scalar = _plain(scalar)
    out += _str(format_of(scalar.type).encode())
    out.append(scalar.is_valid)
    if scalar.is_valid:
        out += _str(_to_bytes(scalar))


def _plain(scalar: pa.Scalar) -> pa.Scalar:
    """The literal in one of the types that literals have."""
    type_ = scalar.type
    if pa.types.is_dictionary(type_):
        return _plain(pa.scalar(None, type_.value_type) if not scalar.is_valid else scalar.value)
    if pa.types.is_large_string(type_) or str(type_) == "string_view":
        return scalar.cast(pa.string())
    if pa.types.is_large_binary(type_) or str(type_) == "binary_view":
        return scalar.cast(pa.binary())
    if str(type_).startswith(("decimal32", "decimal64")):
        return scalar.cast(pa.decimal128(type_.precision, type_.scale))
    return scalar


def format_of(type_: pa.DataType) -> str:
    """The format of a scalar type. Raises ValueError for one that literals don't have."""
    plain = _OF_TYPE.get(str(type_))
    if plain is not None:
        return plain
    if pa.types.is_timestamp(type_):
        return f"ts{type_.unit[0]}:{type_.tz or ''}"
    if pa.types.is_decimal128(type_):
        return f"d:{type_.precision},{type_.scale}"
    if pa.types.is_decimal256(type_):
        return f"d:{type_.precision},{type_.scale},256"
    if pa.types.is_fixed_size_binary(type_):
        return f"w:{type_.byte_width}"
    raise ValueError(f"a literal of type {type_} can't be told to a source")


def _to_bytes(scalar: pa.Scalar) -> bytes:
    type_ = scalar.type
    if pa.types.is_boolean(type_):
        return bytes([scalar.as_py()])
    if type_ == pa.string():
        return bytes(scalar.as_py().encode("utf-8", "surrogatepass"))
    if type_ == pa.binary():
        return bytes(scalar.as_py())
    array = pa.array([scalar], type_)
    width = type_.bit_width // 8
    return bytes(array.buffers()[1])[array.offset * width : (array.offset + 1) * width]
