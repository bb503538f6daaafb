"""Columns as expressions of Arrow compute can compare them.

Dictionaries are decoded, views and fixed-size bytes are cast to the large types, which have every kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from bascule.filters._order import extension_name, family, ticks

__all__ = ["Column", "column_of", "decoded", "has"]

Expression: TypeAlias = pc.Expression


@dataclass(frozen=True)
class Column:
    """A column as comparisons see it."""

    field: Expression
    type: pa.DataType
    family: str

    def has(self, function: str) -> bool:
        """Whether this pyarrow can evaluate a function of the column."""
        return has(self.type, function)

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


def column_of(name: str, schema: pa.Schema) -> Column | None:
    """A column decoded; None where there is no such column, or where it can't be decoded."""
    indices = schema.get_all_field_indices(name)
    if len(indices) != 1:
        return None
    type_, field, kind = schema.field(indices[0]).type, pc.field(name), ""
    found = decoded(type_)
    if found is None or not _casts(type_, found):
        return None
    if found != type_:
        field = field.cast(found, safe=False)
    while isinstance(type_, pa.DictionaryType):
        type_ = type_.value_type
    if extension_name(type_) == "arrow.bool8":
        field, found = field != pa.scalar(0, pa.int8()), pa.bool_()
    kind = "uuid" if extension_name(type_) == "arrow.uuid" else family(found)
    return Column(field, found, kind)


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
    if types.is_date64(type_):
        return pa.date32()  # DuckDB drops what is beyond the day.
    if types.is_decimal(type_) and type_.bit_width < 128:
        return pa.decimal128(type_.precision, type_.scale)
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
    return from_ == to or _runs(from_, lambda _: pc.field("x").cast(to, safe=False).is_valid())


_PROBES: dict[str, Callable[[pa.DataType], Expression]] = {
    "less": lambda type_: pc.field("x") < pa.scalar(None, type_),
    "is_in": lambda type_: pc.field("x").isin(pa.array([], type_)),
    "is_null": lambda _: pc.field("x").is_null(),
    "starts_with": lambda _: pc.starts_with(pc.field("x"), "a"),
    "ends_with": lambda _: pc.ends_with(pc.field("x"), "a"),
    "match_substring": lambda _: pc.match_substring(pc.field("x"), "a"),
}


def has(type_: pa.DataType, function: str) -> bool:
    return _runs(type_, _PROBES[function])
