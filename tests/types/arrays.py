"""Every Arrow type, and arrays of it: nulls, offsets, slices, empty, many batches, more than one of DuckDB's chunks.

``catalogue`` has the types. ``variants`` builds what a source may yield of one of them, the same at each run.
Below every null stands a value, as Arrow allows: whoever forgets the validity reads it.
"""

from __future__ import annotations

import itertools
import json
import random
import struct
from collections.abc import Callable
from typing import Any

import pyarrow as pa

#: More than one of DuckDB's chunks of 2,048 rows.
MANY = 2100

Layer = Callable[[pa.Field], pa.DataType]

# ---- leaves ----


def extension(name: str, storage: pa.DataType, metadata: str = "") -> pa.Field:
    """A field of an extension type that pyarrow doesn't know: its storage and the name, in the metadata."""
    known = {"ARROW:extension:name": name, "ARROW:extension:metadata": metadata}
    return pa.field("v", storage, metadata=known)


class Registered(pa.ExtensionType):
    """An extension type that this process registers with pyarrow, and DuckDB has never heard of."""

    def __init__(self) -> None:
        super().__init__(pa.int64(), "acme.registered")

    def __arrow_ext_serialize__(self) -> bytes:
        return b"version 1"

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> Registered:
        return cls()


PLAIN: list[pa.DataType] = [
    pa.null(),
    pa.bool_(),
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
    *(pa.string(), pa.large_string(), pa.string_view()),
    *(pa.binary(), pa.large_binary(), pa.binary_view()),
    *(pa.binary(0), pa.binary(1), pa.binary(5), pa.binary(16)),
]
DECIMALS: list[pa.DataType] = [
    *(pa.decimal32(1), pa.decimal32(4, 2), pa.decimal32(5), pa.decimal32(9, 9)),
    *(pa.decimal64(3, 1), pa.decimal64(9, 4), pa.decimal64(10), pa.decimal64(18, 6)),
    *(pa.decimal128(1), pa.decimal128(4, 2), pa.decimal128(9, 3), pa.decimal128(18), pa.decimal128(19, 4)),
    *(pa.decimal128(38), pa.decimal128(38, 38)),
    *(pa.decimal256(4, 2), pa.decimal256(38, 10), pa.decimal256(39), pa.decimal256(76, 20)),
    *(pa.decimal32(5, -2), pa.decimal128(7, -3), pa.decimal128(3, 5)),
    *(pa.decimal32(3, 5), pa.decimal64(9, 12)),
]
UNITS = ("s", "ms", "us", "ns")
ZONES = (None, "UTC", "Europe/Berlin", "America/St_Johns", "+05:30")
TEMPORAL: list[pa.DataType] = [
    *(pa.date32(), pa.date64()),
    *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    *(pa.timestamp(unit, zone) for zone in ZONES for unit in UNITS),
    *(pa.duration(unit) for unit in UNITS),
    pa.month_day_nano_interval(),
]
EXTENSIONS: dict[str, pa.DataType | pa.Field] = {
    "uuid": pa.uuid(),
    "json": pa.json_(pa.string()),
    "json over large_string": pa.json_(pa.large_string()),
    "json over string_view": pa.json_(pa.string_view()),
    "opaque": pa.opaque(pa.binary(), "geometry", "acme"),
    "opaque over a list": pa.opaque(pa.list_(pa.int32()), "path", "acme"),
    "DuckDB's hugeint": pa.opaque(pa.binary(16), "hugeint", "DuckDB"),
    "DuckDB's uhugeint": pa.opaque(pa.binary(16), "uhugeint", "DuckDB"),
    "DuckDB's time_tz": pa.opaque(pa.binary(8), "time_tz", "DuckDB"),
    "bool8": pa.bool8(),
    "fixed_shape_tensor": pa.fixed_shape_tensor(pa.float32(), [2, 3]),
    "fixed_shape_tensor of one": pa.fixed_shape_tensor(pa.int16(), [1, 1, 1], dim_names=["x", "y", "z"]),
    "registered": Registered(),
    "unknown": extension("acme.unknown", pa.int32(), "any text"),
    "unknown over a struct": extension("acme.pair", pa.struct([("a", pa.int8()), ("b", pa.string())])),
}


