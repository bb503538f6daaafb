"""Arrays whose structs lie: each is a message, never a crash; the layout by default, the values with 'full'."""

from __future__ import annotations

import ctypes
import struct

import pyarrow as pa
import pytest

from hostile.c_data import ArrowArray, ArrowSchema, Broken, ReleaseArray, ReleaseSchema, released, shells

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
INDEX = {name: i for i, name in enumerate(BATCH.schema.names)}
HUGE = 2**63 - 1


def set_(path, **fields):
    """Sets fields of the array at a path: "" the root, "s" a column, "r.0" its child, "d.dictionary"."""

    def damage(schema, array):
        at = array
        for step in path.split(".") if path else ():
            if step == "dictionary":
                at = at.dictionary.contents
            else:
                at = at.children[INDEX[step] if step in INDEX else int(step)].contents
        for name, value in fields.items():
            setattr(at, name, value)

    return damage


def set_schema(path, **fields):
    def damage(schema, array):
        at = schema
        for step in path.split(".") if path else ():
            at = at.dictionary.contents if step == "dictionary" else at.children[INDEX.get(step, step)].contents
        for name, value in fields.items():
            setattr(at, name, value)

    return damage


def set_buffer(path, i, value):
    """A buffer: None, or bytes of its own."""

    def damage(schema, array):
        at = array
        for step in path.split(".") if path else ():
            at = at.dictionary.contents if step == "dictionary" else at.children[INDEX.get(step) or 0].contents
        memory = ctypes.create_string_buffer(value, len(value) + 64) if value is not None else None
        _kept.append(memory)
        at.buffers[i] = ctypes.addressof(memory) if memory is not None else None

    return damage


_kept: list[object] = []
NO_ARRAYS = ctypes.POINTER(ctypes.POINTER(ArrowArray))()
NO_SCHEMAS = ctypes.POINTER(ctypes.POINTER(ArrowSchema))()
NO_BUFFERS = ctypes.POINTER(ctypes.c_void_p)()

#: Found without looking at a value.
LAYOUT = {
    "root: negative length": set_("", length=-1),
    "root: longer than its columns": set_("", length=4),
    "root: huge length": set_("", length=HUGE),
    "root: huge length and offset": set_("", length=HUGE, offset=HUGE),
    "root: negative offset": set_("", offset=-1),
    "root: offset beyond its columns": set_("", offset=1),
    "root: null count below -1": set_("", null_count=-2),
    "root: more children than columns": set_("", n_children=8),
    "root: fewer children than columns": set_("", n_children=6),
    "root: negative number of children": set_("", n_children=-1),
    "root: no children": set_("", children=NO_ARRAYS),
    "root: no buffers": set_("", n_buffers=0),
    "root: null buffers": set_("", buffers=NO_BUFFERS),
    "root: a dictionary": lambda schema, array: setattr(array, "dictionary", array.children[0]),
    "column: shorter than the root": set_("n", length=2),
    "column: negative length": set_("s", length=-3),
    "column: huge length": set_("l", length=HUGE),
    "column: negative offset": set_("n", offset=-1),
    "column: huge offset": set_("s", offset=HUGE),
    "column: null count beyond its length": set_("n", null_count=4),
    "column: null count below -1": set_("n", null_count=-2),
    "column: nulls without a bitmap": set_buffer("n", 0, None),
    "column: too few buffers": set_("n", n_buffers=1),
    "column: too many buffers": set_("n", n_buffers=3),
    "column: huge number of buffers": set_("s", n_buffers=HUGE),
    "column: negative number of buffers": set_("s", n_buffers=-1),
    "column: null buffers": set_("s", buffers=NO_BUFFERS),
    "column: no values": set_buffer("n", 1, None),
    "column: no offsets": set_buffer("s", 1, None),
    "column: no text": set_buffer("s", 2, None),
    "column: released": set_("n", release=ReleaseArray()),
    "column: children where none belong": set_("n", n_children=1),
    "list: no children": set_("l", n_children=0),
    "list: null children": set_("l", children=NO_ARRAYS),
    "list: two children": set_("l", n_children=2),
    "list: child too short": set_("l.0", length=2),
    "list: child released": set_("l.0", release=ReleaseArray()),
    "struct: child too short": set_("r.0", length=1),
    "struct: child of a negative length": set_("r.0", length=-1),
    "struct: no children": set_("r", n_children=0),
    "fixed-size list: child too short": set_("f.0", length=5),
    "dictionary: missing": set_("d", dictionary=ctypes.POINTER(ArrowArray)()),
    "dictionary: negative length": set_("d.dictionary", length=-1),
    "dictionary: where none belongs": lambda schema, array: setattr(
        array.children[0].contents, "dictionary", array.children[4].contents.dictionary
    ),
    "union: child too short": set_("u.0", length=1),
    "union: no children": set_("u", n_children=0),
    "union: no type ids": set_buffer("u", 0, None),
}

