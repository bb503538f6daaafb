"""Lists over encoded items, of which all of a chunk are empty. DuckDB then takes the encoded array for one of values."""

from __future__ import annotations

import pyarrow as pa

CHUNKS = 5000  # rows: two whole chunks of DuckDB's, and some
WORDS = pa.array(["a", "b", None]).dictionary_encode()
NUMBERS = pa.array([1, 2, None]).dictionary_encode()
NUMBERS_BY_INT64 = NUMBERS.cast(pa.dictionary(pa.int64(), pa.int64()))
ENDS = pa.array([1, 2, 3], pa.int32())
RUNS = pa.RunEndEncodedArray.from_arrays(ENDS, pa.array(["a", "b", None]))
DAYS = pa.RunEndEncodedArray.from_arrays(ENDS, pa.array([1, 2, None], pa.date32()))
UUIDS = pa.RunEndEncodedArray.from_arrays(ENDS, pa.array([b"\1" * 16, b"\2" * 16, None], pa.uuid()))
COUNTS = pa.RunEndEncodedArray.from_arrays(ENDS, pa.array([1, 2, None]))
RUN_DICTIONARY = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int8()), RUNS)


def lists(offsets: list[int], items: pa.Array, make: type = pa.ListArray) -> pa.Array:
    width = pa.int64() if make is pa.LargeListArray else pa.int32()
    return make.from_arrays(pa.array(offsets, width), items)


def views(rows: list[tuple[int, int]], items: pa.Array, make: type = pa.ListViewArray) -> pa.Array:
    width = pa.int64() if make is pa.LargeListViewArray else pa.int32()
    starts, sizes = zip(*rows, strict=True)
    return make.from_arrays(pa.array(starts, width), pa.array(sizes, width), items)


def struct(child: pa.Array) -> pa.Array:
    return pa.StructArray.from_arrays([child], ["x"])


def maps(offsets: list[int], values: pa.Array) -> pa.Array:
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(["x", "y", "z"]), values)


FEW = [0, 0, 0]
LATE = [0] * CHUNKS + [3]  # the first chunks have no item
EARLY = [0] + [3] * CHUNKS  # the last have none, from offset 3
VIEWED = [(0, 2), *[(0, 0)] * CHUNKS, (0, 3)]
INNER = lists([0, 1, 2, 3], WORDS)

CASES: dict[str, pa.Array] = {
    "a few empty lists of words": lists(FEW, WORDS),
    "a few empty lists of runs": lists(FEW, RUNS),
    "a few empty large lists": lists(FEW, WORDS, pa.LargeListArray),
    "lists of words, late": lists(LATE, WORDS),
    "lists of words, early": lists(EARLY, WORDS),
    "lists of runs, late": lists(LATE, RUNS),
    "lists of runs, early": lists(EARLY, RUNS),
    "lists of runs of days, late": lists(LATE, DAYS),
    "lists of runs of UUIDs, late": lists(LATE, UUIDS),
    "lists of runs of numbers, late": lists(LATE, COUNTS),
    "lists of numbers, late": lists(LATE, NUMBERS),
    "lists of numbers by int64, late": lists(LATE, NUMBERS_BY_INT64),
    "lists of a dictionary of runs, late": lists(LATE, RUN_DICTIONARY),
    "views of words, none": views([(0, 0), (0, 0)], WORDS),
    "views of words, between": views(VIEWED, WORDS),
    "large views of words, between": views(VIEWED, WORDS, pa.LargeListViewArray),
    "views of runs, between": views(VIEWED, RUNS),
    "views of runs of numbers, between": views(VIEWED, COUNTS),
    "lists in a struct, late": struct(lists(LATE, WORDS)),
    "lists of empty lists": lists([0, 1, 2], lists(FEW, WORDS)),
    "lists of lists, late": lists(LATE, INNER),
    "lists of lists, early": lists(EARLY, INNER),
    "views of lists, between": views(VIEWED, INNER),
    "maps of words, late": maps(LATE, WORDS),
    "maps of lists of words, late": maps(LATE, INNER),
    "lists of structs of words, late": lists(LATE, struct(WORDS)),
    "an empty dictionary of lists of runs": pa.DictionaryArray.from_arrays(
        pa.array([None, None], pa.int8()), lists([0], RUNS)
    ),
}