def duckdbs(type_name: str, storage: pa.DataType) -> pa.Field:
    """As DuckDB's own, over any storage: a field that pyarrow doesn't import."""
    return extension("arrow.opaque", storage, json.dumps({"type_name": type_name, "vendor_name": "DuckDB"}))


#: Extensions over a storage that isn't theirs: DuckDB reads bytes that are none of theirs, or says no more than the format.
MISFITS: dict[str, pa.Field] = {
    "uuid over int32": extension("arrow.uuid", pa.int32()),
    "uuid over string": extension("arrow.uuid", pa.string()),
    "uuid over binary": extension("arrow.uuid", pa.binary()),
    "uuid over binary(8)": extension("arrow.uuid", pa.binary(8)),
    "uuid over a list": extension("arrow.uuid", pa.list_(pa.int32())),
    "uuid over a struct": extension("arrow.uuid", pa.struct([("a", pa.int32())])),
    "uuid over a dictionary": extension("arrow.uuid", pa.dictionary(pa.int8(), pa.binary(16))),
    "uuid over run ends": extension("arrow.uuid", pa.run_end_encoded(pa.int32(), pa.binary(16))),
    "bool8 over int64": extension("arrow.bool8", pa.int64()),
    "bool8 over string": extension("arrow.bool8", pa.string()),
    "bool8 over a struct": extension("arrow.bool8", pa.struct([("a", pa.int32())])),
    "bool8 over a dictionary": extension("arrow.bool8", pa.dictionary(pa.int8(), pa.int8())),
    "json over int32": extension("arrow.json", pa.int32()),
    "geoarrow.wkb over string": extension("geoarrow.wkb", pa.string()),
    "variant over string": extension("arrow.parquet.variant", pa.string()),
    "hugeint over binary(8)": duckdbs("hugeint", pa.binary(8)),
    "hugeint over int32": duckdbs("hugeint", pa.int32()),
    "hugeint over string": duckdbs("hugeint", pa.string()),
    "uhugeint over binary(8)": duckdbs("uhugeint", pa.binary(8)),
    "uhugeint over a list": duckdbs("uhugeint", pa.list_(pa.int32())),
    "time_tz over binary(3)": duckdbs("time_tz", pa.binary(3)),
    "time_tz over int32": duckdbs("time_tz", pa.int32()),
    "bit over string": duckdbs("bit", pa.string()),
    "bignum over int64": duckdbs("bignum", pa.int64()),
    "uuid over string in a list": pa.field("v", pa.list_(extension("arrow.uuid", pa.string()).with_name("item"))),
    "bool8 over int64 in a struct": pa.field("v", pa.struct([extension("arrow.bool8", pa.int64()).with_name("x")])),
}

# ---- layers: what may stand around a type ----


def renamed(field: pa.Field, name: str) -> pa.Field:
    return field.with_name(name)


LAYERS: dict[str, Layer] = {
    "struct": lambda f: pa.struct([pa.field("n", pa.int32()), renamed(f, "x")]),
    "list": lambda f: pa.list_(renamed(f, "item")),
    "large_list": lambda f: pa.large_list(renamed(f, "item")),
    "list_view": lambda f: pa.list_view(renamed(f, "item")),
    "large_list_view": lambda f: pa.large_list_view(renamed(f, "item")),
    "fixed_size_list": lambda f: pa.list_(renamed(f, "item"), 3),
    "map": lambda f: pa.map_(pa.string(), renamed(f, "value")),
    "map_key": lambda f: pa.map_(renamed(f, "key").with_nullable(False), pa.int16()),
    "sparse_union": lambda f: pa.sparse_union([pa.field("n", pa.int32()), renamed(f, "x")]),
    "dense_union": lambda f: pa.dense_union([pa.field("n", pa.int32()), renamed(f, "x")]),
    "dictionary": lambda f: pa.dictionary(pa.int32(), f.type),
    "run_end_encoded": lambda f: pa.run_end_encoded(pa.int32(), f.type),
}
#: These drop the field that they stand around, and with it an unknown extension's name.
TYPE_ONLY = ("dictionary", "run_end_encoded")
#: What Arrow itself forbids, null keys, and what DuckDB does, two equal ones.
IMPOSSIBLE = {("map_key", "null"), ("map_key", "fixed_size_binary[0]")}


