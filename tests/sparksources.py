"""Sources for the tests of Spark and Sail, named by what they do. Importable as ``sparksources:Class``."""

from __future__ import annotations

import datetime
import decimal
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

D = decimal.Decimal
DAY = datetime.date(2026, 1, 2)
NOON = datetime.datetime(2026, 1, 2, 12, 30, 15, 123456)
NOON_UTC = NOON.replace(tzinfo=datetime.UTC)

#: Name -> what the class yields, and the value (None beside it) as Spark's rows have it.
TYPES: dict[str, tuple[pa.Array, Any]] = {
    "b": (pa.array([True, None]), True),
    "bool8": (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None], pa.int8())), True),
    "i8": (pa.array([-128, None], pa.int8()), -128),
    "i16": (pa.array([-(2**15), None], pa.int16()), -(2**15)),
    "i32": (pa.array([-(2**31), None], pa.int32()), -(2**31)),
    "i64": (pa.array([-(2**63), None], pa.int64()), -(2**63)),
    "u8": (pa.array([255, None], pa.uint8()), 255),
    "u16": (pa.array([2**16 - 1, None], pa.uint16()), 2**16 - 1),
    "u32": (pa.array([2**32 - 1, None], pa.uint32()), 2**32 - 1),
    "u64": (pa.array([2**64 - 1, None], pa.uint64()), D(2**64 - 1)),
    "f16": (pa.array([1.5, None], pa.float16()), 1.5),
    "f32": (pa.array([1.5, None], pa.float32()), 1.5),
    "f64": (pa.array([0.1, None], pa.float64()), 0.1),
    "d32": (pa.array([D("1.25"), None], pa.decimal32(5, 2)), D("1.25")),
    "d64": (pa.array([D("1.25"), None], pa.decimal64(12, 2)), D("1.25")),
    "d128": (pa.array([D("-1.25"), None], pa.decimal128(38, 2)), D("-1.25")),
    "d256": (pa.array([D("1.25"), None], pa.decimal256(30, 2)), D("1.25")),
    "s": (pa.array(["é\U0001f600", None]), "é\U0001f600"),
    "ls": (pa.array(["a", None], pa.large_string()), "a"),
    "sv": (pa.array(["longer than twelve bytes", None], pa.string_view()), "longer than twelve bytes"),
    "bin": (pa.array([b"\0\xff", None]), b"\0\xff"),
    "lbin": (pa.array([b"a", None], pa.large_binary()), b"a"),
    "bv": (pa.array([b"a", None], pa.binary_view()), b"a"),
    "fix": (pa.array([b"ab", None], pa.binary(2)), b"ab"),
    "date": (pa.array([DAY, None]), DAY),
    "date64": (pa.array([DAY, None], pa.date64()), DAY),
    "ts_s": (pa.array([NOON.replace(microsecond=0), None], pa.timestamp("s")), NOON.replace(microsecond=0)),
    "ts_us": (pa.array([NOON, None], pa.timestamp("us")), NOON),
    "ts_ns": (pa.array([NOON, None], pa.timestamp("ns")), NOON),
    "tz_ms": (
        pa.array([NOON_UTC.replace(microsecond=0), None], pa.timestamp("ms", "Europe/Berlin")),
        NOON_UTC.replace(microsecond=0),
    ),
    "tz_us": (pa.array([NOON_UTC, None], pa.timestamp("us", "UTC")), NOON_UTC),
    "dur": (pa.array([datetime.timedelta(days=1, seconds=2), None], pa.duration("s")), datetime.timedelta(days=1, seconds=2)),
    "dict": (pa.array(["x", None]).dictionary_encode(), "x"),
    "ree": (pa.RunEndEncodedArray.from_arrays([1, 2], pa.array([7, None], pa.int64())), 7),
    "list": (pa.array([[1, None, 3], None], pa.list_(pa.int64())), [1, None, 3]),
    "llist": (pa.array([["a"], None], pa.large_list(pa.large_string())), ["a"]),
    "fslist": (pa.array([[1, 2], None], pa.list_(pa.int32(), 2)), [1, 2]),
    "ldict": (pa.array([["a", "a"], None], pa.list_(pa.dictionary(pa.int8(), pa.string()))), ["a", "a"]),
    "map": (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.uint8())), {"k": 1}),
    "struct": (
        pa.array([{"x": 1, "y": ["é"]}, None], pa.struct([("x", pa.uint32()), ("y", pa.list_(pa.string_view()))])),
        {"x": 1, "y": ["é"]},
    ),
}  # fmt: skip

