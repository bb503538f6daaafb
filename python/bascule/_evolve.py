"""Batches brought to the declared schema: ``bascule_schema_mode = 'evolve'``.

By name, several of one name by position. A missing column becomes nulls, an extra one is left out,
a dictionary or run-end encoding is decoded, a type is widened where no value can change; fields of
structs likewise. What might lose something is an error whatever the values are, so that a query
that works today works with tomorrow's rows. The conversions themselves are pyarrow's.

The core checks afterwards what it is given, as in ``strict``; here is only what makes it fit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from bascule.errors import MismatchError

# An array of one type as one of another; None: it is that type already.
Convert: TypeAlias = Callable[[pa.Array], pa.Array]
#: A conversion that comes before those of this module, or None where it knows none.
Special: TypeAlias = "Callable[[pa.DataType, pa.DataType], Convert | None]"

_ROWS = 1 << 16  # of a batch made for a table without columns
_EXTENSION = b"ARROW:extension:name"

# What holds every value of an integer type: bits of a float's mantissa, digits of a decimal.
_MANTISSA = {pa.float16(): 11, pa.float32(): 24, pa.float64(): 53}
_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
_FLOATS = [pa.float16(), pa.float32(), pa.float64()]
_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BINARY = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_UNITS = ("s", "ms", "us", "ns")


class Lossy(Exception):
    """This conversion isn't done: it might change a value."""


def conform(items: Iterator[Any], schema: pa.Schema, columns: Sequence[str] | None) -> Iterator[Any]:
    """The items of a class, converted where they don't fit.

    Args:
        items: what ``read_partition`` gave.
        schema: what ``infer_schema`` gave.
        columns: names of the columns that the query reads; the others are left out. None: all.

    Raises:
        MismatchError: a column can't be converted. The message begins with the batch's number.
    """
    wanted = _wanted(schema, columns)
    known: pa.Schema | None = None
    convert: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None
    number = 0
    try:
        for item in items:
            for batch in _batches(item):
                if not isinstance(batch, pa.RecordBatch):
                    yield batch
                    continue
                got = batch.schema
                if known is None or not got.equals(known, check_metadata=True):
                    convert = _conversion(got, wanted)
                    known = got
                yield batch if convert is None else convert(batch)
                number += 1
    except MismatchError as e:
        raise MismatchError(f"batch {number}: {e}") from None
    finally:
        close = getattr(items, "close", None)
        if callable(close):
            close()


def _wanted(schema: pa.Schema, columns: Sequence[str] | None) -> list[tuple[pa.Field, int]]:
    """The fields to hand over, each with how many of its name stand before it."""
    asked = None if columns is None else set(columns)
    return [(f, nth) for f, nth in _numbered(schema) if asked is None or f.name in asked]


def _numbered(fields: Any) -> Iterator[tuple[pa.Field, int]]:
    seen: dict[str, int] = defaultdict(int)
    for field in fields:
        yield field, seen[field.name]
        seen[field.name] += 1


def _batches(item: Any) -> Iterator[pa.RecordBatch]:
    """The batches of anything that exports Arrow; another thing as it is, for the executor's message.
    What pyarrow did not make is checked in full: it takes lengths and offsets for right."""
    if isinstance(item, pa.RecordBatch):
        yield item
    elif isinstance(item, pa.Table) and item.num_columns == 0:
        # Rows without columns, as of a file that has none of those asked for: pyarrow's reader drops them.
        for start in range(0, item.num_rows, _ROWS):
            yield pa.RecordBatch.from_struct_array(pa.array([{}] * min(_ROWS, item.num_rows - start), pa.struct([])))
    elif hasattr(item, "__arrow_c_array__"):
        array = pa.array(item)
        _check(array)
        yield _root(array)
    elif hasattr(item, "__arrow_c_stream__"):
        for batch in pa.RecordBatchReader.from_stream(item):
            if not isinstance(item, (pa.Table, pa.RecordBatchReader)):
                _check(batch)
            yield batch
    else:
        yield item


def _check(made: pa.Array | pa.RecordBatch) -> None:
    try:
        made.validate(full=True)
    except pa.ArrowInvalid as e:
        raise MismatchError(f"its arrays break the rules of Arrow: {e}") from None


def _root(array: pa.Array) -> pa.RecordBatch:
    if not pa.types.is_struct(array.type):
        raise MismatchError(f"expected a record batch (a struct of columns), got {array.type}")
    if array.null_count:
        raise MismatchError("the batch has null rows, which a table can't hold")
    return pa.RecordBatch.from_struct_array(array)


