"""The contract: what a user writes. Imports no engine.

A class with these three methods is a table in every engine; subclassing
:class:`ArrowBatchDataSource` is optional.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from bascule.options import Options

__all__ = ["ArrowBatchDataSource", "Option", "Statistics"]

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_TYPE_NAMES = {str: "text", int: "integer", float: "number", bool: "true or false"}


@dataclass(frozen=True)
class Option:
    """One option of a source, as its ``OPTIONS`` declare it.

    Args:
        name: as the docs spell it; look-up ignores case.
        type: ``str``, ``int``, ``float``, ``bool``, or a function that makes the value of the text and
            raises ValueError for what it refuses; its docstring says in words what it takes.
        default: the value where none is given; None for none.
        required: an error where none is given.
        choices: the only texts that are taken, whatever their case.
        secret: mask the value in every text that Bascule writes. Values of names that look secret are
            masked anyway.
        doc: one line for ``bascule sources``.
        minimum: the least that a number may be.

    Example:
        >>> pages = Option("pages", int, default=1, minimum=1, doc="how many pages to read")
        >>> pages.parse("12")
        12
    """

    name: str
    type: Callable[[str], Any] = str
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    secret: bool = False
    doc: str = ""
    minimum: float | None = None

    def parse(self, text: str) -> Any:
        """The value of ``text``. Raises ValueError with what was expected instead."""
        if self.choices:
            chosen = {choice.casefold(): choice for choice in self.choices}.get(text.casefold())
            if chosen is None:
                raise ValueError(self.expected)
            text = chosen
        try:
            value = _BOOLEANS[text.strip().casefold()] if self.type is bool else self.type(text)
        except KeyError:
            raise ValueError(self.expected) from None
        except ValueError as e:
            raise ValueError(self.expected if self.type in _TYPE_NAMES else str(e)) from None
        if self.minimum is not None and not value >= self.minimum:
            raise ValueError(self.expected)
        return value

    @property
    def expected(self) -> str:
        """What the option takes, in words: ``an integer of at least 1``."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        described = (self.type.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        words = _TYPE_NAMES.get(self.type) or described or self.type.__name__  # type: ignore[call-overload]
        article = "an " if words == "integer" else "a " if words == "number" else ""
        return f"{article}{words}" + (f" of at least {self.minimum:g}" if self.minimum is not None else "")


@dataclass(frozen=True)
class Statistics:
    """What a source says of its size: what ``statistics(options)`` returns, for an engine's optimizer.

    Args:
        num_rows: of the whole table, before any predicate; None where it isn't known.
        exact: ``num_rows`` is no estimate.
        total_bytes: about as much as all columns take as Arrow; None where it isn't known.
    """

    num_rows: int | None = None
    exact: bool = False
    total_bytes: int | None = None


class ArrowBatchDataSource(ABC):
    """A table that is read as Arrow record batches, one partition at a time.

    One instance, made without arguments, serves one bound source:
    ``infer_schema`` and ``plan_partitions`` once, ``read_partition`` for each
    partition, from several threads at once. Reading a partition must have no
    side effects on the source: it may be read again, in full.

    A class takes part in more by having more:

    - keyword-only ``columns``, ``filters`` or ``limit`` on ``plan_partitions`` or
      ``read_partition``: ``columns`` are the names of the columns that the query
      reads, in its order, or ``None`` for all; ``filters`` a tuple of predicates
      (:mod:`bascule.filters`), joined by AND, of the rows that it wants; ``limit``
      how many of those it wants at most, or ``None``. Hints: any superset of the
      columns within the schema, and of the rows, may be returned.
    - ``push_filters(filters, options)``: returns those of the predicates that
      reads do *not* apply exactly; engines that can then need not check the
      others. It only answers: one instance serves several queries at once.
    - ``statistics(options)``: returns :class:`Statistics`, or ``None``.
    - ``required_filters``, a list of lists of column names: a query must restrict
      all columns of one of them.
    - ``cache_partitions = True``: what ``plan_partitions`` returned may be used
      again for the time of ``bascule_cache_ttl``.
    - a partition spec with ``"bascule_bounds": {column: (min, max)}``, which no value
      of the partition is outside of, or ``"bascule_rows"``, the exact number of its
      rows: it is then not read where the query can't want it, and counted without
      reading.
    - ``initial_offset(options)``, ``latest_offset(options)``, and keyword-only ``start`` and ``end`` on
      ``plan_partitions``: a source that grows, which an engine reads as a stream of micro-batches. An offset is a
      dict of what JSON has that says how far one has read. ``plan_partitions`` plans the rows from ``start``, before
      ``end``: the same ones whenever it is asked; both are None where the table is read as a whole. ``latest_offset``
      says where all ends that there is; it may take ``start``, where the next micro-batch begins, to end that before
      all there is (``start`` None: all), and ``end``, which it then must not go beyond. ``commit_offset(offset,
      options)``, if there, is told what was read and kept. Any instance may be asked: nothing rests on what one keeps.
    - keyword-only ``portable`` on ``plan_partitions``: true where the partitions are read on other machines, when this
      plan may be gone, as in Spark: what lives with it (a session's snapshot) can't be in a spec then.
    - ``close()``: called once per instance, after its last read, however the
      scan ended.
    - ``OPTIONS``, a tuple of :class:`Option`: the options are checked before
      anything runs, defaults filled in, and the typed values handed over as
      ``options.typed``.

    Example:
        >>> import pyarrow as pa
        >>> class Squares(ArrowBatchDataSource):
        ...     def infer_schema(self, options):
        ...         return pa.schema([("n", pa.int64()), ("square", pa.int64())])
        ...     def plan_partitions(self, options):
        ...         return [{"start": 0}, {"start": 1000}]
        ...     def read_partition(self, partition_spec, options):
        ...         n = range(partition_spec["start"], partition_spec["start"] + 1000)
        ...         yield pa.record_batch([list(n), [i * i for i in n]], schema=self.infer_schema(options))
        >>> next(Squares().read_partition({"start": 1000}, {})).num_rows
        1000
    """

    @abstractmethod
    def infer_schema(self, options: Options) -> pa.Schema:
        """The table's columns: a ``pyarrow.Schema``, or any object that exports one (``__arrow_c_schema__``).

        Args:
            options: what the user gave, a dict of strings by name; look-up ignores case. A class may annotate it as ``dict[str, str]``.
        """

    @abstractmethod
    def plan_partitions(self, options: Options) -> list[dict[str, Any]]:
        """The partitions: one picklable dict each, handed to :meth:`read_partition` as it is.

        An empty list is an empty table. Partitions are read in parallel; where a query needs an
        order, it is that of this list.
        """

    @abstractmethod
    def read_partition(self, partition_spec: dict[str, Any], options: Options) -> Iterator[pa.RecordBatch]:
        """Yields the rows of one partition.

        Each item is a record batch, or anything that exports Arrow by the PyCapsule interface
        (``__arrow_c_array__``, ``__arrow_c_stream__``): a table, a Polars frame, a nanoarrow array.
        Batches must have the schema's types; the order of their columns is free.
        """
