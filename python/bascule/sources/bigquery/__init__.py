"""A table of BigQuery, as ``python('bigquery', table_id := 'project.dataset.table')``, by the Storage Read API.

docs/bigquery.md has types, predicates, sessions and failures.
"""

from __future__ import annotations

import datetime
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from bascule import ArrowBatchDataSource, BasculeError, Option, OptionError, Statistics, declared
from bascule.filters import Filter
from bascule.sources.bigquery._client import Client, needs
from bascule.sources.bigquery._restriction import restriction

__all__ = ["BigQueryDataSource"]

#: For so long the session that told the schema is also read.
_FRESH_S = 60.0


def _positive(text: str) -> float:
    """a number above 0"""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(_positive.__doc__)
    return number


def _time(text: str) -> datetime.datetime:
    """a time with a zone, 2026-01-01T00:00:00Z"""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        found = datetime.datetime.min
    if found.tzinfo is None:
        raise ValueError(_time.__doc__)
    return found


class BigQueryDataSource(ArrowBatchDataSource):
    """A table of BigQuery, a partition for each stream of a read session.

    Example:
        >>> [option.name for option in BigQueryDataSource.OPTIONS][:3]
        ['table_id', 'dataset', 'project']
    """

    OPTIONS = (
        Option("table_id", required=True, doc="project.dataset.table, dataset.table or table"),
        Option("dataset", doc="of the table, if its name has none"),
        Option("project", doc="of the table, if its name has none"),
        Option("parent", doc="the project that pays for the session; else the table's"),
        Option("quota_project", doc="the project whose quota is used; else as the credentials say"),
        Option("credentials", secret=True, doc="a service account's key: a file or its JSON; else application default credentials"),
        Option("access_token", secret=True, doc="an OAuth 2 token, which is not renewed"),
        Option("snapshot_time", _time, doc="the table as it was then; else when it is planned"),
        Option("row_restriction", doc="a condition in GoogleSQL that rows meet, beside the query's own"),
        Option("max_stream_count", int, default=0, minimum=0, doc="partitions at most; 0: as the service finds right"),
        Option("compression", choices=("none", "lz4_frame", "zstd"), default="none", doc="of what is sent"),
        Option("pushdown", bool, default=True, doc="the query's predicates are sent to the service"),
        Option("endpoint", doc="another server, host:port"),
        Option("insecure", bool, default=False, doc="without TLS and credentials, for an emulator at 'endpoint'"),
        Option("timeout", _positive, default=300.0, doc="seconds of one request; a stream is read on after it if rows had come"),
        Option("retries", int, default=5, minimum=0, doc="how often one asks again without a row in between"),
        Option("backoff", _positive, default=0.5, doc="seconds before the first time; they double"),
    )  # fmt: skip

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._client: Client | None = None
        self._path = self._name = ""
        self._first: Any = None  # the session that told the schema; guarded by the lock
        self._unread_until = 0.0  # when it gets too old to be read; 0: it is
        self._schema: pa.Schema | None = None

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        """As a read session of all columns has it."""
        known = declared(options, self.OPTIONS)
        with self._lock:
            if self._schema is None:
                self._first = self._session(known.typed, (), None)
                self._schema = _schema_of(self._first, self._name)
                self._unread_until = time.monotonic() + _FRESH_S
            return self._schema

    def statistics(self, options: Mapping[str, str]) -> Statistics:
        """What the service estimates."""
        self.infer_schema(options)
        rows, size = self._first.estimated_row_count, self._first.estimated_total_bytes_scanned
        return Statistics(num_rows=rows or None, exact=False, total_bytes=size or None)

    def push_filters(self, filters: Sequence[Filter], options: Mapping[str, str]) -> list[Filter]:
        """Those that the service doesn't apply exactly."""
        schema = self.infer_schema(options)
        pushed = declared(options, self.OPTIONS).typed["pushdown"]
        return [each for each in filters if not pushed or not restriction([each], schema)[1]]

    def plan_partitions(
        self,
        options: Mapping[str, str],
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
    ) -> list[dict[str, Any]]:
        """A partition for each stream of a session with these columns and rows, all of one snapshot."""
        known = declared(options, self.OPTIONS)
        schema = self.infer_schema(options)
        condition, is_exact = restriction(filters, schema) if known.typed["pushdown"] else (None, not filters)
        names = [name for name in schema.names if columns is None or name in columns] or [_narrowest(schema)]
        session = None
        with self._lock:
            if condition is None and names == schema.names and time.monotonic() < self._unread_until:
                session, self._unread_until = self._first, 0.0
        if session is None:
            session = self._session(known.typed, () if names == schema.names else names, condition)
        found = _schema_of(session, self._name)
        expected = pa.schema([schema.field(name) for name in names])
        if sorted(found.names) != sorted(names) or any(found.field(f.name).type != f.type for f in expected):
            raise BasculeError(
                f"table '{self._name}' has changed since its columns were looked at: run the query again\n"
                f"then: {_shown(expected)}\nnow: {_shown(found)}"
            )
        expires = session.expire_time.timestamp() if session.expire_time else float("inf")
        told = session.arrow_schema.serialized_schema
        return [
            {"stream": stream.name, "schema": told, "expires": expires, "exact": is_exact} for stream in session.streams
        ]

    def read_partition(
        self, partition_spec: dict[str, Any], options: Mapping[str, str], *, limit: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of one stream, a batch for each message."""
        client = self._opened(declared(options, self.OPTIONS).typed, declared(options, self.OPTIONS).secrets())
        schema = pa.ipc.read_schema(pa.py_buffer(partition_spec["schema"]))
        left = limit if partition_spec["exact"] else None
        if left == 0:
            return
        for batch in client.batches(partition_spec["stream"], schema, partition_spec["expires"]):
            yield batch
            if left is not None:
                left -= batch.num_rows
                if left <= 0:
                    return

    def close(self) -> None:
        """Closes the connection."""
        if self._client is not None:
            self._client.close()

    def _session(self, typed: Mapping[str, Any], columns: Sequence[str], condition: str | None) -> Any:
        needs()
        from google.cloud.bigquery_storage_v1 import types

        client = self._opened(typed, ())
        # A line break ends a comment at the end of the user's own.
        own = f"({typed['row_restriction']}\n)" if typed["row_restriction"] else None
        arrow = types.ArrowSerializationOptions(
            buffer_compression={"none": 0, "lz4_frame": 1, "zstd": 2}[typed["compression"]]
        )
        session = types.ReadSession(
            table=self._path,
            data_format=types.DataFormat.ARROW,
            read_options=types.ReadSession.TableReadOptions(
                selected_fields=list(columns),
                row_restriction=" AND ".join(part for part in (own, condition) if part),
                arrow_serialization_options=arrow,
            ),
        )
        if typed["snapshot_time"]:
            session.table_modifiers = types.ReadSession.TableModifiers(snapshot_time=typed["snapshot_time"])
        parent = typed["parent"] or self._path.split("/")[1]
        return client.session(
            types.CreateReadSessionRequest(
                parent=f"projects/{parent}", read_session=session, max_stream_count=typed["max_stream_count"]
            )
        )

    def _opened(self, typed: Mapping[str, Any], secrets: Sequence[str]) -> Client:
        # Each instance serves one source: the first call describes it for all.
        with self._lock:
            if self._client is None:
                self._path = _path(typed)
                hidden = [*secrets, *(typed[name] for name in ("credentials", "access_token") if typed[name])]
                self._name = ".".join(self._path.split("/")[1::2])
                self._client = Client(typed, hidden, self._name)
            return self._client


def _path(typed: Mapping[str, Any]) -> str:
    """projects/p/datasets/d/tables/t. A project may have a domain before its name: ``example.com:p``."""
    match = re.fullmatch(
        r"(?:(?:(?P<project>[\w.\-]+:[\w\-]+|[\w\-]+)[.:])?(?P<dataset>\w+)\.)?(?P<table>[^./`\\]+(?:\$\w+)?)",
        typed["table_id"],
    )
    if match is None:
        raise OptionError(
            f"option 'table_id' is '{typed['table_id']}', expected project.dataset.table, dataset.table or table"
        )
    parts = {}
    for name in ("project", "dataset"):
        within, given = match[name], typed[name]
        if within and given and within != given:
            raise OptionError(f"options 'table_id' and '{name}' name two {name}s, {within} and {given}: give one")
        if not (within or given):
            raise OptionError(f"option 'table_id' has no {name}: write project.dataset.table, or give option '{name}'")
        parts[name] = within or given
    return f"projects/{parts['project']}/datasets/{parts['dataset']}/tables/{match['table']}"


def _schema_of(session: Any, table: str) -> pa.Schema:
    try:
        return pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
    except (pa.ArrowException, OSError, ValueError, EOFError) as e:
        raise BasculeError(
            f"the read session of '{table}' has no Arrow schema ({type(e).__name__}): see that option 'endpoint' is right"
        ) from None


def _narrowest(schema: pa.Schema) -> str:
    """A column to count rows by: one of fixed width, where there is any."""
    fixed = [f for f in schema if pa.types.is_primitive(f.type)]
    return str(min(fixed, key=lambda f: f.type.bit_width).name if fixed else schema.names[0])


def _shown(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
