"""Nested columns in DuckDB: sliced, offset, encoded. Right, or refused where DuckDB's own scan fails too."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest

from testsources import Yields

N = 5000  # more than two of DuckDB's chunks
NUMBERS = pa.array(range(N))
TEXTS = pa.array([None if i % 7 == 0 else str(i) for i in range(N)])


def struct(*fields: pa.Array, mask: pa.Array | None = None) -> pa.Array:
    return pa.StructArray.from_arrays(list(fields), [f"f{i}" for i in range(len(fields))], mask=mask)


def lists(child: pa.Array, per_list: int = 1) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(range(0, len(child) + 1, per_list), pa.int32()), child)


EVERY_THIRD = pa.array([i % 3 == 0 for i in range(N)])
CASES: dict[str, pa.Array] = {
    "struct": struct(NUMBERS, TEXTS),
    "struct with nulls": struct(NUMBERS, TEXTS, mask=EVERY_THIRD),
    "struct of struct": struct(struct(NUMBERS, TEXTS), TEXTS),
    "struct of struct with nulls": struct(
        struct(NUMBERS, mask=EVERY_THIRD), mask=pa.array([i % 5 == 0 for i in range(N)])
    ),
    "struct of list": struct(lists(TEXTS)),
    "struct of map": struct(pa.MapArray.from_arrays(pa.array(range(N + 1), pa.int32()), NUMBERS, TEXTS)),
    "struct of fixed-size list": struct(pa.FixedSizeListArray.from_arrays(pa.concat_arrays([NUMBERS, NUMBERS]), 2)),
    "struct of dictionary": struct(TEXTS.dictionary_encode(), NUMBERS),
    "struct of struct of dictionary": struct(struct(TEXTS.dictionary_encode(), mask=EVERY_THIRD)),
    "union of struct of dictionary": pa.UnionArray.from_sparse(
        pa.array([i % 2 for i in range(N)], pa.int8()), [struct(TEXTS.dictionary_encode()), TEXTS]
    ),
    "list of struct of dictionary": lists(struct(TEXTS.dictionary_encode())),
    "struct of list of dictionary": struct(lists(TEXTS.dictionary_encode())),
    "struct of run-end": struct(
        pa.RunEndEncodedArray.from_arrays(pa.array([7, 2500, N], pa.int32()), pa.array([1, None, 3]))
    ),
    "struct of booleans": struct(EVERY_THIRD),
    "struct of views": struct(TEXTS.cast(pa.string_view())),
    "list of struct": lists(struct(NUMBERS)),
    "list of struct of struct": lists(struct(struct(NUMBERS))),
    "list over a sliced struct": lists(struct(struct(pa.array(range(N + 50)))).slice(50)),
    "list of list of struct": lists(lists(struct(NUMBERS, TEXTS))),
    "fixed-size list of struct": pa.FixedSizeListArray.from_arrays(struct(struct(NUMBERS)), 1),
    "fixed-size list over a sliced struct": pa.FixedSizeListArray.from_arrays(
        struct(pa.array(range(N + 9))).slice(9), 1
    ),
    "map of struct": pa.MapArray.from_arrays(pa.array(range(N + 1), pa.int32()), NUMBERS, struct(struct(NUMBERS))),
    "dictionary of list": pa.DictionaryArray.from_arrays(
        pa.array([i % 3 for i in range(N)]), pa.array([[1], [2, 2], []])
    ),
    "dictionary over slices": pa.DictionaryArray.from_arrays(
        pa.array([i % 4 for i in range(N)]), pa.array(list("xabcd")).slice(1)
    ),
    "sparse union of struct": pa.UnionArray.from_sparse(
        pa.array([i % 2 for i in range(N)], pa.int8()), [struct(NUMBERS), TEXTS]
    ),
    "list of run-end": lists(
        pa.RunEndEncodedArray.from_arrays(pa.array([7, 2500, N], pa.int32()), pa.array([1, None, 3]))
    ),
    "list of dictionary": lists(TEXTS.dictionary_encode()),
    "null": pa.nulls(N),
}


def plain(value: Any) -> Any:
    """DuckDB's Python values as pyarrow gives them: lists for tuples, maps as pairs."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def want(array: pa.Array) -> list[Any]:
    def maps(value: Any, kind: pa.DataType) -> Any:
        if value is None:
            return None
        if pa.types.is_map(kind):
            return {k: maps(v, kind.item_type) for k, v in value}
        if pa.types.is_struct(kind):
            return {f.name: maps(value[f.name], f.type) for f in kind}
        return value

    return [plain(maps(v, array.type)) for v in array.to_pylist()]


def read(con, monkeypatch, item: Any, kind: pa.DataType) -> list[Any]:
    monkeypatch.setattr(Yields, "schema", pa.schema([("v", kind), ("k", pa.int64())]))
    monkeypatch.setattr(Yields, "items", [item])
    return [plain(v) for (v,) in con.execute("SELECT v FROM python('testsources:Yields')").fetchall()]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("start", "length"), [(0, N), (8, 2000), (7, 4500), (2049, 100)])
@pytest.mark.parametrize("how", ["batch", "root"])
def test_slices_read_their_own_rows(con, monkeypatch, name, start, length, how):
    array = CASES[name]
    batch = pa.record_batch({"v": array, "k": NUMBERS})
    item = batch.slice(start, length) if how == "batch" else batch.to_struct_array().slice(start, length)
    assert read(con, monkeypatch, item, array.type) == want(array.slice(start, length))


