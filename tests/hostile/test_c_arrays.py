"""Arrays whose structs lie: each is a message, never a crash; the layout by default, the values with 'full'."""

from __future__ import annotations

import ctypes
import struct

import pyarrow as pa
import pytest

from bascule._native import Source
from hostile import lies
from hostile.c_data import ArrowArray, ArrowSchema, Broken, BrokenSchema, ReleaseArray, ReleaseSchema, released, shells
from hostile.lies import set_, set_buffer
from testsources import Yields

BATCH = pa.record_batch(
    {
        "n": pa.array([1, None, 3], pa.int64()),
        "s": pa.array(["one", "two", None]),
        "l": pa.array([[1, 2], [], [3]], pa.list_(pa.int64())),
        "r": pa.array([{"x": 1}, {"x": 2}, {"x": 3}], pa.struct([("x", pa.int64())])),
        "d": pa.array(["a", "b", "a"]).dictionary_encode(),
        "f": pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int64(), 2)),
        "u": pa.UnionArray.from_sparse(
            pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3], pa.int64()), pa.array(["x", "y", "z"])]
        ),
    }
)
HUGE = 2**63 - 1


def set_schema(path, **fields):
    def damage(schema, array):
        for name, value in fields.items():
            setattr(lies.at(schema, schema, path), name, value)

    return damage


NO_ARRAYS = ctypes.POINTER(ctypes.POINTER(ArrowArray))()
NO_SCHEMAS = ctypes.POINTER(ctypes.POINTER(ArrowSchema))()
NO_BUFFERS = ctypes.POINTER(ctypes.c_void_p)()

#: Found without looking at a value: what is damaged, and what the message says.
LAYOUT = {
    "root: negative length": (set_("", length=-1), "the batch has a length or an offset out of range"),
    "root: longer than its columns": (set_("", length=4), "column 'n' is shorter than its batch"),
    "root: huge length": (set_("", length=HUGE), "the batch has a length or an offset out of range"),
    "root: huge length and offset": (
        set_("", length=HUGE, offset=HUGE),
        "the batch has a length or an offset out of range",
    ),
    "root: negative offset": (set_("", offset=-1), "the batch has a length or an offset out of range"),
    "root: offset beyond its columns": (set_("", offset=1), "column 'n' is shorter than its batch"),
    "root: null count below -1": (set_("", null_count=-2), "the batch has a null count out of range"),
    "root: more children than columns": (
        set_("", n_children=8),
        "the batch has another number of columns than its schema",
    ),
    "root: fewer children than columns": (
        set_("", n_children=6),
        "the batch has another number of columns than its schema",
    ),
    "root: negative number of children": (
        set_("", n_children=-1),
        "the batch has another number of columns than its schema",
    ),
    "root: no children": (set_("", children=NO_ARRAYS), "the batch has another number of columns than its schema"),
    "root: no buffers": (set_("", n_buffers=0), "the batch is not laid out as a struct"),
    "root: null buffers": (set_("", buffers=NO_BUFFERS), "the batch is not laid out as a struct"),
    "root: a dictionary": (
        lambda schema, array: setattr(array, "dictionary", array.children[0]),
        "the batch is not laid out as a struct",
    ),
    "column: shorter than the root": (set_("n", length=2), "column 'n' is shorter than its batch"),
    "column: negative length": (set_("s", length=-3), "column 's' has a length or an offset out of range"),
    "column: huge length": (set_("l", length=HUGE), "column 'l' has a length or an offset out of range"),
    "column: negative offset": (set_("n", offset=-1), "column 'n' has a length or an offset out of range"),
    "column: huge offset": (set_("s", offset=HUGE), "column 's' has a length or an offset out of range"),
    "column: null count beyond its length": (set_("n", null_count=4), "column 'n' has a null count out of range"),
    "column: null count below -1": (set_("n", null_count=-2), "column 'n' has a null count out of range"),
    "column: nulls without a bitmap": (
        set_buffer("n", 0, None),
        "column 'n' can't be read: Expected int64 array buffer 0 to have size >= 1",
    ),
    "column: too few buffers": (set_("n", n_buffers=1), "column 'n' has a wrong number of buffers"),
    "column: too many buffers": (set_("n", n_buffers=3), "column 'n' has a wrong number of buffers"),
    "column: huge number of buffers": (set_("s", n_buffers=HUGE), "column 's' has a wrong number of buffers"),
    "column: negative number of buffers": (set_("s", n_buffers=-1), "column 's' has a wrong number of buffers"),
    "column: null buffers": (set_("s", buffers=NO_BUFFERS), "column 's' has no list of buffers"),
    "column: no values": (
        set_buffer("n", 1, None),
        "column 'n' can't be read: Expected int64 array buffer 1 to have size >= 24",
    ),
    "column: no offsets": (
        set_buffer("s", 1, None),
        "column 's' can't be read: Expected string array buffer 1 to have size >= 16",
    ),
    "column: no text": (
        set_buffer("s", 2, None),
        "column 's' can't be read: Expected string array buffer 2 to have size >= 6",
    ),
    "column: released": (set_("n", release=ReleaseArray()), "column 'n' was released already"),
    "column: children where none belong": (set_("n", n_children=1), "column 'n' has a wrong number of children"),
    "list: no children": (set_("l", n_children=0), "column 'l' has a wrong number of children"),
    "list: null children": (set_("l", children=NO_ARRAYS), "column 'l' has a wrong number of children"),
    "list: two children": (set_("l", n_children=2), "column 'l' has a wrong number of children"),
    "list: child too short": (
        set_("l.0", length=2),
        "column 'l' can't be read: Expected child of list array to have length >= 3",
    ),
    "list: child released": (set_("l.0", release=ReleaseArray()), "column 'l' was released already"),
    "struct: child too short": (
        set_("r.0", length=1),
        "column 'r' can't be read: Expected struct child 1 to have length >= 3",
    ),
    "struct: child of a negative length": (set_("r.0", length=-1), "column 'r' has a length or an offset out of range"),
    "struct: no children": (set_("r", n_children=0), "column 'r' has a wrong number of children"),
    "fixed-size list: child too short": (
        set_("f.0", length=5),
        "column 'f' can't be read: Expected child of fixed_size_list array to have length >= 6",
    ),
    "dictionary: missing": (
        set_("d", dictionary=ctypes.POINTER(ArrowArray)()),
        "column 'd' has no dictionary, but its type has one",
    ),
    "dictionary: negative length": (
        set_("d.dictionary", length=-1),
        "column 'd' has a length or an offset out of range",
    ),
    "dictionary: where none belongs": (
        lambda schema, array: setattr(array.children[0].contents, "dictionary", array.children[4].contents.dictionary),
        "column 'n' has a dictionary, but its type has none",
    ),
    "union: child too short": (
        set_("u.0", length=1),
        "column 'u' can't be read: Expected struct child 1 to have length >= 3",
    ),
    "union: no children": (set_("u", n_children=0), "column 'u' has a wrong number of children"),
    "union: no type ids": (
        set_buffer("u", 0, None),
        "column 'u' can't be read: Expected sparse_union array buffer 0 to have size >= 3",
    ),
}


