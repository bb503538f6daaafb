"""Reads for engines that trust what they push: only rows for which the predicates are true, and no more than the limit.

What the class claims (``push_filters``) it applies; what is left is applied here, to its batches, by pyarrow. Engines
that check again themselves, as DuckDB does, need none of this.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bascule import _native
from bascule._columns import index_of
from bascule._metrics import metrics_of
from bascule.errors import BasculeError
from bascule.filters import Filter

if TYPE_CHECKING:
    import pyarrow.compute as pc

    from bascule._native import Partition as ArrowStream

__all__ = ["TrustedRead", "check_predicates", "first_rows"]

_READ = ", which the query reads"


def first_rows(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    """Batches up to so many rows; None: all. No more of them are asked for than it takes."""
    left = limit
    if left == 0:
        return
    for batch in batches:
        batch = batch if left is None else batch.slice(0, left)
        left = left if left is None else left - batch.num_rows
        yield batch
        if left == 0:
            return


class TrustedRead:
    """One request to a source, planned.

    Args:
        source: the open source.
        columns: names of those to hand over, in order; None: all.
        filters: predicates, joined by AND: of ``bascule.filters``, or expressions of ``pyarrow.compute``.
        limit: the most rows that are wanted of the whole; each partition hands over at most as many.
        specs: partitions of another such read, by ``plan.spec``; None: the class is asked for them.
        hints: predicates that the class is told and nobody else applies: rows for which they aren't true may come. Not
            with a limit.
        portable: its specs are for other processes, or for when this is gone.

    Raises:
        BasculeError: a predicate reads a column that isn't there, or can't be applied to what the class leaves.
    """

    def __init__(
        self,
        source: _native.Source,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter | pc.Expression] = (),
        limit: int | None = None,
        specs: Sequence[bytes] | None = None,
        hints: Sequence[Filter] = (),
        portable: bool = False,
    ) -> None:
        declared = pa.schema(source)
        assert limit is None or not hints
        conjuncts, weaker, expressions = _divided(filters, declared)
        asked = (
            list(range(len(declared)))
            if columns is None
            else [index_of(source.label, declared, name, _READ) for name in columns]
        )
        from bascule.filters import _wire

        pushable, data = _wire.sayable([*conjuncts, *weaker, *hints])
        claims = source.claim(data, len(pushable)) if pushable else []
        claimed = {filter for filter, exact in zip(pushable, claims, strict=True) if exact}
        self.residual: tuple[Filter | pc.Expression, ...] = (
            *(filter for filter in conjuncts if filter not in claimed),
            *expressions,
        )
        needed = [index_of(source.label, declared, name, _READ) for name in _columns_of(self.residual, declared)]
        more = [index for index in dict.fromkeys(needed) if index not in asked]
        self.limit = limit
        self._asked = len(asked)
        everything = columns is None or [*asked, *more] == list(range(len(declared)))
        request = (None if everything else [*asked, *more], data, None if self.residual else limit)
        self.plan: _native.Plan = (
            source.plan(*request, portable=portable) if specs is None else source.plan(*request, list(specs))
        )
        self._lock = threading.Lock()
        self._opened: _native.Scan | None = None
        self.schema: pa.Schema = pa.schema([declared.field(i) for i in asked], metadata=declared.metadata)
        if self.residual:
            _try(self.residual, declared)

    @property
    def _scan(self) -> _native.Scan:
        """Its one execution, which begins when it is first asked for."""
        with self._lock:
            if self._opened is None:
                self._opened = self.plan.scan()
            return self._opened

    def cancel(self) -> None:
        """Every read of it ends with an error."""
        self._scan.cancel()

    def finish(self) -> None:
        """The same, where all that is wanted was read."""
        self._scan.finish()

    def release(self) -> None:
        """It is read no more; without streams of it in other hands its execution ends."""
        with self._lock:
            self._opened = None

    @property
    def number(self) -> int:
        """Of its execution, in :func:`bascule.scans`."""
        return self._scan.number

    @property
    def progress(self) -> float:
        """What part is read, in [0, 1]."""
        return self._scan.progress

    def metrics(self) -> dict[str, Any]:
        """What it did so far: its row of :func:`bascule.scans`."""
        return metrics_of(self._scan)

    @property
    def row_count(self) -> int | None:
        """How many rows there are, before the limit, where every partition says so; None: they must be counted."""
        return None if self.residual else self.plan.row_count

    @property
    def partition_count(self) -> int:
        return self.plan.partition_count

    def partition(self, i: int) -> Iterator[pa.RecordBatch]:
        """The wanted rows of one partition, as batches of :attr:`schema`."""
        batches = pa.RecordBatchReader.from_stream(self._scan.partition(i))
        return batches if self._is_as_read else first_rows(self._filtered(batches), self.limit)

    def stream(self, i: int) -> Iterator[pa.RecordBatch] | ArrowStream:
        """The same for who takes Arrow streams too, which are handed over without a look at them."""
        return self._scan.partition(i) if self._is_as_read else self.partition(i)

    @property
    def _is_as_read(self) -> bool:
        """What the core hands over is what is wanted."""
        return not self.residual and self.limit is None

    def _filtered(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if self.residual:
                from bascule.filters import filter_table

                batch = filter_table(self.residual, batch)
            batch = batch.select(list(range(self._asked))) if batch.num_columns > self._asked else batch
            if batch.num_rows:
                yield batch

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The wanted rows of all partitions, one after the other, up to the limit."""
        return first_rows(itertools.chain.from_iterable(map(self.partition, range(self.partition_count))), self.limit)


def _divided(
    filters: Sequence[Filter | pc.Expression], schema: pa.Schema
) -> tuple[list[Filter], list[Filter], list[pc.Expression]]:
    """Predicates that say all that is wanted, those that say less of an expression, and these expressions."""
    from bascule.filters import Exactness, from_arrow

    conjuncts: list[Filter] = []
    hints: list[Filter] = []
    expressions: list[pc.Expression] = []
    for filter in filters:
        if isinstance(filter, Filter):
            conjuncts += filter.conjuncts()
            continue
        read = from_arrow(filter, schema)
        exact = read.exactness is Exactness.EXACT
        if read.expression is not None:
            (conjuncts if exact else hints).extend(read.expression.conjuncts())
        if not exact:
            expressions.append(filter)
    return conjuncts, hints, expressions


def _columns_of(filters: Sequence[Filter | pc.Expression], schema: pa.Schema) -> list[str]:
    """The columns that predicates read: all, where one doesn't tell."""
    from bascule.filters._from_arrow import columns_in

    names: list[str] = []
    for filter in filters:
        found = filter.columns if isinstance(filter, Filter) else columns_in(filter)
        names += schema.names if found is None else sorted(found)
    return names


def check_predicates(label: str, schema: pa.Schema, filters: Sequence[Filter | pc.Expression]) -> None:
    """Raises BasculeError where a predicate reads a column that isn't there, or can't be applied."""
    for name in _columns_of(filters, schema):
        index_of(label, schema, name, _READ)
    _try(filters, schema)


def _try(filters: Sequence[Filter | pc.Expression], schema: pa.Schema) -> None:
    from bascule.filters import filter_table

    try:
        filter_table(filters, schema.empty_table())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
        words = " AND ".join(map(str, filters))
        raise BasculeError(f"can't filter rows by {words:.500}: {e}") from None