def _holds_run_ends(kind: pa.DataType) -> bool:
    """True of nested types with run ends within, of which pyarrow makes no nulls."""
    return not pa.types.is_run_end_encoded(kind) and "run_end_encoded" in str(kind)


def _conversion(
    got: pa.Schema, wanted: list[tuple[pa.Field, int]]
) -> Callable[[pa.RecordBatch], pa.RecordBatch] | None:
    """How batches of one schema become what is wanted; None where they go as they are."""
    plan = _plan(got, wanted)
    for field, at, _ in plan:
        if at is None and _holds_run_ends(field.type):
            raise MismatchError(f"column '{field.name}' is missing, and no nulls can be made of {field.type}: yield it")
    if len(plan) == len(got) and all(at == i and convert is None for i, (_, at, convert) in enumerate(plan)):
        return None
    schema = pa.schema([field for field, _, _ in plan])

    def convert_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = []
        for field, at, convert in plan:
            try:
                column = pa.nulls(batch.num_rows, field.type) if at is None else batch.column(at)
                arrays.append(column if convert is None else convert(column))
            except pa.ArrowInvalid as e:
                raise _mismatch(got.field(at), field, f": a value does not fit ({e})") from None
        if not arrays:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * batch.num_rows, pa.struct([])))
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    return convert_batch


def _plan(got: Any, wanted: Any, special: Special | None = None) -> list[tuple[pa.Field, int | None, Convert | None]]:
    """For each wanted field: where it is among ``got``, and its conversion. ``wanted``: fields with
    their number among those of one name.

    Raises:
        MismatchError: one is missing and may not be null, or can't be converted.
    """
    places = {(f.name, nth): i for i, (f, nth) in enumerate(_numbered(got))}
    names = [f.name for f in got]
    plan: list[tuple[pa.Field, int | None, Convert | None]] = []
    for field, nth in wanted:
        at = places.get((field.name, nth))
        if at is None:
            _check_missing(field, names)
            plan.append((field, None, None))
            continue
        there = got[at] if isinstance(got, list) else got.field(at)
        try:
            if special is None and _extension(there) != _extension(field):
                raise Lossy
            plan.append((field, at, conversion(there.type, field.type, special)))
        except Lossy:
            raise _mismatch(there, field, ", which could change values") from None
    return plan


def _check_missing(field: pa.Field, names: list[str]) -> None:
    folded = field.name.casefold()
    for name in names:
        # Nulls in place of values that are there, under a name that differs by a slip.
        if name != field.name and name.casefold() == folded:
            raise MismatchError(
                f"column '{field.name}' is missing, but the batch has '{name}': names differ by case. Rename it in "
                "read_partition, or change infer_schema"
            )
    if not field.nullable:
        raise MismatchError(
            f"column '{field.name}' is missing, and infer_schema said that it is not nullable. Yield it in "
            "read_partition, or declare it nullable"
        )


def _mismatch(got: pa.Field, field: pa.Field, why: str) -> MismatchError:
    return MismatchError(
        f"column '{field.name}' is {_type_text(got)}, but infer_schema said {_type_text(field)}{why}. Cast it in "
        "read_partition, or change infer_schema"
    )


def _type_text(field: pa.Field) -> str:
    extension = _extension(field)
    return f"{extension.decode(errors='replace')}<{field.type}>" if extension else str(field.type)


def _extension(field: pa.Field) -> bytes | None:
    """The name of an extension type that pyarrow doesn't know, from the field's metadata."""
    return (field.metadata or {}).get(_EXTENSION)


# ---- types ----


def conversion(got: pa.DataType, want: pa.DataType, special: Special | None = None) -> Convert | None:
    """How an array of type ``got`` becomes one of ``want``; None where it is.

    Args:
        special: is asked first, at each depth; with it, the storage of extension types that pyarrow doesn't know is taken for theirs.

    Raises:
        Lossy: no such conversion keeps every value.
    """
    if got.equals(want):
        return None
    if special is not None and (found := special(got, want)) is not None:
        return found
    if pa.types.is_null(got):
        return lambda array: pa.nulls(len(array), want)
    if isinstance(got, pa.BaseExtensionType) or isinstance(want, pa.BaseExtensionType):
        # Of an encoded one the values may be that very type.
        if pa.types.is_dictionary(got) or pa.types.is_run_end_encoded(got):
            return _decoded(got, want, special)
        raise Lossy
    if pa.types.is_dictionary(got):
        return _recoded(got, want, special) if pa.types.is_dictionary(want) else _decoded(got, want, special)
    if pa.types.is_run_end_encoded(got):
        return _decoded(got, want, special)
    if pa.types.is_struct(got) and pa.types.is_struct(want):
        return _struct(got, want, special)
    if pa.types.is_map(got) and pa.types.is_map(want):
        return _map(got, want, special)
    if _is_list(got) and _is_list(want):
        return _list(got, want, special)
    if _widens(got, want):
        return lambda array: array.cast(want)
    raise Lossy


