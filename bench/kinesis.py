"""The source `kinesis` against a bare loop of botocore, over a server in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

import bascule
from bench.machine import REPOSITORY
from bench.measure import Case, Figure, alternate, check, ratios, scaled, stopwatch

SOURCE = "bascule.sources.kinesis:KinesisDataSource"
STREAM = "orders"
SHARDS = 4


def stream(quick: bool) -> Case:
    """Reading a plan; planning it."""
    n, runs = (4_000, 3) if quick else (40_000, 5)
    with _served(n) as given:
        options = {**given, "stream": STREAM, "reads_per_second": "1000"}
        plan = bascule.table(SOURCE, options).partitions()
        client = _client(given)
        bare, ours, whole = alternate(
            runs, lambda: _bare(client, n), lambda: _read(plan, n), lambda: _planned(options, n)
        )
    figures = [
        Figure("kinesis: reading over a bare loop", "x", ratios(ours, bare), None, scaled(ours, 1e3), scaled(bare, 1e3), "ms"),
        Figure("kinesis: planning and reading over a bare loop", "x", ratios(whole, bare), None, scaled(whole, 1e3), scaled(bare, 1e3), "ms"),
    ]  # fmt: skip
    setup = (
        f"{n:,} records of 100 bytes in {SHARDS} shards of moto, which answers from a process of its own on this machine; the bare loop "
        f"makes the same Arrow columns of `get_records`, a thread a shard, as the source has; it knows when to end, the source looks "
        f"for it, within the second figure. Pages of 10,000 records. {runs} runs in turn"
    )
    return Case("A Kinesis stream", setup, figures, ("kinesis", "bare loop"))


def _read(plan: list[Any], n: int) -> float:
    return _timed(lambda: sum(_each(lambda partition: partition.to_reader().read_all().num_rows, plan)), n)


def _planned(options: dict[str, str], n: int) -> float:
    table = bascule.table(SOURCE, options)
    return _timed(lambda: sum(b.num_rows for b in table.to_reader(threads=SHARDS, ordered=False)), n)


def _timed(work: Callable[[], int], n: int) -> float:
    seconds, rows = stopwatch(work)
    check("rows", rows, n)
    return seconds


def _bare(client: Any, n: int) -> float:
    def rows(shard: str) -> int:
        where = {"StreamName": STREAM, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        iterator = client.get_shard_iterator(**where)["ShardIterator"]
        batches = []
        while True:
            answer = client.get_records(ShardIterator=iterator)
            records = answer["Records"]
            if records:
                batches.append(_batch(records, shard))
            iterator = answer["NextShardIterator"]
            if not answer["MillisBehindLatest"]:
                return pa.Table.from_batches(batches).num_rows

    return _timed(lambda: sum(_each(rows, [f"shardId-{i:012}" for i in range(SHARDS)])), n)


def _client(given: dict[str, str]) -> Any:
    import botocore.session

    return botocore.session.get_session().create_client(
        "kinesis",
        endpoint_url=given["endpoint"],
        region_name=given["region"],
        aws_access_key_id=given["access_key_id"],
        aws_secret_access_key=given["secret_access_key"],
    )


def _batch(records: list[dict[str, Any]], shard: str) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "partition_key": pa.array([r["PartitionKey"] for r in records], pa.string()),
            "data": pa.array([r["Data"] for r in records], pa.binary()),
            "sequence_number": pa.array([r["SequenceNumber"] for r in records], pa.string()),
            "shard_id": pa.repeat(shard, len(records)),
            "at": pa.array([r["ApproximateArrivalTimestamp"] for r in records], pa.timestamp("us", "UTC")),
            "encryption_type": pa.array([r.get("EncryptionType") for r in records], pa.string()),
        }
    )


def _each(work: Callable[[Any], int], items: list[Any]) -> list[int]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(SHARDS) as pool:
        return list(pool.map(work, items))


@contextmanager
def _served(n: int) -> Iterator[dict[str, str]]:
    """A stream of so many records."""
    command = [sys.executable, str(REPOSITORY / "tools" / "kinesis_server.py"), STREAM, str(SHARDS), str(n)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.kill()
