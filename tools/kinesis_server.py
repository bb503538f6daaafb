"""Runs a Kinesis server, for tests and benchmark: moto, and what moto does otherwise than the service.

    with Kinesis.start() as kinesis:
        kinesis.create("orders", shards=2)
        kinesis.put("orders", [("key", b"data")])
        print(kinesis.options)

moto has the protocol and keeps the records. Added, as the service's documentation has it:

- sequence numbers have 56 digits and grow over the whole stream, with gaps (moto: 1, 2, 3 in each shard);
- a shard that was split or merged keeps its records, closes, and ends (moto: they are moved into its children, and a
  closed shard never ends);
- MillisBehindLatest is 0 at the tip alone (moto: also before it, where records came within a millisecond);
- at most 10,000 records or ``page_bytes`` a GetRecords, as many shards a ListShards as ``shards_in_a_page`` says;
- iterators may expire, records may be trimmed, GetRecords may return nothing before it returns records;
- a time in the future, a number of another stream, wrong credentials are refused.
"""

from __future__ import annotations

import base64
import itertools
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest import mock

ACCOUNT = "123456789012"
REGION = "eu-central-1"
KEYS = {"access_key_id": "canary-key-id", "secret_access_key": "canary-secret", "region": REGION}
_FIRST_NUMBER = 49590338271490256608559692538361571095921575989136588898
_MOST_RECORDS = 10_000
_READING = ("GetRecords", "GetShardIterator", "ListShards", "DescribeStreamSummary")


@dataclass
class Reply:
    """What is answered instead: an error of the service by its code, or bytes as they are; None for both: hangs up.

    Attributes:
        delay_s: waited before. With neither code nor body the request is then answered as always.
    """

    code: str | None = None
    message: str = "made"
    status: int = 400
    body: bytes | None = None
    delay_s: float = 0.0
    hangs_up: bool = False


