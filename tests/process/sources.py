"""Sources for the tests of worker processes. Importable as ``process.sources:Class``."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

X = pa.schema([("x", pa.int64())])


class Base:
    """One partition of ``n`` batches of ``rows`` rows."""

    def infer_schema(self, options):
        return X

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, partition_spec, options):
        for i in range(int(options.get("n", "1"))):
            yield pa.record_batch([pa.array([i] * int(options.get("rows", "1")), pa.int64())], schema=X)


class Steps(Base):
    """Writes to the file ``log`` what is called."""

    path = ""

    def infer_schema(self, options):
        self.path = options["log"]
        self.log("infer_schema")
        return X

    def plan_partitions(self, options):
        self.path = options["log"]
        self.log("plan_partitions")
        return [{}, {"keep": Kept(self.path)}]

    def read_partition(self, partition_spec, options):
        self.path = options["log"]
        try:
            for i, batch in enumerate(super().read_partition(partition_spec, options)):
                self.log(f"batch {i}")
                yield batch
                time.sleep(float(options.get("sleep", "0")))
            self.log("read")
        finally:
            self.log("finally")

    def close(self):
        self.log("close")

    def log(self, what):
        with Path(self.path).open("a") as file:
            file.write(what + "\n")


class Kept:
    """What a spec may hold: it lives as long as the plan."""

    def __init__(self, path):
        self.path = path

    def __del__(self):
        with contextlib.suppress(Exception), Path(self.path).open("a") as file:
            file.write("dropped\n")

    def __reduce__(self):
        return str, ("kept",)


class Stuck(Base):
    """Never yields a second batch: ``how``."""

    def read_partition(self, partition_spec, options):
        yield from super().read_partition(partition_spec, options)
        how = options["how"]
        if how == "python":
            while True:
                pass
        if how == "caught":
            while True:
                with contextlib.suppress(BaseException):
                    time.sleep(60)
        if how == "gil":
            ctypes.PyDLL(None).sleep(600)
        time.sleep(600)


class Unpicklable(Base):
    def plan_partitions(self, options):
        return [{"lock": threading.Lock()}]


class HugeSpec(Base):
    def plan_partitions(self, options):
        return [{"data": bytes(int(options["size"]))} for _ in range(int(options["n"]))]


class Prints(Base):
    def infer_schema(self, options):
        print("infer says hello")
        os.write(1, b"so does write\n")
        print("and so does stderr", file=sys.stderr)
        return X


class Crashes(Base):
    def read_partition(self, partition_spec, options):
        yield from super().read_partition(partition_spec, options)
        self.fall()

    def fall(self):
        ctypes.string_at(0)


class Hungry(Base):
    def read_partition(self, partition_spec, options):
        bytearray(1 << 30)
        yield from ()


class Where(Base):
    """One row of text: working directory, sys.path."""

    def infer_schema(self, options):
        return pa.schema([("text", pa.string())])

    def read_partition(self, partition_spec, options):
        yield pa.record_batch([[str(Path.cwd()), *sys.path]], names=["text"])


class Forks(Base):
    """Leaves a child behind that lives on, and yields its process id."""

    def read_partition(self, partition_spec, options):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        yield pa.record_batch([[child]], schema=X)


class Threads(Base):
    """Leaves a thread behind that never ends, and an exit handler that fails."""

    def infer_schema(self, options):
        import atexit

        threading.Thread(target=time.sleep, args=(600,)).start()
        atexit.register(time.sleep, 600)
        return X


class Stream:
    """A stream of the columns a and b, with a swallowed interrupt."""

    def infer_schema(self, options):
        return pa.schema([("a", pa.int64()), ("b", pa.string())])

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, partition_spec, options):
        schema = self.infer_schema(options)

        def batches():
            for i in range(int(options.get("n", "3"))):
                yield pa.record_batch([[i], [str(i)]], schema=schema)
            if options.get("fails"):
                raise OSError(f"the stream broke: password={options['password']}")

        yield pa.RecordBatchReader.from_batches(schema, batches())
        yield pa.table({"b": ["z"], "a": [9]})


class Wide(Base):
    """Three batches of 1,000 columns."""

    def infer_schema(self, options):
        return pa.schema([(f"c{i}", pa.int64()) for i in range(1000)])

    def read_partition(self, partition_spec, options):
        schema = self.infer_schema(options)
        for _ in range(3):
            yield pa.record_batch([[i] for i in range(1000)], schema=schema)


class Converted(Base):
    """Yields int32 where it declares int64."""

    def read_partition(self, partition_spec, options, *, columns: Any = None):
        yield pa.record_batch([pa.array([1], pa.int32())], names=["x"])
