"""Predicates applied to rows: what engines that trust a pushed predicate need for what a source left in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from bascule.errors import BasculeError
from bascule.filters._arrow import all_of, to_arrow
from bascule.filters._translate import Exactness
from bascule.filters._tree import Filter

__all__ = ["filter_table"]


def filter_table(filters: Sequence[Filter], table: pa.Table | pa.RecordBatch) -> Any:
    """The rows of a table, or of a batch, for which every predicate is true, in their order.

    Raises:
        BasculeError: a predicate has no exact expression (see :func:`to_arrow`).
    """
    expressions = []
    for filter in filters:
        said = to_arrow(filter, table.schema)
        if said.exactness is not Exactness.EXACT:
            raise BasculeError(f"can't filter rows by {filter!r}: Arrow has no exact expression of it over these types")
        expressions.append(said.expression)
    if not expressions:
        return table
    whole = table if isinstance(table, pa.Table) else pa.Table.from_batches([table])
    try:
        kept = whole.filter(all_of(expressions))
    except pa.ArrowNotImplementedError:
        # It has no kernel that picks rows of views, not even of other columns than the predicates'.
        kept = _by_runs(whole, all_of(expressions))
    if isinstance(table, pa.Table):
        return kept
    batches = kept.combine_chunks().to_batches()
    return batches[0] if batches else table.slice(0, 0)


def _by_runs(table: pa.Table, wanted: Any) -> pa.Table:
    """The wanted rows as slices, joined."""
    from pyarrow import dataset

    mask = dataset.dataset(table).to_table(columns={"wanted": wanted})["wanted"].to_pylist()
    slices, start = [], None
    for i, is_wanted in enumerate([*mask, False]):
        if is_wanted and start is None:
            start = i
        elif not is_wanted and start is not None:
            slices.append(table.slice(start, i - start))
            start = None
    return pa.concat_tables(slices) if slices else table.slice(0, 0)