def _then(first: Convert, second: Convert | None) -> Convert:
    return first if second is None else lambda array: second(first(array))


def _decoded(got: pa.DataType, want: pa.DataType, special: Special | None) -> Convert:
    take = _take_dictionary if pa.types.is_dictionary(got) else _take_runs
    convert = conversion(got.value_type, want, special)
    if convert is None or not _lacks_take(got.value_type):
        return _then(take, convert)
    if pa.types.is_dictionary(got):
        return lambda array: convert(array.dictionary).take(array.indices)
    return lambda array: convert(array.values).take(_runs_positions(array))


def _lacks_take(kind: pa.DataType) -> bool:
    """True of types of which pyarrow takes no rows, or takes them wrong: they are converted before."""
    return any(part in str(kind) for part in ("view", "run_end_encoded", "dictionary", "extension"))


def _take_dictionary(array: pa.Array) -> pa.Array:
    return array.dictionary.take(array.indices)


def _take_runs(array: pa.Array) -> pa.Array:
    return array.values.take(_runs_positions(array))


def _runs_positions(array: pa.Array) -> pa.Array:
    """For each row the position of its value, because pyarrow decodes runs of flat values alone."""
    runs = pa.RunEndEncodedArray.from_arrays(array.run_ends, pa.array(range(len(array.values)), pa.int64()))
    return pc.run_end_decode(runs.slice(array.offset, len(array)))


def _recoded(got: pa.DataType, want: pa.DataType, special: Special | None) -> Convert:
    indices, values = conversion(got.index_type, want.index_type), conversion(got.value_type, want.value_type, special)
    if got.ordered != want.ordered:
        raise Lossy

    def convert(array: pa.Array) -> pa.Array:
        return pa.DictionaryArray.from_arrays(
            array.indices if indices is None else indices(array.indices),
            array.dictionary if values is None else values(array.dictionary),
            ordered=want.ordered,
        )

    return convert


def _struct(got: pa.StructType, want: pa.StructType, special: Special | None) -> Convert:
    try:
        plan = _plan(list(got), list(_numbered(want)), special)
    except MismatchError:
        raise Lossy from None

    def convert(array: pa.Array) -> pa.Array:
        # Nulls of the struct reach its fields: what stands behind them need not be convertible.
        fields = array.flatten()
        made = [
            pa.nulls(len(array), field.type)
            if at is None
            else fields[at]
            if as_wanted is None
            else as_wanted(fields[at])
            for field, at, as_wanted in plan
        ]
        return pa.StructArray.from_arrays(made, fields=list(want), mask=_mask(array)) if made else array.cast(want)

    return convert


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


def _map(got: pa.MapType, want: pa.MapType, special: Special | None) -> Convert:
    keys = conversion(got.key_type, want.key_type, special)
    items = conversion(got.item_type, want.item_type, special)
    if want.keys_sorted and not got.keys_sorted:
        raise Lossy

    def convert(array: pa.Array) -> pa.Array:
        start, offsets = _own_offsets(array)
        # array.keys and array.items leave out the offset that the entries themselves may have.
        entries = array.values.slice(start, offsets[-1].as_py())
        key_array, item_array = entries.field(0), entries.field(1)
        return pa.MapArray.from_arrays(
            offsets,
            key_array if keys is None else keys(key_array),
            item_array if items is None else items(item_array),
            type=want,
            mask=_mask(array),
        )

    return convert


def _own_offsets(array: pa.Array) -> tuple[int, pa.Array]:
    """Where the values of a sliced list or map begin, and its offsets from there."""
    offsets = array.offsets
    start = offsets[0].as_py()
    return start, pc.subtract(offsets, pa.scalar(start, offsets.type))


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or _is_list_view(kind)
        or pa.types.is_fixed_size_list(kind)
    )


def _is_list_view(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind))