def wrapped(layers: tuple[str, ...], leaf: pa.DataType) -> pa.DataType:
    """``leaf`` inside ``layers``, of which the first is the outermost."""
    kind = leaf
    for layer in reversed(layers):
        kind = LAYERS[layer](pa.field("v", kind))
    return kind


def field_of(kind: pa.DataType | pa.Field) -> pa.Field:
    return kind if isinstance(kind, pa.Field) else pa.field("v", kind)


# ---- special forms of one layer ----

VARIANT = pa.struct([pa.field("metadata", pa.binary(), nullable=False), pa.field("value", pa.binary())])
ODD: dict[str, pa.DataType | pa.Field] = {
    **{f"dictionary by {i}": pa.dictionary(i, pa.string()) for i in PLAIN[2:10]},
    "ordered dictionary": pa.dictionary(pa.int8(), pa.string(), ordered=True),
    **{f"run ends of {i}": pa.run_end_encoded(i, pa.string()) for i in (pa.int16(), pa.int64())},
    "struct of nothing": pa.struct([]),
    "struct of one": pa.struct([("a", pa.int64())]),
    "struct with a field that is not nullable": pa.struct([pa.field("a", pa.int64(), nullable=False)]),
    "struct with names that need quotes": pa.struct([("a b", pa.int8()), ('"', pa.string()), ("ä", pa.bool_())]),
    "struct of many": pa.struct([(f"f{i}", t) for i, t in enumerate([*PLAIN[1:10], *PLAIN[11:], *TEMPORAL])]),
    "list of items that are not nullable": pa.list_(pa.field("item", pa.int32(), nullable=False)),
    "list with another item name": pa.list_(pa.field("element", pa.int32())),
    "fixed-size list of 1": pa.list_(pa.int32(), 1),
    "fixed-size list of 0": pa.list_(pa.int32(), 0),
    "fixed-size list of 700": pa.list_(pa.bool_(), 700),
    "map with sorted keys": pa.map_(pa.int32(), pa.string(), keys_sorted=True),
    "union of one": pa.sparse_union([pa.field("a", pa.string())]),
    "union of every plain type": pa.sparse_union([pa.field(f"f{i}", t) for i, t in enumerate(PLAIN[1:10])]),
    "union whose codes are swapped": pa.sparse_union([pa.field("a", pa.int32()), pa.field("b", pa.string())], [1, 0]),
    "union whose codes have a gap": pa.sparse_union([pa.field("a", pa.int32()), pa.field("b", pa.string())], [5, 9]),
    "DuckDB's bit": pa.opaque(pa.binary(), "bit", "DuckDB"),
    "DuckDB's bignum": pa.opaque(pa.binary(), "bignum", "DuckDB"),
    "geometry": extension("geoarrow.wkb", pa.binary(), "{}"),
    "geometry over large_binary": extension("geoarrow.wkb", pa.large_binary(), "{}"),
    "variant": extension("arrow.parquet.variant", VARIANT),
}


def short(kind: pa.DataType) -> str:
    return str(kind).replace(" ", "")


def leaves() -> dict[str, pa.Field]:
    out = {short(kind): field_of(kind) for kind in [*PLAIN, *DECIMALS, *TEMPORAL]}
    return out | {name: field_of(kind) for name, kind in EXTENSIONS.items()}


def layered_once() -> dict[str, pa.Field]:
    """Each layer around each leaf; of the time zones only two."""
    out: dict[str, pa.Field] = {}
    for layer, (name, leaf) in itertools.product(LAYERS, leaves().items()):
        zone = getattr(leaf.type, "tz", None)
        lost = leaf.metadata and layer in TYPE_ONLY
        if (layer, name) in IMPOSSIBLE or zone not in (None, "UTC", "Europe/Berlin") or lost:
            continue
        out[f"{layer}<{name}>"] = field_of(LAYERS[layer](leaf))
    return out