#: Name -> a type that Spark has nothing for.
REFUSED: dict[str, pa.DataType] = {
    "wide": pa.decimal256(40, 2),
    "time": pa.time64("us"),
    "months": pa.month_day_nano_interval(),
    "union": pa.dense_union([pa.field("a", pa.int64())]),
    "deep": pa.list_(pa.struct([("m", pa.month_day_nano_interval())])),
}


class _OnePartition:
    def plan_partitions(self, options: Any) -> list[dict[str, Any]]:
        return [{}]


class Types(_OnePartition):
    """One row of values and one of NULLs, a column for each of TYPES."""

    def infer_schema(self, options: Any) -> pa.Schema:
        return pa.schema([(name, array.type) for name, (array, _) in TYPES.items()])

    def read_partition(self, spec: Any, options: Any) -> Any:
        yield pa.record_batch([array for array, _ in TYPES.values()], schema=self.infer_schema(options))


class Refused(_OnePartition):
    """A column of the type of REFUSED that ``type`` names, behind one that is taken."""

    def infer_schema(self, options: Any) -> pa.Schema:
        return pa.schema([("good", pa.int64()), ("bad", REFUSED[options["type"]])])

    def read_partition(self, spec: Any, options: Any) -> Any:
        raise AssertionError("it is never read")


class Nanoseconds(_OnePartition):
    """A moment that microseconds can't say."""

    def infer_schema(self, options: Any) -> pa.Schema:
        return pa.schema([("at", pa.timestamp("ns"))])

    def read_partition(self, spec: Any, options: Any) -> Any:
        yield pa.record_batch([pa.array([1], pa.timestamp("ns"))], names=["at"])


