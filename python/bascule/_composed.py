"""Small sources of which others are made: rows in memory, tables one after the other, a function over batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bascule._instance import exports_arrow
from bascule._locate import a
from bascule._table import Table, table
from bascule._table_source import Recipe, read_of, source_of, specs_of
from bascule.contract import Statistics
from bascule.errors import BasculeError

if TYPE_CHECKING:
    import pyarrow as pa

    from bascule.filters import Filter

__all__ = ["MemoryDataSource", "concat", "map_batches"]


class MemoryDataSource:
    """Rows in memory as a source.

    Args:
        data: a ``pyarrow.Table``, a record batch, a data frame: whatever exports Arrow.
        partitions: how many parts of equal length it has.

    Example:
        >>> import bascule, pyarrow as pa
        >>> bascule.table(bascule.MemoryDataSource(pa.table({"n": range(10)}), partitions=3)).count()
        10
    """

    def __init__(self, data: Any, partitions: int = 1) -> None:
        import pyarrow as pa

        if partitions < 1:
            raise ValueError(f"a source in memory has at least one partition, got {partitions}")
        self.data: pa.Table = data if isinstance(data, pa.Table) else pa.table(data)
        self.partitions = partitions

    def infer_schema(self, options: Any) -> pa.Schema:
        return self.data.schema

    def statistics(self, options: Any) -> Statistics:
        return Statistics(self.data.num_rows, exact=True, total_bytes=self.data.nbytes)

    def push_filters(self, filters: Sequence[Filter], options: Any) -> list[Filter]:
        return [filter for filter in filters if not self._applies(filter)]

    def plan_partitions(self, options: Any) -> list[dict[str, Any]]:
        n = self.data.num_rows
        marks = [n * i // self.partitions for i in range(self.partitions + 1)]
        return [
            {"start": start, "bascule_rows": end - start} for start, end in itertools.pairwise(marks) if end > start
        ]

    def read_partition(
        self,
        partition_spec: dict[str, Any],
        options: Any,
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        from bascule.filters import filter_table

        part = self.data.slice(partition_spec["start"], partition_spec["bascule_rows"])
        applied = [filter for filter in filters if self._applies(filter)]
        left = part.num_rows if limit is None or len(applied) < len(filters) else limit
        for batch in part.to_batches(max_chunksize=_CHUNK):
            kept = filter_table(applied, batch).slice(0, left)
            left -= kept.num_rows
            yield kept if columns is None else kept.select(columns)
            if left == 0:
                return

    def _applies(self, filter: Filter) -> bool:
        from bascule.filters import Exactness

        return filter.to_arrow(self.data.schema).exactness is Exactness.EXACT


_CHUNK = 1 << 16


def concat(*tables: Table) -> Table:
    """The rows of several tables of one schema, one after the other.

    Raises:
        BasculeError: their schemas differ, or one has a limit.

    Example:
        >>> import bascule, pyarrow as pa
        >>> one, two = (bascule.table(bascule.MemoryDataSource(pa.table({"n": [n]}))) for n in (1, 2))
        >>> bascule.concat(one, two).to_arrow()["n"].to_pylist()
        [1, 2]
    """
    if not tables:
        raise ValueError("there is no table")
    for other in tables:
        other.check_unlimited("Its rows can't be parts of another table's")
        if not other.schema.equals(tables[0].schema):
            raise BasculeError(
                f"{other!r} has other columns than {tables[0]!r}: {_columns(other)}, not {_columns(tables[0])}"
            )
    return table(source_of(*tables))


def _columns(table: Table) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in table.schema)


def map_batches(
    table_: Table,
    function: Callable[[pa.RecordBatch], Any],
    schema: pa.Schema,
    *,
    reads: Sequence[str] | None = None,
    keeps: Sequence[str] = (),
) -> Table:
    """A table whose batches are what a function makes of another's: a model's predictions, a cleaned column.

    Args:
        function: of a record batch; returns one, or whatever exports Arrow. Called on several threads at once. It may drop rows.
        schema: of what it returns.
        reads: the columns that it needs; None: all. It is given these and no others.
        keeps: columns of ``schema`` that it hands on as they were: predicates of these alone reach the source.

    Raises:
        BasculeError: a column isn't there, or the table has a limit.

    Example:
        >>> import bascule, pyarrow as pa, pyarrow.compute as pc
        >>> numbers = bascule.table(bascule.MemoryDataSource(pa.table({"n": [1, 2, 3]})))
        >>> def double(batch):
        ...     return batch.append_column("twice", pc.multiply(batch["n"], 2))
        >>> doubled = bascule.map_batches(numbers, double, pa.schema({"n": pa.int64(), "twice": pa.int64()}), keeps=["n"])
        >>> doubled.where(pc.field("n") > 1).select("twice").to_arrow()["twice"].to_pylist()
        [4, 6]
    """
    table_.check_unlimited("Its rows can't be parts of another table's")
    given = table_ if reads is None else table_.select(list(reads))
    for name in keeps:
        if name not in schema.names or name not in given.schema.names:
            raise BasculeError(
                f"{name!r} can't be kept: it is no column of {'the schema' if name not in schema.names else 'what the function reads'}"
            )
    name = f"map_batches({getattr(function, '__name__', 'function')})"
    body = {"recipe": Recipe(given), "function": staticmethod(function), "schema": schema, "keeps": frozenset(keeps)}
    return table(type("Mapped", (_Mapped,), {**body, "__module__": __name__, "__qualname__": name}))


class _Mapped:
    recipe: Recipe
    schema: pa.Schema
    keeps: frozenset[str]
    function: Callable[[pa.RecordBatch], Any]

    @classmethod
    def _bascule_secrets(cls) -> list[str]:
        return cls.recipe.secrets()

    def __init__(self) -> None:
        self.table = self.recipe.table()

    def infer_schema(self, options: Any) -> pa.Schema:
        return self.schema

    def plan_partitions(
        self, options: Any, *, filters: Sequence[Filter] = (), portable: bool = False
    ) -> list[dict[str, Any]]:
        return specs_of(self.table.read(hints=self._pushable(filters), portable=portable))

    def read_partition(
        self, partition_spec: dict[str, Any], options: Any, *, filters: Sequence[Filter] = ()
    ) -> Iterator[Any]:
        read, i = read_of(self.table, partition_spec, self._pushable(filters))
        for batch in read.partition(i):
            made = self.function(batch)
            if not exports_arrow(made):
                raise TypeError(f"the function returned {a(made)}, expected a record batch or what exports Arrow")
            yield made

    def _pushable(self, filters: Iterable[Filter]) -> list[Filter]:
        return [filter for filter in filters if self.keeps.issuperset(filter.columns)]
