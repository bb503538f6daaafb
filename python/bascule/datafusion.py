"""The adapter for DataFusion: ``register(ctx, "orders", table)``, and ``ctx.sql("SELECT … FROM orders")``.

DataFusion reads what looks to it like a dataset of pyarrow's: each partition of ours is one of its own. Columns and predicates
reach the class, and DataFusion does not check them again. That object never leaves its context: pyarrow itself would crash on it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from bascule.errors import BasculeError

try:
    import datafusion
except ModuleNotFoundError as _e:
    raise BasculeError(
        "bascule.datafusion needs DataFusion, which is not installed here: pip install datafusion"
    ) from _e

if TYPE_CHECKING:
    from bascule._table import Table
    from bascule._trusted import TrustedRead
    from bascule.filters import Filter

__all__ = ["register"]


def register(ctx: datafusion.SessionContext, name: str, table: Table) -> None:
    """Makes a table known to a context under a name. Each query is a new read of it.

    Raises:
        BasculeError: the table has a limit, which has no meaning for partitions that are read apart; or its class can't be opened.

    Example:
        >>> import bascule
        >>> ctx = datafusion.SessionContext()
        >>> register(ctx, "numbers", bascule.table("testsources:Numbers"))
        >>> ctx.sql("SELECT p FROM numbers WHERE k = 3 ORDER BY p").to_pydict()
        {'p': [0, 1, 2]}
    """
    table.check_unlimited("DataFusion reads its partitions apart: put the LIMIT into the query")
    _ = table.schema  # what fails while DataFusion asks for it is a panic there
    dataset = _Dataset.__new__(_Dataset)
    dataset.table = table
    ctx.register_dataset(name, dataset)


class _Dataset(pyarrow.dataset.Dataset):  # type: ignore[misc]
    """What DataFusion takes for a dataset; made without ``__init__``."""

    table: Table

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema

    def scanner(self, columns: Sequence[str], filter: pc.Expression | None = None, **more: Any) -> _Scanner:
        """Asked for its schema alone."""
        return _Scanner(self.table.select(list(columns)).schema, lambda: iter(()))

    def get_fragments(self, filter: pc.Expression | None = None) -> list[_Fragment]:
        query = _Query(self.table, filter)
        return [_Fragment(query, i) for i in range(len(query.specs))]


class _Query:
    """One query: planned once, for all columns, since DataFusion names them with each partition."""

    def __init__(self, table: Table, filter: pc.Expression | pa.BooleanScalar | None) -> None:
        from bascule.filters import Exactness, from_arrow
        from bascule.filters._from_arrow import is_plain_sql

        self._table = table
        self._filters: list[Filter | pc.Expression] = []
        if filter is not None:
            # Of `id = 0 AND id = 1` it makes the constant that this is, and no expression.
            filter = pc.scalar(filter) if isinstance(filter, pa.Scalar) else filter
            said = from_arrow(filter, table.schema, sql=True)
            exact = said.exactness is Exactness.EXACT
            if not exact and not is_plain_sql(filter, table.schema):
                # DataFusion doesn't look again: rather no rows than wrong ones.
                raise BasculeError(
                    f"{table.source}: the predicate {filter} that DataFusion pushed can't be said exactly"
                )
            self._filters = [said.expression if exact else filter]
        # Kept: a class's specs may live as long as their plan.
        self._planned = table.where(*self._filters).read()
        self.specs = [self._planned.plan.spec(i) for i in range(self._planned.partition_count)]
        self._lock = threading.Lock()
        self._reads: dict[tuple[str, ...], TrustedRead] = {}

    def read(self, columns: Sequence[str]) -> TrustedRead:
        """The plan for some columns, of these partitions."""
        key = tuple(columns)
        with self._lock:
            if key not in self._reads:
                self._reads[key] = self._table.where(*self._filters).select(key).read(specs=self.specs)
            return self._reads[key]


class _Fragment:
    def __init__(self, query: _Query, number: int) -> None:
        self._query = query
        self._number = number

    def scanner(self, schema: pa.Schema | None = None, columns: Sequence[str] = (), **more: Any) -> _Scanner:
        read = self._query.read(columns)
        return _Scanner(read.schema, lambda: read.partition(self._number))


class _Scanner:
    def __init__(self, schema: pa.Schema, batches: Any) -> None:
        self.projected_schema = schema
        self._batches = batches

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        return self._batches()  # type: ignore[no-any-return]
