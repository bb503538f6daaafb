"""``bascule_schema_mode = 'evolve'``: each rule, over every engine."""

from __future__ import annotations

import datetime
import decimal
import sys
import types
import uuid
from typing import Any

import pyarrow as pa
import pytest

from bascule import MismatchError, _evolve
from conformance.conftest import engine_of
from conformance.engines import ENGINES, Engine
from testsources import Yields

EVOLVE = {"bascule_schema_mode": "evolve"}


@pytest.fixture(params=[name for name in ENGINES if name.startswith(("native", "duckdb", "table"))])
def engine(request: pytest.FixtureRequest) -> Engine:
    """The rules are the bridge's, before any library: those that have no list views, or no such messages, show nothing."""
    return engine_of(request.param)


@pytest.fixture
def read(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    """Items yielded under a schema -> the rows that the engine reads."""
    handmade = types.ModuleType("handmade")  # can't be imported: the class goes to workers with what it yields
    monkeypatch.setitem(sys.modules, "handmade", handmade)

    def read(schema: pa.Schema, *items: Any, columns: list[str] | None = None, **options: str) -> list[dict[str, Any]]:
        made = {"schema": schema, "items": list(items), "__module__": "handmade"}
        monkeypatch.setattr(handmade, "Yields", type("Yields", (Yields,), made), raising=False)
        return engine.read("handmade:Yields", {**EVOLVE, **options}, columns).to_pylist()

    return read


@pytest.fixture
def fails(engine: Engine, read):
    def fails(schema: pa.Schema, *items: Any, **more: Any) -> str:
        with pytest.raises(engine.fails_with) as e:
            read(schema, *items, **more)
        assert "handmade:Yields, partition 0 of 1, batch" in str(e.value)
        return str(e.value)

    return fails


AB = pa.schema([("a", pa.int64()), ("b", pa.string())])


def test_strict_is_the_default(engine, read):
    with pytest.raises(engine.fails_with, match="column 'a' is int8, but infer_schema said int64"):
        read(AB, pa.record_batch({"a": pa.array([1], pa.int8()), "b": ["x"]}), bascule_schema_mode="strict")


def test_equal_batches_are_handed_on_as_they_are():
    batch = pa.record_batch([[1, 2], ["x", None]], schema=AB)
    assert next(_evolve.conform(iter([batch]), AB, None)) is batch


def test_a_missing_column_is_null(read):
    assert read(AB, pa.record_batch({"a": [1, 2]})) == [{"a": 1, "b": None}, {"a": 2, "b": None}]


def test_an_extra_column_is_left_out(read):
    assert read(AB, pa.record_batch({"zz": [9], "b": ["x"], "a": [1]})) == [{"a": 1, "b": "x"}]


def test_a_batch_without_any_of_the_columns_has_its_rows(read):
    # Made where they are yielded: pickled they have no rows.
    nothing = lambda: pa.record_batch({"zz": [1, 2, 3]}).select([])  # noqa: E731
    table = lambda: pa.table({"zz": [1, 2]}).select([])  # noqa: E731
    assert read(AB, nothing, table) == [{"a": None, "b": None}] * 5


def test_batches_may_change_from_one_to_the_next(read):
    items = [
        pa.record_batch([[1], ["x"]], schema=AB),
        pa.record_batch({"b": ["y"]}),
        pa.table({"b": pa.array(["z"]).dictionary_encode(), "a": pa.array([3], pa.uint32())}),
        pa.record_batch([[4], ["w"]], schema=AB).to_struct_array(),
        pa.Table.from_batches([pa.record_batch([[5], [None]], schema=AB)]),
    ]
    want = [(1, "x"), (None, "y"), (3, "z"), (4, "w"), (5, None)]
    assert [(r["a"], r["b"]) for r in read(AB, *items)] == want
    assert [r["b"] for r in read(AB, *items, columns=["b"])] == [b for _, b in want]


def test_a_missing_column_of_which_pyarrow_makes_no_nulls_is_an_error(fails):
    kind = pa.list_(pa.run_end_encoded(pa.int32(), pa.string()))
    said = fails(pa.schema([("a", pa.int64()), ("r", kind)]), pa.record_batch({"a": [1, 2]}))
    assert "column 'r' is missing, and no nulls can be made of list<item: run_end_encoded" in said
    assert "Traceback" not in said


def test_a_missing_column_that_may_not_be_null_is_an_error(fails):
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False), ("b", pa.string())])
    message = fails(schema, pa.record_batch({"b": ["x"]}))
    assert "batch 0: column 'a' is missing, and infer_schema said that it is not nullable" in message


