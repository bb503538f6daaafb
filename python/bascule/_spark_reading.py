"""What Spark and Sail read with: readers that plan on the driver, and carry a partition out wherever they are called.

Everything that plans or reads is the core's (``bascule._native``); a partition travels as the bytes of its spec.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSourceReader, DataSourceStreamReader, InputPartition

from bascule import _native, _offsets
from bascule._columns import index_of
from bascule._metrics import metrics_of
from bascule._offsets import Question
from bascule._spark_filters import translated
from bascule._spark_log import log, partition_read, to_stderr
from bascule._spark_types import batch_conversion, spark_schema
from bascule.errors import BasculeError, OptionError

try:
    from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxRows, SupportsTriggerAvailableNow
except ImportError:  # before 4.2

    class SupportsTriggerAvailableNow:  # type: ignore[no-redef]
        """Spark reads until nothing new comes instead."""

    ReadAllAvailable = ReadMaxRows = None

__all__ = ["PUSHDOWN", "FilteringReader", "StreamReader", "TableReader", "in_sail", "open_source"]

#: As many rows as there may be: what tells a micro-batch, whose size is the class's own matter, from "all there is".
_NO_LIMIT = 2**63 - 1
#: After so many micro-batches ahead a source's end is what it says: it may grow as fast as it is asked.
_MOST_STEPS = 1000


_NAMED = ", which the given schema names"
#: The adapter's own option: see docs/spark.md.
PUSHDOWN = "bascule_pushdown"


def in_sail() -> bool:
    """Whether this is a Sail server, which calls a data source in its own process. Spark has workers for that."""
    return "pysail" in sys.modules


def open_source(options: Mapping[str, str]) -> _native.Source:
    """The source that the options name."""
    given = {name.lower(): name for name in options}
    rest = {name: value for name, value in options.items() if name.lower() != PUSHDOWN}
    if "python_module" in given or "python_class" in given:
        locator = "" if "python_module" in given else rest.pop(given["python_class"])
        try:
            return _native.Source(locator, rest)
        except OptionError as e:
            # Sail's CREATE TABLE gives each source a path in its warehouse.
            if not in_sail() or "path" not in given or "unknown option 'path'" not in str(e):
                raise
            del rest[given["path"]]
            return _native.Source(locator, rest)
    if "path" in given:
        return _native.Source(rest.pop(given["path"]), rest)
    raise OptionError(
        'format("python") needs the name of a class: .option("python_class", "pkg.mod:Class"), a short name, or python_module '
        "and python_class. Where options were given, this statement lost them: Spark's CREATE TABLE ... USING python does, use "
        "CREATE TEMPORARY VIEW ... USING python OPTIONS (...)"
    )


class Partition(InputPartition):
    """One partition of the class.

    Args:
        spec: what stands for it in any process.
        number: of it, from 0, and ``of`` how many.
        plan: a name that all partitions of its plan have.
    """

    def __init__(self, spec: bytes, number: int, of: int, plan: str) -> None:
        super().__init__(spec)
        self.number = number
        self.of = of
        self.plan = plan


class _Reading:
    """What tables and streams have in common. Plain values alone: it is pickled.

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
        """The source, on the driver, kept open."""
        if self._source is None:
            self._source = open_source(self._options)
        return self._source

    def _planned(self, source: _native.Source, plan: _native.Plan, what: str) -> list[InputPartition]:
        to_stderr()
        n, name = plan.partition_count, uuid.uuid4().hex
        log.info("%s: %d partitions to read%s", source.label, n, what)
        return [Partition(plan.spec(i), i, n, name) for i in range(n)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        to_stderr()
        # Of a table without partitions Spark reads one, which holds nothing.
        if not isinstance(partition, Partition):
            return
        source = open_source(self._options)
        plan = source.plan(self._columns(source), self._filters or None, specs=[partition.value])
        convert = batch_conversion(pa.schema(plan), self._wanted, source.label)
        scan = plan.scan()
        try:
            for batch in pa.RecordBatchReader.from_stream(scan.partition(0)):
                yield convert(batch)
        except OSError as e:
            # The core knows of one partition here, the first of one.
            place = f"{source.label}, partition {partition.number} of {partition.of}"
            raise BasculeError(str(e).replace(f"{source.label}, partition 0 of 1", place, 1)) from None
        partition_read(source.label, partition.plan, partition.number, partition.of, metrics_of(scan))

    def _columns(self, source: _native.Source) -> list[int] | None:
        """The source's columns that make the wanted ones, by name; checks their types."""
        declared = pa.schema(source)
        indices = [index_of(source.label, declared, field.name, _NAMED) for field in self._wanted]
        if len(set(indices)) < len(indices):
            raise BasculeError(
                f"{source.label}: the given schema names a column twice: {', '.join(self._wanted.names)}"
            )
        # Of these alone: another may be of a type that Spark has not.
        have = spark_schema(pa.schema([declared.field(i) for i in indices]), source.label)
        for field, ours in zip(self._wanted, have, strict=True):
            said = declared.field(field.name)
            if not _alike(ours.type, field.type):
                raise BasculeError(
                    f"{source.label}: the given schema says that column {field.name!r} is {field.type}, the class says "
                    f"{said.type}, which is {ours.type} in Spark. Leave .schema(...) out, and cast in the query"
                )
            if ours.nullable and not field.nullable:
                raise BasculeError(
                    f"{source.label}: the given schema says that column {field.name!r} is never NULL, the class says that it may "
                    "be. Leave NOT NULL out"
                )
        return None if indices == list(range(len(declared))) else indices


class TableReader(_Reading, DataSourceReader):
    """Reads a table, once."""

    def partitions(self) -> Sequence[InputPartition]:
        source, self._source = self._opened(), None
        plan = source.plan(self._columns(source), self._filters or None, portable=True)
        return self._planned(source, plan, f", pushed: {plan.pushed or 'no predicate'}")


class FilteringReader(TableReader):
    """For engines that push predicates: Spark with ``spark.sql.python.filterPushdown.enabled``, and Sail."""

    def pushFilters(self, filters: list[Any]) -> list[Any]:
        """Tells the class all that can be said; gives back those that it doesn't apply exactly, to be checked again."""
        from bascule.filters import _wire

        source = self._opened()
        declared = pa.schema(source)
        pairs = [(filter, translated(filter, declared)) for filter in filters]
        pushable, self._filters = _wire.sayable([ours for _, ours in pairs if ours is not None])
        claims = source.claim(self._filters, len(pushable)) if pushable else []
        claimed = {filter for filter, exact in zip(pushable, claims, strict=True) if exact}
        return [filter for filter, ours in pairs if ours not in claimed]


class StreamReader(_Reading, DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads a source that grows, in micro-batches: the driver's part in one process as long as the query runs."""

    def __init__(self, options: Mapping[str, str], wanted: pa.Schema) -> None:
        super().__init__(options, wanted)
        self._target: str | None = None  # where a query ends that reads what is there when it begins

    def initialOffset(self) -> dict[str, Any]:
        return _offsets.load(self._opened().offset(Question.INITIAL))

    def latestOffset(self, start: dict[str, Any] | None = None, limit: Any = None) -> dict[str, Any]:
        """Before Spark 4.2 without its arguments."""
        if start is None or (ReadAllAvailable is not None and isinstance(limit, ReadAllAvailable)):
            return _offsets.load(self._target or self._everything())
        return _offsets.load(self._opened().offset(Question.LATEST, _offsets.dump(start), self._target))

    def getDefaultReadLimit(self) -> Any:
        return ReadMaxRows(_NO_LIMIT)

    def prepareForTriggerAvailableNow(self) -> None:
        self._target = self._everything()

    def _everything(self) -> str:
        """Where the source ends now: asked on from there, in case the class divides what there is without a start, too."""
        source = self._opened()
        end = source.offset(Question.LATEST)
        for _ in range(_MOST_STEPS):
            further = source.offset(Question.LATEST, end)
            if further == end:
                break
            end = further
        return end

    def reportLatestOffset(self) -> dict[str, Any] | None:
        # Asked whenever latestOffset is: to ask the class again would double what it costs.
        return None if self._target is None else _offsets.load(self._target)

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> Sequence[InputPartition]:
        source = self._opened()
        first, last = _offsets.dump(start), _offsets.dump(end)
        plan = source.plan(self._columns(source), start=first, end=last, portable=True)
        return self._planned(source, plan, f" of the micro-batch from {first} to {last}")

    def commit(self, end: dict[str, Any]) -> None:
        self._opened().offset(Question.COMMIT, end=_offsets.dump(end))

    def stop(self) -> None:
        self._source = None


def _alike(a: pa.DataType, b: pa.DataType) -> bool:
    """Equal but for what may be null, what the fields of lists are called, and the zone in which moments are shown: Sail
    has these otherwise.
    """
    if pa.types.is_timestamp(a) and pa.types.is_timestamp(b):
        return a.unit == b.unit and (a.tz is None) == (b.tz is None)
    if pa.types.is_struct(a) and pa.types.is_struct(b):
        return len(a) == len(b) and all(x.name == y.name and _alike(x.type, y.type) for x, y in zip(a, b, strict=True))
    if pa.types.is_map(a) and pa.types.is_map(b):
        return _alike(a.key_type, b.key_type) and _alike(a.item_type, b.item_type)
    if pa.types.is_list(a) and pa.types.is_list(b):
        return _alike(a.value_type, b.value_type)
    return bool(a.equals(b))
