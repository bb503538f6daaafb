"""A table as a class of the contract: for engines that find a source by name, and for sources made of tables."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from bascule._table import Table
    from bascule._trusted import TrustedRead
    from bascule.contract import Statistics
    from bascule.filters import Filter

__all__ = ["source_of", "specs_of"]


class TableSource:
    """What the class of a table does, with its options and what was asked of it already in it."""

    table: Table
    #: The table may read by worker processes; this, which only hands over, needs none.
    executor = "inprocess"

    def infer_schema(self, options: Any) -> pa.Schema:
        return self.table.schema

    def statistics(self, options: Any) -> Statistics | None:
        return self.table.statistics() if self.table.is_whole else None

    def plan_partitions(
        self,
        options: Any,
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
        portable: bool = False,
    ) -> list[dict[str, Any]]:
        if self.table.is_limited:
            return [{}]
        return specs_of(self._asked(columns).read(hints=filters, portable=portable))

    def read_partition(
        self,
        partition_spec: dict[str, Any],
        options: Any,
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
    ) -> Iterator[pa.RecordBatch]:
        asked = self._asked(columns)
        if self.table.is_limited:
            yield from asked.batches()
        else:
            yield from asked.read(specs=[partition_spec["spec"]], hints=filters).partition(0)

    def _asked(self, columns: Sequence[str] | None) -> Table:
        return self.table if columns is None else self.table.select(columns)


class _Spec(dict[str, Any]):
    """A partition of a table's. Here it keeps the plan, which may hold what its specs need; a pickled copy is a dict."""

    read: TrustedRead | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def specs_of(read: TrustedRead, **more: Any) -> list[dict[str, Any]]:
    """The partitions of a read, as specs of a source that is made of it."""
    specs = [_Spec(more, spec=read.plan.spec(i)) for i in range(read.partition_count)]
    for spec in specs:
        spec.read = read
    return list(specs)


def source_of(table: Table) -> type:
    """A class whose table is this one."""
    name = table.source.rpartition(":")[2].rpartition(".")[2] or "Table"
    body = {"table": table, "__module__": __name__, "__qualname__": f"source_of({name})"}
    return types.new_class(name, (TableSource,), exec_body=lambda namespace: namespace.update(body))
