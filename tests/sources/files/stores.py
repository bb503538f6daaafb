"""Stores for files: S3 by moto, a web server; each notes the requests that it got, and can be told to fail."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

BUCKET = "lake"
KEYS = {"access_key_id": "canary-key-id", "secret_access_key": "canary-secret", "region": "eu-central-1"}


@dataclass
class S3:
    """One bucket. ``fail``: method and path of a request -> a status that is answered instead, or None."""

    endpoint: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    fail: Callable[[str, str], int | None] = lambda method, path: None

    @property
    def options(self) -> dict[str, str]:
        return {"endpoint": self.endpoint, **KEYS}

    def put(self, key: str, data: bytes) -> None:
        from pyarrow import fs

        files = fs.S3FileSystem(
            access_key=KEYS["access_key_id"],
            secret_key=KEYS["secret_access_key"],
            region=KEYS["region"],
            scheme="http",
            endpoint_override=self.endpoint.removeprefix("http://"),
        )
        with files.open_output_stream(f"{BUCKET}/{key}") as out:
            out.write(data)

    def put_parquet(self, key: str, table: pa.Table, **how: Any) -> None:
        import pyarrow.parquet as pq

        buffer = io.BytesIO()
        pq.write_table(table, buffer, **how)
        self.put(key, buffer.getvalue())

    def read(self) -> set[str]:
        """The keys that were read."""
        return {
            path.removeprefix(f"/{BUCKET}/")
            for method, path in self.requests
            if method == "GET" and path.count("/") > 1
        }


@contextmanager
def s3_server() -> Iterator[S3]:
    from moto.backends import get_backend
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    # What another server of this process had.
    for account in list(get_backend("s3").values()):
        for backend in list(account.values()):
            backend.reset()
    app = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()

    def noted(environ: dict[str, Any], start_response: Any) -> Any:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with lock:
            store.requests.append((method, path))
        status = store.fail(method, path)
        if status is not None:
            start_response(f"{status} Made", [("Content-Type", "application/xml"), ("Content-Length", "0")])
            return [b""]
        return app(environ, start_response)

    server = make_server("127.0.0.1", 0, noted, threaded=True)
    store = S3(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        import boto3

        boto3.client(
            "s3",
            endpoint_url=store.endpoint,
            aws_access_key_id=KEYS["access_key_id"],
            aws_secret_access_key=KEYS["secret_access_key"],
            region_name=KEYS["region"],
        ).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": KEYS["region"]})
        store.requests.clear()
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Ranges(SimpleHTTPRequestHandler):
    """Files of a folder, with ranges, which the standard library's own has not."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        file = Path(self.directory) / unquote(self.path.lstrip("/").partition("?")[0])
        if not file.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = file.read_bytes()
        asked = self.headers.get("Range")
        begin, end = 0, len(data)
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin, end = (
                (int(first), min(int(last) + 1, end) if last else end) if first else (max(0, end - int(last)), end)
            )
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        if body:
            self.wfile.write(data[begin:end])


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """The files of a folder; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: _Ranges(*args, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
