"""A stream of Amazon Kinesis, as ``python('kinesis', stream := 'orders', format := 'json', schema := 'id BIGINT')``.

A table of what the stream has when a query is planned, or a stream of micro-batches. docs/kinesis.md has positions, what is
guaranteed, predicates and failures.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from bascule import ArrowBatchDataSource, Option, declared
from bascule.filters import Filter
from bascule.sources.kinesis import _aggregated
from bascule.sources.kinesis._positions import Position, where
from bascule.sources.kinesis._rows import Rows
from bascule.sources.kinesis._stream import Stream

__all__ = ["KinesisDataSource"]


def _positive(text: str) -> float:
    """a number above 0"""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(_positive.__doc__)
    return number


def _slack(text: str) -> float:
    """a number of seconds, 0 or more"""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError(_slack.__doc__)
    return number


class KinesisDataSource(ArrowBatchDataSource):
    """The records of a Kinesis stream, a partition for each shard.

    Example:
        >>> source = KinesisDataSource()
        >>> options = {"stream": "orders", "region": "eu-central-1", "format": "json", "schema": "id BIGINT"}
        >>> source.infer_schema(options).field("data").type
        StructType(struct<id: int64>)
    """

    OPTIONS = (
        Option("stream", required=True, doc="its name or ARN"),
        Option("start", where, default=where("TRIM_HORIZON"), doc="TRIM_HORIZON, LATEST, a time, or sequence numbers by shard"),
        Option("end", where, default=where("LATEST"), doc="of a table: LATEST, when it is planned, a time, or sequence numbers by shard"),
        Option("max_records", int, minimum=1, doc="of a shard in a micro-batch, at most; else all there are"),
        Option("format", choices=("binary", "string", "json"), default="binary", doc="of the data"),
        Option("schema", doc="json: the fields of the data, id BIGINT, tags VARCHAR[]"),
        Option("deaggregate", bool, default=False, doc="take apart what the Kinesis Producer Library has put together"),
        Option("bad_records", choices=("fail", "skip", "null"), default="fail", doc="what becomes of data that is none of the format"),
        Option("hashed_keys", bool, default=False, doc="no producer gives hash keys of its own: a partition key then says in which shards it is"),
        Option("arrival_slack", _slack, doc="seconds by which arrivals in a shard may be out of order; then their bounds are pushed"),
        Option("fail_on_data_loss", bool, default=True, doc="an error where records are gone that should be read"),
        Option("region", doc="else as the AWS tools find it, or of the ARN"),
        Option("access_key_id", doc="where none is given, as the AWS tools find them"),
        Option("secret_access_key", secret=True),
        Option("session_token", secret=True),
        Option("profile", doc="of the AWS configuration files"),
        Option("endpoint", doc="another server than the region's, http://127.0.0.1:4566"),
        Option("timeout", _positive, default=30.0, doc="seconds to connect, without an answer, and for a record that must come"),
        Option("retries", int, default=4, minimum=0, doc="how often one asks again where that may help"),
        Option("backoff", _positive, default=0.2, doc="seconds before the first time; they double"),
        Option("max_wait", _positive, default=60.0, doc="seconds of being throttled, after which it is an error"),
        Option("reads_per_second", _positive, default=5.0, doc="of a shard by one reader, at most"),
    )  # fmt: skip

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._rows: Rows | None = None

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        """The columns; the stream is not asked."""
        return self._opened(options)[1].schema

    def initial_offset(self, options: Mapping[str, str]) -> dict[str, Any]:
        """Where option ``start`` is, of each shard."""
        return self._opened(options)[0].initial()

    def latest_offset(
        self,
        options: Mapping[str, str],
        *,
        start: Mapping[str, Any] | None = None,
        end: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The newest record of each shard, found by reading; or the one that is ``max_records`` behind ``start``."""
        return self._opened(options)[0].latest(start, end)

    def plan_partitions(
        self,
        options: Mapping[str, str],
        *,
        filters: Sequence[Filter] = (),
        start: Mapping[str, Any] | None = None,
        end: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """A partition for each shard that may have rows, parents before children. It ends at a record, so that it has the same
        rows whenever it is read.
        """
        stream = self._opened(options)[0]
        return stream.plan(filters) if end is None else stream.plan_between(start, end)

    def read_partition(
        self,
        partition_spec: dict[str, Any],
        options: Mapping[str, str],
        *,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The records of one shard, a batch for each answer of the service."""
        stream, rows = self._opened(options)
        names = [name for name in rows.schema.names if columns is None or name in columns] or [rows.schema.names[0]]
        shard = partition_spec["shard"]
        start, end = Position.of_json(partition_spec["start"]), Position.of_json(partition_spec["end"])
        most = limit if rows.keeps_all else None
        n = 0
        if limit == 0:
            return
        for records in stream.shards.between(shard, start, end, partition_spec["until"], most):
            batch = rows.batch(records, stream.client.name, shard, names)
            n += batch.num_rows
            yield batch
            if limit is not None and n >= limit:
                return

    def close(self) -> None:
        """Closes the connections."""
        if self._stream is not None:
            self._stream.client.close()

    def _opened(self, options: Mapping[str, str]) -> tuple[Stream, Rows]:
        # Each instance serves one source: the first call describes it for all.
        with self._lock:
            if self._stream is None or self._rows is None:
                known = declared(options, self.OPTIONS)
                if known.typed["deaggregate"]:
                    _aggregated.needs()
                self._rows = Rows(known.typed)
                self._stream = Stream(known.typed, known.secrets())
            return self._stream, self._rows
