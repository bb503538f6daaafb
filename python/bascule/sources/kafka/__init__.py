"""Topics of Kafka, as ``python('kafka', servers := 'broker:9092', topics := 'orders', value_format := 'json', schema := 'id BIGINT')``.

A table of what the topics hold when a query is planned, or a stream of micro-batches. docs/kafka.md has offsets, formats of
values, what is guaranteed, predicates and failures.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from bascule import ArrowBatchDataSource, Option, Statistics, declared
from bascule.filters import Filter
from bascule.sources.kafka import _ranges
from bascule.sources.kafka._cluster import Cluster
from bascule.sources.kafka._rows import Rows

__all__ = ["KafkaDataSource"]


def _positive(text: str) -> float:
    """a number above 0"""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(_positive.__doc__)
    return number


def _names(text: str) -> tuple[str, ...]:
    """names with commas between them, each once"""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(_names.__doc__)
    return names


def _pattern(text: str) -> re.Pattern[str]:
    """a regular expression"""
    try:
        return re.compile(text)
    except re.error:
        raise ValueError(_pattern.__doc__) from None


def _settings(text: str) -> dict[str, str]:
    """a JSON object of librdkafka's settings, {"ssl.ca.location": "/etc/ca.pem"}"""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(_settings.__doc__)
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in found.items()}


class KafkaDataSource(ArrowBatchDataSource):
    """Messages of topics of Kafka, a partition for each range of offsets.

    Example:
        >>> options = {"servers": "broker:9092", "topics": "orders", "value_format": "json", "schema": "id BIGINT"}
        >>> KafkaDataSource().infer_schema(options).field("value").type
        StructType(struct<id: int64>)
    """

    OPTIONS = (
        Option("servers", required=True, doc="brokers to begin with, host:port, commas between them"),
        Option("topics", _names, doc="names of topics, commas between them"),
        Option("topic_pattern", _pattern, doc="in the place of topics: a regular expression that a whole name matches"),
        Option("start", _ranges.where, default=_ranges.where("earliest"), doc="earliest, latest, a time, or offsets as JSON, {\"orders\": {\"0\": 23}}"),
        Option("end", _ranges.where, default=_ranges.where("latest"), doc="of a table: latest, when it is planned, a time, or offsets: the first that is not read"),
        Option("partition_messages", int, default=1_000_000, minimum=1, doc="offsets in a partition at most: longer topic partitions are cut"),
        Option("max_messages", int, minimum=1, doc="in a micro-batch, about, of all partitions; else all there are"),
        Option("key_format", choices=("binary", "string"), default="binary", doc="of the keys"),
        Option("value_format", choices=("binary", "string", "json", "avro", "protobuf"), default="binary", doc="of the values"),
        Option("schema", doc="json: the fields of a value, id BIGINT, tags VARCHAR[]; avro: the reader's schema as JSON; else the registry's latest"),
        Option("message", doc="protobuf: the message's full name, where a schema has several; else the first"),
        Option("registry", doc="URL of the schema registry: values of avro, protobuf and json then begin with the id of their schema"),
        Option("registry_user"),
        Option("registry_password", secret=True),
        Option("subject", doc="in the registry; else topic-value"),
        Option("schema_id", int, minimum=0, doc="in the registry: the reader's schema; else the subject's newest"),
        Option("bad_messages", choices=("fail", "skip", "null"), default="fail", doc="what becomes of a value that is none of the format"),
        Option("fail_on_data_loss", bool, default=True, doc="an error where messages are gone that should be read"),
        Option("isolation", choices=("read_committed", "read_uncommitted"), default="read_committed", doc="whether messages of transactions that are open or aborted are left out"),
        Option("security", choices=("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"), doc="else sasl_ssl with a user, plaintext without"),
        Option("sasl_mechanism", default="PLAIN", doc="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"),
        Option("user"),
        Option("password", secret=True),
        Option("settings", _settings, secret=True, doc="librdkafka's own, as a JSON object"),
        Option("timeout", _positive, default=30.0, doc="seconds to reach a broker, and without a message that must come"),
    )  # fmt: skip

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: tuple[Cluster, Rows] | None = None

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        """The columns. Only a registry is asked, for the fields of a value."""
        return self._open(options)[1].schema

    def initial_offset(self, options: Mapping[str, str]) -> dict[str, Any]:
        """Where option ``start`` is, of each partition of each topic."""
        cluster = self._open(options)[0]
        return _ranges.initial(cluster)

    def latest_offset(
        self,
        options: Mapping[str, str],
        *,
        start: Mapping[str, Any] | None = None,
        end: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Where the topics end, at most ``max_messages`` behind ``start``."""
        cluster = self._open(options)[0]
        return _ranges.latest(cluster, start, end)

    def plan_partitions(
        self,
        options: Mapping[str, str],
        *,
        filters: Sequence[Filter] = (),
        start: Mapping[str, Any] | None = None,
        end: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Ranges of offsets, which hold the same messages whenever they are read, as long as the topics keep them."""
        cluster = self._open(options)[0]
        ranges = _ranges.of_table(cluster) if end is None else _ranges.between(start, end)
        reader = {"schema_id": self._open(options)[1].schema_id}
        return [{**spec, **reader} for spec in _ranges.specs(cluster, ranges, filters)]

    def statistics(self, options: Mapping[str, str]) -> Statistics:
        """As many messages as offsets: compaction and transactions leave gaps."""
        cluster = self._open(options)[0]
        return Statistics(sum(one.end - one.start for one in _ranges.of_table(cluster)), False, None)

    def read_partition(
        self,
        partition_spec: dict[str, Any],
        options: Mapping[str, str],
        *,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The messages of one range, in their order."""
        cluster, rows = self._open(options, partition_spec["schema_id"])
        names = [name for name in rows.schema.names if columns is None or name in columns]
        topic, partition = partition_spec["topic"], partition_spec["partition"]
        n = 0
        for messages in cluster.messages(topic, partition, partition_spec["start"], partition_spec["end"], limit):
            batch = rows.batch(messages, topic, partition, names)
            n += batch.num_rows
            messages.clear()  # their bytes are in the batch
            yield batch
            if limit is not None and n >= limit:
                return

    def close(self) -> None:
        """Ends the connections."""
        if self._opened is not None:
            self._opened[0].close()

    def _open(self, options: Mapping[str, str], schema_id: int | None = None) -> tuple[Cluster, Rows]:
        """schema_id: the plan's, for an instance that only reads: the newest may be another by now."""
        # Each instance serves one source: the first call describes it for all.
        with self._lock:
            if self._opened is None:
                known = declared(options, self.OPTIONS)
                cluster = Cluster(known.typed)
                typed = {**known.typed, "schema_id": schema_id} if schema_id is not None else known.typed
                try:
                    self._opened = cluster, Rows(typed, cluster.registry, lambda: cluster.topics()[0])
                except BaseException:
                    cluster.close()
                    raise
            return self._opened