REFUSED = {
    "fixed-size list of run-end": pa.FixedSizeListArray.from_arrays(
        pa.RunEndEncodedArray.from_arrays(pa.array([3, 6], pa.int32()), pa.array([1, 2])), 1
    ),
    "run-end of list": pa.RunEndEncodedArray.from_arrays(pa.array([3, 6], pa.int32()), pa.array([[1], [2]])),
    "run-end of struct": pa.RunEndEncodedArray.from_arrays(
        pa.array([3, 6], pa.int32()), pa.array([{"a": 1}, {"a": 2}])
    ),
    "dictionary of struct": pa.DictionaryArray.from_arrays(
        pa.array([i % 3 for i in range(6)]), pa.array([{"a": 1}] * 3)
    ),
    "dictionary of dictionary": pa.DictionaryArray.from_arrays(
        pa.array([i % 3 for i in range(6)]), pa.array(list("abc")).dictionary_encode()
    ),
    "struct of run-end of list": struct(
        pa.RunEndEncodedArray.from_arrays(pa.array([3, 6], pa.int32()), pa.array([[1], [2]]))
    ),
    "fixed-size list of dictionary": pa.FixedSizeListArray.from_arrays(pa.array(list("abcabc")).dictionary_encode(), 1),
    "dictionary of list of dictionary": pa.DictionaryArray.from_arrays(
        pa.array([0] * 6), lists(pa.array(list("abc")).dictionary_encode())
    ),
    "run-end of dictionary": pa.RunEndEncodedArray.from_arrays(
        pa.array([3, 6], pa.int32()), pa.array(["a", "b"]).dictionary_encode()
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_duckdb_reads_wrong_is_refused_at_bind(con, monkeypatch, name):
    monkeypatch.setattr(Yields, "schema", pa.schema([("v", REFUSED[name].type)]))
    monkeypatch.setattr(Yields, "items", [pa.record_batch([REFUSED[name]], names=["v"])])
    with pytest.raises(
        duckdb.InvalidInputException, match=r"DuckDB can't read column 'v' of type .*\. Cast it to .* in"
    ):
        con.execute("FROM python('testsources:Yields')")
    assert con.execute("SELECT 1").fetchall() == [(1,)], "the database lives"


def own_scan_is_right(array: pa.Array) -> bool:
    own = duckdb.connect()
    try:
        own.register("t", pa.table({"v": array}))
        return [plain(v) for (v,) in own.execute("FROM t").fetchall()] == array.to_pylist()
    except duckdb.Error:
        return False


@pytest.mark.parametrize("name", REFUSED)
def test_duckdbs_own_scan_fails_where_we_refuse(name):
    """The day this fails, the rule in engines/duckdb/types.c can go."""
    rows = pa.concat_arrays([REFUSED[name]] * 1000) if "dictionary of struct" in name else REFUSED[name]
    assert not own_scan_is_right(rows)


@pytest.mark.parametrize("rows", [*range(1, 34), 63, 64, 65, 1000, 2047, 2048, 2049, 3000, 4095, 4097])
def test_a_dictionary_inside_a_struct_is_read_at_any_length(con, monkeypatch, rows):
    """DuckDB's C API fails on a chunk whose row count is no power of two: the rows are cut."""
    array = struct(pa.array([None if i % 5 == 0 else "abc"[i % 3] for i in range(rows)]).dictionary_encode())
    assert read(con, monkeypatch, pa.record_batch({"v": array, "k": range(rows)}), array.type) == array.to_pylist()


def test_a_cut_batch_that_is_not_read_to_its_end_is_released(con, monkeypatch):
    array = struct(pa.array(["abc"[i % 3] for i in range(3001)]).dictionary_encode())
    items: list[pa.RecordBatch] = []
    monkeypatch.setattr(Yields, "schema", pa.schema([("v", array.type), ("k", pa.int64())]))
    monkeypatch.setattr(Yields, "items", items)
    before = pa.total_allocated_bytes()
    for limit in (1, 2500, 3000, 9003):
        items[:] = [pa.record_batch({"v": array, "k": range(3001)})] * 3
        assert len(con.execute(f"FROM python('testsources:Yields') LIMIT {limit}").fetchall()) == limit
        items.clear()
    assert pa.total_allocated_bytes() == before


@pytest.mark.parametrize("offsets", [[0, 0, 0], [0] * 3000 + [2]])
def test_empty_lists_over_a_dictionary_are_read(con, monkeypatch, offsets):
    values = pa.array(["a", "b"]).dictionary_encode()
    array = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    for column in (array, struct(array), array.slice(1)):
        batch = pa.record_batch({"v": column, "k": pa.array(range(len(column)))})
        assert read(con, monkeypatch, batch, column.type) == column.to_pylist()


def test_lists_over_a_dictionary_that_begin_with_a_value_are_read(con, monkeypatch):
    values = pa.array(["a", "b"]).dictionary_encode()
    array = pa.ListArray.from_arrays(pa.array([0, 1, 1, 2], pa.int32()), values)
    assert read(con, monkeypatch, pa.record_batch({"v": array, "k": [1, 2, 3]}), array.type) == [["a"], [], ["b"]]
