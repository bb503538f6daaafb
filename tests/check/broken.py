"""Classes that fail one check each, named by how."""

from __future__ import annotations

import abc
import io
import itertools
import logging
import random
import threading
import time
import warnings
from typing import Any

import nanoarrow
import pyarrow as pa

from bascule import Option

AB = pa.schema([("a", pa.int64()), ("b", pa.string())])


class Good:
    """Two partitions of two batches each."""

    def infer_schema(self, options):
        return AB

    def plan_partitions(self, options):
        return [{"p": 0}, {"p": 1}]

    def read_partition(self, partition_spec, options):
        for i in range(2):
            yield batch(partition_spec["p"], i)


def batch(p: int, i: int) -> pa.RecordBatch:
    return pa.record_batch([[p * 100 + i * 10, p * 100 + i * 10 + 1], ["x", None]], schema=AB)


# ---- its shape ----


class NoRead:
    infer_schema = Good.infer_schema
    plan_partitions = Good.plan_partitions

    def read_partitions(self, partition_spec, options):
        yield from ()


class NoOptions(Good):
    def infer_schema(self):
        return AB


class ColumnsByPosition(Good):
    def read_partition(self, partition_spec, options, columns=None):
        yield batch(0, 0)


class NeedsLimit(Good):
    def plan_partitions(self, options, *, limit):
        return [{"p": 0}]


class TakesColums(Good):
    def read_partition(self, partition_spec, options, *, colums=None):
        yield from super().read_partition(partition_spec, options)


class OptionsAreAList(Good):
    OPTIONS: Any = [Option("region")]  # noqa: RUF012


class OptionsAreNames(Good):
    OPTIONS: Any = ("region",)


class OptionTwice(Good):
    OPTIONS = (Option("region"), Option("Region"))


class DefaultIsRefused(Good):
    OPTIONS = (Option("pages", int, default="many"),)


class Declares(Good):
    OPTIONS = (Option("region", choices=("eu", "us"), default="eu"), Option("pages", int))


class NeedsArguments(Good):
    def __init__(self, url):
        self.url = url


class InitRaises(Good):
    def __init__(self):
        raise RuntimeError("no init today")


class Abstract(Good, abc.ABC):
    @abc.abstractmethod
    def more(self): ...


class Statistic(Good):
    def statistic(self, options):
        return 1


class SchemaIsADict(Good):
    def infer_schema(self, options):
        return {"a": "int64"}


class NoColumns(Good):
    def infer_schema(self, options):
        return pa.schema([])


class SameName(Good):
    def infer_schema(self, options):
        return pa.schema([("a", pa.int64()), ("a", pa.string())])

    def read_partition(self, partition_spec, options):
        yield pa.record_batch([[1], ["x"]], schema=self.infer_schema(options))


class SchemaChanges(Good):
    def __init__(self):
        self.asked = 0

    def infer_schema(self, options):
        self.asked += 1
        return AB if self.asked == 1 else AB.set(1, pa.field("b", pa.large_string()))


class SchemaOfTheInstance(Good):
    numbers = itertools.count()

    def __init__(self):
        self.name = f"a{next(self.numbers)}"

    def infer_schema(self, options):
        return pa.schema([(self.name, pa.int64())])


class PlanIsNone(Good):
    def plan_partitions(self, options):
        return None


class PlanRaises(Good):
    def plan_partitions(self, options):
        raise ConnectionError("can't reach the server")


class SpecHoldsALock(Good):
    def plan_partitions(self, options):
        return [{"p": 0, "lock": threading.Lock()}]


class Forgetful:
    """Loses its value when it is pickled."""

    def __init__(self, value=0):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Forgetful) and self.value == other.value

    def __hash__(self):
        return self.value

    def __repr__(self):
        return f"Forgetful({self.value})"

    def __reduce__(self):
        return Forgetful, ()


class SpecForgets(Good):
    def plan_partitions(self, options):
        return [{"p": Forgetful(5)}]

    def read_partition(self, partition_spec, options):
        yield batch(0, 0)


# ---- what it yields ----


class WrongType(Good):
    def read_partition(self, partition_spec, options):
        yield batch(0, 0)
        yield pa.record_batch([pa.array([1], pa.int32()), pa.array(["x"])], names=["a", "b"])