def nested(depth: int, leaf: pa.DataType, every: int = 1) -> dict[str, pa.Field]:
    """Every ``every``-th of the ways to put ``depth`` layers around ``leaf``; ``every`` shares no factor with 12."""
    ways = itertools.islice(itertools.product(LAYERS, repeat=depth), 0, None, every)
    return {"<".join([*layers, short(leaf)]) + ">" * depth: field_of(wrapped(layers, leaf)) for layers in ways}


def catalogue() -> dict[str, dict[str, pa.Field]]:
    """All of it in portions: each layer around each leaf, of two layers every nesting, of three to five a part."""
    out = {"leaves": leaves(), "odd": {name: field_of(kind) for name, kind in ODD.items()}}
    once = layered_once()
    for layer in LAYERS:
        out[layer] = {name: field for name, field in once.items() if name.startswith(f"{layer}<")}
    out["misfits"] = MISFITS
    out["two layers"] = nested(2, pa.string())
    out["two layers of numbers"] = nested(2, pa.int32())
    out["three layers"] = nested(3, pa.string(), 5)
    out["four layers"] = nested(4, pa.string(), 121)
    out["five layers"] = nested(5, pa.timestamp("us", "UTC"), 1283)
    return out


# ---- values of leaves ----


def integers(bits: int, signed: bool) -> list[int]:
    top = (1 << (bits - signed)) - 1
    low = -top - 1 if signed else 0
    return [0, 1, 2, 7, 42, 99, 100, top, low, top - 1]


DAY_S = 86_400
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
#: 1970, just before and after, 2000-02-29, 2262-04-10, 1680-01-01: what fits all units.
MOMENTS_S = [0, 1, -1, 951_782_400, 9_223_286_400, -9_151_488_000, 1_234_567_890, 86_399]
TEXTS = ["", "a", "ä€𝄞", "exactly 12 b", "thirteen byte", "a longer text that no view keeps inline", "x\0y", "Z"]


