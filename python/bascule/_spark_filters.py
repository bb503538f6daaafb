"""PySpark's predicates as ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from bascule.filters import Filter

__all__ = ["translated"]


def translated(filter: Any, schema: pa.Schema) -> Filter | None:
    """PySpark's predicate as ours; None where it can't be said."""
    from pyspark.sql import datasource as theirs

    from bascule import filters as ours
    from bascule.filters._literal import literal
    from bascule.filters._order import family

    if isinstance(filter, theirs.Not):
        child = translated(filter.child, schema)
        return None if child is None else ours.Not(child)
    path: tuple[str, ...] = getattr(filter, "attribute", ())
    kind: Callable[..., Filter] | None = getattr(ours, type(filter).__name__, None)
    if len(path) != 1 or kind is None or len(schema.get_all_field_indices(path[0])) != 1:
        return None
    (name,) = path
    if isinstance(filter, (theirs.IsNull, theirs.IsNotNull)):
        return kind(name)
    type_ = schema.field(name).type
    if isinstance(type_, pa.BaseExtensionType) or b"ARROW:extension:name" in (schema.field(name).metadata or {}):
        return None  # Spark has its storage, which may order otherwise.
    try:
        made = ours.In(name, filter.value) if isinstance(filter, theirs.In) else kind(name, filter.value)
    except TypeError:  # Arrow has no such literal.
        return None
    # Sail gives moments as numbers of microseconds, whatever the column's unit.
    values = filter.value if isinstance(filter, theirs.In) else (filter.value,)
    families = {family(literal(value).type) for value in values if value is not None}
    return made if families <= {family(type_.value_type if pa.types.is_dictionary(type_) else type_)} else None
