"""A host of one worker process, in Python: speaks the protocol of src/process/wire.h by hand."""

from __future__ import annotations

import array
import contextlib
import ctypes
import mmap
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from bascule._wire import Frame, Reader, data, text, texts

TESTS = Path(__file__).parents[1]
ALL = 1 << 62


class Received(NamedTuple):
    kind: int
    number: int
    reader: Reader
    payload: bytes


class Failed(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def spawned(**options: Any) -> tuple[subprocess.Popen[str], socket.socket, int]:
    """``python -m bascule.worker`` with its descriptors 3 and 4 (a crash file)."""
    ours, theirs = socket.socketpair()
    crash = os.memfd_create("crash")
    # The parent's own 3 and 4 may be anything: a small program puts them in place.
    place = (
        "import os, sys; a, b = int(sys.argv[1]), int(sys.argv[2]); a, b = os.dup(a), os.dup(b); "
        "a, b = (os.dup(a), os.dup(b)) if a < 5 or b < 5 else (a, b); a, b = (os.dup(a), os.dup(b)) if a < 5 or b < 5 else (a, b); "
        "os.dup2(a, 3); os.dup2(b, 4); os.closerange(5, 200); os.execv(sys.executable, [sys.executable, '-m', 'bascule.worker'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", place, str(theirs.fileno()), str(crash)],
        pass_fds=(theirs.fileno(), crash),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **options,
    )
    theirs.close()
    return process, ours, crash


