"""The source `kafka` against a bare loop of confluent-kafka's consumer, over a broker on this machine; memory over more messages."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

import bascule
from bench.measure import Case, Figure, alternate, check, memory_growth, ratios, scaled, stopwatch

SOURCE = "bascule.sources.kafka:KafkaDataSource"
TOPIC, PARTITIONS = "orders", 8
_MESSAGES = 16_384


def topic(quick: bool) -> Case:
    """All columns of a topic of eight partitions, by both executors; memory."""
    from kafka_server import Kafka

    n, runs = (20_000, 3) if quick else (100_000, 7)
    with Kafka.start() as kafka:
        kafka.create(TOPIC, PARTITIONS)
        for partition in range(PARTITIONS):
            kafka.produce(TOPIC, ((b"%08d" % i, b"x" * 92) for i in range(n)), partition)
        ours, workers = (
            bascule.table(SOURCE, {**kafka.options, "topics": TOPIC}, executor=executor, workers=2)
            for executor in ("inprocess", "process")
        )
        rows = n * PARTITIONS
        bare, inside, outside = alternate(
            runs, lambda: _bare(kafka, n, rows), lambda: _read(ours, rows), lambda: _read(workers, rows)
        )
        kafka.create("few")
        kafka.create("many")
        for name, factor in (("few", 2), ("many", 20)):
            kafka.produce(name, ((None, b"x" * 1000) for _ in range(n * factor)))
        few, many = ((kafka.address, name, n * factor) for name, factor in (("few", 2), ("many", 20)))
        growth = memory_growth("kafka: peak memory over ten times the messages", 1.2, _drop, few, many)
    figures = [
        Figure("kafka: in-process, of a bare loop", "x", ratios(inside, bare), 1.3, scaled(inside, 1e3), scaled(bare, 1e3), "ms"),
        Figure("kafka: two workers, of a bare loop", "x", ratios(outside, bare), 1.3, scaled(outside, 1e3), scaled(bare, 1e3), "ms"),
        growth,
    ]  # fmt: skip
    setup = (
        f"{rows:,} messages of 100 bytes in {PARTITIONS} partitions of a topic of Kafka on this machine, which shares its two cores; the "
        f"bare loop is one consumer of all partitions with the source's settings (fetch.queue.backoff.ms), which makes the same seven columns of the same "
        f"batches. {runs} runs in turn. Memory: the peak of a process that drops {2 * n:,} messages of 1,000 bytes, and ten times as many"
    )
    return Case("A topic of Kafka", setup, figures, ("kafka", "bare loop"))


def _read(table: bascule.Table, rows: int) -> float:
    seconds, seen = stopwatch(lambda: sum(b.num_rows for b in table.to_reader(threads=PARTITIONS, ordered=False)))
    check("rows", seen, rows)
    return seconds


def _drop(address: str, name: str, rows: int) -> None:
    # As many partitions at a time for both.
    table = bascule.table(SOURCE, {"servers": address, "topics": name, "partition_messages": 25_000})
    check("rows", sum(batch.num_rows for batch in table.to_reader()), rows)


def _bare(kafka: Any, n: int, rows: int) -> float:
    from confluent_kafka import Consumer, TopicPartition

    settings = {
        **kafka.client_settings,
        "group.id": "bare",
        "enable.auto.commit": "false",
        "fetch.wait.max.ms": "10",
        "fetch.queue.backoff.ms": "5",
    }

    def run() -> int:
        consumer = Consumer(settings)
        consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
        seen = 0
        while seen < rows:
            messages = consumer.consume(min(_MESSAGES, rows - seen), 1.0)
            seen += _batch(messages).num_rows
        consumer.close()
        return seen

    seconds, seen = stopwatch(run)
    check("rows", seen, rows)
    return seconds


def _batch(messages: list[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array([message.key() for message in messages], pa.binary()),
            pa.array([message.value() for message in messages], pa.binary()),
            pa.array([message.headers() or () for message in messages], pa.list_(pa.null())),
            pa.array([message.topic() for message in messages], pa.string()),
            pa.array([message.partition() for message in messages], pa.int32()),
            pa.array([message.offset() for message in messages], pa.int64()),
            pa.array([message.timestamp()[1] for message in messages], pa.timestamp("ms", "UTC")),
        ],
        names=["key", "value", "headers", "topic", "partition", "offset", "timestamp"],
    )
