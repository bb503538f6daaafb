"""From what a driver yields to the Arrow types that were declared: exactly, or with an error."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from bascule import BasculeError, OptionError
from bascule.sources._ddl import column_defs

_DAY_US = 86_400_000_000
_T = exp.DataType.Type
_SIMPLE = {
    _T.TINYINT: pa.int8(),
    _T.SMALLINT: pa.int16(),
    _T.INT: pa.int32(),
    _T.BIGINT: pa.int64(),
    _T.FLOAT: pa.float32(),
    _T.DOUBLE: pa.float64(),
    _T.BOOLEAN: pa.bool_(),
    _T.TEXT: pa.string(),
    _T.VARCHAR: pa.string(),
    _T.CHAR: pa.string(),
    _T.BINARY: pa.binary(),
    _T.VARBINARY: pa.binary(),
    _T.DATE: pa.date32(),
    _T.TIMESTAMP: pa.timestamp("us"),
    _T.TIMESTAMPNTZ: pa.timestamp("us"),
    _T.TIMESTAMPLTZ: pa.timestamp("us", "UTC"),
    _T.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
}


def decimal(precision: int, scale: int) -> pa.DataType:
    """The decimal of that size; text beyond 76 digits, which no Arrow decimal holds."""
    if not 0 < precision <= 76 or not 0 <= scale <= precision:
        return pa.string()
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def custom_schema(text: str) -> dict[str, pa.DataType]:
    """Spark's ``customSchema``, ``amount DECIMAL(38, 10), note STRING``: names in lower case, Arrow types.

    Raises:
        OptionError: it is no list of columns, or names a type that is not among them.
    """
    columns = column_defs(text, "spark")
    if not columns:
        raise OptionError(
            "option 'customSchema' is no list of names and types: write amount DECIMAL(38, 10), note STRING"
        )
    return {c.name.casefold(): _arrow_type(c.name, c.kind) for c in columns}


def _arrow_type(name: str, kind: exp.DataType) -> pa.DataType:
    if kind.this == _T.DECIMAL:
        size = [int(e.name) for e in kind.expressions] or [10]
        return decimal(size[0], size[1] if len(size) > 1 else 0)
    found = _SIMPLE.get(kind.this)
    if found is None:
        raise OptionError(
            f"option 'customSchema' gives column '{name}' a type that is not among those it takes: TINYINT, SMALLINT, INT, "
            "BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), BOOLEAN, STRING, BINARY, DATE, TIMESTAMP_NTZ, TIMESTAMP_LTZ"
        )
    return found


def convert(array: pa.Array, want: pa.DataType, name: str) -> pa.Array:
    """``array`` as type ``want``, each value unchanged.

    Raises:
        BasculeError: a value has no place in the type. Names the column.
    """
    if array.type == want:
        return array
    if isinstance(want, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(want, convert(array, want.storage_type, name))
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    try:
        made = _cast(array, want)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
        raise BasculeError(
            f"column '{name}' has a value that is no {want}: {e}. Name another type by customSchema, or cast it in query"
        ) from None
    return made


def _cast(array: pa.Array, want: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(want) and pa.types.is_integer(array.type):
        odd = pc.greater(array.cast(pa.int64()), 1)
        if pc.any(pc.or_(odd, pc.less(array, 0))).as_py():
            raise pa.ArrowInvalid("it is neither 0 nor 1")
    if pa.types.is_time64(want) and pa.types.is_integer(array.type):
        outside = pc.or_(pc.less(array, 0), pc.greater_equal(array, _DAY_US))
        if pc.any(outside).as_py():
            raise pa.ArrowInvalid("it is below zero, or a day and more")
    made = array.cast(want)
    if pa.types.is_floating(array.type) and not pa.types.is_string(want):
        # Casts of floats round; what does not come back was rounded.
        back = made.cast(array.type)
        if not pc.all(pc.or_(pc.equal(array, back), pc.is_nan(array))).as_py() and array.null_count < len(array):
            raise pa.ArrowInvalid("it would be rounded")
    return made
