"""Tables as a class of the contract: for engines that find a source by name, and for sources made of tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bascule.contract import Statistics

if TYPE_CHECKING:
    import pyarrow as pa

    from bascule._native import Partition as ArrowStream
    from bascule._table import Table
    from bascule._trusted import TrustedRead
    from bascule.filters import Filter

__all__ = ["rows_of", "source_of", "specs_of"]


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


def rows_of(table: Table, spec: dict[str, Any], hints: Sequence[Filter]) -> Iterator[pa.RecordBatch]:
    """The batches of one of :func:`specs_of`."""
    return table.read(specs=[spec["spec"]], hints=hints).partition(0)


class _OfTables:
    """What the classes of several tables do one after the other, with their options and what was asked of them already
    in them. One that has a limit is one partition: its rows are the first that come of all.
    """

    tables: tuple[Table, ...]
    #: The tables may read by worker processes; this, which only hands over, needs none.
    executor = "inprocess"

    def infer_schema(self, options: Any) -> pa.Schema:
        return self.tables[0].schema

    def statistics(self, options: Any) -> Statistics | None:
        found = [table.statistics() if table.is_whole else None for table in self.tables]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return None
        rows, sizes = [one.num_rows for one in known], [one.total_bytes for one in known]
        return Statistics(
            None if None in rows else sum(filter(None, rows)),
            all(one.exact for one in known),
            None if None in sizes else sum(filter(None, sizes)),
        )

    def plan_partitions(
        self,
        options: Any,
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
        portable: bool = False,
    ) -> list[dict[str, Any]]:
        specs: list[dict[str, Any]] = []
        for i, table in enumerate(self.tables):
            if table.is_limited:
                specs.append({"table": i})
            else:
                specs += specs_of(table.read(columns, hints=filters, portable=portable), table=i)
        return specs

    def read_partition(
        self,
        partition_spec: dict[str, Any],
        options: Any,
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
    ) -> Iterator[pa.RecordBatch] | ArrowStream:
        table = self.tables[partition_spec["table"]]
        if table.is_limited:
            whole: Table = table if columns is None else table.select(columns)
            return whole.batches()
        read: TrustedRead = table.read(columns, specs=[partition_spec["spec"]], hints=filters)
        return read.stream(0)


def source_of(*tables: Table) -> type:
    """A class whose rows are those of the tables, of one schema, one after the other."""
    name = tables[0].source.rpartition(":")[2].rpartition(".")[2] or "Table"
    return type(name, (_OfTables,), {"tables": tables, "__module__": __name__, "__qualname__": f"source_of({name})"})