def test_a_missing_column_whose_name_is_there_in_another_case_is_an_error(fails):
    message = fails(AB, pa.record_batch([[1], ["x"]], schema=AB), pa.record_batch({"A": [1], "b": ["x"]}))
    assert "batch 1: column 'a' is missing, but the batch has 'A': names differ by case" in message


def test_a_null_in_a_field_that_may_not_be_null_is_still_an_error(fails):
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    assert "column 'a' has a null" in fails(schema, pa.record_batch({"a": pa.array([1, None], pa.int8())}))


def test_columns_of_one_name_are_matched_by_position():
    schema = pa.schema([("a", pa.int64()), ("b", pa.string()), ("a", pa.string())])
    item = pa.RecordBatch.from_arrays([pa.array([1], pa.int8()), pa.array(["x"]), pa.array([7])], ["a", "a", "a"])
    plan = list(_evolve.conform(iter([item]), schema, None))
    assert [column.to_pylist() for column in plan[0].columns] == [[1], [None], ["x"]]


def test_only_asked_columns_are_converted(read):
    item = pa.record_batch({"a": pa.array([1.5]), "b": ["x"]})
    assert read(AB, item, columns=["b"]) == [{"b": "x"}]


def test_what_is_not_arrow_is_said_as_in_strict(engine, read):
    with pytest.raises(engine.fails_with, match="read_partition yielded a dict, expected a record batch"):
        read(AB, {"a": 1})


def test_what_the_class_raises_is_said_as_in_strict(engine):
    with pytest.raises(engine.fails_with, match="partition 1 of 2: read_partition raised OSError: the disk is on fire"):
        engine.read("testsources:ReadRaises", EVOLVE, None)


def test_an_unknown_mode_lists_the_modes(engine, read):
    with pytest.raises(engine.fails_with, match=r"bascule_schema_mode = 'loose' is not among its choices: 'strict'"):
        read(AB, bascule_schema_mode="loose")


def test_a_broken_array_is_an_error_before_it_is_converted(fails):
    """Else pyarrow would follow its numbers."""
    offsets = pa.py_buffer(b"".join(i.to_bytes(4, "little") for i in (0, 5, 2)))
    broken = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"ab")])
    item = pa.StructArray.from_arrays([broken], ["b"])
    said = fails(pa.schema([("b", pa.large_string())]), item)
    assert "its arrays break the rules of Arrow: " in said
    assert "Offset invariant failure" in said


def test_a_reader_is_converted_batch_by_batch():
    reader = pa.RecordBatchReader.from_batches(AB, [pa.record_batch([[i], ["x"]], schema=AB) for i in range(3)])
    want = pa.schema([("a", pa.float64()), ("c", pa.int8())])
    with pytest.raises(MismatchError, match="batch 0: column 'a' is int64, but infer_schema said double"):
        list(_evolve.conform(iter([reader]), want, None))
    want = pa.schema([("a", pa.decimal128(20, 0))])
    batches = list(_evolve.conform(iter([reader]), want, None))
    assert [batch.to_pylist() for batch in batches] == [[{"a": D(i)}] for i in (1, 2)], "the first was read above"


# ---- types ----

D = decimal.Decimal
DAY = datetime.date(2026, 1, 31)
AT = datetime.datetime(2026, 1, 31, 12, 30, 15)
TEXTS, BYTES = ["a", None, "", "ünï" * 9], [b"a", None, b"", b"\0\xff" * 9]
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]


def extremes(kind: pa.DataType) -> list[int | None]:
    signed = pa.types.is_signed_integer(kind)
    return [-(2 ** (kind.bit_width - 1)) if signed else 0, 2 ** (kind.bit_width - signed) - 1, None]


