"""The columns: as SQL declares them, or as a sample of records has them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from bascule import BasculeError, OptionError
from bascule.sources._json import Number

__all__ = ["Sample", "declared_schema", "is_double", "named"]

_TYPES = {
    "TINYINT": pa.int8(), "SMALLINT": pa.int16(), "INT": pa.int32(), "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(), "USMALLINT": pa.uint16(), "UINT": pa.uint32(), "UBIGINT": pa.uint64(),
    "FLOAT": pa.float32(), "DOUBLE": pa.float64(), "BOOLEAN": pa.bool_(), "DATE": pa.date32(), "TIME": pa.time64("us"),
    "TEXT": pa.string(), "VARCHAR": pa.string(), "CHAR": pa.string(), "INT128": pa.decimal128(38, 0),
    "TIMESTAMP": pa.timestamp("us"), "TIMESTAMPNTZ": pa.timestamp("us"), "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
}  # fmt: skip
_NAMES = {
    pa.int8(): "TINYINT", pa.int16(): "SMALLINT", pa.int32(): "INTEGER", pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT", pa.uint16(): "USMALLINT", pa.uint32(): "UINTEGER", pa.uint64(): "UBIGINT",
    pa.float32(): "FLOAT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN", pa.date32(): "DATE", pa.time64("us"): "TIME",
    pa.string(): "VARCHAR", pa.timestamp("us"): "TIMESTAMP", pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
}  # fmt: skip
_EXACT_INT = 1 << 53


def named(kind: pa.DataType) -> str:
    """The type as SQL has it."""
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    return _NAMES.get(kind) or ("STRUCT" if pa.types.is_struct(kind) else "MAP" if pa.types.is_map(kind) else "list")


def declared_schema(text: str, extra: str = "rest") -> pa.Schema:
    """The columns of ``id BIGINT, tags VARCHAR[], address STRUCT(street VARCHAR)``, in DuckDB's types.

    Args:
        extra: of the source that asks: what to install where sqlglot is missing.

    Raises:
        OptionError: it is no list of columns, or names a type that is not among them.
    """
    try:
        from sqlglot import exp

        from bascule.sources._ddl import column_defs
    except ModuleNotFoundError:
        raise BasculeError(
            f"option 'schema' needs sqlglot, which is not installed: pip install 'bascule[{extra}]'"
        ) from None

    def typed(name: str, kind: Any) -> pa.DataType:
        word = kind.this.value if isinstance(kind.this, exp.DataType.Type) else ""
        inner = kind.expressions
        if word == "DECIMAL":
            precision, scale = (*(int(e.name) for e in inner), 0)[:2]
            if 0 < precision <= 38 and scale <= precision:
                return pa.decimal128(precision, scale)
        elif word == "STRUCT" and inner and all(isinstance(e, exp.ColumnDef) and e.kind for e in inner):
            return pa.struct([(e.name, typed(f"{name}.{e.name}", e.kind)) for e in inner])
        elif word in ("ARRAY", "LIST") and len(inner) == 1:
            return pa.list_(typed(f"{name}[]", inner[0]))
        elif word == "MAP" and len(inner) == 2 and typed(name, inner[0]) == pa.string():
            return pa.map_(pa.string(), typed(f"{name}[]", inner[1]))
        elif word in _TYPES:
            return _TYPES[word]
        raise OptionError(
            f"option 'schema' gives '{name}' the type {kind.sql('duckdb')}, which is not among those that JSON is read as: "
            "BOOLEAN, TINYINT to BIGINT, UTINYINT to UBIGINT, HUGEINT, FLOAT, DOUBLE, DECIMAL(p, s), VARCHAR, DATE, TIME, "
            "TIMESTAMP, TIMESTAMPTZ, T[], STRUCT(name T), MAP(VARCHAR, T)"
        )

    columns = column_defs(text, "duckdb")
    if not columns or any(c.constraints for c in columns):
        raise OptionError(
            "option 'schema' is no list of names and types: write id BIGINT, name VARCHAR, tags VARCHAR[], "
            "address STRUCT(street VARCHAR)"
        )
    names = [c.name for c in columns]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise OptionError(f"option 'schema' names '{twice}' twice")
    return pa.schema([(c.name, typed(c.name, c.kind)) for c in columns])


def is_double(text: str) -> bool:
    """Whether a double is that number: what it prints as has its value."""
    value = float(text)
    if abs(value) == float("inf"):
        return False
    # Every number of 15 digits is what its double prints as; an exponent may leave a double's range.
    return (len(text) <= 16 and "e" not in text.lower()) or Decimal(repr(value)) == Decimal(text)


class Sample:
    """What some values have in common, value by value."""

    def __init__(self) -> None:
        self.leaves: set[str] = set()
        self.items: Sample | None = None
        self.fields: dict[str, Sample] | None = None

    def add(self, value: Any) -> None:
        """Takes note of one more."""
        if value is None:
            return
        if isinstance(value, dict):
            self.fields = {} if self.fields is None else self.fields
            for name, item in value.items():
                self.fields.setdefault(name, Sample()).add(item)
        elif isinstance(value, list):
            self.items = self.items or Sample()
            for item in value:
                self.items.add(item)
        elif isinstance(value, Number):
            self.leaves.add("double" if is_double(value) else "digits")
        elif isinstance(value, int) and not isinstance(value, bool):
            size = "int" if abs(value) <= _EXACT_INT else "long" if -(1 << 63) <= value < 1 << 63 else "digits"
            self.leaves.add(size)
        else:
            self.leaves.add(type(value).__name__)

    def type(self) -> pa.DataType:
        """The type that holds them all; text where none does."""
        nested = (self.items is not None) + bool(self.fields)
        if nested and not self.leaves and not (nested == 2 or (self.items and self.fields is not None)):
            return pa.list_(self.items.type()) if self.items else pa.struct(self._typed())
        if not nested and self.fields is None:
            if self.leaves == {"bool"}:
                return pa.bool_()
            if self.leaves and self.leaves <= {"int", "long"}:
                return pa.int64()
            if self.leaves and self.leaves <= {"int", "double"}:
                return pa.float64()
        return pa.string()

    def _typed(self) -> list[tuple[str, pa.DataType]]:
        return [(name, sample.type()) for name, sample in (self.fields or {}).items()]

    @classmethod
    def schema(cls, records: Iterable[dict[str, Any]]) -> pa.Schema:
        """The columns of some records, in the order in which they come. Of no records: none."""
        sample = cls()
        for record in records:
            sample.add(record)
        return pa.schema(sample._typed())
