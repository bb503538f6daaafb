"""The table object: a class, its options, and what is asked of it; read anew each time, by any library."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import os
import pickle
import sys
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from bascule import _locate, _native, _objects
from bascule._columns import index_of
from bascule._locate import a
from bascule._scan import READ_AHEAD, Scan
from bascule.contract import Option, Statistics
from bascule.errors import BasculeError, OptionError, mask
from bascule.filters import Filter
from bascule.options import Options

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import pyarrow.compute as pc

    from bascule._trusted import TrustedRead

__all__ = ["Partition", "Table", "table"]

_HEAD = 5


def table(
    source: str | type | object,
    /,
    options: dict[str, Any] | None = None,
    *,
    executor: str | None = None,
    workers: int | None = None,
    **more: Any,
) -> Table:
    """A source as a table, for any library that takes Arrow data. Nothing is read yet.

    Args:
        source: a class of the contract, an instance of one, or what ``python('...')`` takes: ``pkg.mod:Class``,
            ``path/to/file.py:Class``, a short name. An instance is copied, and not closed.
        options: the class's, by name, for names that Python has otherwise; ``more`` are the same. Texts, numbers, booleans,
            dates, times and paths; None for an option that isn't given.
        executor: ``"inprocess"`` or ``"process"``; None: what the class says.
        workers: how many partitions are read at a time: threads, or worker processes.

    Raises:
        OptionError: an option of a type that has no text, or a name given twice.

    Example:
        >>> import pyarrow as pa
        >>> class Squares:
        ...     def infer_schema(self, options):
        ...         return pa.schema([("n", pa.int64()), ("square", pa.int64())])
        ...     def plan_partitions(self, options):
        ...         return [{"n": n} for n in range(int(options["rows"]))]
        ...     def read_partition(self, partition_spec, options):
        ...         yield pa.record_batch([[partition_spec["n"]], [partition_spec["n"] ** 2]], schema=self.infer_schema(options))
        >>> squares = table(Squares, rows=100)
        >>> squares.where(pa.compute.field("n") > 96).select("square").to_arrow()["square"].to_pylist()
        [9409, 9604, 9801]
    """
    texts: dict[str, str] = {}
    for name, value in [*(options or {}).items(), *more.items()]:
        if name.casefold() in {known.casefold() for known in texts}:
            raise OptionError(f"the option {name!r} is given twice (names ignore case)")
        text = _text(name, value)
        if text is not None:
            texts[name] = text
    for name, setting in (("bascule_executor", executor), ("bascule_workers", workers)):
        if setting is not None:
            texts[name] = str(setting)
    if isinstance(source, str):
        return Table(_Bound(source, None, texts))
    cls = source if isinstance(source, type) else _objects.class_of(source)
    return Table(_Bound(_objects.name_of(cls), cls, texts))


def _text(name: str, value: Any) -> str | None:
    """An option's value as the class is given it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, decimal.Decimal, PurePath)):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)):  # a datetime is a date
        return value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
    raise OptionError(
        f"the option {name!r} is {a(value)}: options are texts, numbers, booleans, dates, times and paths"
    )


