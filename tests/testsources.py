"""Sources for tests, named by what they do. Importable as ``testsources:Class``."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pyarrow as pa

import bascule

AB = pa.schema([("a", pa.int64()), ("b", pa.string())])

#: What the classes below did, by class and method; reset by the test that looks at it.
calls: Counter[str] = Counter()


class Numbers:
    """``partitions`` x ``batches`` x ``rows`` rows: partition, batch, row, text."""

    SCHEMA = pa.schema([("p", pa.int64()), ("k", pa.int64()), ("x", pa.float64()), ("s", pa.string())])

    def infer_schema(self, options):
        return self.SCHEMA

    def plan_partitions(self, options):
        return [{"p": p} for p in range(int(options.get("partitions", "3")))]

    def read_partition(self, partition_spec, options):
        rows, p = int(options.get("rows", "5")), partition_spec["p"]
        for b in range(int(options.get("batches", "2"))):
            k = list(range(b * rows, (b + 1) * rows))
            yield pa.record_batch(
                [[p] * rows, k, [i / 2 for i in k], [None if i % 3 == 0 else f"{p}-{i}" for i in k]], schema=self.SCHEMA
            )


def double(batch):
    """A model, for the source of predictions."""
    return pa.array([2 * k for k in batch["k"].to_pylist()], pa.int64())


class Counted(Numbers):
    """As Numbers; counts its life in ``calls``. ``sleep`` seconds before each batch."""

    def __init__(self):
        calls["__init__"] += 1

    def infer_schema(self, options):
        calls["infer_schema"] += 1
        return super().infer_schema(options)

    def plan_partitions(self, options):
        calls["plan_partitions"] += 1
        return super().plan_partitions(options)

    def read_partition(self, partition_spec, options):
        calls["read_partition"] += 1
        try:
            for batch in super().read_partition(partition_spec, options):
                time.sleep(float(options.get("sleep", "0")))
                calls["batch"] += 1
                yield batch
        finally:
            calls["ended"] += 1

    def close(self):
        calls["close"] += 1


class Told(Counted):
    """As Counted; says how many rows there are, exactly."""

    def statistics(self, options):
        partitions, batches, rows = (
            int(options.get(name, n)) for name, n in (("partitions", 3), ("batches", 2), ("rows", 5))
        )
        return bascule.Statistics(partitions * batches * rows, exact=True)


class Columns(Numbers):
    """Takes ``columns`` and yields those only; keeps what it was given in ``seen``."""

    seen: list[tuple[str, list[str] | None]] = []  # noqa: RUF012

    def plan_partitions(self, options, *, columns=None):
        self.seen.append(("plan", columns))
        return super().plan_partitions(options)

    def read_partition(self, partition_spec, options, *, columns=None):
        self.seen.append(("read", columns))
        for batch in super().read_partition(partition_spec, options):
            yield batch if columns is None else batch.select(columns)


class Reordered(Numbers):
    def read_partition(self, partition_spec, options):
        for batch in super().read_partition(partition_spec, options):
            yield batch.select(["s", "x", "k", "p"])


class Options:
    """One row for each option: name and value as the class sees them."""

    def infer_schema(self, options):
        return pa.schema([("name", pa.string()), ("value", pa.string())])

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, partition_spec, options):
        yield pa.record_batch([list(options), list(options.values())], schema=self.infer_schema(options))


class SlowFirst(Numbers):
    """Partition 0 is the slowest by far."""

    def read_partition(self, partition_spec, options):
        for batch in super().read_partition(partition_spec, options):
            if partition_spec["p"] == 0:
                time.sleep(0.05)
            yield batch


class Threads(Numbers):
    """Each partition waits until two are being read at once, or 10 s."""

    barrier = threading.Barrier(2)

    def read_partition(self, partition_spec, options):
        self.barrier.wait(10)
        yield from super().read_partition(partition_spec, options)


class Wide:
    """``n`` columns c0, c1, ... of one row each."""

    def infer_schema(self, options):
        return pa.schema([(f"c{i}", pa.int64()) for i in range(int(options["n"]))])

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, partition_spec, options):
        n = int(options["n"])
        yield pa.record_batch([[i] for i in range(n)], names=[f"c{i}" for i in range(n)])


class Yields:
    """Yields what the test put into ``items``, or a function of it returns, under ``schema``; one partition."""

    schema: Any = AB
    items: list[Any] = []  # noqa: RUF012

    def infer_schema(self, options):
        return self.schema

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, partition_spec, options) -> Iterator[Any]:
        for item in self.items:
            yield item() if isinstance(item, FunctionType) else item


def good_batch() -> pa.RecordBatch:
    return pa.record_batch([[1, 2], ["x", None]], schema=AB)


class Good:
    def infer_schema(self, options):
        return AB

    def plan_partitions(self, options):
        return [{"i": 0}, {"i": 1}]

    def read_partition(self, partition_spec, options):
        yield good_batch()


# ---- classes that break the contract, each in one way ----


class InitRaises(Good):
    def __init__(self):
        raise RuntimeError("no init today")


class InitNeedsArguments(Good):
    def __init__(self, url):
        self.url = url


class SchemaRaises(Good):
    def infer_schema(self, options):
        raise ConnectionError("can't reach the server")


class SchemaIsNone(Good):
    def infer_schema(self, options):
        return None


class SchemaIsDict(Good):
    def infer_schema(self, options):
        return {"a": "int64"}


class SchemaIsType(Good):
    def infer_schema(self, options):
        return pa.int64()


class NoColumns(Good):
    def infer_schema(self, options):
        return pa.schema([])


class PlanRaises(Good):
    def plan_partitions(self, options):
        raise KeyError("missing")


class PlanIsNone(Good):
    def plan_partitions(self, options):
        return None


class PlanIsString(Good):
    def plan_partitions(self, options):
        return "ab"


class PlanHasInt(Good):
    def plan_partitions(self, options):
        return [{}, 1]


class ReadRaises(Good):
    """Partition 1 raises after a batch."""

    def read_partition(self, partition_spec, options):
        yield good_batch()
        if partition_spec["i"] == 1:
            raise OSError("the disk is on fire")


class ReadIsNone(Good):
    def read_partition(self, partition_spec, options):
        return None


class ReadYieldsDict(Good):
    def read_partition(self, partition_spec, options):
        yield {"a": 1}


class ReadExits(Good):
    def read_partition(self, partition_spec, options):
        raise SystemExit(3)
        yield


class WrongType(Good):
    def read_partition(self, partition_spec, options):
        yield pa.record_batch([pa.array([1], pa.int32()), pa.array(["x"])], names=["a", "b"])


class MissingColumn(Good):
    def read_partition(self, partition_spec, options):
        yield pa.record_batch([pa.array([1])], names=["a"])


class ExtraColumn(Good):
    def read_partition(self, partition_spec, options):
        yield pa.record_batch([[1], ["x"], [2]], names=["a", "b", "zz"])


class NullInNonNullable(Good):
    def infer_schema(self, options):
        return pa.schema([pa.field("a", pa.int64(), nullable=False), ("b", pa.string())])

    def read_partition(self, partition_spec, options):
        yield pa.record_batch([[1, None], ["x", "y"]], schema=AB)


class NoMethods:
    def infer_schema(self, options):
        return AB


class SecretInError(Good):
    """Says everything it was given, as careless drivers do."""

    def infer_schema(self, options):
        raise ConnectionError(f"login failed: {dict(options)}")


not_a_class = 5
