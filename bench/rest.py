"""The source `rest`: what partitions gain over one on a server that is far away, and memory over ten times the data."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from urllib.parse import parse_qs, urlsplit

import bascule
from bench.measure import Case, Figure, alternate, check, memory_growth, ratios, scaled, stopwatch

SOURCE = "bascule.sources.rest:RestDataSource"
PARTITIONS = 8
LATENCY_S = 0.050
PAGE = 100


def pages(quick: bool) -> Case:
    """Eight partitions against one; memory."""
    n_pages, n = (16, 2) if quick else (160, 5)
    with _served(n_pages, LATENCY_S) as url:
        one, eight = alternate(n, _timed(url, 1, n_pages), _timed(url, PARTITIONS, n_pages))
    few, many = ((factor * (20 if quick else 100),) for factor in (1, 10))
    figures = [
        Figure(f"one partition over {PARTITIONS}", "x", ratios(one, eight), 6.0, scaled(eight, 1e3), scaled(one, 1e3), "ms", True),
        memory_growth("rest: peak memory over ten times the data", 1.2, _read, few, many),
    ]  # fmt: skip
    setup = (
        f"{n_pages} pages of {PAGE} records of four columns, in no order, from a server on this machine that answers after "
        f"{LATENCY_S * 1e3:.0f} ms; the plan asks for one more. {n} runs in turn. Memory: the peak of a process that takes all "
        f"batches of {20 if quick else 100} pages of 1,000 records, and of ten times as many"
    )
    return Case("Pages of an HTTP API", setup, figures, (f"{PARTITIONS} partitions", "one"))


def _timed(url: str, partitions: int, n_pages: int) -> Callable[[], float]:
    options = {"url": url, "pagination": "page", "records": "$.data", "total": "$.total", "page_size": PAGE}
    options |= {"schema": "id BIGINT, name VARCHAR, price DOUBLE, kind VARCHAR", "num_partitions": partitions}
    table = bascule.table(SOURCE, options)

    def run() -> float:
        seconds, seen = stopwatch(
            lambda: sum(batch.num_rows for batch in table.to_reader(threads=partitions, ordered=False))
        )
        check("rows", seen, n_pages * PAGE)
        return seconds

    return run


@contextmanager
def _served(n_pages: int, latency_s: float) -> Iterator[str]:
    """An API of so many pages, in a process of its own, whose lock and memory are not ours."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(n_pages, latency_s, theirs), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        server.terminate()
        server.join()


def _serve(n_pages: int, latency_s: float, started: Connection) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            page, size = int(query["page"][0]), int(query["per_page"][0])
            first = (page - 1) * size
            rows = range(first, first + size) if page <= n_pages else ()
            records = [{"id": i, "name": f"name {i}", "price": i / 4, "kind": "abcd"[i % 4]} for i in rows]
            body = json.dumps({"data": records, "total": n_pages * size}).encode()
            time.sleep(latency_s)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        started.send(server.server_address[1])
        server.serve_forever()


def _read(n_pages: int) -> None:
    with _served(n_pages, 0.0) as url:
        options = {"url": url, "pagination": "page", "records": "$.data", "page_size": 1000}
        table = bascule.table(SOURCE, options)
        check("rows", sum(batch.num_rows for batch in table.to_reader(max_bytes=1 << 20)), n_pages * 1000)