def pool_of(kind: pa.DataType) -> pa.Array:
    """Values of a leaf, the extremes among them; no nulls, at least two of them differ (but of a null)."""
    t = pa.types
    if t.is_null(kind):
        return pa.nulls(4)
    if t.is_boolean(kind):
        return pa.array([True, False])
    if t.is_integer(kind):
        return pa.array(integers(kind.bit_width, t.is_signed_integer(kind)), kind)
    if t.is_floating(kind):
        inf = float("inf")
        return pa.array([0.0, -0.0, 1.5, -2.25, inf, -inf, float("nan"), 1024.0, 0.000030517578125], kind)
    if t.is_fixed_size_binary(kind):
        width = kind.byte_width
        return pa.array([bytes([i * 37 % 256] * (width - 1) + [i])[-width:] if width else b"" for i in range(9)], kind)
    if t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind):
        return pa.array(TEXTS, kind)
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind):
        return pa.array([*(s.encode() for s in TEXTS), b"\xff\x00\xfe", b"\x80" * 20], kind)
    if t.is_decimal(kind):
        top = 10**kind.precision - 1
        unscaled = [0, 1, -1, 7, top, -top, top // 3]
        data = b"".join(i.to_bytes(kind.byte_width, "little", signed=True) for i in unscaled)
        return pa.Array.from_buffers(kind, len(unscaled), [None, pa.py_buffer(data)])
    return temporal_pool(kind)


def temporal_pool(kind: pa.DataType) -> pa.Array:
    t = pa.types
    if t.is_date32(kind):
        return pa.array([0, 1, -1, 11016, 106751, -105919, 2_932_896, -719_162], pa.int32()).view(kind)
    if t.is_date64(kind):
        return pa.array([s // DAY_S * DAY_S * 1000 for s in MOMENTS_S], pa.int64()).view(kind)
    if t.is_time(kind):
        per = PER_SECOND[kind.unit]
        ticks = [0, 1, 59 * per, 3600 * per - 1, 45_296 * per + per // 3, DAY_S * per - 1]
        return pa.array(ticks, pa.int32() if kind.bit_width == 32 else pa.int64()).view(kind)
    if t.is_timestamp(kind):
        per = PER_SECOND[kind.unit]
        return pa.array([s * per + i * (per // 9) for i, s in enumerate(MOMENTS_S)], pa.int64()).view(kind)
    if t.is_duration(kind):
        per = PER_SECOND[kind.unit]
        ticks = [0, 1, -1, per, -per, DAY_S * per, 400 * DAY_S * per + 1, -(7 * per) - 3, 1999]
        return pa.array(ticks, pa.int64()).view(kind)
    assert kind == pa.month_day_nano_interval(), kind
    return pa.array([(0, 0, 0), (1, 2, 3), (-1, 31, -1), (0, 0, 10**15 + 1), (1200, -400, 1999), (7, 0, 1000)], kind)


#: Bytes that are values to DuckDB, as it exports them itself: by an opaque's type or an extension's name.
OWN_VALUES: dict[str, list[Any]] = {
    "bit": [b"\x07\xfe", b"\x07\xff", b"\x05\xfd", b"\x00\xff", b"\x07\xfe\x01", b"\x05\xfdUU"],
    "bignum": [
        b"\x80\x00\x01\x00",
        b"\x80\x00\x01\x01",
        b"\x7f\xff\xfe\xfe",
        b"\x7f\xff\xf5\xea\xd2\xfd8\x1e\xb5\t\x80\x00\x00",
    ],
    "geoarrow.wkb": [struct.pack("<BIdd", 1, 1, x, y) for x, y in ((0, 0), (1.5, -2), (1e300, 3))],
    "arrow.parquet.variant": [
        {"metadata": b"\x01\x00\x00", "value": b"\x14\x01\x00\x00\x00"},
        {"metadata": b"\x01\x00\x00", "value": b"\x11text"},
        {"metadata": b"\x01\x00\x00", "value": b"\x04"},
        {"metadata": b"\x01\x02\x00\x01\x02ab", "value": b"\x02\x02\x00\x01\x00\x05\x07\x14\x01\x00\x00\x00\x05x"},
    ],
}

# ---- arrays ----


def take(pool: pa.Array, at: list[int]) -> pa.Array:
    """pyarrow's own can't take from views."""
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}.get(pool.type, pool.type)
    return pool.cast(plain).take(pa.array(at, pa.int32())).cast(pool.type)


def bits(flags: list[bool]) -> pa.Buffer:
    packed = bytearray((len(flags) + 7) // 8)
    for i, flag in enumerate(flags):
        packed[i // 8] |= flag << (i % 8)
    return pa.py_buffer(bytes(packed))


def is_simple_key(kind: pa.DataType) -> bool:
    """True where neighbours in the pool are different keys to DuckDB; else a map has one entry at most."""
    t = pa.types
    alike = t.is_floating(kind) or t.is_date64(kind) or t.is_duration(kind) or kind == pa.month_day_nano_interval()
    return not (alike or t.is_nested(kind) or t.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType))


class Builder:
    """Arrays of any type.

    ``nulls``: the share of nulls, at each level. ``pad``: every child of a nested array has an offset of so many rows.
    """

    def __init__(self, seed: str, *, nulls: float = 0.2, pad: int = 0) -> None:
        self.random = random.Random(seed)
        self.nulls = nulls
        self.pad = pad

    def validity(self, n: int, nullable: bool) -> pa.Buffer | None:
        if not (self.nulls and nullable):
            return None
        return bits([self.random.random() >= self.nulls for _ in range(n)])

    def child(self, field: pa.Field, n: int) -> pa.Array:
        return self.array(field, n + self.pad).slice(self.pad)

    def array(self, field: pa.Field, n: int) -> pa.Array:
        kind, nullable = field.type, field.nullable
        if isinstance(kind, pa.BaseExtensionType):
            return self.extension(field, n)
        name = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
        if name in OWN_VALUES and kind in (pa.binary(), pa.large_binary(), VARIANT):
            return self.own_values(name, kind, nullable, n)
        t = pa.types
        if t.is_dictionary(kind):
            return self.dictionary(field, n)
        if t.is_run_end_encoded(kind):
            return self.run_ends(field, n)
        if t.is_union(kind):
            return self.union(kind, n)
        if t.is_struct(kind):
            children = [self.child(f, n) for f in kind]
            return pa.Array.from_buffers(kind, n, [self.validity(n, nullable)], children=children)
        if t.is_fixed_size_list(kind):
            child = self.child(kind.value_field, n * kind.list_size)
            return pa.Array.from_buffers(kind, n, [self.validity(n, nullable)], children=[child])
        if t.is_nested(kind):
            return self.lists(field, n)
        return self.leaf(field, n)

    def leaf(self, field: pa.Field, n: int) -> pa.Array:
        if pa.types.is_null(field.type):
            return pa.nulls(n)
        pool = pool_of(field.type)
        filled = take(pool, self.random.choices(range(len(pool)), k=n))
        return pa.Array.from_buffers(field.type, n, [self.validity(n, field.nullable), *filled.buffers()[1:]])

    def extension(self, field: pa.Field, n: int) -> pa.Array:
        kind = field.type
        storage = pa.field("v", kind.storage_type, nullable=field.nullable)
        if kind.extension_name == "arrow.json":
            texts = ["{}", '{"a": [1, null, "ä"]}', "[]", "null", '"text"', "12345678901234567890", " [ 1 ] "]
            filled = pa.array(self.random.choices(texts, k=n), kind.storage_type)
            buffers = [self.validity(n, field.nullable), *filled.buffers()[1:]]
            made = pa.Array.from_buffers(kind.storage_type, n, buffers)
        elif getattr(kind, "type_name", "") in OWN_VALUES:
            made = self.own_values(kind.type_name, kind.storage_type, field.nullable, n)
        elif getattr(kind, "type_name", "") == "time_tz":
            # DuckDB's own packing: microseconds of the day above 24 bits of offset.
            packed = [(self.random.randrange(DAY_S * 10**6) << 24) | 57_599 for _ in range(n)]
            filled = pa.array([struct.pack("<Q", p) for p in packed], pa.binary(8))
            made = pa.Array.from_buffers(kind.storage_type, n, [self.validity(n, field.nullable), filled.buffers()[1]])
        else:
            made = self.array(storage, n)
        return pa.ExtensionArray.from_storage(kind, made)

    def own_values(self, name: str, kind: pa.DataType, nullable: bool, n: int) -> pa.Array:
        filled = pa.array(self.random.choices(OWN_VALUES[name], k=n), kind)
        children = filled.flatten() if pa.types.is_struct(kind) else None
        buffers = [self.validity(n, nullable), *filled.buffers()[1 : 1 if children else None]]
        return pa.Array.from_buffers(kind, n, buffers, children=children)

    def dictionary(self, field: pa.Field, n: int) -> pa.Array:
        kind = field.type
        size = self.random.choice((3, 5, 6, 7))  # DuckDB fails on some values where it is 2**n - 1
        values = self.child(pa.field("v", kind.value_type), size)
        indices = pa.array(self.random.choices(range(size), k=n), kind.index_type)
        buffers = [self.validity(n, field.nullable), indices.buffers()[1]]
        return pa.DictionaryArray.from_buffers(kind, n, buffers, values)

    def run_ends(self, field: pa.Field, n: int) -> pa.Array:
        kind = field.type
        ends, at = [], 0
        while at < n:
            at = min(n, at + 1 + self.random.randrange(5))
            ends.append(at)
        values = self.child(pa.field("values", kind.value_type), len(ends))
        return pa.RunEndEncodedArray.from_arrays(pa.array(ends, kind.run_end_type), values, kind)

    def union(self, kind: pa.DataType, n: int) -> pa.Array:
        members = [self.random.randrange(kind.num_fields) for _ in range(n)]
        codes = pa.array([kind.type_codes[m] for m in members], pa.int8())
        if kind.mode == "sparse":
            children = [self.child(kind.field(i), n) for i in range(kind.num_fields)]
            return pa.Array.from_buffers(kind, n, [None, codes.buffers()[1]], children=children)
        counts, offsets = [0] * kind.num_fields, []
        for m in members:
            offsets.append(counts[m])
            counts[m] += 1
        children = [self.child(kind.field(i), counts[i]) for i in range(kind.num_fields)]
        buffers = [None, codes.buffers()[1], pa.array(offsets, pa.int32()).buffers()[1]]
        return pa.Array.from_buffers(kind, n, buffers, children=children)

    def lists(self, field: pa.Field, n: int) -> pa.Array:
        kind, t = field.type, pa.types
        is_map = t.is_map(kind)
        most = 1 if is_map and not is_simple_key(kind.key_type) else 2
        sizes = [self.random.randrange(most + 1) for _ in range(n)]
        if n and most:  # lists that are all empty have tests of their own
            sizes[0] = max(sizes[0], 1)
        ends = [0, *itertools.accumulate(sizes)]
        child = self.entries(kind, sizes) if is_map else self.child(kind.value_field, ends[-1])
        wide = t.is_large_list(kind) or t.is_large_list_view(kind)
        width = pa.int64() if wide else pa.int32()
        validity = self.validity(n, field.nullable)
        if t.is_list_view(kind) or t.is_large_list_view(kind):
            return self.views(kind, n, validity, ends, sizes, child, width)
        buffers = [validity, pa.array(ends, width).buffers()[1]]
        return pa.Array.from_buffers(kind, n, buffers, children=[child])

    def views(
        self, kind: Any, n: int, validity: Any, ends: list[int], sizes: list[int], child: Any, width: Any
    ) -> pa.Array:
        """Views in any order, some of them the same rows."""
        rows = list(zip(ends, sizes, strict=False))
        if n > 4:
            rows[2], rows[4], rows[3] = rows[4], rows[2], rows[0]
        starts, lengths = pa.array([r[0] for r in rows], width), pa.array([r[1] for r in rows], width)
        return pa.Array.from_buffers(kind, n, [validity, starts.buffers()[1], lengths.buffers()[1]], children=[child])

    def entries(self, kind: Any, sizes: list[int]) -> pa.Array:
        total = sum(sizes) + self.pad
        nulls, self.nulls = self.nulls, 0
        if is_simple_key(kind.key_type):
            pool = pool_of(kind.key_type)
            keys = take(pool, [i % len(pool) for i in range(total + self.pad)]).slice(self.pad)
        else:
            keys = self.child(kind.key_field, total)
        self.nulls = nulls
        items = self.child(kind.item_field, total)
        entry = pa.struct([kind.key_field, kind.item_field])
        return pa.Array.from_buffers(entry, total, [None], children=[keys, items]).slice(self.pad)


# ---- what a source may yield ----


def batch(field: pa.Field, array: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([array], schema=pa.schema([field.with_name("v")]))


def variants(name: str, field: pa.Field, many: int = MANY) -> dict[str, list[Any]]:
    """What a partition may yield of a field: the batches of each partition, by what is special about them."""
    whole = batch(field, Builder(name).array(field, many))
    bare = batch(field, Builder(name, nulls=0).array(field, 40))
    padded = batch(field, Builder(name, pad=3).array(field, 60))
    pieces = [Builder(f"{name} {i}").array(field, n) for i, n in enumerate([1, 0, 3, 64, 2, 1, 65])]
    out: dict[str, list[Any]] = {
        "one batch": [whole],
        "no nulls": [bare],
        "a slice": [whole.slice(13, many - 20)],
        "a slice at a byte": [whole.slice(8, 16)],
        "a slice of the batch's struct": [whole.to_struct_array().slice(7, 90)],
        "children with offsets": [padded],
        "slices over children with offsets": [padded.slice(2, 20), padded.slice(22, 30)],
        "no rows": [whole.slice(0, 0)],
        "no rows of a slice": [whole.slice(9, 0)],
        "many batches": [batch(field, piece) for piece in pieces],
        "no batches": [],
    }
    if field.nullable:
        out["nulls alone"] = [batch(field, Builder(name, nulls=1).array(field, 20))]
    return out
