"""Tables as a class of the contract: for engines that find a source by name, and for sources made of tables."""

from __future__ import annotations

import itertools
import os
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bascule.contract import Statistics

if TYPE_CHECKING:
    import pyarrow as pa

    from bascule._native import Partition as ArrowStream
    from bascule._table import Table
    from bascule._trusted import TrustedRead
    from bascule.filters import Filter

__all__ = ["Recipe", "read_of", "source_of", "specs_of"]


#: Plans of this process, by what their specs hold.
_plans: weakref.WeakValueDictionary[tuple[int, int], TrustedRead] = weakref.WeakValueDictionary()
_numbers = itertools.count()


class _Spec(dict[str, Any]):
    """A partition of a table's. Here it keeps the plan, which may hold what its specs need, and is read of it; a pickled
    copy, which may be read with other columns, is a dict that knows none.
    """

    read: TrustedRead | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, ({name: value for name, value in self.items() if name != "plan"},)


def specs_of(read: TrustedRead, **more: Any) -> list[dict[str, Any]]:
    """The partitions of a read, as specs of a source that is made of it."""
    key = os.getpid(), next(_numbers)
    _plans[key] = read
    specs = [_Spec(more, plan=key, number=i, spec=read.plan.spec(i)) for i in range(read.partition_count)]
    for spec in specs:
        spec.read = read
    return list(specs)


def read_of(
    table: Table, spec: dict[str, Any], hints: Sequence[Filter], columns: Sequence[str] | None = None
) -> tuple[TrustedRead, int]:
    """The plan of one of :func:`specs_of`, and its partition there; made anew where it was made in another process."""
    key = spec.get("plan", (0, 0))
    read = _plans.get(key) if key[0] == os.getpid() else None
    return (table.read(columns, specs=[spec["spec"]], hints=hints), 0) if read is None else (read, spec["number"])


class Recipe:
    """A table without what it has open, for classes that may live longer than it: an engine's connection keeps them."""

    def __init__(self, table: Table) -> None:
        self._bound = weakref.ref(table.bound)
        self._closed = table.over(None)

    def __reduce__(self) -> tuple[Any, ...]:
        return Recipe, (self._closed,)

    def table(self) -> Table:
        """The table: over what is open, if it still is, else over what is opened for this one."""
        return self._closed.over(self._bound())

    def secrets(self) -> list[str]:
        return self._closed.secrets()


class _OfTables:
    """What the classes of several tables do one after the other, with their options and what was asked of them already
    in them. One that has a limit is one partition: its rows are the first that come of all.
    """

    recipes: tuple[Recipe, ...]
    #: The tables may read by worker processes; this, which only hands over, needs none.
    executor = "inprocess"

    @classmethod
    def _bascule_secrets(cls) -> list[str]:
        return [secret for recipe in cls.recipes for secret in recipe.secrets()]

    def __init__(self) -> None:
        self.tables = [recipe.table() for recipe in self.recipes]

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
        read, i = read_of(table, partition_spec, filters, columns)
        return read.stream(i)


def source_of(*tables: Table) -> type:
    """A class whose rows are those of the tables, of one schema, one after the other."""
    name = tables[0].source.rpartition(":")[2].rpartition(".")[2] or "Table"
    body = {"recipes": tuple(map(Recipe, tables)), "__module__": __name__, "__qualname__": f"source_of({name})"}
    return type(name, (_OfTables,), body)
