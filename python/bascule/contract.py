"""The contract: what a user writes. Imports no engine.

A class with these three methods is a table in every engine; subclassing
:class:`ArrowBatchDataSource` is optional.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ArrowBatchDataSource"]


class ArrowBatchDataSource(ABC):
    """A table that is read as Arrow record batches, one partition at a time.

    One instance, made without arguments, serves one bound source:
    ``infer_schema`` and ``plan_partitions`` once, ``read_partition`` for each
    partition, from several threads at once. Reading a partition must have no
    side effects on the source: it may be read again, in full.

    A class takes part in more by having more:

    - a keyword-only ``columns`` on ``plan_partitions`` or ``read_partition``:
      the names of the columns that the query reads, in its order, or ``None``
      for all. A hint: any superset within the schema may be returned.
    - ``close()``: called once per instance, after its last read, however the
      scan ended.

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
    def infer_schema(self, options: dict[str, str]) -> pa.Schema:
        """The table's columns: a ``pyarrow.Schema``, or any object that exports one (``__arrow_c_schema__``).

        Args:
            options: what the user gave, strings by name; look-up ignores case.
        """

    @abstractmethod
    def plan_partitions(self, options: dict[str, str]) -> list[dict[str, Any]]:
        """The partitions: one picklable dict each, handed to :meth:`read_partition` as it is.

        An empty list is an empty table. Partitions are read in parallel; where a query needs an
        order, it is that of this list.
        """

    @abstractmethod
    def read_partition(self, partition_spec: dict[str, Any], options: dict[str, str]) -> Iterator[pa.RecordBatch]:
        """Yields the rows of one partition.

        Each item is a record batch, or anything that exports Arrow by the PyCapsule interface
        (``__arrow_c_array__``, ``__arrow_c_stream__``): a table, a Polars frame, a nanoarrow array.
        Batches must have the schema's types; the order of their columns is free.
        """
