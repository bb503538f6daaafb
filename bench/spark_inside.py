"""What bench/spark.py runs in an engine's environment: our format and a data source written by hand, in turn.

python spark_inside.py ROUNDS ROWS   prints JSON: seconds of each side, and of a class that holds Python's lock
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

SCHEMA = pa.schema([("n", pa.int64()), ("x", pa.float64()), ("s", pa.string())])
PARTITIONS, BATCH = 2, 1 << 16
WORDS = pa.array([f"word {i % 1000}" for i in range(BATCH)])
NUMBERS = pa.array(range(BATCH), pa.int64())
HALVES = pa.array([i / 2 for i in range(BATCH)], pa.float64())


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """About ``rows`` rows, the same buffers again and again: the engine's work, not the source's."""
    batch = pa.record_batch([NUMBERS, HALVES, WORDS], schema=SCHEMA)
    for _ in range(rows // BATCH):
        yield batch


class Ours:
    """By the contract."""

    def infer_schema(self, options: Any) -> pa.Schema:
        return SCHEMA

    def plan_partitions(self, options: Any) -> list[dict[str, Any]]:
        return [{"p": p} for p in range(PARTITIONS)]

    def read_partition(self, spec: Any, options: Any) -> Iterator[pa.RecordBatch]:
        yield from batches(int(options["rows"]) // PARTITIONS)


class Busy:
    """Holds Python's lock: a loop for each of its few rows."""

    def infer_schema(self, options: Any) -> pa.Schema:
        return pa.schema([("n", pa.int64())])

    def plan_partitions(self, options: Any) -> list[dict[str, Any]]:
        return [{"p": p} for p in range(PARTITIONS)]

    def read_partition(self, spec: Any, options: Any) -> Iterator[pa.RecordBatch]:
        total = 0
        for i in range(int(options["loops"])):
            total += i & 3
        yield pa.record_batch([[total]], names=["n"])


class HandReader(DataSourceReader):
    def __init__(self, rows: int) -> None:
        self.rows = rows

    def partitions(self) -> list[InputPartition]:
        return [InputPartition(p) for p in range(PARTITIONS)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        yield from batches(self.rows // PARTITIONS)


class Hand(DataSource):
    """The least that PySpark asks for."""

    @classmethod
    def name(cls) -> str:
        return "hand"

    def schema(self) -> Any:
        return "n bigint, x double, s string"

    def reader(self, schema: Any) -> DataSourceReader:
        return HandReader(int(self.options["rows"]))


def session() -> SparkSession:
    how = json.loads(os.environ["BASCULE_SPARK_SESSION"])
    builder = SparkSession.builder
    builder = builder.remote(how["remote"]) if how["remote"] else builder.master(how["master"])
    for name, value in ({} if how["remote"] else how["settings"]).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def main(rounds: int, rows: int) -> dict[str, Any]:
    import spark_inside as named  # by its name, for the engine's processes

    spark = session()
    spark.dataSource.register(named.Hand)
    rows = rows // (PARTITIONS * BATCH) * (PARTITIONS * BATCH)

    def timed(frame: Callable[[], Any]) -> float:
        begun = time.perf_counter()
        ((n, total, words),) = frame().selectExpr("count(*)", "sum(x)", "count(DISTINCT s)").collect()
        seconds = time.perf_counter() - begun
        expected = (rows, rows / BATCH * BATCH * (BATCH - 1) / 4, 1000)
        assert (n, total, words) == expected, ((n, total, words), expected)
        return seconds

    def read(name: str, **options: str) -> Any:
        return spark.read.format(name).options(rows=str(rows), **options).load()

    def busy(executor: str) -> float:
        options = {"python_class": "spark_inside:Busy", "loops": "12000000", "bascule_executor": executor}
        begun = time.perf_counter()
        assert spark.read.format("python").options(**options).load().count() == PARTITIONS
        return time.perf_counter() - begun

    sides: dict[str, list[float]] = {"ours": [], "hand": [], "process": [], "inprocess": []}
    for i in range(rounds + 1):
        found = {
            "ours": timed(lambda: read("python", python_class="spark_inside:Ours")),
            "hand": timed(lambda: read("hand")),
            "process": busy("process"),
            "inprocess": busy("inprocess"),
        }
        for name, seconds in found.items() if i else ():
            sides[name].append(seconds)
    return {"rows": rows, **sides}


if __name__ == "__main__":
    print("RESULT", json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
