"""Nulls in fields that are not nullable, at every depth: found where a reader meets one, and only there."""

from __future__ import annotations

import random
import re
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from arrays import Builder, catalogue
from reading import give, scan
from values import decode

CATALOGUE = catalogue()


def restrict(field: pa.Field, rnd: random.Random) -> pa.Field:
    """The same field where some, at any depth, are not nullable: those of the same buffers."""
    kind, t = field.type, pa.types

    def below(inner: pa.Field) -> pa.Field:
        return restrict(inner, rnd)

    if t.is_struct(kind):
        kind = pa.struct([below(f) for f in kind])
    elif t.is_map(kind):
        kind = pa.map_(restrict(kind.key_field, rnd).with_nullable(False), below(kind.item_field))
    elif t.is_union(kind):
        # Its members stay nullable: ``decode`` does not say which one a null is of.
        make = pa.sparse_union if kind.mode == "sparse" else pa.dense_union
        kind = make([below(kind.field(i)).with_nullable(True) for i in range(kind.num_fields)], kind.type_codes)
    elif t.is_dictionary(kind):
        kind = pa.dictionary(kind.index_type, restrict(pa.field("v", kind.value_type), rnd).type)
    elif t.is_run_end_encoded(kind):
        kind = pa.run_end_encoded(kind.run_end_type, restrict(pa.field("v", kind.value_type), rnd).type)
    elif t.is_fixed_size_list(kind):
        kind = pa.list_(below(kind.value_field), kind.list_size)
    elif t.is_nested(kind):
        kind = {
            t.is_list: pa.list_,
            t.is_large_list: pa.large_list,
            t.is_list_view: pa.list_view,
            t.is_large_list_view: pa.large_list_view,
        }[next(test for test in (t.is_list, t.is_large_list, t.is_list_view, t.is_large_list_view) if test(kind))](
            below(kind.value_field)
        )
    return pa.field(field.name, kind, nullable=field.nullable and rnd.random() < 0.6)


def has_forbidden_null(field: pa.Field, value: Any, strict: bool = False) -> bool:
    """The same by value, as ``decode`` has it."""
    kind, t = field.type, pa.types
    strict = strict or not field.nullable
    if value is None:
        return strict
    if isinstance(kind, pa.BaseExtensionType):
        return has_forbidden_null(pa.field("v", kind.storage_type), value, strict)
    if t.is_union(kind):
        members = {kind.field(i).name: kind.field(i) for i in range(kind.num_fields)}
        return has_forbidden_null(members[value[0]], value[1], strict)
    if t.is_dictionary(kind) or t.is_run_end_encoded(kind):
        return has_forbidden_null(pa.field("v", kind.value_type), value, strict)
    if t.is_struct(kind):
        return any(has_forbidden_null(f, v) for f, (_, v) in zip(kind, value, strict=True))
    if t.is_map(kind):
        pairs = [((kind.key_field, k), (kind.item_field, v)) for k, v in value]
        return any(has_forbidden_null(f, v) for pair in pairs for f, v in pair)
    if t.is_nested(kind):
        return any(has_forbidden_null(kind.value_field, v) for v in value)
    return False


def as_type(array: pa.Array, field: pa.Field) -> pa.Array:
    """The same buffers under another nullability."""
    return pa.Array._import_from_c_capsule(field.__arrow_c_schema__(), array.__arrow_c_array__()[1])


def found() -> bool:
    try:
        scan()
    except (OSError, pa.ArrowException) as e:
        said = str(e)
    else:
        return False
    assert re.search(r"column 'v' has a null, but infer_schema said that '\w*' is not nullable", said), said
    return True


@pytest.mark.parametrize("group", ["leaves", "two layers", "three layers", "five layers"])
def test_a_null_is_found_where_a_reader_meets_one(group):
    outcomes = []
    for name, field in CATALOGUE[group].items():
        if "run_end_encoded<run_end_encoded" in name:  # pyarrow can't import it
            continue
        for turn, (rows, nulls) in enumerate([(1, 0.5), (3, 0.1), (8, 0.02), (40, 0.01)]):
            rnd = random.Random(f"{name} {turn}")
            strict = restrict(field.with_name("v"), rnd)
            array = Builder(f"{name} {turn}", nulls=nulls, pad=turn).array(field, rows + 2).slice(1, rows)
            array = as_type(array, strict)
            give(pa.schema([strict]), [[pa.record_batch([array], schema=pa.schema([strict]))]])
            outcomes.append(any(has_forbidden_null(strict, value) for value in decode(array)))
            assert found() == outcomes[-1], (name, turn, strict, array.to_pylist() if rows < 9 else "")
    assert 0.1 < sum(outcomes) / len(outcomes) < 0.9, "both are among them"


INT = pa.field("n", pa.int64(), nullable=False)
UNION = pa.UnionArray.from_sparse(
    pa.array([0, 1, 0], pa.int8()), [pa.array([1, None, None]), pa.array([None, None, "a"])], ["n", "t"]
)
MESSAGES = {
    "the item": (pa.list_(INT), [[1, 2], None, [3, None]], "n"),
    "a map's value": (pa.map_(pa.string(), INT), [[("a", 1)], [("b", None)]], "n"),
    "a struct's field in a list": (pa.list_(pa.struct([INT])), [[{"n": 1}], [None, {"n": None}]], "n"),
    "a union's member": (pa.sparse_union([INT, pa.field("t", pa.string())]), UNION, "n"),
    "a struct beside null structs": (pa.struct([INT]), [None, {"n": 1}, {"n": None}], "n"),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_the_message_names_the_column_and_the_field(con, case):
    kind, values, name = MESSAGES[case]
    array = values if isinstance(values, pa.Array) else pa.array(values, nullable(kind))
    array = as_type(array, pa.field("v", kind))
    schema = pa.schema([("v", kind)])
    give(schema, [[pa.record_batch([array.slice(0, len(array) - 1)], schema=schema)]])
    assert len(con.execute("FROM python('reading:Parts')").fetchall()) == len(values) - 1
    give(schema, [[pa.record_batch([array], schema=schema)]])
    with pytest.raises(duckdb.Error) as e:
        con.execute("FROM python('reading:Parts')")
    assert (
        str(e.value)
        .splitlines()[0]
        .endswith(
            f"reading:Parts, partition 0 of 1, batch 0: column 'v' has a null, but infer_schema said that '{name}' is not "
            "nullable. Yield no nulls, or declare the field nullable"
        )
    )


def nullable(kind: pa.DataType) -> pa.DataType:
    """The type with every field nullable."""
    if pa.types.is_struct(kind):
        return pa.struct([f.with_type(nullable(f.type)).with_nullable(True) for f in kind])
    if pa.types.is_map(kind):
        return pa.map_(kind.key_type, kind.item_field.with_nullable(True))
    if pa.types.is_list(kind):
        return pa.list_(pa.field("n", nullable(kind.value_type)))
    return kind
