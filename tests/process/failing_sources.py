"""Sources that do to their worker process what no worker survives, or should not notice. They import nothing of
the tests: importable as ``process.failing_sources:Class`` by any worker that has the tests on its path."""

from __future__ import annotations

import array
import ctypes
import itertools
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

SCHEMA = pa.schema([("p", pa.int64()), ("k", pa.int64())])
#: The worker's end of its channel.
CHANNEL = 3


class Numbers:
    """``partitions`` x ``batches`` x ``rows`` rows: partition, running number."""

    def infer_schema(self, options):
        return SCHEMA

    def plan_partitions(self, options):
        return [{"p": p} for p in range(int(options.get("partitions", "2")))]

    def read_partition(self, spec, options):
        rows = int(options.get("rows", "10"))
        for b in range(int(options.get("batches", "3"))):
            yield pa.record_batch([[spec["p"]] * rows, list(range(b * rows, (b + 1) * rows))], schema=SCHEMA)


class Fails(Numbers):
    """Does ``how`` in ``place``: infer_schema, plan_partitions, read_partition (of partition 1, before its first
    batch) or batch (before its second one). With ``marker``, the path of a file: only while there is none, and then
    there is; with ``log``: a line there for each beginning, batch and end."""

    def infer_schema(self, options):
        self.log(options, "infer_schema")
        self.at("infer_schema", options)
        return super().infer_schema(options)

    def plan_partitions(self, options):
        self.log(options, "plan_partitions")
        self.at("plan_partitions", options)
        return super().plan_partitions(options)

    def read_partition(self, spec, options):
        self.log(options, f"read {spec['p']}")
        try:
            if spec["p"] == 1:
                self.at("read_partition", options)
            for b, batch in enumerate(super().read_partition(spec, options)):
                if b == 1 and spec["p"] == 1:
                    self.at("batch", options)
                self.log(options, f"batch {spec['p']}")
                yield batch
        finally:
            self.log(options, f"end {spec['p']}")

    def close(self):
        if hasattr(self, "path"):
            self.log({"log": self.path}, "close")

    def log(self, options, word):
        if "log" in options:
            self.path = options["log"]
            append(self.path, f"{word}\n")

    def at(self, place, options):
        marker = options.get("marker")
        if options.get("place") != place or (marker and Path(marker).exists()):
            return
        if marker:
            Path(marker).touch()
        if "pid" in options:
            append(options["pid"], f"{os.getpid()}\n")
        HOWS[options["how"]]()


def append(path, text):
    """In one write: other workers write there too."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, text.encode())
    os.close(fd)


class FailsAsText(Fails):
    """Column ``p`` is text."""

    def infer_schema(self, options):
        return pa.schema([("p", pa.string()), ("k", pa.int64())])

    def read_partition(self, spec, options):
        if spec["p"] == 1:
            yield from super().read_partition(spec, options)


class Where(Numbers):
    """One row: where it ran."""

    def infer_schema(self, options):
        return pa.schema([("pid", pa.int64()), ("directory", pa.string()), ("path", pa.string())])

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, spec, options):
        yield pa.record_batch([[os.getpid()], [str(Path.cwd())], ["\n".join(sys.path)]], schema=self.infer_schema({}))


class InProcesses(Where):
    """Asks for worker processes itself."""

    executor = "process"


class Prints(Numbers):
    """Prints in all ways: ``how`` names one of them; ``text`` is what to print."""

    def read_partition(self, spec, options):
        text = options.get("text", "hello")
        if options["how"] == "print":
            print(text)
        elif options["how"] == "C":
            os.write(1, text.encode() + b"\n")
        elif options["how"] == "stderr":
            print(text, file=sys.stderr)
        elif options["how"] == "pieces":
            for letter in text:
                os.write(2, letter.encode())
                time.sleep(0.02)
            os.write(2, b"\n")
        elif options["how"] == "unended":
            os.write(1, text.encode())
        elif options["how"] == "many":
            for i in range(int(options["lines"])):
                print(f"{text} {spec['p']} {i:06}")
        yield from super().read_partition(spec, options)


class OtherPrints(Prints):
    pass


# ---- hows ----


def _raise() -> None:
    raise ConnectionError("the server at db.example:5432 is gone")


class Unpicklable(Exception):
    """No pickle of it can be made, or read."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")
        self.frame = sys._getframe()
        self.unnamed = lambda: None

    def __reduce__(self):
        raise TypeError("this exception is not to be pickled")


def _raise_unpicklable() -> None:
    raise Unpicklable("a frame", "a lambda")


def _raise_bad_str() -> None:
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    raise Mute


def _exit_softly() -> None:
    sys.exit(3)


def _hang_in_c() -> None:
    sum(itertools.repeat(0))  # never asks Python for signals, never lets the GIL go


def _hang_deaf() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(0.1)


def _memory() -> None:
    kept = []
    for _ in range(1000):
        kept.append(bytearray(10_000_000))  # 10 GB if nobody minds


# ---- hows that write to the channel ----