class Kinesis:
    """A server on a port of its own, in threads of this process.

    Attributes:
        requests: of those that read: operation and its arguments.
        fail: operation and arguments of a request -> a Reply, or None.
        empty_pages: so many GetRecords of an iterator that isn't at the tip return nothing before one returns records.
        keys: the access keys that are known; None: any.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.fail: Callable[[str, dict[str, Any]], Reply | None] = lambda operation, arguments: None
        self.empty_pages = 0
        self.shards_in_a_page = 1000
        self.page_bytes = 10 << 20
        self.keys: set[str] | None = {KEYS["access_key_id"]}
        self.generation = 0  # of iterators; older ones have expired
        self.throttles = False  # as the service does beyond five reads a second
        self._reads: dict[str, list[float]] = {}
        self._lock = threading.RLock()
        self._started = ExitStack()
        self.port = 0

    # ---- life ----

    @staticmethod
    def unavailable() -> str | None:
        """Why it can't be had here; None if it can."""
        try:
            import moto.server  # noqa: F401
        except ModuleNotFoundError as e:
            return f"{e.name} is not installed"
        return None

    @classmethod
    def start(cls) -> Kinesis:
        """A new server, ready to be used."""
        kinesis = cls()
        kinesis._started.enter_context(_as_the_service(kinesis))
        kinesis.listen()
        return kinesis

    def __enter__(self) -> Kinesis:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops it; its streams are gone."""
        self.hang_up()
        self._backend().streams.clear()
        self._started.close()

    def reset(self) -> None:
        """No streams, no failures, no requests."""
        with self._lock:
            self._backend().streams.clear()
            self.requests.clear()
            self.fail = lambda operation, arguments: None
            self.empty_pages, self.shards_in_a_page, self.page_bytes, self.throttles = 0, 1000, 10 << 20, False
            self.keys = {KEYS["access_key_id"]}

    def listen(self) -> None:
        """Takes connections; again, on the same port, after hang_up()."""
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Handler(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log(self, *_: object) -> None:
                pass

        self._server = make_server("127.0.0.1", self.port, self._serve, threaded=True, request_handler=Handler)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def hang_up(self) -> None:
        """Connections are refused from now on."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def options(self) -> dict[str, str]:
        """Of the source, but for the stream."""
        return {"endpoint": f"http://127.0.0.1:{self.port}", **KEYS}

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.requests]

    # ---- streams ----

    def create(self, name: str, shards: int = 1) -> None:
        self._backend().create_stream(name, shards)

    def delete(self, name: str) -> None:
        self._backend().delete_stream(None, name)

    def put(self, name: str, records: Iterable[tuple[str, bytes]], hash_key: str = "") -> list[str]:
        """Puts records of a partition key and data; their sequence numbers."""
        with self._lock:
            stream = self._stream(name)
            return [stream.put_record(key, hash_key, base64.b64encode(data).decode())[0] for key, data in records]

    def split(self, name: str, shard: str) -> list[str]:
        """Splits a shard in the middle; its children."""
        with self._lock:
            stream = self._stream(name)
            before = set(stream.shards)
            found = stream.shards[shard]
            stream.split_shard(shard, str((found.starting_hash + found.ending_hash + 1) // 2))
            return sorted(set(stream.shards) - before)

    def merge(self, name: str, shard: str, adjacent: str) -> str:
        """Merges two shards; their child."""
        with self._lock:
            stream = self._stream(name)
            before = set(stream.shards)
            stream.merge_shards(shard, adjacent)
            (child,) = set(stream.shards) - before
            return str(child)

    def shards(self, name: str) -> list[str]:
        return sorted(self._stream(name).shards)

    def numbers(self, name: str, shard: str) -> list[str]:
        """The sequence numbers of a shard's records."""
        return [str(number) for number in self._stream(name).shards[shard].records]

    def arrivals(self, name: str, shard: str) -> list[Any]:
        """When a shard's records came, in UTC, to the millisecond, as it is answered."""
        from datetime import UTC

        records = self._stream(name).shards[shard].records.values()
        came = [record.created_at_datetime.replace(tzinfo=UTC) for record in records]
        return [at.replace(microsecond=at.microsecond // 1000 * 1000) for at in came]

    def trim(self, name: str, shard: str, n: int) -> None:
        """The first records of a shard are no longer kept."""
        with self._lock:
            records = self._stream(name).shards[shard].records
            for number in list(records)[:n]:
                del records[number]

    def forget(self, name: str, shard: str) -> None:
        """A shard is no longer known, as after its retention."""
        with self._lock:
            del self._stream(name).shards[shard]

    def age(self, name: str, seconds: float, shard: str | None = None, first: int = 0) -> None:
        """Records, from the first on, came so much earlier."""
        from datetime import timedelta

        with self._lock:
            for each in self._stream(name).shards.values() if shard is None else [self._stream(name).shards[shard]]:
                for record in list(each.records.values())[first:]:
                    record.created_at_datetime -= timedelta(seconds=seconds)
                    record.created_at -= seconds

    def expire_iterators(self) -> None:
        """All iterators that there are have expired."""
        self.generation += 1

    # ---- inside ----

    def _stream(self, name: str) -> Any:
        return self._backend().streams[name]

    def _backend(self) -> Any:
        from moto.kinesis.models import kinesis_backends

        return kinesis_backends[ACCOUNT][REGION]

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Any:
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        arguments = json.loads(body or b"{}")
        if operation in _READING:
            with self._lock:
                self.requests.append((operation, arguments))
        reply = self.fail(operation, arguments) or self._refused(environ, operation, arguments)
        if reply is not None and reply.delay_s:
            time.sleep(reply.delay_s)
        if reply is not None and reply.hangs_up:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionError
        if reply is not None and (reply.code or reply.body is not None):
            made = json.dumps({"__type": reply.code, "message": reply.message}).encode()
            made = made if reply.body is None else reply.body
            status = reply.status if reply.body is None else 200
            headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(made)))]
            start_response(f"{status} Made", headers)
            return [made]
        if operation == "ListShards":
            # moto takes the name beside the token, which the service refuses, and no token without.
            token = arguments.pop("NextToken", None)
            if token is not None:
                arguments = {"StreamName": token.partition("|")[0], "NextToken": token.partition("|")[2]}
            name = arguments.get("StreamName") or arguments["StreamARN"].rpartition("/")[2]
            arguments["MaxResults"] = self.shards_in_a_page
            body = json.dumps(arguments).encode()
        environ["wsgi.input"] = _Bytes(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        with self._lock:
            status_line: list[Any] = []
            chunks = b"".join(self._moto(environ, lambda status, headers, *_: status_line.extend((status, headers))))
        status, headers = status_line
        if operation == "ListShards" and status.startswith("200"):
            answer = json.loads(chunks)
            if answer.get("NextToken"):
                answer["NextToken"] = f"{name}|{answer['NextToken']}"
            chunks = json.dumps(answer).encode()
        headers = [(k, v) for k, v in headers if k.lower() != "content-length"]
        start_response(status, [*headers, ("Content-Length", str(len(chunks)))])
        return [chunks]

    @property
    def _moto(self) -> Any:
        from moto.server import DomainDispatcherApplication, create_backend_app

        if not hasattr(self, "_app"):
            self._app = DomainDispatcherApplication(create_backend_app)
        return self._app

    def _refused(self, environ: dict[str, Any], operation: str, arguments: dict[str, Any]) -> Reply | None:
        signed = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0]
        if self.keys is not None and signed not in self.keys:
            return Reply("UnrecognizedClientException", "The security token included in the request is invalid.")
        if operation == "GetRecords":
            made = base64.b64decode(arguments["ShardIterator"]).decode().split(":")
            if int(made[3]) < self.generation:
                return Reply("ExpiredIteratorException", "Iterator expired.")
            if self.throttles:
                with self._lock:
                    recent = [at for at in self._reads.get(made[1], []) if at > time.monotonic() - 1]
                    self._reads[made[1]] = recent
                    if len(recent) >= 5:
                        return Reply(
                            "ProvisionedThroughputExceededException", f"Rate exceeded for shard {made[1]} in stream"
                        )
                    recent.append(time.monotonic())
        return None


class _Bytes:
    """A request's body, which was read already."""

    def __init__(self, data: bytes) -> None:
        import io

        self._file = io.BytesIO(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _as_the_service(kinesis: Kinesis) -> ExitStack:
    """Replaces moto's classes by such as behave as the service is documented."""
    from moto.core.exceptions import JsonRESTError
    from moto.kinesis import models

    counter = itertools.count(1)

    def number() -> int:
        return _FIRST_NUMBER + next(counter) * 1_000_003

    class Shard(models.Shard):
        __module__ = models.__name__  # moto goes by it

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.first, self.last = number(), 0

        def put_record(self, partition_key: str, data: str, explicit_hash_key: str) -> str:
            made = number()
            self.records[made] = models.Record(partition_key, data, made, explicit_hash_key)
            return str(made)

        def to_json(self) -> dict[str, Any]:
            made = super().to_json()
            made["SequenceNumberRange"] = {"StartingSequenceNumber": str(self.first)}
            if not self.is_open:
                made["SequenceNumberRange"]["EndingSequenceNumber"] = str(self.last)
            return made

    class Stream(models.Stream):
        __module__ = models.__name__

        def get_shard_for_key(self, partition_key: str, explicit_hash_key: str) -> Any:
            key = int(
                explicit_hash_key or models.md5_hash(partition_key.encode()).hexdigest(),
                10 if explicit_hash_key else 16,
            )
            return next(s for s in self.shards.values() if s.is_open and s.starting_hash <= key <= s.ending_hash)

        def split_shard(self, shard_to_split: str, new_starting_hash_key: str) -> None:
            self._keeping([shard_to_split], lambda: models_split(self, shard_to_split, new_starting_hash_key))

        def merge_shards(self, shard_to_merge: str, adjacent_shard_to_merge: str) -> None:
            both = [shard_to_merge, adjacent_shard_to_merge]
            self._keeping(both, lambda: models_merge(self, *both))

        def _keeping(self, parents: list[str], work: Callable[[], None]) -> None:
            kept = [(self.shards[p], self.shards[p].records) for p in parents]
            for shard, _ in kept:
                shard.records = models.OrderedDict()
            work()
            for shard, records in kept:
                shard.records, shard.last = records, number()

    models_split, models_merge = models.Stream.split_shard, models.Stream.merge_shards

    def refuse(code: str, message: str) -> Exception:
        return JsonRESTError(error_type=code, message=message)

    def iterator(name: str, shard: str, position: int, emptied: int) -> str:
        return base64.b64encode(f"{name}:{shard}:{position}:{kinesis.generation}:{emptied}".encode()).decode()

    def get_shard_iterator(
        self: Any, arn: str, name: str, shard_id: str, kind: str, starting: Any, timestamp: Any
    ) -> str:
        stream = self.describe_stream(arn, name)
        if shard_id not in stream.shards:
            raise refuse("ResourceNotFoundException", f"Shard {shard_id} in stream {stream.stream_name} does not exist")
        shard = stream.shards[shard_id]
        numbers = list(shard.records)
        if kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
            position = int(starting) - (kind == "AT_SEQUENCE_NUMBER")
            if not shard.first <= int(starting) <= max([shard.last, shard.first, *numbers]):
                raise refuse(
                    "InvalidArgumentException",
                    f"StartingSequenceNumber {starting} used in GetShardIterator on shard {shard_id} in stream "
                    f"{stream.stream_name} is invalid because it did not come from this stream.",
                )
        elif kind == "AT_TIMESTAMP":
            if timestamp > time.time():
                raise refuse(
                    "InvalidArgumentException",
                    "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis.",
                )
            later = (n for n, record in shard.records.items() if record.created_at >= timestamp)
            position = next(later, max([0, *numbers]) + 1) - 1
        else:
            position = 0 if kind == "TRIM_HORIZON" else max([0, *numbers])
        return iterator(stream.stream_name, shard_id, position, 0)

    def get_records(self: Any, arn: str, made: str, limit: int | None) -> tuple[str | None, list[Any], int]:
        name, shard_id, at, _, emptied = base64.b64decode(made).decode().split(":")
        stream = self.describe_stream(None, name)
        shard = stream.get_shard(shard_id)
        position, size = int(at), 0
        ahead = [(n, record) for n, record in shard.records.items() if n > position]
        if ahead and int(emptied) < kinesis.empty_pages:
            return iterator(name, shard_id, position, int(emptied) + 1), [], 1000
        found: list[Any] = []
        for n, record in ahead[: min(limit or _MOST_RECORDS, _MOST_RECORDS)]:
            size += len(record.data) * 3 // 4
            if found and size > kinesis.page_bytes:
                break
            found.append(record)
            position = n
        left = len(ahead) - len(found)
        behind = max(1, int((time.time() - found[-1].created_at) * 1000)) if left else 0
        if not left and not shard.is_open:
            return None, found, behind
        return iterator(name, shard_id, position, 0), found, behind

    to_json = models.Record.to_json
    replaced = ExitStack()
    for target, attribute, value in (
        (models, "Shard", Shard),
        (models, "Stream", Stream),
        (models.KinesisBackend, "get_shard_iterator", get_shard_iterator),
        (models.KinesisBackend, "get_records", get_records),
        (models.Record, "to_json", lambda record: {**to_json(record), "EncryptionType": "NONE"}),
    ):
        replaced.enter_context(mock.patch.object(target, attribute, value))
    return replaced


if __name__ == "__main__":  # NAME SHARDS RECORDS: a stream of so many
    name, n_shards, n_records = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with Kinesis.start() as served:
        served.create(name, n_shards)
        served.put(name, [(f"key {i}", b"%0100d" % i) for i in range(n_records)])
        print(json.dumps(served.options), flush=True)
        threading.Event().wait()