class _Bound:
    """A class with its options, opened when it is first needed, once for all tables that come of it.

    Args:
        locator: what the core finds the class by; ``cls`` keeps one alive that it finds here alone.
    """

    def __init__(self, locator: str, cls: type | None, options: dict[str, str]) -> None:
        self.locator = locator
        self.cls = cls
        self.options = options
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._opened: tuple[_native.Source, pa.Schema] | None = None

    @property
    def label(self) -> str:
        """What the source is called, in texts."""
        return self.locator if self.cls is None else f"{self.cls.__module__}:{self.cls.__qualname__}"

    def __getstate__(self) -> dict[str, Any]:
        cls: Any = self.cls
        if cls is not None and not _objects.is_importable(cls):  # by value, as workers get it
            import cloudpickle

            cls = cloudpickle.dumps(cls)
        return {"locator": self.locator, "cls": cls, "options": self.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        cls = state["cls"]
        cls = pickle.loads(cls) if isinstance(cls, bytes) else cls
        self.__init__(state["locator"], cls, state["options"])  # type: ignore[misc]

    def opened(self) -> tuple[_native.Source, pa.Schema]:
        """The open source and its schema; a forked child opens its own, and leaves its parent's alone."""
        import pyarrow as pa

        if self._pid != os.getpid():
            _of_parents.append(self._opened)
            self._begin()
        with self._lock:
            if self._opened is None:
                # By the class itself: in its module another may have taken its name.
                locator = self.locator if self.cls is None else _objects.name_of(self.cls)
                source = _native.Source(locator, self.options)
                self._opened = source, pa.schema(source)
            return self._opened

    @property
    def workers(self) -> int | None:
        given = next((v for name, v in self.options.items() if name.casefold() == "bascule_workers"), "")
        return int(given) if given.isdecimal() else None

    def shown(self) -> dict[str, str]:
        """The options, without secrets."""
        if self._declarations() is None:  # which are secret is not known yet
            return dict.fromkeys(self.options, "***")
        secrets = self._secrets()
        return {name: mask(value, secrets) for name, value in self.options.items()}

    def masked(self, text: str) -> str:
        """A text without what is secret among the options."""
        return mask(text, self._secrets())

    def _secrets(self) -> list[str]:
        options = Options(list(self.options.items()))
        options.mark_secrets(self._declarations() or ())
        return [*options.secrets(), *getattr(self.cls, "_bascule_secrets", list)()]

    def _declarations(self) -> tuple[Option, ...] | None:
        """What the class declares; None where it isn't loaded here."""
        cls = self.cls
        if cls is None:
            with contextlib.suppress(BasculeError):  # it names nothing: the first use says so
                kind, module, name = _native.parse_locator(self.locator)
                if kind == 0 and module in sys.modules:
                    cls = _locate.from_module(module, name)
        if cls is None:
            return None
        declared = getattr(cls, "OPTIONS", ())
        return tuple(o for o in declared if isinstance(o, Option)) if isinstance(declared, (tuple, list)) else ()


#: Sources that a parent has open, kept for good in its forked children: to close them is its own.
_of_parents: list[object] = []


class Table:
    """A source as a table: which columns, which rows, of which class. Immutable: each method returns another one, and each
    read is a new scan.

    Made by :func:`table`. The class's instance lives as long as a table of it.
    """

    def __init__(
        self,
        bound: _Bound,
        columns: tuple[str, ...] | None = None,
        predicates: tuple[Any, ...] = (),
        limit: int | None = None,
    ) -> None:
        self._bound = bound
        self._columns = columns
        self._predicates = predicates
        self._limit = limit

    # ---- what it is ----

    @property
    def schema(self) -> pa.Schema:
        """Of the columns that are read."""
        import pyarrow as pa

        declared = self._bound.opened()[1]
        if self._columns is None:
            return declared
        return pa.schema([declared.field(name) for name in self._columns], metadata=declared.metadata)

    @property
    def source(self) -> str:
        """``pkg.mod:Class``, for messages."""
        return self._bound.label

    def statistics(self) -> Statistics | None:
        """What the class says of its size, of all rows and columns; None: nothing."""
        n_rows, n_bytes, exact = self._bound.opened()[0].statistics()
        if n_rows < 0 and n_bytes < 0:
            return None
        return Statistics(n_rows if n_rows >= 0 else None, exact, n_bytes if n_bytes >= 0 else None)

    def partitions(self) -> list[Partition]:
        """What can be read apart, here or in another process. Rows beyond the limit of the table may be in them."""
        read = self.read(portable=True)
        n = read.partition_count
        return [Partition(self, read.plan.spec(i), i, n) for i in range(n)]

    # ---- what is asked of it ----

    def select(self, *columns: str | Sequence[str]) -> Table:
        """Some of its columns, in this order.

        Raises:
            BasculeError: there is no such column.
        """
        names = tuple(name for item in columns for name in ([item] if isinstance(item, str) else item))
        known = self.schema
        for name in names:
            index_of(self.source, known, name)
        return Table(self._bound, names, self._predicates, self._limit)

    def where(self, *predicates: Filter | pc.Expression) -> Table:
        """The rows for which all predicates are true: of ``bascule.filters``, or expressions of ``pyarrow.compute``. They are
        pushed into the class; what it leaves in is filtered here. Columns that aren't selected may be named.

        Raises:
            BasculeError: the table has a limit: its rows are the first ones that come, of which a filter would be left to chance.
        """
        import pyarrow.compute as pc

        if self._limit is not None:
            raise BasculeError("where() comes before limit(): which rows a limit leaves is left to the source")
        for predicate in predicates:
            if not isinstance(predicate, (Filter, pc.Expression)):
                raise TypeError(
                    f"a predicate is a bascule.filters.Filter or a pyarrow.compute.Expression, got {a(predicate)}"
                )
        made = Table(self._bound, self._columns, (*self._predicates, *predicates))
        made._check_predicates()
        return made

    def limit(self, n: int) -> Table:
        """At most ``n`` rows."""
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise ValueError(f"a limit is a number of rows, at least 0, got {n!r}")
        return Table(self._bound, self._columns, self._predicates, n if self._limit is None else min(n, self._limit))

    def head(self, n: int = _HEAD) -> pa.Table:
        """The first rows that come."""
        return self.limit(n).to_arrow()

    def count(self) -> int:
        """How many rows there are: without reading where every partition says so."""
        read = self.read(columns=())
        known = read.row_count
        n = known if known is not None else sum(batch.num_rows for batch in self._scan_of(read, ordered=False))
        return n if self._limit is None else min(n, self._limit)

    # ---- handed over ----

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Its batches, in order. Another schema that is asked for is cast to, where no value can change."""
        return self.to_reader().__arrow_c_stream__(requested_schema)

    def scan(
        self,
        *,
        ordered: bool = True,
        threads: int | None = None,
        max_bytes: int = READ_AHEAD,
        progress: bool = False,
    ) -> Scan:
        """One read of it, planned: its batches, how far it is, what it took.

        Args:
            ordered: partition after partition; False: as they come.
            threads: how many partitions are read at a time; None: as many as the table has ``workers``, else as many as are
                of use.
            max_bytes: of batches that are read and not yet taken.
            progress: draw a progress bar (tqdm), of the rows where it is known how many there are, else of the partitions.
        """
        return self._scan_of(self.read(), ordered=ordered, threads=threads, max_bytes=max_bytes, progress=progress)

    def to_reader(
        self,
        *,
        ordered: bool = True,
        threads: int | None = None,
        max_bytes: int = READ_AHEAD,
        progress: bool = False,
    ) -> pa.RecordBatchReader:
        """Its batches, read ahead; the arguments are those of :meth:`scan`.

        Raises:
            BasculeError: while it is read: whatever the class raises.
        """
        return self.scan(ordered=ordered, threads=threads, max_bytes=max_bytes, progress=progress).to_reader()

    def batches(self, *, ordered: bool = True, progress: bool = False) -> Iterator[pa.RecordBatch]:
        """Its batches, one after the other, read ahead."""
        return self.scan(ordered=ordered, progress=progress).batches()

    async def batches_async(
        self,
        *,
        ordered: bool = True,
        threads: int | None = None,
        max_bytes: int = READ_AHEAD,
        progress: bool = False,
    ) -> AsyncGenerator[pa.RecordBatch, None]:
        """The same for ``async for``: other tasks run while one is waited for."""
        import asyncio

        scan = await asyncio.to_thread(
            self.scan, ordered=ordered, threads=threads, max_bytes=max_bytes, progress=progress
        )
        batches = scan.batches_async()
        try:
            async for batch in batches:
                yield batch
        finally:
            await batches.aclose()

    def to_arrow(self, *, progress: bool = False) -> pa.Table:
        """All of it, as a ``pyarrow.Table``."""
        import pyarrow as pa

        scan = self.scan(progress=progress)
        return pa.Table.from_batches(list(scan), scan.schema)

    def to_polars(self, *, progress: bool = False) -> pl.LazyFrame:
        """As a LazyFrame that reads what a query needs: see :func:`bascule.polars.scan`."""
        from bascule.polars import scan

        return scan(self, progress=progress)

    def to_duckdb(self, connection: duckdb.DuckDBPyConnection | None = None) -> duckdb.DuckDBPyRelation:
        """As a relation of DuckDB, which pushes what a query needs: see :func:`bascule.duckdb.relation`.

        Args:
            connection: None: DuckDB's default one.
        """
        from bascule.duckdb import relation

        return relation(self, connection)

    def to_pandas(self, *, progress: bool = False, **kwargs: Any) -> pd.DataFrame:
        """All of it, as a data frame: ``pyarrow.Table.to_pandas``, with its arguments."""
        return self.to_arrow(progress=progress).to_pandas(**kwargs)

    # ---- as people see it ----

    def __repr__(self) -> str:
        asked = [f", {name}={value!r}" for name, value in self._bound.shown().items()]
        steps = [
            *([f".select({', '.join(map(repr, self._columns))})"] if self._columns is not None else []),
            *([f".where({', '.join(map(str, self._predicates))})"] if self._predicates else []),
            *([f".limit({self._limit})"] if self._limit is not None else []),
        ]
        return self._bound.masked(f"bascule.table({self.source!r}{''.join(asked)}){''.join(steps)}")

    def _repr_html_(self) -> str:
        """A notebook's: columns, options without secrets, partitions."""
        from html import escape

        def rows(pairs: Iterable[tuple[str, ...]]) -> str:
            return "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in pair)}</tr>" for pair in pairs)

        n = self.read().partition_count
        columns = [(field.name, str(field.type), "" if field.nullable else "not null") for field in self.schema]
        options = list(self._bound.shown().items())
        return (
            f"<b>{escape(repr(self))}</b><br>{n:,} partition{'' if n == 1 else 's'}"
            f"<table><thead><tr><th>column</th><th>type</th><th></th></tr></thead><tbody>{rows(columns)}</tbody></table>"
            + (
                f"<table><thead><tr><th>option</th><th></th></tr></thead><tbody>{rows(options)}</tbody></table>"
                if options
                else ""
            )
        )

    # ---- reading ----

    @property
    def bound(self) -> _Bound:
        """What it has open, with the tables that came of it."""
        return self._bound

    def over(self, bound: _Bound | None) -> Table:
        """The same table over another opening of its source; None: over one of its own."""
        closed = self._bound
        bound = bound or _Bound(closed.locator, closed.cls, closed.options)
        return Table(bound, self._columns, self._predicates, self._limit)

    def secrets(self) -> list[str]:
        """What must be in no text: values of its options."""
        return self._bound._secrets()

    @property
    def is_limited(self) -> bool:
        """It has a limit."""
        return self._limit is not None

    @property
    def is_whole(self) -> bool:
        """All rows of the source are its rows."""
        return self._limit is None and not self._predicates

    def check_unlimited(self, why: str) -> None:
        """Raises BasculeError where it has a limit; ``why`` an adapter can't have that."""
        if self._limit is not None:
            raise BasculeError(f"{self!r} has a limit. {why}")

    def hinted(self, hints: Sequence[Filter], progress: bool = False) -> Iterator[pa.RecordBatch]:
        """For engines that filter themselves: its batches, of which rows for which the hints aren't true may be missing."""
        # Which rows a limit takes is not for a hint to say.
        read = self.read(hints=hints if self._limit is None else ())
        return self._scan_of(read, progress=progress).batches()

    def read(
        self,
        columns: Sequence[str] | None = None,
        specs: Sequence[bytes] | None = None,
        hints: Sequence[Filter] = (),
        portable: bool = False,
    ) -> TrustedRead:
        """For adapters: one plan of it; ``columns`` in the place of its own."""
        from bascule._trusted import TrustedRead

        source, _ = self._bound.opened()
        wanted = self._columns if columns is None else columns
        return TrustedRead(source, wanted, self._predicates, self._limit, specs, hints, portable)

    def _scan_of(self, read: TrustedRead, *, threads: int | None = None, **how: Any) -> Scan:
        return Scan(read, self.source, threads=self._bound.workers if threads is None else threads, **how)

    def _check_predicates(self) -> None:
        """Each names columns that are there, and can be applied."""
        from bascule._trusted import check_predicates

        check_predicates(self.source, self._bound.opened()[1], self._predicates)


class Partition:
    """One partition of a table: an Arrow stream of its rows, here or in any process that has the class.

    Args:
        spec: what stands for it.
        number: of it, from 0, and ``of`` how many.
    """

    def __init__(self, table: Table, spec: bytes, number: int, of: int) -> None:
        self.table = table
        self.spec = spec
        self.number = number
        self.of = of

    def __repr__(self) -> str:
        return f"<partition {self.number} of {self.of} of {self.table!r}>"

    def __arrow_c_schema__(self) -> object:
        return self.table.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_reader().__arrow_c_stream__(requested_schema)

    def to_reader(self) -> pa.RecordBatchReader:
        """Its batches."""
        return self.table._scan_of(self.table.read(specs=[self.spec])).to_reader()