def set_metadata(*numbers):
    def damage(schema, array):
        memory = ctypes.create_string_buffer(struct.pack(f"<{len(numbers)}i", *numbers))
        _kept.append(memory)
        schema.children[0].contents.metadata = ctypes.addressof(memory)

    return damage


_kept: list[object] = []
NEGATIVE = "column 'n' has metadata with a negative count or length"
SCHEMAS = {
    "metadata of fewer than no pairs": (set_metadata(-1), NEGATIVE),
    "metadata with a negative length": (set_metadata(1, 4, 0, -7), NEGATIVE),
    "no format": (set_schema("", format=None), "the batch has a schema without a format"),
    "no format of a column": (set_schema("n", format=None), "column 'n' has a schema without a format"),
    "an unknown format": (
        set_schema("n", format=b"zz"),
        "the type of column 'n' can't be read: Error parsing schema->format 'zz'",
    ),
    "an empty format": (
        set_schema("n", format=b""),
        "the type of column 'n' can't be read: Error parsing schema->format",
    ),
    "a format with rubbish behind it": (
        set_schema("n", format=b"lx"),
        "the type of column 'n' can't be read: Error parsing schema->format 'lx'",
    ),
    "a decimal of no digits": (set_schema("n", format=b"d:"), "the type of column 'n' can't be read"),
    "a huge fixed size": (
        set_schema("f", format=b"+w:99999999999999999999"),
        "the type of column 'f' can't be read: its size is not a whole number of at most 2147483647 ('+w:99999999999999999999')",
    ),
    "a negative fixed size": (
        set_schema("f", format=b"+w:-1"),
        "the type of column 'f' can't be read: its size is not a whole number of at most 2147483647 ('+w:-1')",
    ),
    "not a struct": (
        set_schema("", format=b"l"),
        "expected a record batch (a struct of columns), got a type that can't be read",
    ),
    "a column fewer": (
        set_schema("", n_children=6),
        "column 'u' is missing. Yield it in read_partition, or take it out of infer_schema",
    ),
    "a negative number of columns": (
        set_schema("", n_children=-1),
        "the batch has a schema without its list of fields",
    ),
    "columns that are null": (set_schema("", children=NO_SCHEMAS), "the batch has a schema without its list of fields"),
    "a list without a child": (
        set_schema("l", n_children=0),
        "the type of column 'l' can't be read: Expected schema with 1 children",
    ),
    "a released column": (
        set_schema("n", release=ReleaseSchema()),
        "column 1 of the batch has a schema that was released",
    ),
}