@pytest.mark.parametrize("got", INTEGERS, ids=str)
@pytest.mark.parametrize(
    "want",
    [*INTEGERS, pa.float16(), pa.float32(), pa.float64(), *(pa.decimal128(p, s) for p in (5, 10, 20) for s in (0, 2))],
    ids=str,
)
def test_an_integer_widens_exactly_where_its_extremes_and_their_neighbours_fit(got, want):
    lowest, highest, _ = extremes(got)
    near = [lowest, lowest + 1, highest - 1, highest]
    if pa.types.is_floating(want):
        mantissa = {16: 11, 32: 24, 64: 53}[want.bit_width]
        fits = all(-(2**mantissa) <= v <= 2**mantissa for v in near)
    elif pa.types.is_decimal(want):
        fits = all(len(str(abs(v))) <= want.precision - want.scale for v in near)
    else:
        low, high, _ = extremes(want)
        fits = low <= lowest and highest <= high
    if not fits:
        with pytest.raises(_evolve.Lossy):
            _evolve.conversion(got, want)
        return
    convert = _evolve.conversion(got, want)
    array = pa.array([*near, None], got)
    assert (array if convert is None else convert(array)).to_pylist() == [*near, None]


WIDENED: dict[str, tuple[pa.Array, pa.DataType, list[Any]]] = {
    "null": (pa.nulls(2), pa.list_(pa.int8()), [None, None]),
    "integer": (pa.array([1, None, -128], pa.int8()), pa.int64(), [1, None, -128]),
    "unsigned": (pa.array([2**32 - 1], pa.uint32()), pa.int64(), [2**32 - 1]),
    "integer to float": (pa.array([2**31 - 1, None], pa.int32()), pa.float64(), [2.0**31 - 1, None]),
    "integer to decimal": (pa.array([-(2**63)]), pa.decimal128(21, 2), [D("-9223372036854775808.00")]),
    "float": (pa.array([0.5, None], pa.float32()), pa.float64(), [0.5, None]),
    "decimal": (pa.array([D("1.5"), None], pa.decimal128(5, 1)), pa.decimal128(38, 10), [D("1.5000000000"), None]),
    "text": (pa.array(TEXTS), pa.large_string(), TEXTS),
    "text to view": (pa.array(TEXTS), pa.string_view(), TEXTS),
    "text from view": (pa.array(TEXTS, pa.string_view()), pa.string(), TEXTS),
    "bytes": (pa.array(BYTES), pa.large_binary(), BYTES),
    "fixed bytes": (pa.array([b"ab", None], pa.binary(2)), pa.binary(), [b"ab", None]),
    "time": (pa.array([datetime.time(1, 2, 3), None], pa.time32("s")), pa.time64("us"), [datetime.time(1, 2, 3), None]),
    "timestamp": (pa.array([AT, None], pa.timestamp("s")), pa.timestamp("us"), [AT, None]),
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), pa.string(), ["a", None, "a"]),
    "dictionary to wider values": (pa.array([1, None], pa.int8()).dictionary_encode(), pa.int64(), [1, None]),
    "null in a dictionary": (
        pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int8()), pa.array(["a", None])),
        pa.string(),
        [None, "a", None],
    ),
    "sliced dictionary": (pa.array(list("abcab")).dictionary_encode().slice(3), pa.string(), ["a", "b"]),
    "dictionary of structs": (
        pa.DictionaryArray.from_arrays(pa.array([1, 0]), pa.array([{"x": 1}, {"x": 2}])),
        pa.struct([("x", pa.int64())]),
        [{"x": 2}, {"x": 1}],
    ),
    "runs": (
        pa.RunEndEncodedArray.from_arrays(pa.array([2, 5], pa.int32()), pa.array(["a", None])).slice(1, 3),
        pa.string(),
        ["a", None, None],
    ),
    "runs of lists": (
        pa.RunEndEncodedArray.from_arrays(pa.array([2, 5], pa.int16()), pa.array([[1], None])).slice(1),
        pa.list_(pa.int64()),
        [[1], None, None, None],
    ),
    "list": (
        pa.array([[1], None, [], [2, None]], pa.list_(pa.int8())).slice(1),
        pa.list_(pa.int64()),
        [None, [], [2, None]],
    ),
    "large list": (pa.array([[9], [1, 2]], pa.large_list(pa.int8())).slice(1), pa.list_(pa.int64()), [[1, 2]]),
    "list to large list": (pa.array([["a"], None]), pa.large_list(pa.string()), [["a"], None]),
    "fixed-size list": (
        pa.array([[9, 9], [1, 2], None], pa.list_(pa.int8(), 2)).slice(1),
        pa.list_(pa.int16(), 2),
        [[1, 2], None],
    ),
    "fixed-size list to list": (
        pa.array([[9, 9], None, [1, 2]], pa.list_(pa.int8(), 2)).slice(1),
        pa.list_(pa.int16()),
        [None, [1, 2]],
    ),
    "list view": (
        pa.array([[9], None, [1, 2]], pa.list_view(pa.int8())).slice(1),
        pa.list_(pa.int16()),
        [None, [1, 2]],
    ),
    "list view with nulls among values": (
        pa.array([[9], None, [1, 2], [], [4]], pa.list_view(pa.int8())),
        pa.large_list(pa.int8()),
        [[9], None, [1, 2], [], [4]],
    ),
    "list view out of order": (
        pa.ListViewArray.from_arrays([2, 0, 1], [1, 2, 0], pa.array([7, 8, 9], pa.int8())),
        pa.list_(pa.int64()),
        [[9], [7, 8], []],
    ),
    "list to list view": (pa.array([[9], None, [1, 2]]).slice(1), pa.list_view(pa.int64()), [None, [1, 2]]),
    "list to large list view": (pa.array([[9], [], [1, 2]]), pa.large_list_view(pa.int64()), [[9], [], [1, 2]]),
    "struct fields": (
        pa.array([{"b": 9, "z": 0}, None, {"b": 1, "z": 0}], pa.struct([("b", pa.int8()), ("z", pa.int8())])).slice(1),
        pa.struct([("b", pa.int64()), ("c", pa.string())]),
        [None, {"b": 1, "c": None}],
    ),
    "list of structs": (
        pa.array([[{"b": 9}], [{"b": 1}, None]], pa.list_(pa.struct([("b", pa.int8())]))).slice(1),
        pa.list_(pa.struct([("b", pa.int64()), ("c", pa.string())])),
        [[{"b": 1, "c": None}, None]],
    ),
    "map whose entries have an offset": (
        pa.Array.from_buffers(
            pa.map_(pa.string(), pa.int8()),
            2,
            [None, pa.array([0, 1, 3], pa.int32()).buffers()[1]],
            children=[
                pa.StructArray.from_arrays(
                    [pa.array(["no", "x", "y", "z"]), pa.array([0, 1, 2, 3], pa.int8())],
                    fields=[pa.field("key", pa.string(), False), pa.field("value", pa.int8())],
                ).slice(1)
            ],
        ),
        pa.map_(pa.string(), pa.int64()),
        [[("x", 1)], [("y", 2), ("z", 3)]],
    ),
    "map": (
        pa.array([[("x", 9)], None, [("y", 1)]], pa.map_(pa.string(), pa.int8())).slice(1),
        pa.map_(pa.large_string(), pa.int64()),
        [None, [("y", 1)]],
    ),
    "dictionary in a struct": (
        pa.StructArray.from_arrays([pa.array(["a", "b"]).dictionary_encode()], ["t"]),
        pa.struct([("t", pa.string())]),
        [{"t": "a"}, {"t": "b"}],
    ),
}


