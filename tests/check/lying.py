"""Classes that say of their rows, or of what they do to them, what is not so; and their sound sisters."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bascule import Statistics
from bascule import filters as f
from bascule.filters import filter_table

SCHEMA = pa.schema([("id", pa.int64()), ("x", pa.float64()), ("name", pa.string()), ("flag", pa.bool_())])
PARTS = [
    pa.table(
        [[1, 2, 3, 4], [0.5, math.nan, None, -2.0], ["abc", "ABC", None, "b c"], [True, None, False, True]],
        SCHEMA.names,
    ),
    pa.table(
        [[5, 6, 7, None], [7.5, 0.0, 1e9, math.nan], ["abc", "x", "", "zz"], [False, True, None, None]], SCHEMA.names
    ),
]


class Table:
    """Two partitions of four rows. Takes nothing."""

    def infer_schema(self, options):
        return SCHEMA

    def plan_partitions(self, options):
        return [{"part": 0}, {"part": 1}]

    def read_partition(self, partition_spec, options):
        yield PARTS[partition_spec["part"]].cast(SCHEMA)


class Exact(Table):
    """Sound: claims every predicate and takes every hint."""

    def read_partition(self, partition_spec, options, *, columns=None, filters=(), limit=None):
        table = self.select(filters, PARTS[partition_spec["part"]].cast(SCHEMA))
        table = table.slice(0, limit)
        yield table if columns is None else table.select(columns)

    def select(self, filters, table):
        for filter in filters:
            table = table.filter(pa.chunked_array([pa.array(self.mask(filter, table), pa.bool_())]))
        return table

    def mask(self, filter: Any, table: pa.Table) -> list[bool | None]:
        """Of each row, whether the predicate is true; None: NULL."""
        if isinstance(filter, f.Not):
            return [None if said is None else not said for said in self.mask(filter.child, table)]
        if isinstance(filter, (f.And, f.Or)):
            found = [self.mask(child, table) for child in filter.children]
            join = pc.and_kleene if isinstance(filter, f.And) else pc.or_kleene
            out = pa.array(found[0], pa.bool_())
            for other in found[1:]:
                out = join(out, pa.array(other, pa.bool_()))
            return out.to_pylist()
        return self.leaf(filter, table)

    def leaf(self, filter: Any, table: pa.Table) -> list[bool | None]:
        numbered = table.append_column("row", pa.array(range(table.num_rows)))
        true, false = (set(filter_table([one], numbered).column("row").to_pylist()) for one in (filter, f.Not(filter)))
        return [True if i in true else False if i in false else None for i in range(table.num_rows)]

    def push_filters(self, filters, options):
        return []


class Hints(Exact):
    """Sound: drops rows, claims nothing."""

    push_filters = None


# ---- rows that are gone ----


class DropsNaN(Hints):
    """Compares as IEEE 754 does: NaN is neither equal nor greater."""

    def leaf(self, filter, table):
        if isinstance(filter, (f.GreaterThan, f.GreaterThanOrEqual)) and filter.column == "x":
            return [
                said and not _is_nan(x)
                for said, x in zip(super().leaf(filter, table), _values(table, "x"), strict=True)
            ]
        return super().leaf(filter, table)


class NaNIsNotEqual(Hints):
    def leaf(self, filter, table):
        if isinstance(filter, (f.EqualTo, f.In)) and filter.column == "x":
            return [
                said and not _is_nan(x)
                for said, x in zip(super().leaf(filter, table), _values(table, "x"), strict=True)
            ]
        return super().leaf(filter, table)


class IgnoresCaseUnderNot(Hints):
    """A hint that is a superset, negated."""

    def leaf(self, filter, table):
        if isinstance(filter, f.EqualTo) and filter.column == "name" and filter.value is not None:
            return [None if x is None else x.lower() == filter.value.lower() for x in _values(table, "name")]
        return super().leaf(filter, table)


class NullIsDistinct(Hints):
    """``=`` for IS NOT DISTINCT FROM."""

    def leaf(self, filter, table):
        if isinstance(filter, f.EqualNullSafe):
            return super().leaf(f.EqualTo(filter.column, filter.literal), table)
        return super().leaf(filter, table)


class OffByOne(Hints):
    def leaf(self, filter, table):
        if isinstance(filter, f.LessThanOrEqual):
            return super().leaf(f.LessThan(filter.column, filter.literal), table)
        return super().leaf(filter, table)


class PlansTooFew(Table):
    """Leaves a partition out that it takes for one of other ids."""

    def plan_partitions(self, options, *, filters=()):
        small = any(isinstance(filter, f.LessThan) and filter.column == "id" for filter in filters)
        return [{"part": 0}] if small else super().plan_partitions(options)


class AllInOne(Hints):
    """Or for And, of several predicates the last alone, negated."""

    def select(self, filters, table):
        return super().select((f.Not(filters[0]),) if len(filters) > 1 else filters, table)


class Repeats(Hints):
    def select(self, filters, table):
        table = super().select(filters, table)
        return pa.concat_tables([table, table]) if filters else table


class RaisesForStrings(Hints):
    def leaf(self, filter, table):
        if isinstance(filter, f.StringPredicate):
            raise NotImplementedError("no LIKE here")
        return super().leaf(filter, table)


class TakesAndIgnores(Table):
    def read_partition(self, partition_spec, options, *, filters=(), limit=None):
        yield from super().read_partition(partition_spec, options)


# ---- rows that are there ----


class ClaimsIgnoringCase(Exact):
    """A collation that ignores case, and pads with spaces."""

    def leaf(self, filter, table):
        if isinstance(filter, f.EqualTo) and filter.column == "name" and filter.value is not None:
            value = filter.value.rstrip().lower()
            # Sound under NOT: that it says exactly.
            return [None if x is None else x.rstrip().lower() == value for x in _values(table, "name")]
        return super().leaf(filter, table)

    def mask(self, filter, table):
        if isinstance(filter, (f.Not, f.Or)):
            return Exact.leaf(self, filter, table)
        return super().mask(filter, table)


class ClaimsPadding(ClaimsIgnoringCase):
    def leaf(self, filter, table):
        if isinstance(filter, f.EqualTo) and filter.column == "name" and filter.value is not None:
            value = filter.value.rstrip()
            return [None if x is None else x.rstrip() == value for x in _values(table, "name")]
        return Exact.leaf(self, filter, table)


class ClaimsNullUnderNot(Exact):
    """NOT as two-valued logic has it."""

    def mask(self, filter, table):
        if isinstance(filter, f.Not):
            return [not said for said in self.mask(filter.child, table)]
        return super().mask(filter, table)


class ClaimsLike(ClaimsIgnoringCase):
    """% within a string that LIKE is asked for."""

    def leaf(self, filter, table):
        if isinstance(filter, f.StringContains) and filter.value in ("%", "_"):
            return [None if x is None else bool(x) for x in _values(table, "name")]
        return Exact.leaf(self, filter, table)


class ClaimsOffByOne(Exact):
    def leaf(self, filter, table):
        if isinstance(filter, f.LessThan) and filter.column == "id":
            return super().leaf(f.LessThanOrEqual("id", filter.literal), table)
        return super().leaf(filter, table)

    def mask(self, filter, table):
        if isinstance(filter, (f.Not, f.Or)):
            return Exact.leaf(self, filter, table)
        return super().mask(filter, table)


class ClaimsTheFirst(Exact):
    """Applies one predicate of several."""

    def select(self, filters, table):
        return super().select(filters[:1], table)


class AppliesWhatWasPushed(Exact):
    """Does what push_filters was asked for."""

    pushed: Any = ()

    def push_filters(self, filters, options):
        self.pushed = filters
        return []

    def read_partition(self, partition_spec, options, *, filters=()):
        yield self.select(self.pushed, PARTS[partition_spec["part"]].cast(SCHEMA))


class AppliesWhatWasPushedToo(AppliesWhatWasPushed):
    """Both: right where nothing else was pushed meanwhile."""

    def read_partition(self, partition_spec, options, *, filters=()):
        both = (*filters, *self.pushed) if filters else ()
        yield self.select(both, PARTS[partition_spec["part"]].cast(SCHEMA))


class FiltersWhatItSelected(Exact):
    """Has no columns left to filter by."""

    def read_partition(self, partition_spec, options, *, columns=None, filters=()):
        table = PARTS[partition_spec["part"]].cast(SCHEMA)
        table = table if columns is None else table.select(columns)
        yield self.select([one for one in filters if set(one.columns) <= set(table.schema.names)], table)


class ClaimsWithoutTaking(Table):
    def push_filters(self, filters, options):
        return []


class ReturnsOthers(Hints):
    def push_filters(self, filters, options):
        return [f.IsNull("elsewhere")]


class ReturnsNone(Hints):
    def push_filters(self, filters, options):
        return None


class PushFiltersRaises(Hints):
    def push_filters(self, filters, options):
        raise KeyError("id")


class AnswersWithoutTaking(Table):
    def push_filters(self, filters, options):
        return filters


# ---- limit ----


class LimitTooFew(Table):
    def read_partition(self, partition_spec, options, *, limit=None):
        table = PARTS[partition_spec["part"]].cast(SCHEMA)
        yield table if limit is None else table.slice(0, limit // 2)


class LimitOfTheFirst(Table):
    """Reads the first partition alone."""

    def plan_partitions(self, options, *, limit=None):
        return super().plan_partitions(options)[: None if limit is None else 1]

    def read_partition(self, partition_spec, options, *, limit=None):
        yield PARTS[partition_spec["part"]].cast(SCHEMA).slice(0, limit)


class LimitBeforeFilters(Exact):
    def read_partition(self, partition_spec, options, *, filters=(), limit=None):
        yield self.select(filters, PARTS[partition_spec["part"]].cast(SCHEMA).slice(0, limit))


class LimitRepeats(Table):
    def read_partition(self, partition_spec, options, *, limit=None):
        table = PARTS[partition_spec["part"]].cast(SCHEMA)
        yield table if limit is None else pa.concat_tables([table.slice(0, 1)] * max(limit, 1))


# ---- what is said ----


class Says(Table):
    said: Any = Statistics(8, exact=True)

    def statistics(self, options):
        return self.said


class ExactlyWrong(Says):
    said = Statistics(9, exact=True)


class SaysANumber(Says):
    said = 8


class SaysText(Says):
    said = Statistics("8")  # type: ignore[arg-type]


class FarOff(Says):
    said = Statistics(1_000_000)


class ExactlyUnknown(Says):
    said = Statistics(exact=True)


class SaysRaises(Table):
    def statistics(self, options):
        raise OSError("the catalog is away")


class Facts(Table):
    facts: tuple[dict[str, Any], ...] = (
        {"bascule_rows": 4, "bascule_bounds": {"id": (1, 4), "x": (-2.0, 0.5), "name": ("ABC", "b c")}},
        {"bascule_rows": 4, "bascule_bounds": {"id": (5, None), "x": (0, math.nan)}},
    )

    def plan_partitions(self, options):
        return [{"part": i} | facts for i, facts in enumerate(self.facts)]


class WrongRows(Facts):
    facts = ({"bascule_rows": 3}, {})


class WrongMax(Facts):
    facts = ({"bascule_bounds": {"id": (1, 3)}}, {})


class WrongMin(Facts):
    facts = ({}, {"bascule_bounds": {"x": (0.5, 1e9)}})


class BoundsOfNoColumn(Facts):
    facts = ({"bascule_bounds": {"idd": (1, 4)}}, {})


class BoundsAreNoPair(Facts):
    facts = ({"bascule_bounds": {"id": (1, 2, 3)}}, {})


class BoundsAreText(Facts):
    facts = ({"bascule_bounds": {"id": ("1", "4")}}, {})


class Requires(Table):
    required_filters = (["id"], ["name", "x"])


class RequiresNoColumn(Table):
    required_filters = (["idd"],)


class RequiresAName(Table):
    required_filters = "id"


class PlansByTheSchema(Table):
    found: Any = None

    def infer_schema(self, options):
        self.found = SCHEMA
        return SCHEMA

    def plan_partitions(self, options):
        return [{"part": i, "columns": self.found.names} for i in range(2)]


class PlansLessWithoutTheSchema(PlansByTheSchema):
    def plan_partitions(self, options):
        return [{"part": i} for i in range(2 if self.found else 1)]


def _values(table: pa.Table, name: str) -> list[Any]:
    return table.column(name).to_pylist()


def _is_nan(x: Any) -> bool:
    return isinstance(x, float) and math.isnan(x)
