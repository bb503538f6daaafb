"""Every Arrow type through the core's scan: what comes out is what the class yielded, type, metadata, nulls and values."""

from __future__ import annotations

import struct
from typing import Any
from uuid import UUID

import nanoarrow as na
import pyarrow as pa
import pytest

from arrays import MANY, MISFITS, Builder, catalogue, extension, variants
from bascule._native import Source
from reading import as_batch, give, scan
from testsources import Yields
from values import decode


def importable(name: str) -> bool:
    """pyarrow imports no run-end encoding of run-end encodings, not even its own, and no extension over a wrong storage."""
    return "run_end_encoded<run_end_encoded" not in name and name not in MISFITS


FIELDS = {group: {n: f for n, f in fields.items() if importable(n)} for group, fields in catalogue().items()}
CATALOGUE = {group: fields for group, fields in FIELDS.items() if fields}


# ---- the arrays themselves ----


def all_types(kind: pa.DataType) -> set[int]:
    below = [kind.field(i).type for i in range(kind.num_fields)]
    if isinstance(kind, pa.BaseExtensionType):
        below = [kind.storage_type]
    elif pa.types.is_dictionary(kind):
        below = [kind.value_type]
    return {kind.id}.union(*(all_types(b) for b in below))


def test_the_catalogue_has_every_type_of_pyarrow():
    covered = set[int]().union(*(all_types(f.type) for fields in CATALOGUE.values() for f in fields.values()))
    names = {n: getattr(pa.lib, n) for n in dir(pa.lib) if n.startswith("Type_")}
    # pyarrow has a number for these two and no type: see test_intervals_of_months_and_of_days_and_milliseconds.
    missing = {n for n, number in names.items() if number not in covered}
    assert missing == {"Type_INTERVAL_MONTHS", "Type_INTERVAL_DAY_TIME"}


def as_pylist(value: Any, kind: pa.DataType) -> Any:
    """A value of ``decode`` in the form of ``to_pylist``."""
    t = pa.types
    if value is None:
        return None
    if isinstance(kind, pa.BaseExtensionType):
        return UUID(bytes=value) if kind.extension_name == "arrow.uuid" else as_pylist(value, kind.storage_type)
    if t.is_union(kind):
        members = {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
        return as_pylist(value[1], members[value[0]])
    if t.is_dictionary(kind) or t.is_run_end_encoded(kind):
        return as_pylist(value, kind.value_type)
    if t.is_struct(kind):
        return {f.name: as_pylist(v, f.type) for f, (_, v) in zip(kind, value, strict=True)}
    if t.is_map(kind):
        return [(as_pylist(k, kind.key_type), as_pylist(v, kind.item_type)) for k, v in value]
    return [as_pylist(v, kind.value_type) for v in value] if t.is_nested(kind) else value


@pytest.mark.parametrize("group", ["leaves", "odd", "two layers"])
def test_the_decoder_agrees_with_pyarrow(group):
    for name, field in CATALOGUE[group].items():
        # pyarrow leaves out the offset of a map's entries.
        for pad in (0,) if "map<" in str(field.type) else (0, 3):
            array = Builder(name, pad=pad).array(field, 30)
            for part in (array, array.slice(7, 20)):
                rows = decode(part, pa.Array.to_pylist)
                assert repr([as_pylist(row, field.type) for row in rows]) == repr(part.to_pylist()), name


# ---- through the scan ----


def nulls(array: pa.Array) -> list[int]:
    """Null counts, of the array and all below it."""
    if isinstance(array.type, pa.BaseExtensionType):
        return nulls(array.storage)
    children = []
    if pa.types.is_dictionary(array.type):
        children = [array.dictionary]
    elif pa.types.is_struct(array.type) or pa.types.is_union(array.type):
        children = [array.field(i) for i in range(array.type.num_fields)]
    elif pa.types.is_nested(array.type):
        children = [array.values]
    return [array.null_count, *(n for child in children for n in nulls(child))]


@pytest.mark.parametrize("group", CATALOGUE)
def test_the_scan_gives_what_the_class_yielded(group):
    many = MANY if group in ("leaves", "odd") else 75
    for name, field in CATALOGUE[group].items():
        given = variants(name, field, many)
        schema = pa.schema([field.with_name("v")])
        give(schema, list(given.values()))
        for variant, batches in zip(given, scan(), strict=True):
            want = [b for b in (as_batch(item, schema) for item in given[variant]) if b.num_rows]
            assert [b.num_rows for b in batches] == [b.num_rows for b in want], (name, variant)
            for a, b in zip(batches, want, strict=True):
                a.validate(full=True)
                assert a.schema.equals(schema, check_metadata=True), (name, variant)
                assert nulls(a.column(0)) == nulls(b.column(0)), (name, variant)
                assert decode(a.column(0)) == decode(b.column(0)), (name, variant)


@pytest.mark.parametrize("group", ["leaves", "odd", "two layers"])
def test_full_validation_passes_what_is_right(group):
    for name, field in CATALOGUE[group].items():
        give(pa.schema([field.with_name("v")]), list(variants(name, field, 75).values()))
        assert scan({"bascule_validation": "full"})


def test_intervals_of_months_and_of_days_and_milliseconds(monkeypatch):
    """pyarrow has no values of these: nanoarrow's."""
    kinds = {"m": na.Schema(na.Type.INTERVAL_MONTHS), "d": na.Schema(na.Type.INTERVAL_DAY_TIME)}
    months = na.c_array_from_buffers(kinds["m"], 3, [bytes([5]), struct.pack("<3i", 1, 0, -14)])
    days = na.c_array_from_buffers(kinds["d"], 3, [None, struct.pack("<6i", 1, 2, 3, 4, -5, -600)])
    monkeypatch.setattr(Yields, "schema", na.Schema(na.Type.STRUCT, fields=kinds))
    monkeypatch.setattr(Yields, "items", [na.c_array_from_buffers(Yields.schema, 3, [None], children=[months, days])])
    got = na.c_array_stream(Source("testsources:Yields").plan().scan().partition(0)).get_next()
    (m, d) = (child.view() for child in got.children)
    assert [child.schema.format for child in got.children] == ["tiM", "tiD"]
    assert [bytes(m.buffer(0)), bytes(m.buffer(1))] == [bytes([5]), struct.pack("<3i", 1, 0, -14)]
    assert bytes(d.buffer(1)) == struct.pack("<6i", 1, 2, 3, 4, -5, -600)


def test_metadata_of_a_batch_is_not_compared_and_the_schemas_own_stays():
    """An extension's name is part of the type, its other metadata isn't: the declared schema's is what engines see."""
    declared = pa.schema([extension("acme.unknown", pa.int32(), "declared").with_name("v")], {"table": "declared"})
    yielded = pa.schema([extension("acme.unknown", pa.int32(), "other").with_name("v")], {"table": "other"})
    give(declared, [[pa.record_batch([pa.array([1, None], pa.int32())], schema=yielded)]])
    ((batch,),) = scan()
    assert batch.schema.equals(declared, check_metadata=True)
    assert batch.column(0).to_pylist() == [1, None]


def test_another_extension_is_another_type():
    declared = pa.schema([extension("acme.unknown", pa.int32()).with_name("v")])
    for other in (pa.field("v", pa.int32()), extension("acme.other", pa.int32()), pa.field("v", pa.bool8())):
        column = (
            pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1], pa.int8())) if other.type == pa.bool8() else [1]
        )
        give(declared, [[pa.record_batch([column], schema=pa.schema([other]))]])
        with pytest.raises((OSError, pa.ArrowException), match=r"column 'v' is .*, but infer_schema said"):
            scan()
