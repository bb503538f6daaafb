"""Which types DuckDB 2.0.0 can't read, and what to cast them to: engines/duckdb/types.c said once more, in pyarrow's terms."""

from __future__ import annotations

import json

import nanoarrow as na
import pyarrow as pa

#: nanoarrow's own of a binary of 0 bytes; Bascule's build lets it pass.
NO_BYTES = "[invalid: Expected size > 0 for fixed size binary but found size 0]"


def describe(field: pa.Field) -> str:
    """A type as Bascule's messages write it."""
    text = na.c_schema(field)._to_string(recursive=True)
    text = text.replace(NO_BYTES, "fixed_size_binary(0)")
    return "null" if text == "na" else str(text)


def castable(field: pa.Field) -> pa.Field:
    """A field that DuckDB reads, for the same values; the field itself where DuckDB reads that."""
    while (other := mended(field)) is not field:
        field = other
    return field


def mended(field: pa.Field, *, in_fixed: bool = False, of_fixed: bool = False) -> pa.Field:
    """One turn of it. ``in_fixed``: the field is somewhere in a fixed-size list; ``of_fixed``: it is the item of one."""
    if is_misfit(field):
        return field.remove_metadata()
    kind, t = field.type, pa.types
    if (t.is_dictionary(kind) and is_bad_dictionary(kind, in_fixed)) or (
        t.is_run_end_encoded(kind) and (of_fixed or is_bad_run_end(kind))
    ):
        kind = kind.value_type

    def below(inner: pa.Field) -> pa.Field:
        return mended(inner, in_fixed=in_fixed)

    if t.is_float16(kind):
        kind = pa.float32()
    elif t.is_decimal(kind):
        kind = decimal(kind)
    elif isinstance(kind, pa.BaseExtensionType):
        storage = mended(pa.field("v", kind.storage_type)).type
        assert storage == kind.storage_type, "the catalogue has no extension of a refused type"
    elif t.is_dictionary(kind):
        kind = pa.dictionary(kind.index_type, below(pa.field("v", kind.value_type)).type, kind.ordered)
    elif t.is_run_end_encoded(kind):
        kind = pa.run_end_encoded(kind.run_end_type, below(pa.field("v", kind.value_type)).type)
    elif t.is_union(kind):
        kind = pa.sparse_union([below(kind.field(i)) for i in range(kind.num_fields)])
    elif t.is_struct(kind):
        kind = pa.struct([below(f) for f in kind])
    elif t.is_map(kind):
        kind = pa.map_(below(kind.key_field), below(kind.item_field), keys_sorted=kind.keys_sorted)
    elif t.is_fixed_size_list(kind):
        kind = pa.list_(mended(kind.value_field, in_fixed=True, of_fixed=True), kind.list_size)
    elif t.is_nested(kind):
        make = {"l": pa.list_, "L": pa.large_list, "vl": pa.list_view, "vL": pa.large_list_view}
        kind = make[na.c_schema(kind).format[1:]](below(kind.value_field))
    return field if kind.equals(field.type, check_metadata=True) else field.with_type(kind)


#: What an extension must be over, by its name or, of DuckDB's own, its type's.
TEXT = (pa.string(), pa.large_string(), pa.string_view())
BYTES = (pa.binary(), pa.large_binary(), pa.binary_view())
STORAGES = {
    "arrow.uuid": (pa.binary(16),),
    "arrow.bool8": (pa.int8(),),
    "arrow.json": TEXT,
    "geoarrow.wkb": BYTES,
    "hugeint": (pa.binary(16),),
    "uhugeint": (pa.binary(16),),
    "time_tz": (pa.binary(8),),
    "bit": BYTES,
    "bignum": BYTES,
}


def is_misfit(field: pa.Field) -> bool:
    """An extension that pyarrow doesn't know as such, over a storage that isn't its own."""
    metadata = field.metadata or {}
    name = metadata.get(b"ARROW:extension:name", b"").decode()
    if name == "arrow.opaque":
        name = json.loads(metadata[b"ARROW:extension:metadata"])["type_name"]
    if name == "arrow.parquet.variant":
        return not pa.types.is_struct(field.type)
    return name in STORAGES and field.type not in STORAGES[name]


def decimal(kind: pa.DataType) -> pa.DataType:
    if kind.bit_width < 256 and 0 <= kind.scale <= 38:
        return kind
    precision, scale = kind.precision - min(kind.scale, 0), max(kind.scale, 0)
    precision = max(precision, scale)
    return pa.decimal128(precision, scale) if precision <= 38 else pa.float64()


def has_dictionary(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return has_dictionary(kind.storage_type)
    return pa.types.is_dictionary(kind) or any(has_dictionary(kind.field(i).type) for i in range(kind.num_fields))


def is_bad_dictionary(kind: pa.DataType, in_fixed: bool) -> bool:
    values = kind.value_type
    stored = values.storage_type if isinstance(values, pa.BaseExtensionType) else values
    inner = pa.types.is_struct(stored) or pa.types.is_fixed_size_list(stored)
    return (in_fixed and values != kind.index_type) or has_dictionary(values) or (inner and is_taken_as_is(stored))


def is_taken_as_is(kind: pa.DataType) -> bool:
    """True where a buffer becomes DuckDB's own, in a leaf or in one below structs and fixed-size lists."""
    t = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.opaque":
            return kind.vendor_name == "DuckDB" or is_taken_as_is(kind.storage_type)
        return kind.extension_name != "arrow.bool8" and is_taken_as_is(kind.storage_type)
    if t.is_struct(kind) or t.is_fixed_size_list(kind):
        return any(is_taken_as_is(kind.field(i).type) for i in range(kind.num_fields))
    if t.is_decimal(kind):
        digits = max(kind.precision, kind.scale)
        return digits > 4 and kind.bit_width == (32 if digits <= 9 else 64 if digits <= 18 else 128)
    if t.is_timestamp(kind):
        return kind.tz is None or kind.unit in ("us", "ns")
    return bool(t.is_integer(kind) or t.is_float32(kind) or t.is_float64(kind) or t.is_date32(kind))


def is_bad_run_end(kind: pa.DataType) -> bool:
    values = kind.value_type
    if isinstance(values, pa.BaseExtensionType):
        return pa.types.is_nested(values.storage_type) or getattr(values, "type_name", "") == "uhugeint"
    return bool(pa.types.is_nested(values) or pa.types.is_dictionary(values))