def broken(damage, batch=BATCH):
    def items():
        schema, array = shells(batch)
        damage(schema, array)
        yield Broken(schema, array)

    return items


def test_whole_shells_read_as_pyarrow_s(read):
    # DuckDB gives a fixed-size list as a tuple.
    expected = [tuple({**row, "f": tuple(row["f"])}.values()) for row in BATCH.to_pylist()]
    assert read.rows(BATCH.schema, broken(lambda schema, array: None)) == expected
    assert read.rows(BATCH.schema, broken(lambda schema, array: None), full=True) == expected


@pytest.mark.parametrize("full", [False, True], ids=["layout", "full"])
@pytest.mark.parametrize(("damage", "words"), LAYOUT.values(), ids=LAYOUT)
def test_a_layout_that_lies_is_a_message(read, damage, words, full):
    message = read.fails(BATCH.schema, broken(damage), full)
    assert f"hostile:Yields, partition 0 of 1, batch 0: {words}" in message
    assert "broken Arrow array: check the library that made it" in message


# ---- numbers that lie ----


@pytest.fixture(scope="module")
def told():
    """What the user reads, by mode and name."""
    return {"layout": lies.told("layout", list(lies.LIES)), "full": lies.told("full", [*lies.LIES, *lies.IN_FULL])}


FOUND = [("layout", name) for name in lies.LIES] + [("full", name) for name in [*lies.LIES, *lies.IN_FULL]]


@pytest.mark.parametrize(("mode", "name"), FOUND, ids=[f"{mode}: {name}" for mode, name in FOUND])
def test_a_number_that_lies_is_a_message(told, mode, name):
    _, column, words = (lies.LIES | lies.IN_FULL)[name]
    *messages, others = told[mode][name]
    for message in messages:
        assert f"__main__:Liar, partition 0 of 1, batch 0: column '{column}' " in message
        assert words in message
        assert "broken Arrow array: check the library that made it" in message
    assert others == lies.BATCH.num_rows, "columns that a query doesn't read are not its affair"


@pytest.mark.parametrize(("damage", "words"), SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_that_lies_is_a_message(read, damage, words):
    message = read.fails(BATCH.schema, broken(damage))
    assert f"hostile:Yields, partition 0 of 1, batch 0: {words}" in message


NAMELESS = pa.record_batch({"": pa.array([1, 2], pa.int64()), "r": pa.array([{"x": 1}, {"x": 2}])})


def nameless(schema, array):
    for path in ("0", "r.0"):
        lies.at(schema, schema, path).name = None


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("yielded", [True, False])
def test_a_field_without_a_name_has_the_empty_one(read, declared, yielded):
    """Arrow allows it; the two count as one name."""
    batch = pa.record_batch([NAMELESS[0], pa.StructArray.from_arrays(NAMELESS[1].flatten(), [""])], ["", "r"])
    schema = BrokenSchema(NAMELESS, nameless) if declared else batch.schema
    items = broken(nameless, NAMELESS) if yielded else lambda: iter([batch])
    assert read.rows(schema, items) == [(1, (1,)), (2, (2,))]  # DuckDB's way to write it
    Yields.schema, Yields.items = schema, items()
    scanned = pa.RecordBatchReader.from_stream(Source("testsources:Yields").plan(["r", ""]).scan().partition(0))
    assert scanned.read_all().to_pylist() == batch.select([1, 0]).to_pylist()


@pytest.mark.parametrize("name", ["no format of a column", "metadata with a negative length", "a huge fixed size"])
def test_a_declared_schema_that_lies_is_a_message(read, name):
    damage, words = SCHEMAS[name]
    message = read.fails(BrokenSchema(BATCH, damage), broken(lambda schema, array: None))
    assert f"hostile:Yields.infer_schema: {words}" in message


def test_a_released_array_and_a_released_schema_are_named(read):
    def array_gone():
        schema, array = shells(BATCH)
        array.release = ReleaseArray()
        yield Broken(schema, array)

    def schema_gone():
        schema, array = shells(BATCH)
        schema.release = ReleaseSchema()
        yield Broken(schema, array)

    assert "the exported Arrow array was released already" in read.fails(BATCH.schema, array_gone)
    assert "the exported Arrow schema was released already" in read.fails(BATCH.schema, schema_gone)


def test_the_same_structs_twice_are_released_once(read):
    def items():
        schema, array = shells(BATCH)
        thing = Broken(schema, array)
        yield thing
        yield thing

    assert "released already" in read.fails(BATCH.schema, items)


def test_a_broken_batch_is_released(read):
    released.clear()
    read.fails(BATCH.schema, broken(LAYOUT["column: shorter than the root"][0]))
    assert released.count("array") == 1
    assert released.count("schema") == 1