class NotUtf8(Good):
    def read_partition(self, partition_spec, options):
        text = pa.array([b"\xff"]).view(pa.string())
        yield pa.record_batch([pa.array([1]), text], schema=AB)


class ReadRaises(Good):
    def read_partition(self, partition_spec, options):
        yield batch(0, 0)
        if partition_spec["p"] == 1:
            raise OSError("the disk is on fire")


N = pa.schema([("n", pa.int64())])


class Streams(Good):
    """24 batches of 2 MiB."""

    def infer_schema(self, options):
        return N

    def plan_partitions(self, options):
        return [{}]

    def make(self):
        return pa.record_batch([pa.array(range(8)).take(pa.nulls(1 << 18, pa.int64()))], schema=N)

    def read_partition(self, partition_spec, options):
        for _ in range(24):
            yield self.make()


class MakesAllFirst(Streams):
    def read_partition(self, partition_spec, options):
        yield from [self.make() for _ in range(24)]


class KeepsAll(Streams):
    def read_partition(self, partition_spec, options):
        kept = []
        for _ in range(24):
            kept.append(self.make())
            yield kept[-1]


class KeepsAllInPython(Streams):
    """Memory that pyarrow's pool does not know."""

    def read_partition(self, partition_spec, options):
        buffers = [bytearray(b"x" * (8 << 20)) for _ in range(20)]
        for buffer in buffers:
            column = pa.Array.from_buffers(pa.int64(), 1 << 20, [None, pa.py_buffer(buffer)])
            yield pa.record_batch([column], schema=N)


# ---- the same again ----


class ReadsOnce(Good):
    """An iterator that is read up."""

    def __init__(self):
        self.batches = [[batch(p, i) for i in range(2)] for p in range(2)]

    def read_partition(self, partition_spec, options):
        while self.batches[partition_spec["p"]]:
            yield self.batches[partition_spec["p"]].pop(0)


class CountsReads(Good):
    reads = itertools.count()

    def read_partition(self, partition_spec, options):
        yield pa.record_batch([[7, next(self.reads)], ["x", "y"]], schema=AB)


class Shuffles(Good):
    turns = itertools.cycle([1, -1])

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, partition_spec, options):
        yield pa.record_batch([[1, 2, 3][:: next(self.turns)], ["x", "x", "x"]], schema=AB)


class NotANumber(Good):
    """Sound: NaN is not equal to itself, and yet the same."""

    def infer_schema(self, options):
        return pa.schema([("x", pa.float64()), ("y", pa.list_(pa.float32()))])

    def read_partition(self, partition_spec, options):
        yield pa.record_batch([[float("nan"), 1.0], [[float("nan")], None]], schema=self.infer_schema(options))


class PlanTurns(Good):
    turns = itertools.cycle([1, -1])

    def plan_partitions(self, options):
        return [{"p": 0}, {"p": 1}][:: next(self.turns)]


class PlanGrows(Good):
    calls = itertools.count(1)

    def plan_partitions(self, options):
        return [{"p": p} for p in range(next(self.calls))]


class PlanAtRandom(Good):
    def plan_partitions(self, options):
        return [{"p": random.randrange(10**9)} for _ in range(2)]


class PlanOfASnapshot(Good):
    numbers = itertools.count()

    def plan_partitions(self, options):
        return [{"p": 0, "snapshot": next(self.numbers)}]


class RemembersTheSchema(Good):
    def infer_schema(self, options):
        self.found = AB
        return AB

    def read_partition(self, partition_spec, options):
        for i in range(2):
            yield batch(partition_spec["p"], i).cast(self.found)


class RemembersThePlan(Good):
    paths = ()

    def plan_partitions(self, options):
        self.paths = ("x", "y")
        return super().plan_partitions(options)

    def read_partition(self, partition_spec, options):
        for _ in self.paths:
            yield batch(partition_spec["p"], 0)


class OnePosition(Good):
    def read_partition(self, partition_spec, options):
        self.p = partition_spec["p"]
        for i in range(2):
            yield batch(self.p, i)


class OneThread(Good):
    """As a connection that its own thread alone may use."""

    def __init__(self):
        self.thread = threading.get_ident()

    def read_partition(self, partition_spec, options):
        if threading.get_ident() != self.thread:
            raise RuntimeError("made in another thread")
        yield batch(0, 0)


