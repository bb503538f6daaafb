"""Where Spark looks for data sources: ``format("python")`` of bascule, with no registration.

Spark imports every top-level module that is called ``pyspark_...``, and knows none where one of them fails: so nothing is
imported here but what PySpark itself has, and bascule when it is used.
"""

from __future__ import annotations

from typing import Any

from pyspark.sql.datasource import DataSource

__all__ = ["DefaultSource"]


class DefaultSource(DataSource):
    """``bascule.spark.PythonDataSource``, imported when it is used."""

    @classmethod
    def name(cls) -> str:
        return "python"

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        from bascule.spark import PythonDataSource

        self._source = PythonDataSource(options)

    def schema(self) -> Any:
        return self._source.schema()

    def reader(self, schema: Any) -> Any:
        return self._source.reader(schema)

    def streamReader(self, schema: Any) -> Any:
        return self._source.streamReader(schema)
