"""Columns of a schema: by name, or an error that says which there are; and the size of their batches."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING

from bascule.errors import BasculeError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["index_of", "sizes_of"]


def index_of(label: str, schema: pa.Schema, name: str, who: str = "") -> int:
    """The index of the one column of a name.

    Args:
        label: of the source, for messages.
        who: names it, as the end of a sentence: ``", which the query reads"``.

    Raises:
        BasculeError: there is none, or several.
    """
    indices = schema.get_all_field_indices(name)
    if len(indices) == 1:
        return int(indices[0])
    spelled = {column.casefold(): column for column in schema.names}
    near = [] if indices else difflib.get_close_matches(name.casefold(), spelled, n=1)
    hint = f"did you mean {spelled[near[0]]!r}? " if near else ""
    raise BasculeError(
        f"{label} has {f'{len(indices)} columns' if indices else 'no column'} {name!r}{who}: {hint}its columns are "
        f"{', '.join(schema.names)}"
    )


def sizes_of(schema: pa.Schema) -> Callable[[pa.RecordBatch], int]:
    """What tells the bytes of a batch of a schema. ``nbytes`` itself looks at every buffer of every column, which takes longer
    than many a batch; of columns whose values have one width the rows are enough.
    """
    from pyarrow import types

    bits = 0
    others: list[int] = []
    for i, field in enumerate(schema):
        if types.is_primitive(field.type) or types.is_decimal(field.type) or types.is_fixed_size_binary(field.type):
            bits += int(field.type.bit_width) + bool(field.nullable)
        else:
            others.append(i)

    def size(batch: pa.RecordBatch) -> int:
        n: int = bits * batch.num_rows // 8
        for i in others:
            n += int(batch.column(i).nbytes)
        return n

    return size
