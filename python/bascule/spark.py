"""The adapter for Spark 4 and Sail: ``spark.read.format("python")`` over any class of the contract.

Spark finds it without registration where bascule is installed in its interpreter (``pyspark_bascule``), Sail by its
entry point. A query plans once, on the driver: each partition travels as the bytes of its spec, and the process that
reads it opens the class anew. Everything that reads or plans is the core's (``bascule._native``).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bascule._spark_types import spark_schema
from bascule.errors import BasculeError

try:
    from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceStreamReader

    from bascule._spark_log import log
    from bascule._spark_reading import PUSHDOWN, FilteringReader, StreamReader, TableReader, in_sail, open_source
except ModuleNotFoundError as _e:
    raise BasculeError(
        "bascule.spark needs PySpark 4, which is not installed here: pip install 'pyspark>=4' (a Sail server: pyspark-client)"
    ) from _e

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

__all__ = ["PythonDataSource", "register"]

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
        self.options: dict[str, str] = dict(options)

    @classmethod
    def name(cls) -> str:
        return _FORMAT

    def schema(self) -> StructType:
        source = open_source(self.options)
        schema = spark_schema(pa.schema(source), source.label)
        # Sail takes either, but makes Arrow's of a StructType without a time zone, and fails.
        return schema if in_sail() else _struct_type(schema)

    def reader(self, schema: Any) -> DataSourceReader:
        """``schema``: a ``StructType`` of Spark, a ``pyarrow.Schema`` of Sail."""
        wanted = schema if isinstance(schema, pa.Schema) else _arrow_schema(schema)
        asked = next((value for name, value in self.options.items() if name.lower() == PUSHDOWN), "false")
        pushes = in_sail() or (asked.strip().lower() == "true" and _spark_pushes())
        kind = FilteringReader if pushes else TableReader
        return kind(self.options, wanted)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:
        """For ``spark.readStream``: a class that has offsets (``initial_offset``, ``latest_offset``)."""
        return StreamReader(self.options, _arrow_schema(schema))


class JDBCDataSource(PythonDataSource):
    """``format("jdbc")`` in Sail: the deprecated name of the source ``jdbc``, for jobs that were written for Sail's own.
    Spark's built-in format of that name comes before it there.
    """

    _warned = False

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__({**options, "python_class": "jdbc"})
        if not JDBCDataSource._warned:
            JDBCDataSource._warned = True
            log.warning('format("jdbc") is deprecated: write format("python").option("python_class", "jdbc")')

    @classmethod
    def name(cls) -> str:
        return "jdbc"


def _struct_type(schema: pa.Schema) -> StructType:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def _arrow_schema(schema: StructType) -> pa.Schema:
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(schema, timezone="UTC")


def _spark_pushes() -> bool:
    """Whether this is the worker that Spark asks for predicates. Anywhere else a reader that takes them is refused,
    unless spark.sql.python.filterPushdown.enabled, which a data source isn't told."""
    asks = "pyspark.sql.worker.data_source_pushdown_filters"
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    return asks in sys.modules or (main is not None and main.name == asks)
