"""The values of an Arrow array as plain Python, the same for every type that may hold them.

A decoder by columns: exact where Python's own objects are not (nanoseconds, NaN, the sign of a zero, a union's member), and
fast. tests/types/test_scan.py compares it with pyarrow's ``to_pylist``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pyarrow as pa

PER_TICK_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
DAY_MS = 86_400_000
Leaf = Callable[[pa.Array], list[Any]]


def leaf(array: pa.Array) -> list[Any]:
    kind, t = array.type, pa.types
    if t.is_floating(kind):
        return [v if v and v == v else (None if v is None else repr(v)) for v in array.to_pylist()]
    if t.is_date32(kind):
        return array.view(pa.int32()).to_pylist()  # type: ignore[no-any-return]
    if t.is_date64(kind):
        return [None if v is None else v // DAY_MS for v in array.view(pa.int64()).to_pylist()]
    if t.is_time32(kind) or t.is_time64(kind) or t.is_timestamp(kind) or t.is_duration(kind):
        ticks = array.view(pa.int32() if kind.bit_width == 32 else pa.int64()).to_pylist()
        per = PER_TICK_NS[kind.unit]
        if t.is_duration(kind):
            return [None if v is None else (0, 0, v * per) for v in ticks]
        return [None if v is None else v * per for v in ticks]
    if kind == pa.month_day_nano_interval():
        return [None if v is None else tuple(v) for v in array.to_pylist()]
    return array.to_pylist()  # type: ignore[no-any-return]


def in_microseconds(array: pa.Array) -> list[Any]:
    """The leaves as DuckDB keeps them: its intervals have microseconds, cut off towards zero."""
    values = leaf(array)
    if array.type in (pa.duration("ns"), pa.month_day_nano_interval()):
        return [None if v is None else (*v[:2], (abs(v[2]) // 1000) * (1000 if v[2] > 0 else -1000)) for v in values]
    return values


def decode(array: pa.Array, leaf: Leaf = leaf) -> list[Any]:
    """Moments and times in nanoseconds, dates in days, intervals as (months, days, nanoseconds), maps as pairs,
    structs as (name, value) pairs, a union's value with its member's name."""
    kind, t = array.type, pa.types
    if isinstance(kind, pa.BaseExtensionType):
        stored = decode(array.storage, leaf)
        return [v if v is None else bool(v) for v in stored] if kind.extension_name == "arrow.bool8" else stored
    if t.is_dictionary(kind):
        values = decode(array.dictionary, leaf)
        return [None if i is None else values[i] for i in array.indices.to_pylist()]
    if t.is_run_end_encoded(kind):
        return runs(array, leaf)
    if t.is_union(kind):
        return union(array, leaf)
    if t.is_nested(kind):
        rows = nested(array, leaf)
        return rows if array.null_count == 0 else masked(rows, array)
    return leaf(array)


def masked(rows: list[Any], array: pa.Array) -> list[Any]:
    return [row if valid else None for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)]


def runs(array: pa.Array, leaf: Leaf) -> list[Any]:
    values, out = decode(array.values, leaf), []
    for value, end in zip(values, array.run_ends.to_pylist(), strict=True):
        out += [value] * (end - len(out))
    return out[array.offset : array.offset + len(array)]


def union(array: pa.Array, leaf: Leaf) -> list[Any]:
    kind, n = array.type, len(array)

    def plain(kind: pa.DataType, buffer: int) -> list[int]:
        """pyarrow's own type_codes and offsets forget the offset of a slice."""
        column = pa.Array.from_buffers(kind, n, [None, array.buffers()[buffer]], offset=array.offset)
        return column.to_pylist()  # type: ignore[no-any-return]

    members = [kind.type_codes.index(code) for code in plain(pa.int8(), 1)]
    columns = [decode(array.field(i), leaf) for i in range(kind.num_fields)]
    names = [kind.field(i).name for i in range(kind.num_fields)]
    at = range(n) if kind.mode == "sparse" else plain(pa.int32(), 2)
    rows = [(m, columns[m][i]) for m, i in zip(members, at, strict=True)]
    return [None if value is None else (names[m], value) for m, value in rows]


def nested(array: pa.Array, leaf: Leaf) -> list[Any]:
    kind, t, n = array.type, pa.types, len(array)
    if t.is_struct(kind):
        columns = [decode(array.field(i), leaf) for i in range(kind.num_fields)]
        names = [field.name for field in kind]
        return [tuple(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] if columns else [()] * n
    if t.is_fixed_size_list(kind):
        size = kind.list_size
        child = decode(array.values.slice(array.offset * size, n * size), leaf)
        return [child[i * size : (i + 1) * size] for i in range(n)]
    child = decode(array.values, leaf)
    offsets = array.offsets.to_pylist()
    if t.is_list_view(kind) or t.is_large_list_view(kind):
        return [child[at : at + size] for at, size in zip(offsets, array.sizes.to_pylist(), strict=True)]
    rows = [child[start:end] for start, end in itertools.pairwise(offsets)]
    return [[(key[1], item[1]) for key, item in row] for row in rows] if t.is_map(kind) else rows
