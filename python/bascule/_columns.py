"""A column of a source by its name, or an error that says which there are."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from bascule.errors import BasculeError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["index_of"]


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
