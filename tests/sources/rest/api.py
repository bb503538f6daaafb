"""A real HTTP server, in threads of this process, that remembers what it was asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    pairs: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What is answered: JSON, or bytes as they are.

    Attributes:
        cut: so many bytes less than promised, and the connection closed.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0


Answer = Callable[[Request], Any]


class Api:
    """A server on a port of its own; ``answer`` makes a Reply, or what is JSON, of a Request; None: hangs up."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                api._serve(self)

            do_POST = do_GET

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that hangs up

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def queries(self) -> list[dict[str, str]]:
        return [request.query for request in self.requests]

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, parts.path, dict(pairs), pairs, headers, body)
        with self._lock:
            self.requests.append(request)
        reply = self.answer(request)
        if reply is None:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        reply = reply if isinstance(reply, Reply) else Reply(reply)
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        handler.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) - reply.cut])
        if reply.cut:
            handler.close_connection = True


def closed_port() -> str:
    """The URL of a port at which nothing listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{s.getsockname()[1]}"


def rows(n: int) -> list[dict[str, Any]]:
    """Records with ids from 0."""
    return [{"id": i, "name": f"name {i}", "kind": "abc"[i % 3], "price": i / 4} for i in range(n)]


def paged(records: list[Any], *, default: int = 10, most: int = 1000, extra: Answer | None = None) -> Answer:
    """An API of pages: ``page`` and ``per_page``, ``offset`` and ``limit``, ``cursor``."""

    def answer(request: Request) -> Any:
        q = request.query
        size = min(int(q.get("per_page", q.get("limit", default))), most)
        at = int(q.get("offset", q.get("cursor", (int(q.get("page", 1)) - 1) * size)))
        page = records[at : at + size]
        has_more = at + size < len(records)
        made = {
            "data": page,
            "meta": {"total": len(records), "pages": -(-len(records) // size), "more": has_more},
            "next_cursor": str(at + size) if has_more else None,
        }
        if request.path == "/link":
            links = (
                {"Link": f'</link?page={int(q.get("page", 1)) + 1}&per_page={size}>; rel="next"'} if has_more else {}
            )
            return Reply(page, headers=links)
        if has_more and request.path == "/next":
            made["next"] = f"/next?page={int(q.get('page', 1)) + 1}&per_page={size}"
        return made

    return answer