class LocksItself(Good):
    """Sound: holds a lock between its batches."""

    def __init__(self):
        self.lock = threading.Lock()

    def read_partition(self, partition_spec, options):
        with self.lock:
            yield from super().read_partition(partition_spec, options)


# ---- columns ----


class DropsNulls(Good):
    def read_partition(self, partition_spec, options, *, columns=None):
        for i in range(2):
            found = batch(partition_spec["p"], i)
            yield found.select(columns).drop_null() if columns == ["b"] else found


class PlansForItsColumns(Good):
    """Its specs say how they are read, by the columns that they were planned for."""

    def plan_partitions(self, options, *, columns=None):
        return [{**spec, "whole": columns is None} for spec in super().plan_partitions(options)]

    def read_partition(self, partition_spec, options, *, columns=None):
        for i in range(2):
            found = batch(partition_spec["p"], i)
            if partition_spec["whole"] != (columns is None):
                found = found.slice(1)
            yield found if columns is None else found.select(columns)


class ForgetsColumns(Good):
    def read_partition(self, partition_spec, options, *, columns=None):
        yield from super().read_partition(partition_spec, options)


# ---- its manners ----


class ChangesOptions(Good):
    def plan_partitions(self, options):
        options["page"] = "1"
        return super().plan_partitions(options)


class FillsDefaultsIn(Good):
    def infer_schema(self, options):
        options.setdefault("page", "1")
        return AB


class ChangesWhatIsInASpec(Good):
    def plan_partitions(self, options):
        return [{"pages": [1, 2]}]

    def read_partition(self, partition_spec, options):
        yield batch(0, 0)
        partition_spec["pages"].append(3)


class ChangesASpec(Good):
    def read_partition(self, partition_spec, options):
        yield batch(partition_spec.pop("p"), 0)


class EndsBadly(Good):
    def read_partition(self, partition_spec, options):
        ended = False
        try:
            yield from super().read_partition(partition_spec, options)
            ended = True
        finally:
            if not ended:
                raise KeyError("cursor")


class ClosesWhatIsNotThere(Good):
    def read_partition(self, partition_spec, options):
        self.connection = io.StringIO()
        yield batch(partition_spec["p"], 0)

    def close(self):
        self.connection.close()


class ClosesBadly(Good):
    read = False

    def read_partition(self, partition_spec, options):
        self.read = True
        yield batch(partition_spec["p"], 0)

    def close(self):
        if self.read:
            raise OSError("gone already")


class Secretive(Good):
    """Sound: its error holds the secret, which is masked."""

    OPTIONS = (Option("pin", secret=True), Option("password"))

    def plan_partitions(self, options):
        if options.typed["pin"]:
            raise ConnectionError(f"can't log in with {options['pin']}")
        return super().plan_partitions(options)


class Shouts(Secretive):
    def plan_partitions(self, options):
        if options.typed["pin"]:
            raise ConnectionError(f"can't log in with {options['pin'].upper()}")
        return super().plan_partitions(options)


class Prints(Secretive):
    def plan_partitions(self, options):
        print("logging in with", options.typed["password"])
        return Good.plan_partitions(self, options)


class Logs(Secretive):
    def plan_partitions(self, options):
        logging.getLogger("acme").info("logging in with %s", options.typed["pin"])
        warnings.warn(f"login {options.typed['pin']} is old", stacklevel=1)
        return Good.plan_partitions(self, options)


class Slow(Good):
    def plan_partitions(self, options):
        return [{"p": p} for p in range(50)]

    def read_partition(self, partition_spec, options):
        time.sleep(float(options.get("sleep", "0.02")))
        yield batch(partition_spec["p"], 0)


# ---- sound, and unlike others ----


class Meta(type):
    def __getattr__(cls, name):
        raise AttributeError(f"nothing by the name {name}")


class Odd(metaclass=Meta):
    __slots__ = ("x",)
    infer_schema = staticmethod(lambda options: AB)
    plan_partitions = classmethod(lambda cls, options: [{}])
    read_partition = staticmethod(lambda *given: iter([batch(0, 0)]))


class OneArray(Good):
    """Returns one array that exports itself by one of the two ways alone."""

    def read_partition(self, partition_spec, options):
        return nanoarrow.Array(batch(partition_spec["p"], 0))


class Endless(Good):
    def read_partition(self, partition_spec, options):
        for i in itertools.count():
            yield batch(partition_spec["p"], i)
