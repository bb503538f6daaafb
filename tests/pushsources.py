"""Sources that take what a query asks, for tests: importable as ``pushsources:Class``, in workers too.

What a class was told comes back by ``bascule.scans()``, which knows it of both executors.
"""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import bascule

DAYS = pa.schema([("day", pa.date32()), ("id", pa.int64()), ("price", pa.float64()), ("name", pa.string())])


class Days:
    """``days`` partitions, one for each day of 2026, of ``rows`` rows; bounds and rows are said. Takes nothing."""

    def infer_schema(self, options):
        return DAYS

    def plan_partitions(self, options):
        rows = int(options.get("rows", "10"))
        first = datetime.date(2026, 1, 1)
        return [
            {
                "day": day,
                "bascule_bounds": {"day": (day, day), "id": (i * rows, (i + 1) * rows - 1)},
                "bascule_rows": rows,
            }
            for i, day in enumerate(first + datetime.timedelta(n) for n in range(int(options.get("days", "10"))))
        ]

    def read_partition(self, partition_spec, options):
        bascule.report_metric("opened")
        low, high = partition_spec["bascule_bounds"]["id"]
        for start in range(low, high + 1, int(options.get("batch", "10"))):
            ids = list(range(start, min(start + int(options.get("batch", "10")), high + 1)))
            bascule.report_metric("batches made")
            yield pa.record_batch(
                [[partition_spec["day"]] * len(ids), ids, [i / 4 for i in ids], [f"n{i}" for i in ids]], schema=DAYS
            )


class Plain(Days):
    """Says nothing of its partitions."""

    def plan_partitions(self, options):
        return [{k: v for k, v in spec.items() if k != "bascule_rows"} for spec in super().plan_partitions(options)]


class Required(Days):
    required_filters = (["day"], ["id", "name"])


class Sized(Days):
    """``statistics`` as the option ``says``."""

    def statistics(self, options):
        says = options.get("says", "exact")
        if says == "raises":
            raise OSError("the catalog is away")
        if says == "nonsense":
            return 42
        if says == "nothing":
            return None
        rows = int(options.get("rows", "10")) * int(options.get("days", "10"))
        return bascule.Statistics(rows, exact=says == "exact", total_bytes=32 * rows)


class Filters(Plain):
    """Takes predicates as hints, and drops what they don't select of ``id``; reports how many it was told."""

    def read_partition(self, partition_spec, options, *, columns=None, filters=(), limit=None):
        bascule.report_metric("filters", len(filters))
        bascule.report_metric("limit", -1 if limit is None else limit)
        for batch in super().read_partition(partition_spec, options):
            keep = pa.array([all(_of_id(f, i) for f in filters) for i in batch["id"].to_pylist()], pa.bool_())
            yield batch.filter(keep)


class Claims(Filters):
    """Applies comparisons of ``id`` exactly, and says so; the rest is left."""

    def push_filters(self, filters, options):
        return [f for f in filters if not _is_of_id(f)]


def _is_of_id(filter: Any) -> bool:
    return filter.columns == ("id",) and type(filter).__name__ in ("EqualTo", "GreaterThan", "LessThan")


def _of_id(filter: Any, value: int) -> bool:
    if not _is_of_id(filter) or filter.value is None:
        return True
    return {"EqualTo": value == filter.value, "GreaterThan": value > filter.value, "LessThan": value < filter.value}[
        type(filter).__name__
    ]


class ClaimsAll(Filters):
    """Claims what it does not do: for tests of who trusts it."""

    def push_filters(self, filters, options):
        return []


class ClaimsWithoutTaking(Days):
    def push_filters(self, filters, options):
        return []


class BadClaims(Filters):
    def push_filters(self, filters, options):
        from bascule.filters import IsNull

        return None if options.get("how") == "none" else [IsNull("elsewhere")]


class BadSpecs(Days):
    """Partition facts that can't be."""

    def plan_partitions(self, options):
        how = options["how"]
        facts = {
            "rows": {"bascule_rows": "ten"},
            "negative": {"bascule_rows": -1},
            "bounds": {"bascule_bounds": [1, 2]},
            "pair": {"bascule_bounds": {"id": 5}},
        }[how]
        return [{"day": None} | facts]


class BadRequired(Days):
    required_filters = "day"


class Positional(Days):
    def read_partition(self, partition_spec, options, filters=()):
        yield from ()


TYPES = pa.schema(
    [
        ("bool", pa.bool_()),
        ("i8", pa.int8()),
        ("u64", pa.uint64()),
        ("f32", pa.float32()),
        ("dec", pa.decimal128(10, 2)),
        ("text", pa.large_string()),
        ("dict", pa.dictionary(pa.int32(), pa.string())),
        ("bin", pa.binary()),
        ("date", pa.date32()),
        ("time", pa.time64("us")),
        ("ts", pa.timestamp("us")),
        ("tz", pa.timestamp("us", "Europe/Berlin")),
        ("ts_s", pa.timestamp("s")),
        ("ts_ns", pa.timestamp("ns")),
        ("tz_ns", pa.timestamp("ns", "UTC")),
        ("list", pa.list_(pa.int64())),
        ("twice", pa.int64()),
    ]
)


class Types:
    """One row of each type, and predicates that are told and not applied."""

    def infer_schema(self, options):
        return TYPES

    def plan_partitions(self, options, *, filters=()):
        return [{}]

    def read_partition(self, partition_spec, options):
        moment = datetime.datetime(2026, 1, 1, 12)
        values: list[Any] = [
            True,
            -1,
            2**63,
            0.5,
            decimal.Decimal("1.50"),
            "x",
            "x",
            b"\0x",
            moment.date(),
            moment.time(),
        ]
        values += [moment, moment, moment, moment, moment, [1], 1]
        arrays = [
            pa.array([v], f.type) if not pa.types.is_dictionary(f.type) else pc.dictionary_encode(pa.array([v]))
            for v, f in zip(values, TYPES, strict=True)
        ]
        yield pa.record_batch(arrays, schema=TYPES)
