"""Predicates applied to rows: what engines that trust a pushed predicate need for what a source left in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import acero

from bascule.errors import BasculeError
from bascule.filters._arrow import to_arrow
from bascule.filters._translate import Exactness
from bascule.filters._tree import And, Filter, Not, Or

__all__ = ["filter_table"]


def filter_table(filters: Sequence[Filter | pc.Expression], table: pa.Table | pa.RecordBatch) -> Any:
    """The rows of a table, or of a batch, for which every predicate is true, in their order. Expressions of
    ``pyarrow.compute`` say what they say there.

    Raises:
        BasculeError: a predicate has no exact expression (see :func:`to_arrow`).
    """
    if not filters:
        return table
    whole = table if isinstance(table, pa.Table) else pa.Table.from_batches([table])
    ours = [filter for filter in filters if isinstance(filter, Filter)]
    masks = [_mask(And(*ours), whole)] if ours else []
    masks += [_said(filter, whole) for filter in filters if isinstance(filter, pc.Expression)]
    mask = reduce(pc.and_kleene, masks)
    try:
        return table.filter(mask if isinstance(table, pa.Table) else mask.combine_chunks())
    except pa.ArrowNotImplementedError:  # No kernel takes rows of some types, views among them: slices do.
        kept = pa.concat_tables(_runs(whole, mask)).combine_chunks()
    if isinstance(table, pa.Table):
        return kept
    batches = kept.to_batches()
    return batches[0] if batches else table.slice(0, 0)


def _mask(filter: Filter, table: pa.Table) -> pa.ChunkedArray:
    """What a predicate says of each row."""
    said = to_arrow(filter, table.schema)
    if said.exactness is Exactness.EXACT:
        return _said(said.expression, table)
    # Too much for one expression, or the part that has none is below.
    if isinstance(filter, Not):
        return pc.invert(_mask(filter.child, table))
    if isinstance(filter, (And, Or)):
        join = pc.and_kleene if isinstance(filter, And) else pc.or_kleene
        return reduce(join, (_mask(child, table) for child in filter.children))
    raise BasculeError(f"can't filter rows by {filter!r}: Arrow has no exact expression of it over these types")


def _said(expression: Any, table: pa.Table) -> pa.ChunkedArray:
    """What an expression says of each row."""
    source = acero.Declaration("table_source", acero.TableSourceNodeOptions(table))
    project = acero.Declaration("project", acero.ProjectNodeOptions([expression], ["said"]))
    return acero.Declaration.from_sequence([source, project]).to_table(use_threads=False).column(0)


def _runs(table: pa.Table, mask: pa.ChunkedArray) -> list[pa.Table]:
    """The rows that a mask is true for, in slices."""
    runs, start = [table.slice(0, 0)], 0
    for said, group in groupby(mask.to_pylist()):
        length = sum(1 for _ in group)
        if said:
            runs.append(table.slice(start, length))
        start += length
    return runs