@pytest.mark.parametrize("name", WIDENED)
def test_widened(read, name):
    array, kind, rows = WIDENED[name]
    schema = pa.schema([("v", kind), ("k", pa.int64())])
    for item in (
        pa.record_batch({"v": array, "k": range(len(array))}),
        pa.record_batch({"k": range(len(array)), "v": array}).to_struct_array(),
    ):
        assert [row["v"] for row in read(schema, item)] == rows


#: Where DuckDB has no such type, pyarrow's own reading is the witness.
WIDENED_NATIVE: dict[str, tuple[pa.Array, pa.DataType, list[Any]]] = {
    "half float": (pa.array([0.5, None], pa.float16()), pa.float64(), [0.5, None]),
    "small integer to half": (pa.array([-128, 127], pa.int8()), pa.float16(), [-128.0, 127.0]),
    "decimal32 to 256": (pa.array([D("1.5")], pa.decimal32(5, 1)), pa.decimal256(40, 2), [D("1.50")]),
    "date": (pa.array([DAY, None]), pa.date64(), [DAY, None]),
    "duration": (pa.array([7, None], pa.duration("s")), pa.duration("ms"), [datetime.timedelta(seconds=7), None]),
    "zoned timestamp": (
        pa.array([AT.replace(tzinfo=datetime.UTC)], pa.timestamp("s", "UTC")),
        pa.timestamp("us", "UTC"),
        [AT.replace(tzinfo=datetime.UTC)],
    ),
    "wider dictionary": (
        pa.array(["a", None, "a"]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())),
        pa.dictionary(pa.int64(), pa.large_string()),
        ["a", None, "a"],
    ),
    "runs to a dictionary's value": (
        pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), pa.array([True, None])),
        pa.bool_(),
        [True, None],
    ),
    "dictionary of uuids": (
        pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([b"0" * 16], pa.uuid())),
        pa.uuid(),
        [uuid.UUID(bytes=b"0" * 16)],
    ),
}