#: Found with bascule_validation = 'full' only, and harmful to a reader that trusts them.
VALUES = {
    "offsets that fall": set_buffer("s", 1, struct.pack("<4i", 0, 3, 1, 6)),
    "offsets below zero": set_buffer("s", 1, struct.pack("<4i", -8, 3, 6, 6)),
    "list offsets that fall": set_buffer("l", 1, struct.pack("<4i", 0, 2, 1, 3)),
    "text that is no UTF-8": set_buffer("s", 2, b"\xff\xfe\xfdtwo"),
    "dictionary index beyond": set_buffer("d", 1, struct.pack("<3i", 0, 7, 0)),
    "dictionary index below zero": set_buffer("d", 1, struct.pack("<3i", 0, -1, 0)),
    "union type id of no child": set_buffer("u", 0, struct.pack("<3b", 0, 5, 0)),
}

SCHEMAS = {
    "no format": set_schema("", format=None),
    "no format of a column": set_schema("n", format=None),
    "an unknown format": set_schema("n", format=b"zz"),
    "an empty format": set_schema("n", format=b""),
    "a format with rubbish behind it": set_schema("n", format=b"lx"),
    "a decimal of no digits": set_schema("n", format=b"d:"),
    "a huge fixed size": set_schema("f", format=b"+w:99999999999999999999"),
    "a negative fixed size": set_schema("f", format=b"+w:-1"),
    "not a struct": set_schema("", format=b"l"),
    "a column fewer": set_schema("", n_children=6),
    "a negative number of columns": set_schema("", n_children=-1),
    "columns that are null": set_schema("", children=NO_SCHEMAS),
    "a list without a child": set_schema("l", n_children=0),
    "a released column": set_schema("n", release=ReleaseSchema()),
}


def broken(damage):
    def items():
        schema, array = shells(BATCH)
        damage(schema, array)
        yield Broken(schema, array)

    return items


def test_whole_shells_read_as_pyarrow_s(read):
    # DuckDB gives a fixed-size list as a tuple.
    expected = [tuple({**row, "f": tuple(row["f"])}.values()) for row in BATCH.to_pylist()]
    assert read.rows(BATCH.schema, broken(lambda schema, array: None)) == expected
    assert read.rows(BATCH.schema, broken(lambda schema, array: None), full=True) == expected


@pytest.mark.parametrize("full", [False, True], ids=["layout", "full"])
@pytest.mark.parametrize("damage", LAYOUT.values(), ids=LAYOUT)
def test_a_layout_that_lies_is_a_message(read, damage, full):
    message = read.fails(BATCH.schema, broken(damage), full)
    assert "hostile:Yields, partition 0 of 1" in message
    assert "broken Arrow array" in message or "released already" in message or "null" in message, message


@pytest.mark.parametrize("damage", VALUES.values(), ids=VALUES)
def test_values_that_lie_are_a_message_with_full_validation(read, damage):
    message = read.fails(BATCH.schema, broken(damage), full=True)
    assert "hostile:Yields, partition 0 of 1, batch 0: column '" in message
    assert "broken Arrow array: check the library that made it" in message


@pytest.mark.parametrize("damage", SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_that_lies_is_a_message(read, damage):
    message = read.fails(BATCH.schema, broken(damage))
    assert "hostile:Yields, partition 0 of 1" in message


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
    read.fails(BATCH.schema, broken(LAYOUT["column: shorter than the root"]))
    assert released.count("array") == 1
    assert released.count("schema") == 1
