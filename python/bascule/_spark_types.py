"""What Spark and Sail take of Arrow's types, and batches brought to it (docs/spark.md has the table).

Spark's types are said here as the Arrow types that PySpark wants of a data source: ``pyspark.sql.pandas.types`` makes
them Spark's own, and refuses batches of any other.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from bascule._evolve import Convert, Lossy, conversion
from bascule.errors import BasculeError, MismatchError

__all__ = ["batch_conversion", "spark_schema"]

_WIDER = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64(), pa.float16(): pa.float32()}
_AS_THEY_ARE = {
    *(pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64()),
    *(pa.string(), pa.binary(), pa.date32()),
}
_UINT64 = pa.decimal128(20, 0)
_MOST_DIGITS = 38


class _NotTaken(Exception):
    """Spark has no type for it; the text says what to cast it to."""


def spark_schema(schema: pa.Schema, label: str) -> pa.Schema:
    """The schema as Spark takes it.

    Args:
        label: of the source, for messages.

    Raises:
        BasculeError: a column's type has nothing like it there.
    """
    fields = []
    for field in schema:
        try:
            fields.append(pa.field(field.name, _taken(field), field.nullable))
        except _NotTaken as e:
            raise BasculeError(
                f"{label}: Spark has no type for column {field.name!r}, which is {field.type}{e}"
            ) from None
    _check_names(schema, label)
    return pa.schema(fields)


def _check_names(schema: pa.Schema, label: str) -> None:
    for name in schema.names:
        if len(schema.get_all_field_indices(name)) > 1:
            raise BasculeError(
                f"{label} has several columns {name!r}, which Spark can't tell apart: rename them in the class"
            )


def _taken(field: pa.Field) -> pa.DataType:
    """The Arrow type of what Spark has for a field."""
    kind, types = field.type, pa.types
    extension = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode(errors="replace")
    if isinstance(kind, pa.BaseExtensionType):
        extension, kind = kind.extension_name, kind.storage_type
    if extension == "arrow.bool8" and types.is_int8(kind):
        return pa.bool_()
    if extension == "arrow.uuid" and kind == pa.binary(16):
        return pa.string()
    if kind in _AS_THEY_ARE:
        return kind
    if kind in _WIDER:
        return _WIDER[kind]
    if types.is_uint64(kind):
        return _UINT64
    if types.is_decimal(kind):
        return _decimal(kind)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind):
        return pa.binary()
    if types.is_date64(kind):
        return pa.date32()
    if types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz is not None else None)
    if types.is_time(kind):
        raise _NotTaken(": its TIME is off by default, cast it to text or a timestamp in the class")
    if types.is_duration(kind):
        return pa.duration("us")
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return _inner(pa.field("", kind.value_type))
    if types.is_map(kind):
        key, item = _inner(kind.key_field), _inner(kind.item_field)
        return pa.map_(pa.field("key", key, False), pa.field("value", item, kind.item_field.nullable))
    if types.is_struct(kind):
        return pa.struct([pa.field(child.name, _inner(child), child.nullable) for child in kind])
    if hasattr(kind, "value_field"):  # lists of all kinds
        return pa.list_(pa.field("element", _inner(kind.value_field), kind.value_field.nullable))
    raise _NotTaken(": cast it in the class, for example to text")


def _inner(field: pa.Field) -> pa.DataType:
    try:
        return _taken(field)
    except _NotTaken as e:
        raise _NotTaken(f" (of {field.type} within it){e}" if not str(e).startswith(" (of") else str(e)) from None


def _decimal(kind: pa.DataType) -> pa.DataType:
    precision, scale = kind.precision, kind.scale
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    if precision > _MOST_DIGITS:
        raise _NotTaken(f": it has up to {_MOST_DIGITS} digits, cast it in the class")
    return pa.decimal128(precision, scale)


# ---- batches ----


def batch_conversion(got: pa.Schema, want: pa.Schema, label: str) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """How batches of a source become Spark's; the columns are the same, in the same order.

    Raises:
        BasculeError: a column's values can't be said by the wanted type.
    """
    converts: list[Convert | None] = []
    for field, wanted in zip(got, want, strict=True):
        try:
            converts.append(conversion(field.type, wanted.type, _special))
        except Lossy:
            raise BasculeError(
                f"{label}: column {field.name!r} is {field.type}, which can't become {wanted.type}: cast it in the class"
            ) from None

    def convert(batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = []
        for column, field, as_wanted in zip(batch.columns, want, converts, strict=True):
            try:
                arrays.append(column if as_wanted is None else as_wanted(column))
            except pa.ArrowInvalid as e:
                raise MismatchError(
                    f"{label}: column {field.name!r} has a value that Spark's {field.type} can't hold ({e}): cast it in the class"
                ) from None
            except pa.ArrowNotImplementedError as e:
                raise BasculeError(
                    f"{label}: pyarrow {pa.__version__} has no way from column {field.name!r}'s type, {column.type}, to {field.type} "
                    f"({e}): cast it in the class"
                ) from None
        if not arrays:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * batch.num_rows, pa.struct([])))
        return pa.RecordBatch.from_arrays(arrays, schema=want)

    return convert


def _special(got: pa.DataType, want: pa.DataType) -> Convert | None:
    """What can lose something, so that the values are looked at; and what evolving never does."""
    types = pa.types
    if isinstance(got, pa.BaseExtensionType):
        if got.extension_name == "arrow.bool8":
            return lambda array: array.storage.cast(want)
        if got.extension_name == "arrow.uuid" and types.is_string(want):
            return lambda array: pa.array([None if v is None else str(v) for v in array.to_pylist()], want)
        then = conversion(got.storage_type, want, _special)
        return lambda array: array.storage if then is None else then(array.storage)
    if types.is_int8(got) and types.is_boolean(want):  # bool8, unknown to this pyarrow
        return lambda array: array.cast(want)
    timed = (
        (types.is_timestamp(got) and types.is_timestamp(want))
        or (types.is_duration(got) and types.is_duration(want))
        or (types.is_time(got) and types.is_time(want))
        or (types.is_date64(got) and types.is_date32(want))
    )
    decimal = types.is_decimal(got) and types.is_decimal(want)
    return (lambda array: array.cast(want)) if timed or decimal else None