@pytest.mark.parametrize("name", WIDENED_NATIVE)
def test_widened_to_what_arrow_alone_has(name):
    array, kind, rows = WIDENED_NATIVE[name]
    (batch,) = _evolve.conform(iter([pa.record_batch({"v": array})]), pa.schema([("v", kind)]), None)
    assert batch.schema.field("v").type == kind
    batch.validate(full=True)
    assert batch.column("v").to_pylist() == rows


NARROWED: dict[str, tuple[pa.DataType, pa.DataType]] = {
    "integer": (pa.int64(), pa.int32()),
    "sign": (pa.int64(), pa.uint64()),
    "unsigned to signed of its width": (pa.uint32(), pa.int32()),
    "integer to float": (pa.int64(), pa.float64()),
    "integer to decimal": (pa.int32(), pa.decimal128(10, 1)),
    "float": (pa.float64(), pa.float32()),
    "float to integer": (pa.float64(), pa.int64()),
    "float to decimal": (pa.float32(), pa.decimal128(38, 10)),
    "decimal's scale": (pa.decimal128(10, 3), pa.decimal128(38, 2)),
    "decimal's digits": (pa.decimal128(10, 2), pa.decimal128(10, 3)),
    "decimal to float": (pa.decimal128(5, 2), pa.float64()),
    "number to text": (pa.int8(), pa.string()),
    "text to number": (pa.string(), pa.int64()),
    "text to bytes": (pa.string(), pa.binary()),
    "bytes to text": (pa.binary(), pa.string()),
    "bytes to fixed bytes": (pa.binary(), pa.binary(4)),
    "boolean": (pa.bool_(), pa.int8()),
    "timestamp's unit": (pa.timestamp("us"), pa.timestamp("ms")),
    "timestamp to date": (pa.timestamp("us"), pa.date32()),
    "date to timestamp": (pa.date32(), pa.timestamp("us")),
    "date's width": (pa.date64(), pa.date32()),
    "zone": (pa.timestamp("us", "UTC"), pa.timestamp("us", "Europe/Berlin")),
    "zone taken away": (pa.timestamp("us", "UTC"), pa.timestamp("us")),
    "zone given": (pa.timestamp("us"), pa.timestamp("us", "UTC")),
    "time's unit": (pa.time64("us"), pa.time32("ms")),
    "duration's unit": (pa.duration("ns"), pa.duration("us")),
    "list's values": (pa.list_(pa.int64()), pa.list_(pa.int32())),
    "list to fixed-size list": (pa.list_(pa.int64()), pa.list_(pa.int64(), 2)),
    "size of a list": (pa.list_(pa.int64(), 2), pa.list_(pa.int64(), 3)),
    "value to list": (pa.int64(), pa.list_(pa.int64())),
    "field of a struct": (pa.struct([("x", pa.int64())]), pa.struct([("x", pa.int8())])),
    "missing field that may not be null": (
        pa.struct([("x", pa.int64())]),
        pa.struct([("x", pa.int64()), pa.field("y", pa.int8(), nullable=False)]),
    ),
    "map's keys": (pa.map_(pa.int64(), pa.int8()), pa.map_(pa.int32(), pa.int8())),
    "map to list": (
        pa.map_(pa.string(), pa.int8()),
        pa.list_(pa.struct([pa.field("key", pa.string(), nullable=False), ("value", pa.int8())])),
    ),
    "dictionary's values": (pa.dictionary(pa.int8(), pa.int64()), pa.int32()),
    "value to dictionary": (pa.string(), pa.dictionary(pa.int8(), pa.string())),
    "dictionary's indices": (pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.string())),
    "value to runs": (pa.string(), pa.run_end_encoded(pa.int32(), pa.string())),
    "union": (pa.sparse_union([pa.field("x", pa.int8())]), pa.sparse_union([pa.field("x", pa.int64())])),
    "extension to its storage": (pa.uuid(), pa.binary(16)),
    "storage to extension": (pa.string(), pa.json_()),
    "extension to another": (pa.opaque(pa.int8(), "a", "b"), pa.opaque(pa.int8(), "a", "c")),
}


