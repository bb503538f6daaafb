"""The adapter for Spark 4 and Sail: ``spark.read.format("python")`` over any class of the contract.

Spark finds it without registration where bascule is installed in its interpreter (``pyspark_bascule``), Sail by its
entry point. A query plans once, on the driver: each partition travels as the bytes of its spec, and the process that
reads it opens the class anew. Everything that reads or plans is the core's (``bascule._native``).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bascule import _native
from bascule._spark_types import batch_conversion, spark_schema
from bascule.errors import BasculeError, OptionError

try:
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
except ModuleNotFoundError as e:
    raise BasculeError(
        "bascule.spark needs PySpark 4, which is not installed here: pip install 'pyspark>=4' (a Sail server: pyspark-client)"
    ) from e

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

    from bascule.filters import Filter

__all__ = ["PythonDataSource", "register"]

_log = logging.getLogger("bascule")
_FORMAT = "python"


def register(spark: SparkSession, *names: str) -> None:
    """Makes ``format("python")`` known to a session, where it isn't found by itself.

    Args:
        spark: a session of Spark or Sail.
        names: short names of sources (``bascule sources``) that become formats of their own.
    """
    spark.dataSource.register(PythonDataSource)
    for name in names:
        spark.dataSource.register(_format_of(name))


def _format_of(short_name: str) -> type[DataSource]:
    """A format that reads one source."""

    class Named(PythonDataSource):
        def __init__(self, options: Mapping[str, str]) -> None:
            super().__init__({**options, "python_class": short_name})

        @classmethod
        def name(cls) -> str:
            return short_name

    return Named


class PythonDataSource(DataSource):
    """``format("python")``: options ``python_module`` and ``python_class`` name the class, or ``python_class`` alone
    (``pkg.mod:Class``, a file's path and class, a short name), or what is given to ``load()``. All others are the class's.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self.options = dict(options)

    @classmethod
    def name(cls) -> str:
        return _FORMAT

    def schema(self) -> StructType:
        source = _open(self.options)
        schema = spark_schema(pa.schema(source), source.label)
        # Sail takes either, but makes Arrow's of a StructType without a time zone, and fails.
        return schema if _in_sail() else _struct_type(schema)

    def reader(self, schema: Any) -> DataSourceReader:
        """``schema``: a ``StructType`` of Spark, a ``pyarrow.Schema`` of Sail."""
        wanted = schema if isinstance(schema, pa.Schema) else _arrow_schema(schema)
        kind = _FilteringReader if isinstance(schema, pa.Schema) or _spark_pushes() else _Reader
        return kind(self.options, wanted)


class JDBCDataSource(PythonDataSource):
    """``format("jdbc")`` in Sail: the deprecated name of the source ``jdbc``, for jobs that were written for Sail's own.
    Spark's built-in format of that name comes before it there.
    """

    _warned = False

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__({**options, "python_class": "jdbc"})
        if not JDBCDataSource._warned:
            JDBCDataSource._warned = True
            _log.warning('format("jdbc") is deprecated: write format("python").option("python_class", "jdbc")')

    @classmethod
    def name(cls) -> str:
        return "jdbc"


class Partition(InputPartition):
    """One partition of the class.

    Args:
        spec: what stands for it in any process.
        number: of it, from 0, and ``of`` how many: for messages.
    """

    def __init__(self, spec: bytes, number: int, of: int) -> None:
        super().__init__(spec)
        self.number = number
        self.of = of


class _Reader(DataSourceReader):
    """One read: planned on the driver, carried out wherever ``read`` is called. Plain values alone, it is pickled.

    Args:
        options: the user's.
        wanted: the columns, with Spark's types.
    """

    def __init__(self, options: Mapping[str, str], wanted: pa.Schema) -> None:
        self._options = dict(options)
        self._wanted = wanted
        self._filters: bytes = b""
        self._source: _native.Source | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_source": None}

    def _opened(self) -> _native.Source:
        """The source, kept until it is planned: what the driver asks before needs no second instance."""
        if self._source is None:
            self._source = _open(self._options)
        return self._source

    def partitions(self) -> Sequence[InputPartition]:
        source, self._source = self._opened(), None
        plan = source.plan(self._columns(source), self._filters or None)
        n = plan.partition_count
        _log_to_stderr()
        _log.info("%s: %d partitions to read, pushed: %s", source.label, n, plan.pushed or "no predicate")
        return [Partition(plan.spec(i), i, n) for i in range(n)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        _log_to_stderr()
        # Of a table without partitions Spark reads one, which holds nothing.
        if not isinstance(partition, Partition):
            return
        source = _open(self._options)
        columns = self._columns(source)
        plan = source.plan(columns, self._filters or None, specs=[partition.value])
        declared = pa.schema(plan)
        convert = batch_conversion(declared, self._wanted, source.label)
        begun, rows, batches = time.monotonic(), 0, 0
        try:
            for batch in pa.RecordBatchReader.from_stream(plan.scan().partition(0)):
                rows, batches = rows + batch.num_rows, batches + 1
                yield convert(batch)
        except OSError as e:
            # The core knows of one partition here, the first of one.
            place = f"{source.label}, partition {partition.number} of {partition.of}"
            raise BasculeError(str(e).replace(f"{source.label}, partition 0 of 1", place, 1)) from None
        _log.info(
            "%s, partition %d of %d: %d rows in %d batches, %.3f s",
            *(source.label, partition.number, partition.of, rows, batches, time.monotonic() - begun),
        )

    def _columns(self, source: _native.Source) -> list[int] | None:
        """The source's columns that make the wanted ones, by name; checks their types."""
        declared = pa.schema(source)
        have = spark_schema(declared, source.label)
        indices = []
        for field in self._wanted:
            at = have.get_field_index(field.name)
            if at < 0:
                raise BasculeError(
                    f"{source.label} has no column {field.name!r}, which the given schema names: its columns are "
                    f"{', '.join(have.names)}"
                )
            if not _alike(have.field(at).type, field.type):
                raise BasculeError(
                    f"{source.label}: the given schema says that column {field.name!r} is {field.type}, the class says "
                    f"{declared.field(at).type}, which is {have.field(at).type} in Spark. Leave .schema(...) out, and cast in "
                    "the query"
                )
            indices.append(at)
        return None if indices == list(range(len(declared))) else indices


class _FilteringReader(_Reader):
    """For engines that push predicates: Spark with ``spark.sql.python.filterPushdown.enabled``, and Sail."""

    def pushFilters(self, filters: list[Any]) -> list[Any]:
        """Tells the class all that can be said; gives back those that it doesn't apply exactly, to be checked again."""
        from bascule.filters import _wire

        source = self._opened()
        declared = pa.schema(source)
        pairs = [(filter, _translated(filter, declared)) for filter in filters]
        pushable, self._filters = _wire.sayable([translated for _, translated in pairs if translated is not None])
        claims = source.claim(self._filters, len(pushable)) if pushable else []
        claimed = {filter for filter, exact in zip(pushable, claims, strict=True) if exact}
        return [filter for filter, translated in pairs if translated not in claimed]


def _translated(filter: Any, schema: pa.Schema) -> Filter | None:
    """PySpark's predicate as ours; None where it can't be said."""
    from pyspark.sql import datasource as theirs

    from bascule import filters as ours
    from bascule.filters._literal import literal
    from bascule.filters._order import family

    if isinstance(filter, theirs.Not):
        child = _translated(filter.child, schema)
        return None if child is None else ours.Not(child)
    path: tuple[str, ...] = getattr(filter, "attribute", ())
    kind: Callable[..., Filter] | None = getattr(ours, type(filter).__name__, None)
    if len(path) != 1 or kind is None or len(schema.get_all_field_indices(path[0])) != 1:
        return None
    (name,) = path
    if isinstance(filter, (theirs.IsNull, theirs.IsNotNull)):
        return kind(name)
    type_ = schema.field(name).type
    if isinstance(type_, pa.BaseExtensionType) or b"ARROW:extension:name" in (schema.field(name).metadata or {}):
        return None  # Spark has its storage, which may order otherwise.
    try:
        made = ours.In(name, filter.value) if isinstance(filter, theirs.In) else kind(name, filter.value)
    except TypeError:  # Arrow has no such literal.
        return None
    # Sail gives moments as numbers of microseconds, whatever the column's unit.
    values = filter.value if isinstance(filter, theirs.In) else (filter.value,)
    families = {family(literal(value).type) for value in values if value is not None}
    return made if families <= {family(type_.value_type if pa.types.is_dictionary(type_) else type_)} else None


def _log_to_stderr() -> None:
    """An engine's Python processes have no logging set up, and their stderr is the executor's log."""
    if not logging.getLogger().handlers and not _log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        _log.addHandler(handler)
        if _log.level == logging.NOTSET:
            _log.setLevel(logging.INFO)


# ---- options, schemas ----


def _open(options: Mapping[str, str]) -> _native.Source:
    """The source that the options name."""
    given = {name.lower(): name for name in options}
    rest = dict(options)
    if "python_module" in given:
        return _native.Source("", rest)
    if "python_class" in given:
        return _native.Source(rest.pop(given["python_class"]), rest)
    if "path" in given:
        return _native.Source(rest.pop(given["path"]), rest)
    raise OptionError(
        'format("python") needs the name of a class: .option("python_class", "pkg.mod:Class"), a short name, or python_module '
        "and python_class. Where options were given, this statement lost them: Spark's CREATE TABLE ... USING python does, use "
        "CREATE TEMPORARY VIEW ... USING python OPTIONS (...)"
    )


def _struct_type(schema: pa.Schema) -> StructType:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def _arrow_schema(schema: StructType) -> pa.Schema:
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(schema, timezone="UTC")


def _alike(a: pa.DataType, b: pa.DataType) -> bool:
    """Equal but for what may be null and what the fields of lists are called, which Sail has otherwise."""
    if pa.types.is_struct(a) and pa.types.is_struct(b):
        return len(a) == len(b) and all(x.name == y.name and _alike(x.type, y.type) for x, y in zip(a, b, strict=True))
    if pa.types.is_map(a) and pa.types.is_map(b):
        return _alike(a.key_type, b.key_type) and _alike(a.item_type, b.item_type)
    if pa.types.is_list(a) and pa.types.is_list(b):
        return _alike(a.value_type, b.value_type)
    return bool(a.equals(b))


def _in_sail() -> bool:
    """Whether this is a Sail server, which calls a data source in its own process. Spark has workers for that."""
    return "pysail" in sys.modules


def _spark_pushes() -> bool:
    """Whether this is the worker that Spark asks for predicates. Anywhere else a reader that takes them is refused,
    unless spark.sql.python.filterPushdown.enabled, which a data source isn't told."""
    asks = "pyspark.sql.worker.data_source_pushdown_filters"
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    return asks in sys.modules or (main is not None and main.name == asks)