class Hinted:
    """Four partitions of numbers and text; drops what its predicates don't want, and writes them into the file ``record``.

    Options: ``claim``: says that it does so exactly.
    """

    schema = pa.schema(
        [
            *[("n", pa.int64()), ("x", pa.float64()), ("s", pa.string()), ("when", pa.timestamp("us", "UTC"))],
            # Literals of Spark's types are finer than these columns.
            *[("h", pa.float16()), ("at", pa.timestamp("s")), ("u", pa.uint64())],
            *[
                ("d", pa.dictionary(pa.int8(), pa.string())),
                ("fine", pa.timestamp("ns")),
                ("milli", pa.timestamp("ms")),
            ],
        ]
    )

    def infer_schema(self, options: Any) -> pa.Schema:
        return self.schema

    def push_filters(self, filters: Any, options: Any) -> Any:
        return () if options.get("claim") == "true" else filters

    def plan_partitions(self, options: Any, *, filters: Any = ()) -> list[dict[str, Any]]:
        self.note("plan", filters, options)
        return [{"p": p} for p in range(4)]

    def read_partition(self, spec: Any, options: Any, *, filters: Any = ()) -> Any:
        from bascule.filters import filter_table

        self.note("read", filters, options)
        yield filter_table(filters, self.rows(spec["p"]))

    def rows(self, p: int) -> pa.RecordBatch:
        n = list(range(p * 10, p * 10 + 10))
        x = [float("nan") if i % 10 == 3 else None if i % 10 == 4 else -0.0 if i % 10 == 0 else i / 2 for i in n]
        s = [None if i % 5 == 0 else f"s{i:02d}é" for i in n]
        when = [datetime.datetime(2026, 1, 1 + i % 28, tzinfo=datetime.UTC) for i in n]
        h = pa.array([1.1 if i % 2 else 2.0 for i in n], pa.float16())
        at = pa.array([datetime.datetime(2026, 1, 1, 0, 0, i) for i in n], pa.timestamp("s"))
        u = pa.array([2**64 - 1 - i for i in n], pa.uint64())
        d = pa.array([f"d{i % 3}" for i in n]).dictionary_encode().cast(self.schema.field("d").type)
        fine, milli = at.cast(pa.timestamp("ns")), at.cast(pa.timestamp("ms"))
        return pa.record_batch([n, x, s, when, h, at, u, d, fine, milli], schema=self.schema)

    def note(self, what: str, filters: Any, options: Any) -> None:
        with Path(options["record"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps([what, [repr(filter) for filter in filters]]) + "\n")


class Spec:
    """Says in each row which spec it read, and where; plans 5 partitions once: a second plan for the same ``record``
    is written into it."""

    def infer_schema(self, options: Any) -> pa.Schema:
        return pa.schema([("p", pa.int64()), ("pid", pa.int64())])

    def plan_partitions(self, options: Any) -> list[dict[str, Any]]:
        with Path(options["record"]).open("a", encoding="utf-8") as file:
            file.write("plan\n")
        return [{"p": p} for p in range(int(options.get("partitions", "5")))]

    def read_partition(self, spec: Any, options: Any) -> Any:
        yield pa.record_batch([[spec["p"]] * 3, [os.getpid()] * 3], schema=self.infer_schema(options))


class KillsItsExecutor:
    """Ten partitions of 100 rows in two batches. Whoever reads the fifth one first, as the file ``once`` tells, kills
    the JVM that it works for in the middle."""

    def infer_schema(self, options: Any) -> pa.Schema:
        return pa.schema([("n", pa.int64())])

    def plan_partitions(self, options: Any) -> list[dict[str, Any]]:
        return [{"p": p} for p in range(10)]

    def read_partition(self, spec: Any, options: Any) -> Any:
        first = spec["p"] * 100
        yield pa.record_batch({"n": range(first, first + 50)})
        if spec["p"] == 4:
            try:
                Path(options["once"]).touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(self.jvm(), signal.SIGKILL)
                time.sleep(60)
        yield pa.record_batch({"n": range(first + 50, first + 100)})

    def jvm(self) -> int:
        pid = os.getpid()
        while b"java" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        return pid


class ReadRaises:
    """Four partitions, none of which can be read."""

    def infer_schema(self, options: Any) -> pa.Schema:
        return pa.schema([("n", pa.int64())])

    def plan_partitions(self, options: Any) -> list[dict[str, Any]]:
        return [{"p": p} for p in range(4)]

    def read_partition(self, spec: Any, options: Any) -> Any:
        raise ValueError("no rows today")
        yield


class TellsItsPassword(ReadRaises):
    """Shows its password in an error."""

    def read_partition(self, spec: Any, options: Any) -> Any:
        raise ValueError(f"can't log in with {options['password']}")
        yield


class Busy:
    """``partitions`` partitions that hold Python's lock for ``loops`` turns of a loop each."""

    def infer_schema(self, options: Any) -> pa.Schema:
        return pa.schema([("p", pa.int64()), ("sum", pa.int64())])

    def plan_partitions(self, options: Any) -> list[dict[str, Any]]:
        return [{"p": p} for p in range(int(options.get("partitions", "2")))]

    def read_partition(self, spec: Any, options: Any) -> Any:
        total = 0
        for i in range(int(options.get("loops", "1000"))):
            total += i & 3
        yield pa.record_batch([[spec["p"]], [total]], schema=self.infer_schema(options))
