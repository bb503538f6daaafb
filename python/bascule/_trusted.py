"""Reads for engines that trust what they push: only rows for which the predicates are true, and no more than the limit.

What the class claims (``push_filters``) it applies; what is left is applied here, to its batches, by pyarrow. Engines
that check again themselves, as DuckDB does, need none of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from bascule import _native
from bascule.errors import BasculeError
from bascule.filters import Filter

__all__ = ["TrustedRead"]


class TrustedRead:
    """One request to a source, planned.

    Args:
        source: the open source.
        columns: names of those to hand over, in order; None: all.
        filters: predicates, joined by AND.
        limit: the most rows that are wanted of the whole; each partition hands over at most as many.

    Raises:
        BasculeError: a predicate reads a column that isn't there, or can't be applied to what the class leaves.
    """

    def __init__(
        self,
        source: _native.Source,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
        limit: int | None = None,
    ) -> None:
        declared = pa.schema(source)
        conjuncts = tuple(conjunct for filter in filters for conjunct in filter.conjuncts())
        asked = list(range(len(declared))) if columns is None else [_index(source, declared, name) for name in columns]
        from bascule.filters import _wire

        pushable, data = _wire.sayable(conjuncts)
        claims = source.claim(data, len(pushable)) if pushable else []
        claimed = {filter for filter, exact in zip(pushable, claims, strict=True) if exact}
        self.residual = tuple(filter for filter in conjuncts if filter not in claimed)
        needed = [_index(source, declared, name) for filter in self.residual for name in filter.columns]
        more = [index for index in dict.fromkeys(needed) if index not in asked]
        self.limit = limit
        self._asked = len(asked)
        everything = columns is None or [*asked, *more] == list(range(len(declared)))
        self.plan = source.plan(None if everything else [*asked, *more], data, None if self.residual else limit)
        self._scan = self.plan.scan()
        self.schema = pa.schema([declared.field(i) for i in asked], metadata=declared.metadata)
        if self.residual:
            self._check(declared)

    def _check(self, declared: pa.Schema) -> None:
        from bascule.filters import filter_table

        filter_table(self.residual, declared.empty_table())

    @property
    def partition_count(self) -> int:
        return self.plan.partition_count

    def partition(self, i: int) -> Iterator[pa.RecordBatch]:
        """The wanted rows of one partition, as batches of :attr:`schema`."""
        left = self.limit
        reader = pa.RecordBatchReader.from_stream(self._scan.partition(i))
        for batch in reader:
            if self.residual:
                from bascule.filters import filter_table

                batch = filter_table(self.residual, batch)
            batch = batch.select(list(range(self._asked))) if batch.num_columns > self._asked else batch
            if left is not None:
                batch = batch.slice(0, left)
                left -= batch.num_rows
            if batch.num_rows:
                yield batch
            if left == 0:
                return

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The wanted rows of all partitions, one after the other, up to the limit."""
        left = self.limit
        for i in range(self.partition_count):
            for batch in self.partition(i):
                batch = batch if left is None else batch.slice(0, left)
                left = left if left is None else left - batch.num_rows
                yield batch
                if left == 0:
                    return


def _index(source: _native.Source, schema: pa.Schema, name: str) -> int:
    indices = schema.get_all_field_indices(name)
    if len(indices) != 1:
        raise BasculeError(
            f"{source.label} has {'no column' if not indices else f'{len(indices)} columns'} {name!r}, which the query reads: "
            f"its columns are {', '.join(schema.names)}"
        )
    return int(indices[0])
