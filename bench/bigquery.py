"""The source `bigquery` against a bare loop of the library's client, over a server in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

import bascule
from bench.machine import REPOSITORY
from bench.measure import Case, Figure, alternate, check, ratios, scaled, stopwatch

SOURCE = "bascule.sources.bigquery:BigQueryDataSource"
MESSAGE_ROWS = 20_000


def session(quick: bool) -> Case:
    """Reading a plan of one stream after the other."""
    n, runs = (1_500_000, 3) if quick else (4_000_000, 5)
    with _served(n) as where:
        options = {"table_id": "p.d.t", "endpoint": where, "insecure": "true"}
        plan = bascule.table(SOURCE, options).partitions()
        client, made = _session(where)
        bare, ours = alternate(runs, lambda: _bare(client, made, n), lambda: _read(plan, n))
    figures = [
        Figure("bigquery: reading over a bare loop", "x", ratios(ours, bare), 1.1, scaled(ours, 1e3), scaled(bare, 1e3), "ms")
    ]  # fmt: skip
    setup = (
        f"{n:,} rows of three columns in messages of {MESSAGE_ROWS:,} from a server of the protocol in a process of its own on this "
        f"machine, three streams one after the other; the bare loop decodes the same messages of `read_rows`. {runs} runs in turn"
    )
    return Case("A table of BigQuery", setup, figures, ("bigquery", "bare loop"))


def _read(plan: list[Any], n: int) -> float:
    return _timed(lambda: sum(batch.num_rows for partition in plan for batch in partition.to_reader()), n)


def _bare(client: Any, made: Any, n: int) -> float:
    schema = pa.ipc.read_schema(pa.py_buffer(made.arrow_schema.serialized_schema))

    def rows() -> int:
        return sum(
            pa.ipc.read_record_batch(pa.py_buffer(answer.arrow_record_batch.serialized_record_batch), schema).num_rows
            for stream in made.streams
            for answer in client.read_rows(read_stream=stream.name)
        )

    return _timed(rows, n)


def _timed(work: Any, n: int) -> float:
    seconds, rows = stopwatch(work)
    check("rows", rows, n)
    return float(seconds)


def _session(where: str) -> tuple[Any, Any]:
    import grpc
    from google.cloud.bigquery_storage_v1 import types
    from google.cloud.bigquery_storage_v1.services.big_query_read import BigQueryReadClient
    from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

    channel = grpc.insecure_channel(where, options=[("grpc.max_receive_message_length", -1)])
    client = BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))
    asked = types.ReadSession(table="projects/p/datasets/d/tables/t", data_format=types.DataFormat.ARROW)
    return client, client.create_read_session(parent="projects/p", read_session=asked)


@contextmanager
def _served(n: int) -> Iterator[str]:
    command = [sys.executable, str(REPOSITORY / "tools" / "bigquery_server.py"), str(n), str(MESSAGE_ROWS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.communicate()
