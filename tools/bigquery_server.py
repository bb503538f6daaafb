"""A server of BigQuery's Storage Read API, of its published protocol: Arrow tables, sessions, streams, and failures on demand.

A session's ``row_restriction`` is translated to DuckDB's SQL and run over the table, with what GoogleSQL does otherwise.
"""

from __future__ import annotations

import datetime
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

__all__ = ["BigQuery", "Fault"]

_SERVICE = "google.cloud.bigquery.storage.v1.BigQueryRead"


@dataclass
class Fault:
    """What goes wrong once.

    Attributes:
        method: CreateReadSession or ReadRows.
        code: of gRPC, by name; GARBAGE sends bytes that are none of Arrow, SLOW nothing for a while.
        after: so many messages of a stream.
        retry_s: what the error says of when to ask again.
    """

    method: str
    code: str
    after: int = 0
    message: str = "as told"
    retry_s: float | None = None


@dataclass
class _Session:
    table: pa.Table
    streams: dict[str, tuple[int, int]]
    compression: str | None


@dataclass
class BigQuery:
    """Started by ``start``; a context manager."""

    port: int = 0
    streams: int = 3
    message_rows: int = 10
    session_s: float = 6 * 3600
    faults: list[Fault] = field(default_factory=list)
    sessions: list[Any] = field(default_factory=list)
    reads: list[tuple[str, int]] = field(default_factory=list)
    sent: int = 0
    _tables: dict[str, list[tuple[float, pa.Table]]] = field(default_factory=dict)
    _folded: dict[str, set[str]] = field(default_factory=dict)
    _open: dict[str, _Session] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)
    _server: Any = None

    @classmethod
    def start(cls, port: int = 0, **more: Any) -> BigQuery:
        import grpc
        from google.cloud.bigquery_storage_v1 import types

        made = cls(**more)
        handlers = {
            "CreateReadSession": grpc.unary_unary_rpc_method_handler(
                made._create, types.CreateReadSessionRequest.deserialize, types.ReadSession.serialize
            ),
            "ReadRows": grpc.unary_stream_rpc_method_handler(
                made._read, types.ReadRowsRequest.deserialize, types.ReadRowsResponse.serialize
            ),
        }
        server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.max_send_message_length", -1)])
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        made.port = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        made._server = server
        return made

    def close(self) -> None:
        self._server.stop(0).wait(5)

    def __enter__(self) -> BigQuery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def options(self) -> dict[str, str]:
        return {"endpoint": f"127.0.0.1:{self.port}", "insecure": "true"}

    def put(self, name: str, table: pa.Table, at: float = 0.0, folded: set[str] | None = None) -> None:
        """The table ``project.dataset.table`` from ``at`` on; ``folded``: columns of collation und:ci."""
        path = "projects/{}/datasets/{}/tables/{}".format(*name.split("."))
        self._tables.setdefault(path, []).append((at, table))
        self._folded[path] = folded or set()

    def reset(self) -> None:
        self.faults.clear()
        self.sessions.clear()
        self.reads.clear()
        self.streams, self.message_rows, self.session_s, self.sent = 3, 10, 6 * 3600, 0
        self._tables.clear()

    # ---- the service ----

    def _create(self, request: Any, context: Any) -> Any:
        import grpc
        from google.cloud.bigquery_storage_v1 import types

        asked = request.read_session
        with self._lock:
            self.sessions.append(request)
        self._fail("CreateReadSession", 0, context)
        versions = self._tables.get(asked.table)
        if versions is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: Table {asked.table}")
            raise AssertionError
        snapshot = asked.table_modifiers.snapshot_time
        until = snapshot.timestamp() if snapshot else time.time()
        table = [table for at, table in versions if at <= until][-1]
        schema = table.schema
        try:
            if asked.read_options.row_restriction:
                table = _restricted(table, asked.read_options.row_restriction, self._folded[asked.table])
        except Exception as e:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"request failed: {e}")
        if asked.read_options.selected_fields:
            wanted = set(asked.read_options.selected_fields)
            if wanted - {*schema.names}:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no such fields: {wanted - {*schema.names}}")
            table = table.select([name for name in table.schema.names if name in wanted])
        n = min(request.max_stream_count or self.streams, self.streams) if table.num_rows else 0
        name = f"{request.parent}/locations/us/sessions/s{len(self.sessions)}"
        ends = [table.num_rows * i // n for i in range(n + 1)] if n else []
        streams = {f"{name}/streams/{i}": (ends[i], ends[i + 1]) for i in range(n)}
        compression = [None, "lz4", "zstd"][asked.read_options.arrow_serialization_options.buffer_compression]
        self._open.update(dict.fromkeys(streams, _Session(table, streams, compression)))
        return types.ReadSession(
            name=name,
            table=asked.table,
            data_format=types.DataFormat.ARROW,
            arrow_schema=types.ArrowSchema(serialized_schema=table.schema.serialize().to_pybytes()),
            streams=[types.ReadStream(name=stream) for stream in streams],
            estimated_row_count=table.num_rows,
            estimated_total_bytes_scanned=table.nbytes,
            expire_time=datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.session_s),
        )

    def _read(self, request: Any, context: Any) -> Iterator[Any]:
        import grpc
        from google.cloud.bigquery_storage_v1 import types

        with self._lock:
            self.reads.append((request.read_stream, request.offset))
        session = self._open.get(request.read_stream)
        if session is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such stream")
            raise AssertionError
        first, end = session.streams[request.read_stream]
        first += request.offset
        options = pa.ipc.IpcWriteOptions(compression=session.compression)
        for n, at in enumerate(range(first, end, self.message_rows)):
            garbage = self._fail("ReadRows", n, context)
            part = session.table.slice(at, min(self.message_rows, end - at)).combine_chunks().to_batches()[0]
            data = b"\x00garbage" if garbage else _bytes(part, options)
            self.sent += 1
            yield types.ReadRowsResponse(
                arrow_record_batch=types.ArrowRecordBatch(serialized_record_batch=data), row_count=part.num_rows
            )
        self._fail("ReadRows", -1, context)

    def _fail(self, method: str, n: int, context: Any) -> bool:
        import grpc
        from google.protobuf import any_pb2, duration_pb2
        from google.rpc import error_details_pb2, status_pb2

        with self._lock:
            found = next((f for f in self.faults if f.method == method and f.after == n), None)
            if found is None:
                return False
            self.faults.remove(found)
        if found.code == "GARBAGE":
            return True
        if found.code == "SLOW":
            for _ in range(200):
                if not context.is_active():
                    break
                time.sleep(0.05)
            return False
        code = grpc.StatusCode[found.code]
        if found.retry_s is not None:
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=int(found.retry_s * 1e9))))
            status = status_pb2.Status(code=code.value[0], message=found.message, details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, found.message)
        raise AssertionError