def _list(got: pa.DataType, want: pa.DataType, special: Special | None) -> Convert:
    values = conversion(got.value_type, want.value_type, special)
    if special is None and _extension(got.value_field) != _extension(want.value_field):
        raise Lossy
    if pa.types.is_fixed_size_list(want):
        if not pa.types.is_fixed_size_list(got) or got.list_size != want.list_size:
            raise Lossy
        size = want.list_size

        def convert_fixed(array: pa.Array) -> pa.Array:
            inner = array.values.slice(array.offset * size, len(array) * size)
            return pa.FixedSizeListArray.from_arrays(
                inner if values is None else values(inner), type=want, mask=_mask(array)
            )

        return convert_fixed

    flattens = not (pa.types.is_list(got) or pa.types.is_large_list(got))
    early = values if flattens and _lacks_take(got.value_type) else None

    def convert(array: pa.Array) -> pa.Array:
        if early is not None:
            offsets, inner = _list_parts(_with_values(array, early(array.values)))
        else:
            offsets, inner = _list_parts(array)
            inner = inner if values is None else values(inner)
        if pa.types.is_large_list(want):
            return pa.LargeListArray.from_arrays(offsets, inner, type=want, mask=_mask(array))
        if pa.types.is_list(want):
            return pa.ListArray.from_arrays(offsets.cast(pa.int32()), inner, type=want, mask=_mask(array))
        view, index = (
            (pa.ListViewArray, pa.int32()) if pa.types.is_list_view(want) else (pa.LargeListViewArray, pa.int64())
        )
        begins, sizes = offsets[:-1], pc.subtract(offsets[1:], offsets[:-1])
        return view.from_arrays(begins.cast(index), sizes.cast(index), inner, type=want, mask=_mask(array))

    return convert


def _with_values(array: pa.Array, values: pa.Array) -> pa.Array:
    """The list view or fixed-size list over other values, as many as it has."""
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        return pa.FixedSizeListArray.from_arrays(
            values.slice(array.offset * size, len(array) * size), size, mask=_mask(array)
        )
    made = pa.ListViewArray if pa.types.is_list_view(array.type) else pa.LargeListViewArray
    # Rows that are null may lie anywhere.
    sizes = pc.if_else(array.is_valid(), array.sizes, pa.scalar(0, array.sizes.type))
    offsets = pc.if_else(array.is_valid(), array.offsets, pa.scalar(0, array.offsets.type))
    return made.from_arrays(offsets, sizes, values, mask=_mask(array))


def _list_parts(array: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The offsets (int64, from 0) and the values of the rows of any list array, nulls as empty lists."""
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        start, offsets = _own_offsets(array)
        return offsets.cast(pa.int64()), array.values.slice(start, offsets[-1].as_py())
    # pyarrow 26 casts list views that have nulls to wrong rows; flatten is right.
    sizes = pc.list_value_length(array).cast(pa.int64()).fill_null(0)
    return pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(sizes)]), array.flatten()


def _widens(got: pa.DataType, want: pa.DataType) -> bool:
    """True if ``want`` holds every value of ``got``, both flat. Times may run out of range: pyarrow's
    cast then says so."""
    if pa.types.is_integer(got):
        return _integer_widens(got, want)
    if got in _FLOATS and want in _FLOATS:
        return _FLOATS.index(got) < _FLOATS.index(want)
    if pa.types.is_decimal(got) and pa.types.is_decimal(want):
        return bool(want.scale >= got.scale and want.precision - want.scale >= got.precision - got.scale)
    for kinds in (_TEXT, _BINARY):
        if any(is_kind(got) for is_kind in kinds) and any(is_kind(want) for is_kind in kinds):
            return True
    if pa.types.is_fixed_size_binary(got):
        return any(is_kind(want) for is_kind in _BINARY)
    if pa.types.is_date32(got):
        return bool(pa.types.is_date64(want))
    if pa.types.is_timestamp(got) and pa.types.is_timestamp(want):
        return got.tz == want.tz and _finer(got, want)
    same_kind = (pa.types.is_time(got) and pa.types.is_time(want)) or (
        pa.types.is_duration(got) and pa.types.is_duration(want)
    )
    return same_kind and _finer(got, want)


def _finer(got: Any, want: Any) -> bool:
    return _UNITS.index(got.unit) <= _UNITS.index(want.unit)


def _integer_widens(got: pa.DataType, want: pa.DataType) -> bool:
    signed, bits = pa.types.is_signed_integer(got), got.bit_width
    if pa.types.is_integer(want):
        if pa.types.is_signed_integer(want):
            return bool(want.bit_width > bits or (signed and want.bit_width == bits))
        return not signed and bool(want.bit_width >= bits)
    if want in _MANTISSA:
        return bool(_MANTISSA[want] >= bits - signed)
    if pa.types.is_decimal(want):
        if want.scale < 0:
            return False
        digits = 19 if bits == 64 and signed else _DIGITS[bits]
        return bool(want.precision - want.scale >= digits)
    return False