@pytest.mark.parametrize("name", NARROWED)
def test_what_might_lose_something_is_an_error_whatever_the_values(name):
    got, want = NARROWED[name]
    batch = (
        pa.record_batch({"v": pa.array([], got)}) if "union" not in name else pa.record_batch({"v": pa.nulls(0, got)})
    )
    with pytest.raises(MismatchError) as e:
        list(_evolve.conform(iter([batch]), pa.schema([("v", want)]), None))
    assert str(e.value) == (
        f"batch 0: column 'v' is {got}, but infer_schema said {want}, which could change values. Cast it in "
        "read_partition, or change infer_schema"
    )


def test_a_lossy_column_is_named_with_its_batch_and_both_types(fails):
    message = fails(AB, pa.record_batch([[1], ["x"]], schema=AB), pa.record_batch({"a": [1.5], "b": ["x"]}))
    assert "batch 1: column 'a' is double, but infer_schema said int64, which could change values" in message
    assert "Cast it in read_partition, or change infer_schema" in message


def test_a_time_out_of_the_finer_range_is_an_error(fails):
    schema = pa.schema([("v", pa.timestamp("ns"))])
    item = pa.record_batch({"v": pa.array([datetime.datetime(9999, 1, 1)], pa.timestamp("s"))})
    assert "column 'v' is timestamp[s], but infer_schema said timestamp[ns]: a value does not fit" in fails(
        schema, item
    )


def test_an_extension_unknown_to_pyarrow_is_not_its_storage(fails):
    tagged = pa.field("v", pa.int64(), metadata={"ARROW:extension:name": "acme.money"})
    message = fails(pa.schema([("v", pa.int64())]), pa.record_batch([[1]], schema=pa.schema([tagged])))
    assert "column 'v' is acme.money<int64>, but infer_schema said int64" in message


def test_values_behind_nulls_need_not_fit(read):
    far = pa.array([datetime.datetime(9999, 1, 1), AT], pa.timestamp("s"))
    array = pa.StructArray.from_arrays([far], ["at"], mask=pa.array([True, False]))
    schema = pa.schema([("v", pa.struct([("at", pa.timestamp("ns"))]))])
    rows = read(schema, pa.record_batch({"v": array}))
    assert [row["v"] and str(row["v"]["at"]) for row in rows] == [None, str(AT)]


def test_a_slice_converts_its_own_values_only():
    whole = pa.array([[i] for i in range(100_000)], pa.list_(pa.int32()))
    schema = pa.schema([("v", pa.list_(pa.int64()))])
    (batch,) = _evolve.conform(iter([pa.record_batch({"v": whole.slice(5, 2)})]), schema, None)
    assert batch.column("v").to_pylist() == [[5], [6]]
    assert len(batch.column("v").values) == 2


def test_a_generator_that_is_left_early_is_closed():
    ended = []

    def items():
        try:
            yield pa.record_batch({"a": [1]})
            yield pa.record_batch({"a": [2]})
        finally:
            ended.append(True)

    conformed = _evolve.conform(items(), AB, None)
    next(conformed)
    conformed.close()
    assert ended == [True]