def _bytes(batch: pa.RecordBatch, options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    messages = pa.ipc.MessageReader.open_stream(sink.getvalue())
    messages.read_next_message()  # the schema
    return messages.read_next_message().serialize().to_pybytes()


def _restricted(table: pa.Table, condition: str, folded: set[str]) -> pa.Table:
    import duckdb

    seen = table.append_column("__row", pa.array(range(table.num_rows), pa.int64()))
    for i, one in enumerate(seen.schema):
        if pa.types.is_decimal256(one.type):
            seen = seen.set_column(i, one.name, seen.column(i).cast(pa.decimal128(38, 18)))
    with duckdb.connect() as con:
        con.register("t", seen)
        rows = con.execute(
            f"SELECT __row FROM t WHERE {_duckdb(condition, table.schema, folded)} ORDER BY 1"
        ).fetchall()
    return table.take(pa.array([row for (row,) in rows], pa.int64()))


def _duckdb(condition: str, schema: pa.Schema, folded: set[str]) -> str:
    """GoogleSQL's condition with the same meaning in DuckDB: bytes are compared as hexadecimal digits, NaN with nothing."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(condition, dialect="bigquery")

    def type_of(node: exp.Expression) -> pa.DataType | None:
        return schema.field(node.name).type if isinstance(node, exp.Column) and node.name in schema.names else None

    def go(node: exp.Expression) -> exp.Expression:
        kind = type_of(node)
        if kind is not None and pa.types.is_binary(kind) and not isinstance(node.parent, (exp.Is, exp.Anonymous)):
            return exp.func("hex", node.copy(), dialect="duckdb")
        if isinstance(node, exp.ByteString):
            return exp.Literal.string(node.name.encode("latin-1").hex().upper())
        if isinstance(node, exp.Cast) and node.to.this == exp.DataType.Type.DECIMAL:
            return exp.cast(node.this.copy(), "DECIMAL(38, 9)")
        if isinstance(node, exp.Cast) and node.to.this in (exp.DataType.Type.BINARY, exp.DataType.Type.VARBINARY):
            return exp.Anonymous(this="hex", expressions=[exp.Anonymous(this="encode", expressions=[node.this.copy()])])
        compared = isinstance(node, (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In))
        if compared and (kind := type_of(node.this)) is not None:
            if pa.types.is_float64(kind):
                isnan = exp.Anonymous(this="isnan", expressions=[node.this.copy()])
                return exp.paren(exp.and_(node.copy(), exp.not_(isnan)))
            if node.this.name in folded:
                lowered = [exp.func("lower", part.copy()) for part in (node.this, node.expression)]
                return type(node)(this=lowered[0], expression=lowered[1])
        return node

    return tree.transform(go).sql(dialect="duckdb")


if __name__ == "__main__":
    # rows message_rows: a table p.d.t of that many rows, until standard input ends.
    count, size = int(sys.argv[1]), int(sys.argv[2])
    with BigQuery.start(message_rows=size) as running:
        ids = pa.array(range(count), pa.int64())
        running.put("p.d.t", pa.table({"id": ids, "x": ids.cast(pa.float64()), "s": ids.cast(pa.string())}))
        print(running.port, flush=True)
        sys.stdin.read()
