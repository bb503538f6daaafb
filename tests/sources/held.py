"""One table, held by each real source: what the source's server has, the options that read it, and the rows that are right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from servers import Database

#: Two batches of it are two partitions where the source has some.
TABLE = pa.table(
    {
        "id": pa.array(range(60), pa.int64()),
        "name": pa.array([None if i % 11 == 5 else f"é{i % 7} '\"\\ \N{PILE OF POO}" for i in range(60)], pa.string()),
        "amount": pa.array([None if i % 9 == 2 else (i - 30) / 8 for i in range(60)], pa.float64()),
        "big": pa.array([2**62 + i for i in range(60)], pa.int64()),
    }
)


@dataclass(frozen=True)
class Held:
    """Where TABLE is.

    Attributes:
        source: a short name.
        options: of the source.
        added: columns behind TABLE's that the source adds.
        table: what is there instead, where the source makes columns of its own.
    """

    source: str
    options: dict[str, str]
    added: dict[str, list[Any]] = field(default_factory=dict)
    table: pa.Table = field(default_factory=lambda: TABLE, repr=False)

    @property
    def rows(self) -> list[dict[str, Any]]:
        table = self.table
        for name, values in self.added.items():
            table = table.append_column(name, pa.array(values))
        return table.to_pylist()


@contextmanager
def parquet_in_s3(folder: Path) -> Iterator[Held]:
    from sources.files.stores import BUCKET, s3_server

    with s3_server() as s3:
        s3.put_parquet("t/half=0/a.parquet", TABLE.slice(0, 30), row_group_size=11)
        s3.put_parquet("t/half=1/b.parquet", TABLE.slice(30), row_group_size=11)
        options = {"path": f"s3://{BUCKET}/t/", "num_partitions": "3", **s3.options}
        yield Held("files", options, added={"half": [0] * 30 + [1] * 30})


@contextmanager
def lines_on_a_web_server(folder: Path) -> Iterator[Held]:
    from sources.files.stores import web_server

    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()))
    with web_server(folder) as url:
        yield Held("files", {"path": f"{url}/t.jsonl", "num_partitions": "3"})


@contextmanager
def pages(folder: Path) -> Iterator[Held]:
    from sources.rest.api import Api

    rows = TABLE.to_pylist()

    def answer(request: Any) -> Any:
        first, n = int(request.query.get("offset", 0)), int(request.query.get("limit", 20))
        return {"total": len(rows), "items": rows[first : first + n]}

    api = Api(answer)
    try:
        yield Held(
            "rest",
            {"url": api.url, "records": "$.items", "pagination": "offset", "page_size": "20", "total": "$.total"},
        )
    finally:
        api.close()


@contextmanager
def kinesis_stream(folder: Path) -> Iterator[Held]:
    from kinesis_server import Kinesis

    with Kinesis.start() as kinesis:
        kinesis.create("t", shards=2)
        rows = TABLE.to_pylist()
        shards = kinesis.shards("t")
        columns: dict[str, list[Any]] = {"partition_key": [], "data": [], "sequence_number": [], "shard_id": []}
        for i, shard in enumerate(shards):
            half = rows[30 * i : 30 * i + 30]
            records = [(row["name"] or "?", json.dumps(row).encode()) for row in half]
            numbers = kinesis.put("t", records, hash_key=str(i * 2**127))
            columns["partition_key"] += [key for key, _ in records]
            columns["data"] += half
            columns["sequence_number"] += numbers
            columns["shard_id"] += [shard] * 30
        options = {"stream": "t", "format": "json", "schema": "id BIGINT, name VARCHAR, amount DOUBLE, big BIGINT"}
        options |= {"reads_per_second": "1000", **kinesis.options}
        arrivals = [pa.array(kinesis.arrivals("t", shard), pa.timestamp("us", "UTC")) for shard in shards]
        table = pa.table({**columns, "approximate_arrival_timestamp": pa.concat_arrays(arrivals)})
        yield Held("kinesis", options, {"encryption_type": ["NONE"] * 60}, table)


@contextmanager
def bigquery_table(folder: Path) -> Iterator[Held]:
    from bigquery_server import BigQuery

    with BigQuery.start() as server:
        server.put("p.d.t", TABLE)
        yield Held("bigquery", {"table_id": "p.d.t", **server.options})


@contextmanager
def predictions(folder: Path) -> Iterator[Held]:
    import pyarrow.parquet as pq

    pq.write_table(TABLE, folder / "t.parquet", row_group_size=20)
    options = {
        "source": "files",
        "source_options": json.dumps({"path": str(folder / "t.parquet"), "num_partitions": 3}),
        "model": "sources.held:next_id",
        "inputs": "id",
    }
    yield Held("predict", options, added={"prediction": [i + 1 for i in range(60)]})


def next_id(batch: pa.RecordBatch) -> pa.Array:
    import pyarrow.compute as pc

    return pc.add(batch["id"], 1)


@contextmanager
def sqlite(folder: Path) -> Iterator[Held]:
    import sqlite3

    con = sqlite3.connect(folder / "t.db")
    con.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, amount REAL, big INTEGER)")
    con.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", [tuple(row.values()) for row in TABLE.to_pylist()])
    con.commit()
    con.close()
    yield Held("jdbc", {"url": f"sqlite:///{folder / 't.db'}", "dbtable": "t", **BY_ID})


BY_ID = {"partitionColumn": "id", "lowerBound": "0", "upperBound": "60", "numPartitions": "3"}


def fill(database: Database) -> None:
    """TABLE as t in a database of PostgreSQL."""
    rows = ", ".join(
        f"({row['id']}, {_text(row['name'])}, {'NULL' if row['amount'] is None else row['amount']}, {row['big']})"
        for row in TABLE.to_pylist()
    )
    database.run("CREATE TABLE t (id bigint PRIMARY KEY, name text, amount double precision, big bigint)")
    database.run(f"INSERT INTO t VALUES {rows}")


def _text(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def fill_topic(kafka: Any) -> Held:
    """TABLE as the values of a topic of two partitions, as JSON."""
    import uuid

    topic = f"t-{uuid.uuid4().hex[:12]}"
    kafka.create(topic, 2)
    rows = TABLE.to_pylist()
    first_ms = 1_769_860_800_000
    for partition in range(2):
        half = rows[30 * partition : 30 * partition + 30]
        messages = [(str(row["id"]).encode(), json.dumps(row).encode()) for row in half]
        kafka.produce(topic, messages, partition, first_ms=first_ms)
    table = pa.table(
        {
            "key": [str(row["id"]) for row in rows],
            "value": rows,
            "headers": pa.array([[]] * 60, pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
            "topic": [topic] * 60,
            "partition": pa.array([0] * 30 + [1] * 30, pa.int32()),
            "offset": [*range(30)] * 2,
            "timestamp": pa.array([first_ms + i for i in [*range(30)] * 2], pa.timestamp("ms", "UTC")),
        }
    )
    options = {"topics": topic, "value_format": "json", "schema": "id BIGINT, name VARCHAR, amount DOUBLE, big BIGINT"}
    return Held("kafka", {**options, "key_format": "string", "partition_messages": "20", **kafka.options}, {}, table)
