"""What a user writes, with types: checked as strictly as they may, and run."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

import bascule
from bascule import filters as f


class Days(bascule.ArrowBatchDataSource):
    """A partition for each day."""

    OPTIONS = (bascule.Option("days", int, default=3), bascule.Option("token", secret=True))

    def infer_schema(self, options: bascule.Options) -> pa.Schema:
        return pa.schema([("day", pa.int64())])

    def plan_partitions(self, options: bascule.Options) -> list[dict[str, Any]]:
        return [{"day": day, "bascule_bounds": {"day": (day, day)}} for day in range(options.typed["days"])]

    def read_partition(
        self,
        partition_spec: dict[str, Any],
        options: bascule.Options,
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[f.Filter] = (),
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        bascule.report_metric("requests")
        yield pa.record_batch({"day": [partition_spec["day"]]})

    def statistics(self, options: bascule.Options) -> bascule.Statistics:
        return bascule.Statistics(num_rows=options.typed["days"], exact=True)


@bascule.source(partitions=range(3))
def squares(partition: int, factor: int = 1) -> Iterator[pa.RecordBatch]:
    yield pa.record_batch({"n": [partition], "square": [factor * partition**2]})


def twice(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.record_batch({"day": [2 * day for day in batch["day"].to_pylist()]})


async def rows_of(table: bascule.Table) -> int:
    n = 0
    async for batch in table.batches_async():
        n += batch.num_rows
    return n


def main() -> None:
    days: bascule.Table = bascule.table(Days, days=4)
    late: bascule.Table = days.where(f.GreaterThan("day", 1), f.IsNotNull("day")).select("day").limit(10)
    schema: pa.Schema = late.schema
    statistics: bascule.Statistics | None = days.statistics()
    partitions: list[bascule.Partition] = days.partitions()
    frame: pl.LazyFrame = late.to_polars()
    connection: duckdb.DuckDBPyConnection = bascule.connect()
    relation: duckdb.DuckDBPyRelation = late.to_duckdb(connection)
    scan: bascule.Scan = days.scan(ordered=False, threads=2)
    counts: list[int] = [batch.num_rows for batch in scan]
    timeline: bascule.Timeline = scan.timeline()
    with tempfile.TemporaryDirectory() as folder:
        timeline.save(Path(folder) / "t.html")
    both = bascule.concat(days, bascule.map_batches(days, twice, schema))
    memory = bascule.table(bascule.MemoryDataSource(pa.table({"n": [1, 2]}), partitions=2))
    assert statistics is not None
    assert (statistics.num_rows, len(partitions), sum(counts)) == (4, 4, 4)
    assert (both.count(), memory.count(), bascule.table(squares, factor=2).count()) == (8, 2, 3)
    assert frame.collect()["day"].to_list() == [2, 3]
    assert relation.fetchall() == [(2,), (3,)]
    assert asyncio.run(rows_of(days)) == 4
    assert late.head(1).num_rows == len(late.to_pandas()[:1]) == late.to_reader().read_next_batch().num_rows


if __name__ == "__main__":
    main()