def send(*frames: bytes) -> None:
    """All of it: the channel does not wait, and may be full."""
    data = b"".join(frames)
    while data:
        try:
            data = data[os.write(CHANNEL, data) :]
        except BlockingIOError:
            time.sleep(0.01)


def frame(kind: int, number: int, payload: bytes = b"") -> bytes:
    return struct.pack("<IHHQ", len(payload), kind, 0, number) + payload


def send_segment(fd: int | None, number: int, size: int) -> None:
    data = frame(SEGMENT, number, struct.pack("<Q", size))
    if fd is None:
        send(data)
        return
    with socket.socket(fileno=os.dup(CHANNEL)) as host:
        host.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])


HELLO, OPENED, SPECS, PLANNED, SEGMENT, DROP, BATCH, END, PREPARED, FAILED = range(1, 11)
#: A segment's number that no arena comes to; they must grow.
FAR = 1 << 40
SIZE = 1 << 16
SEALS = 0x0409, 0x2 | 0x4  # F_ADD_SEALS: F_SEAL_SHRINK, F_SEAL_GROW


def memory(size: int = SIZE, sealed: bool = True) -> int:
    import fcntl

    fd = os.memfd_create("bascule-test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if sealed:
        fcntl.fcntl(fd, *SEALS)
    return fd


def text(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def field(form: bytes, name: bytes = b"", children: list[bytes] | None = None, more: int | None = None) -> bytes:
    """A *schema* of the wire. ``more``: says that it has so many children."""
    n = len(children or []) if more is None else more
    return text(form) + text(name) + b"\0" + struct.pack("<qI", 2, n) + b"".join(children or []) + b"\0"


def node(length: int, buffers: list[tuple[int, int, int]], nulls: int = 0, offset: int = 0) -> bytes:
    """An array's node; a buffer is segment, offset, size."""
    head = struct.pack("<BqqqI", 0, length, nulls, offset, len(buffers))
    return head + b"".join(struct.pack("<QQQ", *buffer) for buffer in buffers)


NONE = (0, 0, 0)
TABLE = field(b"+s", children=[field(b"l", b"p"), field(b"l", b"k")])
GOOD = (FAR, 0, 800)


def batch(*nodes: bytes, schema: bytes = TABLE) -> None:
    """A BATCH as the first of a read, of a segment of our own, which it may lie in."""
    send_segment(memory(), FAR, SIZE)
    send(frame(BATCH, FAR, b"\1" + schema + b"".join(nodes)))
    time.sleep(60)  # it is killed


def column(buffer: tuple[int, int, int], **more: int) -> Callable[[], None]:
    return lambda: batch(
        node(100, [NONE]), node(100, [NONE, GOOD]), node(more.pop("length", 100), [NONE, buffer], **more)
    )


def strings(of_offsets: bytes) -> Callable[[], None]:
    def send_strings() -> None:
        fd = memory()
        os.pwrite(fd, of_offsets, 0)
        schema = field(b"+s", children=[field(b"u", b"p"), field(b"l", b"k")])
        send_segment(fd, FAR, SIZE)
        ours = node(1, [NONE, (FAR, 0, len(of_offsets)), (FAR, 64, 100)])
        send(frame(BATCH, FAR, b"\1" + schema + node(1, [NONE]) + ours + node(1, [NONE, (FAR, 0, 8)])))
        try:
            time.sleep(60)
        finally:
            os._exit(0)  # its numbers are of no use to an arena

    return send_strings


def and_wait(call: Callable[[], Any]) -> Callable[[], None]:
    def act() -> None:
        call()
        time.sleep(60)

    return act


#: What breaks the protocol, and a part of what the host then says.
LIES: dict[str, tuple[Callable[[], None], str]] = {
    "text": (and_wait(lambda: send(b"progress: 10 % of the rows were read\n")), "its length is"),
    "zeros": (and_wait(lambda: send(bytes(4096))), "a frame of type 0"),
    "random": (and_wait(lambda: send(bytes(range(255, 0, -1)) * 16)), "its length is"),
    "a field that is not zero": (and_wait(lambda: send(struct.pack("<IHHQ", 0, END, 7, 1))), "zero"),
    "a frame that is too long": (and_wait(lambda: send(struct.pack("<IHHQ", (64 << 20) + 1, END, 0, 1))), "length is"),
    "an unknown frame": (and_wait(lambda: send(frame(31, 1))), "a frame of type 31"),
    "a request": (and_wait(lambda: send(frame(34, 1))), "a frame of type 34"),
    "hello": (and_wait(lambda: send(frame(HELLO, os.getpid(), bytes(12)))), "a frame of type 1"),
    "specs": (and_wait(lambda: send(frame(SPECS, 1, bytes(4)))), "a frame of type 3"),
    "the end of another": (and_wait(lambda: send(frame(END, 1 << 60))), "a frame of type 8"),
    "the failure of another": (and_wait(lambda: send(frame(FAILED, 1 << 60, bytes(8)))), "a frame of type 10"),
    "a batch of nothing": (and_wait(lambda: send(frame(BATCH, FAR))), ""),
    "a batch without its schema": (and_wait(lambda: send(frame(BATCH, FAR, b"\0"))), "the first batch has no schema"),
    "a segment without memory": (and_wait(lambda: send_segment(None, FAR, SIZE)), "no descriptor came with segment"),
    "a segment without a size": (and_wait(lambda: send(frame(SEGMENT, FAR))), "no descriptor came with segment"),
    "memory that can shrink": (
        and_wait(lambda: send_segment(memory(sealed=False), FAR, SIZE)),
        "can still shrink or grow",
    ),
    "memory that is smaller": (and_wait(lambda: send_segment(memory(), FAR, 2 * SIZE)), "has 65536 bytes, not 131072"),
    "memory that is a file": (
        and_wait(lambda: send_segment(os.open(__file__, os.O_RDONLY), FAR, SIZE)),
        "what was sent as shared memory is none",
    ),
    "a segment sent again": (
        and_wait(lambda: (send_segment(memory(), FAR, SIZE), send_segment(memory(), FAR, SIZE))),
        "was sent after segment",
    ),
    "an unknown segment": (column((FAR + 1, 0, 800)), "two segments"),
    "an offset outside": (column((FAR, SIZE, 800)), "outside its segment"),
    "an offset far outside": (column((FAR, 1 << 62, 800)), "outside its segment"),
    "an offset that wraps around": (column((FAR, (1 << 64) - 64, 800)), "outside its segment"),
    "a size that is too large": (column((FAR, 0, SIZE + 1)), "outside its segment"),
    "a size of 2**64 - 1": (column((FAR, 64, (1 << 64) - 1)), "outside its segment"),
    "an offset not aligned": (column((FAR, 4, 800)), "not aligned"),
    "a buffer that is too short": (column((FAR, 0, 792)), "800"),
    "a buffer of nothing": (column(NONE), "800"),
    "a length below zero": (column(GOOD, length=-1), "length"),
    "a length of 2**63 - 1": (column(GOOD, length=(1 << 63) - 1), ""),
    "a column that is shorter": (column(GOOD, length=50), "shorter than the batch"),
    "an offset of rows below zero": (column(GOOD, offset=-1), ""),
    "rows beyond the buffer": (column(GOOD, offset=1), "808"),
    "nulls without a bitmap": (column(GOOD, nulls=3), ""),
    "more nulls than rows": (column(GOOD, nulls=101), "null"),
    "a column too few": (lambda: batch(node(100, [NONE]), node(100, [NONE, GOOD])), "ends too early"),
    "a column too many": (
        lambda: batch(node(100, [NONE]), *[node(100, [NONE, GOOD])] * 3),
        "another length than its schema says",
    ),
    "a million buffers": (
        lambda: batch(node(100, [NONE]), struct.pack("<BqqqI", 0, 100, 0, 0, 1_000_000)),
        "ends too early",
    ),
    "no struct": (lambda: batch(node(100, [NONE, GOOD]), schema=field(b"l")), ""),
    "an unknown type": (
        lambda: batch(
            node(100, [NONE]),
            *[node(100, [NONE, GOOD])] * 2,
            schema=field(b"+s", children=[field(b"?", b"p"), field(b"l", b"k")]),
        ),
        "",
    ),
    "a schema of a million columns": (lambda: batch(schema=field(b"+s", more=1_000_000)), ""),
    "a schema without end": (
        lambda: batch(schema=(text(b"+s") + text(b"") + b"\0" + struct.pack("<qI", 2, 1)) * 10_000),
        "",
    ),
    "metadata that is none": (
        lambda: batch(schema=text(b"+s") + text(b"") + b"\1" + text(b"\xff" * 64) + struct.pack("<qI", 2, 0) + b"\0"),
        "",
    ),
}
#: The same, of a table whose first column is text.
TEXT_LIES: dict[str, tuple[Callable[[], None], str]] = {
    "offsets beyond the text": (strings(struct.pack("<ii", 0, 1 << 20)), "to have size >= 1048576"),
    "offsets below zero": (strings(struct.pack("<ii", -5, 5)), "first offset >= 0"),
    "offsets that fall": (strings(struct.pack("<ii", 90, 10)), ""),
}

HOWS: dict[str, Callable[[], Any]] = {
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "leave": _exit_softly,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "sleep": lambda: time.sleep(600),
    "hang in C": _hang_in_c,
    "hang deaf": _hang_deaf,
    "memory": _memory,
    "raise": _raise,
    "raise unpicklable": _raise_unpicklable,
    "raise mute": _raise_bad_str,
    "interrupt": lambda: (_ for _ in ()).throw(KeyboardInterrupt),
    "close the channel": lambda: os.close(CHANNEL),
    **{name: act for name, (act, _) in {**LIES, **TEXT_LIES}.items()},
}


class PrintsAndFails(Numbers):
    """Says something, without a line's end, and does ``how``."""

    def read_partition(self, spec, options):
        if spec["p"] == 1:
            os.write(1, b"last words")
            HOWS[options["how"]]()
        yield from super().read_partition(spec, options)