class Client:
    """A worker process and the conversation with it."""

    def __init__(self, path: list[str] | None = None, memory: int = 0, directory: str = "") -> None:
        self.process, self.socket, self.crash = spawned()
        self.socket.settimeout(20)
        self._in = bytearray()
        self._fds: list[int] = []
        self._number = 0
        self._schema: pa.Schema | None = None  # of the batches
        self.identity = ""  # of the class that was opened last
        self.segments: dict[int, mmap.mmap] = {}
        self.cache = (0, 0)  # ttl in ms, epoch: of what is opened next
        self.metrics: list[tuple[int, Reader]] = []
        self.send(
            Frame.SETUP,
            0,
            text(directory)
            + texts(p.encode() for p in (path or [str(TESTS), *sys.path]))
            + struct.pack("<BQB", 0, memory, 1),
        )
        self.hello = self.receive()

    def close(self) -> str:
        """Ends the conversation. What the worker printed."""
        self.socket.close()
        output, _ = self.process.communicate(timeout=10)
        for segment in self.segments.values():
            segment.close()
        os.close(self.crash)
        return output

    def send(self, kind: int, number: int, payload: bytes = b"") -> None:
        self.socket.sendall(struct.pack("<IHHQ", len(payload), kind, 0, number) + payload)

    def receive(self, timeout: float = 20) -> Received:
        """The next frame; maps the segments on its way. ``EOFError``: the worker is gone."""
        self.socket.settimeout(timeout)
        while True:
            if len(self._in) >= 16:
                length, kind, zero, number = struct.unpack_from("<IHHQ", self._in)
                assert zero == 0
                if len(self._in) >= 16 + length:
                    payload = bytes(self._in[16 : 16 + length])
                    del self._in[: 16 + length]
                    if kind == Frame.SEGMENT:
                        fd = self._fds.pop(0)
                        (size,) = struct.unpack("<Q", payload)
                        self.segments[number] = mmap.mmap(fd, size, prot=mmap.PROT_READ)
                        os.close(fd)
                        continue
                    if kind == Frame.METRICS:
                        self.metrics.append((number, Reader(payload)))
                        continue
                    if kind == Frame.DROP:
                        self.segments.pop(number).close()
                        continue
                    return Received(kind, number, Reader(payload), payload)
            room = array.array("i")
            received, ancillary, _, _ = self.socket.recvmsg(1 << 16, socket.CMSG_LEN(8 * room.itemsize))
            for level, kind, content in ancillary:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                room.frombytes(content[: len(content) - len(content) % room.itemsize])
            self._fds += room
            if not received:
                raise EOFError
            self._in += received

    def ask(self, kind: int, payload: bytes) -> int:
        self._number += 1
        self.send(kind, self._number, payload)
        return self._number

    def answer(self, kind: int, number: int) -> Received:
        """The answer of that kind to a request, or ``Failed``."""
        received = self.receive()
        assert received.number == number, received
        if received.kind == Frame.FAILED:
            (status,) = received.reader.numbers("I")
            raise Failed(status, received.reader.text())
        assert received.kind == kind, received
        return received

    def open(
        self, instance: int, name: str, infer: bool = True, evolve: bool = False, **options: str
    ) -> pa.Schema | None:
        """OPEN of ``module:Class`` or ``file.py:Class``."""
        module, _, cls = name.rpartition(":")
        return self.open_as(
            instance, name, 1 if module.endswith(".py") else 0, module.encode(), cls, infer, evolve, **options
        )

    def open_as(
        self,
        instance: int,
        label: str,
        kind: int,
        module: bytes,
        name: str,
        infer: bool = True,
        evolve: bool = False,
        identity: str = "",
        **options: str,
    ) -> pa.Schema | None:
        pairs = struct.pack("<I", len(options)) + b"".join(text(n) + text(v) for n, v in options.items())
        cache = struct.pack("<QQ", *self.cache)
        payload = struct.pack("<QBB", instance, infer, evolve) + text(label) + bytes([kind]) + data(module)
        received = self.answer(
            Frame.OPENED, self.ask(Frame.OPEN, payload + text(name) + pairs + cache + text(identity))
        )
        (has_schema,) = received.reader.numbers("B")
        assert has_schema == infer
        schema = schema_from(received.reader) if has_schema else None
        self.identity = received.reader.text()
        (self.has_statistics,) = received.reader.numbers("B")
        return schema

    def offset(self, instance: int, question: int, start: str = "", end: str = "") -> str:
        payload = struct.pack("<QB", instance, question) + text(start) + text(end)
        return self.answer(Frame.LOCATED, self.ask(Frame.OFFSET, payload)).reader.text()

    def plan(
        self,
        instance: int,
        columns: list[str] | None = None,
        plan: int = 1,
        filters: bytes = b"",
        limit: int | None = None,
        start: str = "",
        end: str = "",
    ) -> list[bytes]:
        """PLAN. What is said beside the specs is in ``rows``, ``pruned`` and ``pushed``."""
        hints = _hints(columns, filters, limit) + text(start) + text(end) + b"\0"
        number = self.ask(Frame.PLAN, struct.pack("<QQ", instance, plan) + hints)
        self.rows: list[int] = []
        specs: list[bytes] = []
        while True:
            received = self.receive()
            assert received.number == number
            if received.kind == Frame.FAILED:
                (status,) = received.reader.numbers("I")
                raise Failed(status, received.reader.text())
            if received.kind == Frame.PLANNED:
                n, self.pruned, self.knows_rows = received.reader.numbers("qqB")
                assert n == len(specs) == len(self.rows)
                self.pushed = received.reader.text()
                return specs
            assert received.kind == Frame.SPECS
            assert len(received.payload) <= 1 << 20 or received.reader.numbers("I") == (1,)
            reader = Reader(received.payload)
            n_specs = reader.numbers("I")[0]
            specs += [reader.data() for _ in range(n_specs)]
            self.rows += reader.numbers(f"{n_specs}q")

    def begin(
        self,
        instance: int,
        spec: bytes,
        window: int = ALL,
        columns: list[str] | None = None,
        at: tuple[int, int] = (0, 1),
        filters: bytes = b"",
        limit: int | None = None,
    ) -> int:
        payload = struct.pack("<QqqQ", instance, *at, window) + _hints(columns, filters, limit) + data(spec)
        return self.ask(Frame.READ, payload)

    def batches(self, number: int, n: int | None = None) -> Iterator[Batch]:
        """What a READ sends: all of it, or ``n`` batches."""
        while n is None or n > 0:
            received = self.receive()
            if received.kind == Frame.BATCH:
                if received.reader.numbers("B")[0]:
                    self._schema = schema_from(received.reader)
                yield Batch(self, received.number, self._schema, received.reader)
                n = n if n is None else n - 1
                continue
            assert received.number == number
            if received.kind == Frame.FAILED:
                (status,) = received.reader.numbers("I")
                raise Failed(status, received.reader.text())
            assert received.kind == Frame.END
            return

    def read(self, instance: int, spec: bytes, **more: Any) -> list[pa.RecordBatch]:
        return [batch.whole() for batch in self.batches(self.begin(instance, spec, **more))]

    def ended(self, number: int) -> None:
        self.answer(Frame.END, number)

    def gone_within(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.poll() is not None


class Batch:
    """One BATCH: its root, and the asked children that are flat."""

    def __init__(self, client: Client, slot: int, schema: pa.Schema | None, reader: Reader) -> None:
        assert schema is not None
        self.slot, self.schema = slot, schema
        absent, self.rows, nulls, offset = _node(reader)
        assert (absent, nulls, offset) == (False, 0, 0)
        self.root = _buffers(client, reader)
        self.columns: list[pa.Array | None] = []
        self.bytes = 0
        for field in schema:
            absent, length, nulls, offset = _node(reader)
            if absent:
                self.columns.append(None)
                continue
            buffers = _buffers(client, reader)
            self.bytes += sum(len(b) for b in buffers if b is not None)
            arrow = [None if b is None else pa.py_buffer(b) for b in buffers]
            self.columns.append(pa.Array.from_buffers(field.type, length, arrow, nulls, offset))

    def whole(self) -> pa.RecordBatch:
        """Its columns that were sent."""
        sent = [(f.name, c) for f, c in zip(self.schema, self.columns, strict=True) if c is not None]
        return pa.record_batch([c for _, c in sent], names=[n for n, _ in sent])


def _node(reader: Reader) -> tuple[bool, int, int, int]:
    if reader.numbers("B")[0]:
        return True, 0, 0, 0
    length, nulls, offset = reader.numbers("qqq")
    return False, length, nulls, offset


def _buffers(client: Client, reader: Reader) -> list[bytes | None]:
    found: list[bytes | None] = []
    for _ in range(reader.numbers("I")[0]):
        segment, offset, size = reader.numbers("QQQ")
        found.append(client.segments[segment][offset : offset + size] if segment else None)
    return found


def _hints(columns: list[str] | None, filters: bytes, limit: int | None) -> bytes:
    names = b"\0" if columns is None else b"\1" + texts(c.encode() for c in columns)
    return names + data(filters) + struct.pack("<Bq", limit is not None, limit or 0)


class _CSchema(ctypes.Structure):
    pass


_CSchema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_CSchema))),
    ("dictionary", ctypes.POINTER(_CSchema)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]

_RELEASE = ctypes.CFUNCTYPE(None, ctypes.POINTER(_CSchema))


@_RELEASE
def _release(schema: Any) -> None:
    schema.contents.release = None


def schema_from(reader: Reader) -> pa.Schema:
    """A *schema* of the wire."""
    kept: list[Any] = []
    built = _field(reader, kept)
    schema = pa.Schema._import_from_c(ctypes.addressof(built))
    return schema  # noqa: RET504 (kept lives until here)


def _field(reader: Reader, kept: list[Any]) -> _CSchema:
    field = _CSchema()
    kept.append(field)
    field.format, field.name = reader.data(), reader.data()
    if reader.numbers("B")[0]:
        field.metadata = reader.data()
    (field.flags,) = reader.numbers("q")
    (n,) = reader.numbers("I")
    children = [_field(reader, kept) for _ in range(n)]
    pointers = (ctypes.POINTER(_CSchema) * max(n, 1))(*map(ctypes.pointer, children))
    kept.append(pointers)
    field.n_children, field.children = n, ctypes.cast(pointers, ctypes.POINTER(ctypes.POINTER(_CSchema)))
    if reader.numbers("B")[0]:
        field.dictionary = ctypes.pointer(_field(reader, kept))
    field.release = ctypes.cast(_release, ctypes.c_void_p).value
    return field


def wait_until(true: Any, seconds: float = 5) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
