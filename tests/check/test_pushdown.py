"""What a class claims of its rows, and of what it does to them, is looked at: each way of lying is found."""

from __future__ import annotations

import datetime
import decimal
import math
import time

import pyarrow as pa
import pytest

import pushsources
from bascule.check import Checkup, Limits, run
from bascule.check._predicates import requests
from bascule.filters import filter_table
from check import lying
from check.test_checks import ids_of, reasons_of

#: class, check, what is read there. Each class fails that check alone.
FAILURES = [
    (
        lying.DropsNaN,
        "filters",
        "read with filters=[x > 0.5], it lost 2 rows of the 4 for which that is true: (x=nan, id=2",
    ),
    (lying.DropsNaN, "filters", "NaN equals itself and is greater than every other number"),
    (lying.NaNIsNotEqual, "filters", "read with filters=[x = DOUBLE 'nan'], it lost 2 rows of the 2"),
    (lying.IgnoresCaseUnderNot, "filters", "read with filters=[NOT (name = 'B C')], it lost 1 row of the 7"),
    (lying.IgnoresCaseUnderNot, "filters", "Under NOT a superset is a loss: negate only what is exact, NULL included"),
    (lying.NullIsDistinct, "filters", "read with filters=[id IS NOT DISTINCT FROM NULL], it lost 1 row of the 1"),
    (
        lying.OffByOne,
        "filters",
        "read with filters=[id <= 4], it lost 1 row of the 4 for which that is true: (id=4, x=-2.0",
    ),
    (lying.PlansTooFew, "filters", "it lost 2 rows of the 6 for which that is true: (id=5"),
    (lying.AllInOne, "filters", "read with filters=[id >= 1, id < 7], it lost 6 rows of the 6"),
    (lying.Repeats, "filters", "it gave 1 row that a read without does not have, or not so often: (id=4"),
    (lying.RaisesForStrings, "filters", "read_partition raised NotImplementedError: no LIKE here"),
    (lying.RaisesForStrings, "filters", "It was read with filters=[starts_with(name, 'b ')]. A predicate that a read"),
    (
        lying.ClaimsIgnoringCase,
        "claims",
        "push_filters claims name = 'B C', but a read with it gave 1 row for which it is not",
    ),
    (lying.ClaimsIgnoringCase, "claims", "letter case and trailing spaces count, % and _ are themselves"),
    (lying.ClaimsPadding, "claims", "push_filters claims name = 'b c ', but"),
    (lying.ClaimsNullUnderNot, "claims", "push_filters claims NOT (id = 4), but a read with it gave 1 row"),
    (lying.ClaimsNullUnderNot, "claims", "A comparison with NULL is NULL, which is not true, and so is NOT of it"),
    (lying.ClaimsLike, "claims", "push_filters claims contains(name, '%'), but a read with it gave 6 rows"),
    (
        lying.ClaimsOffByOne,
        "claims",
        "push_filters claims id < 7, but a read with it gave 1 row for which it is not true: (id=7",
    ),
    (lying.ClaimsTheFirst, "claims", "push_filters claims id < 7, but a read with it gave 1 row"),
    (lying.AppliesWhatWasPushed, "claims", "It applies them where push_filters was called on the same instance before"),
    (lying.AppliesWhatWasPushedToo, "claims", "it only answers, one instance serves several queries at once"),
    (
        lying.FiltersWhatItSelected,
        "claims",
        "read with filters=[id = 4] and columns=['x', 'name'], it gave 8 rows instead of 1",
    ),
    (
        lying.ClaimsWithoutTaking,
        "claims",
        "claims predicates, but neither plan_partitions nor read_partition takes them",
    ),
    (
        lying.ReturnsOthers,
        "claims",
        "push_filters returned elsewhere IS NULL, which is none of the predicates that it was given",
    ),
    (lying.ReturnsNone, "claims", "push_filters returned None, expected a list of the predicates that are left to do"),
    (lying.PushFiltersRaises, "claims", "push_filters raised KeyError: 'id'"),
    (lying.LimitTooFew, "limit", "read with limit=1, all partitions together gave 0 rows, but there are 8"),
    (lying.LimitOfTheFirst, "limit", "read with limit=8, all partitions together gave 4 rows, but there are 8"),
    (lying.LimitBeforeFilters, "limit", "the limit is of the rows that the predicates select: apply them first"),
    (
        lying.LimitRepeats,
        "limit",
        "read with limit=4, it gave 6 rows that a read without does not have, or not so often",
    ),
    (
        lying.ExactlyWrong,
        "statistics",
        "statistics say exactly 9 rows, but 8 were read. Count them, or say exact=False",
    ),
    (lying.SaysANumber, "statistics", "statistics returned an int, expected a bascule.Statistics or None"),
    (lying.SaysText, "statistics", "statistics returned num_rows = '8', which is no number of at least 0"),
    (lying.WrongRows, "partition_facts", "partition 0: its spec says bascule_rows = 3, but 4 were read"),
    (
        lying.WrongMax,
        "partition_facts",
        "partition 0: it has the value 4 in column 'id', but bascule_bounds say (1, 3)",
    ),
    (
        lying.WrongMin,
        "partition_facts",
        "partition 1: it has the value 0.0 in column 'x', but bascule_bounds say (0.5, 1000",
    ),
    (lying.BoundsOfNoColumn, "partition_facts", "partition 0: bascule_bounds are of 'idd', which is no column"),
    (lying.BoundsAreNoPair, "partition_facts", "the bascule_bounds of 'id' are (1, 2, 3), expected a pair (min, max)"),
    (lying.RequiresNoColumn, "required_filters", "required_filters names 'idd', which no query can restrict"),
    (lying.RequiresAName, "required_filters", "required_filters is 'id', expected a list of lists of column names"),
]

WARNINGS = [
    (
        lying.TakesAndIgnores,
        "filters",
        "all rows came whatever the predicates, tried were 200: `filters` is taken and not",
    ),
    (lying.TakesAndIgnores, "limit", "limit=1 gave all 8 rows: `limit` is taken and not used"),
    (
        lying.AnswersWithoutTaking,
        "claims",
        "push_filters is there, but neither plan_partitions nor read_partition takes",
    ),
    (lying.ExactlyUnknown, "statistics", "statistics are exact, but num_rows is None"),
    (lying.SaysRaises, "statistics", "statistics raised OSError: the catalog is away"),
    (lying.BoundsAreText, "partition_facts", "bascule_bounds of 'id' have a str, which is not compared with int64"),
    (lying.PlansByTheSchema, "fresh_plan", "plan_partitions raised AttributeError"),
    (lying.PlansLessWithoutTheSchema, "fresh_plan", "plan_partitions returned other partitions: 1 partition, before 2"),
]

SOUND = [lying.Table, lying.Exact, lying.Hints, lying.Says, lying.FarOff, lying.Facts, lying.Requires]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: f"{case[1]}-{case[0].__name__}")
def test_each_way_of_lying_is_found(case):
    cls, id, words = case
    report = run(cls)
    assert words in reasons_of(report, id)
    assert f"check.lying:{cls.__name__}" in reasons_of(report, id)
    assert ids_of(report, "failed") == [id]


@pytest.mark.parametrize("case", WARNINGS, ids=lambda case: f"{case[1]}-{case[0].__name__}")
def test_what_is_of_no_use_is_a_warning(case):
    cls, id, words = case
    report = run(cls)
    assert words in reasons_of(report, id)
    assert id in ids_of(report, "warning")
    assert ids_of(report, "failed") == []


@pytest.mark.parametrize("executor", ["inprocess", "process"])
@pytest.mark.parametrize("cls", SOUND)
def test_sound_claims_fail_nothing(cls, executor):
    report = run(cls, {"bascule_executor": executor})
    assert (ids_of(report, "failed"), ids_of(report, "warning")) == ([], [])


@pytest.mark.parametrize("name", ["Days", "Plain", "Required", "Sized", "Filters", "Claims", "Types"])
def test_the_sources_of_other_tests_fail_nothing(name):
    assert ids_of(run(f"pushsources:{name}"), "failed") == []


@pytest.mark.parametrize(
    ("name", "id"), [("ClaimsAll", "claims"), ("ClaimsWithoutTaking", "claims"), ("BadRequired", "required_filters")]
)
def test_those_that_lie_there_fail(name, id):
    assert ids_of(run(f"pushsources:{name}"), "failed") == [id]


def test_how_much_was_tried_is_noted():
    with Checkup(pushsources.Claims) as checkup:
        assert checkup.result("filters").notes == ("tried were 200 reads; 73 gave fewer rows than all",)
        assert checkup.result("claims").notes == ("of 200 reads, 14 were claimed as a whole, 5 in part",)


def test_an_estimate_that_is_far_off_is_noted():
    with Checkup(lying.FarOff) as checkup:
        assert checkup.result("statistics").notes == ("num_rows is 1,000,000, read were 8: an optimizer plans by it",)


def test_reads_without_what_a_query_must_restrict_are_noted():
    with Checkup(lying.Requires) as checkup:
        notes = checkup.result("required_filters").notes
        assert notes == ("a query must restrict id; or name and x; these checks read without",)
        assert checkup.result("batches").notes == ("8 rows in 2 batches of 2 partitions",)


# ---- where not all is read ----


@pytest.mark.parametrize(
    ("cls", "id", "words"),
    [
        (lying.DropsNaN, "filters", "it lost 1 row of the 1 for which that is true: (x=nan"),
        (lying.ClaimsNullUnderNot, "claims", "push_filters claims NOT ("),
        (lying.WrongRows, "partition_facts", "bascule_rows = 3, but 4 were read"),
    ],
)
def test_the_partitions_that_were_read_are_compared(cls, id, words):
    report = run(cls, limits=Limits(partitions=1))
    assert words in reasons_of(report, id)
    assert ids_of(report, "failed") == [id]


@pytest.mark.parametrize("cls", SOUND)
def test_sound_claims_fail_nothing_where_not_all_is_read(cls):
    report = run(cls, limits=Limits(partitions=1))
    assert (ids_of(report, "failed"), ids_of(report, "warning")) == ([], [])


def test_plans_that_cut_elsewhere_are_not_compared():
    class CutsElsewhere(lying.Hints):
        def plan_partitions(self, options, *, filters=()):
            return [{"part": part, "pushed": bool(filters)} for part in range(2)]

    with Checkup(CutsElsewhere, limits=Limits(partitions=1)) as checkup:
        result = checkup.result("filters")
    assert (result.status, result.reasons) == ("ok", ())
    assert "reads could not be compared: plan_partitions cut the table at other places" in result.notes[-1]
    report = run(CutsElsewhere)
    assert ids_of(report, "failed") == []


def test_a_partition_that_was_not_read_to_its_end_is_not_compared():
    class Halves(lying.DropsNaN):
        def read_partition(self, partition_spec, options, *, filters=()):
            for table in super().read_partition(partition_spec, options, filters=filters):
                yield table.slice(0, 2)
                yield table.slice(2)

    report = run(Halves, limits=Limits(batches=1))
    assert "no partition was read to its end and kept" in reasons_of(report, "filters")
    assert ids_of(report, "failed") == []


def test_a_large_table_is_compared_by_whole_partitions():
    class Large(lying.Hints):
        def plan_partitions(self, options):
            return [{"part": part} for part in range(5)]

        def read_partition(self, partition_spec, options, *, filters=()):
            n = range(partition_spec["part"] * 20_000, partition_spec["part"] * 20_000 + 20_000)
            yield filter_table(filters, pa.table({"id": n})) if filters else pa.table({"id": n})

        def infer_schema(self, options):
            return pa.schema({"id": pa.int64()})

    with Checkup(Large) as checkup:
        result = checkup.result("filters")
    assert result.status == "ok"
    assert "compared are 40,000 rows of 2 partitions" in result.notes


def test_rows_in_another_order_are_the_same():
    class Backwards(lying.Exact):
        def select(self, filters, table):
            table = super().select(filters, table)
            return table.take(pa.array(range(table.num_rows)[::-1], pa.int64())) if filters else table

    assert run(Backwards).ok


def test_columns_of_the_same_name_are_not_asked_for():
    class SameName(lying.Table):
        names = ("a", "a", "b")

        def infer_schema(self, options):
            return pa.schema([(name, pa.int64()) for name in self.names])

        def read_partition(self, partition_spec, options, *, filters=()):
            assert all(filter.columns == ("b",) for filter in filters)
            part = partition_spec["part"]
            rows = pa.record_batch([[part, part + 2] for _ in self.names], schema=self.infer_schema(options))
            yield rows.slice(0, 0) if filters and part else rows

    assert "lost 1 row of the 1 for which that is true: (b=3, a=3, a=3)" in reasons_of(run(SameName), "filters")

    class NoName(SameName):
        names = ("a", "a")

    assert "no column has a name of its own" in reasons_of(run(NoName), "filters")


def test_a_limit_is_tried_where_not_all_is_read():
    assert "limit=1, all partitions together gave 0 rows" in reasons_of(
        run(lying.LimitTooFew, limits=Limits(partitions=1)), "limit"
    )
    with Checkup(lying.Exact, limits=Limits(partitions=1)) as checkup:
        result = checkup.result("limit")
    assert (result.status, len(result.notes)) == ("ok", 1)
    assert "limits were tried for the number of rows alone" in result.notes[0]


def test_no_predicate_is_tried_when_the_time_is_used_up():
    class Slow(lying.Exact):
        def read_partition(self, partition_spec, options, *, filters=(), limit=None):
            time.sleep(0.05)
            yield from super().read_partition(partition_spec, options, filters=filters, limit=limit)

    report = run(Slow, limits=Limits(max_seconds=0.5))
    assert report.ok
    with Checkup(Slow, limits=Limits(max_seconds=2)) as checkup:
        results = {result.id: result for result in checkup.results()}
    assert results["filters"].status in ("ok", "skipped")
    assert "used up" in str((results["filters"], results["limit"]))


# ---- the predicates ----

MANY = pa.table(
    {
        "i": pa.array([1, 2, None], pa.int32()),
        "f": [1.5, math.nan, None],
        "s": ["ab", "AB", None],
        "d": pa.array([decimal.Decimal("1.50"), None, None], pa.decimal128(10, 2)),
        "ts": pa.array([datetime.datetime(2026, 1, 1)] * 3, pa.timestamp("ns", "UTC")),
        "b": [True, False, None],
        "bin": [b"x", b"", None],
        "dict": pa.array(["a", "b", None]).dictionary_encode(),
        "half": pa.array([1.5, None, 2.0], pa.float16()),
        "view": pa.array(["x", None, "y"], pa.string_view()),
        "list": [[1], [2], None],
        "none": pa.nulls(3),
    }
)


def test_predicates_are_the_same_for_the_same_rows_and_not_too_many():
    found = requests(MANY)
    assert list(map(repr, found)) == list(map(repr, requests(MANY)))
    assert len(set(found)) == len(found) == 200


@pytest.mark.parametrize("name", [name for name in MANY.schema.names if name not in ("list", "view")])
def test_predicates_are_of_each_type_that_has_literals(name):
    some = MANY.select([name])
    found = requests(some)
    assert 2 <= len(found) <= 200
    for request in found:
        filter_table(request, some)


def test_types_that_pyarrow_does_not_filter_are_compared():
    schema = pa.schema(
        [
            ("text", pa.string_view()),
            ("n", pa.int64()),
            ("texts", pa.list_(pa.string_view())),
            ("bytes", pa.binary_view()),
        ]
    )

    class Views(lying.Table):
        def infer_schema(self, options):
            return schema

        def read_partition(self, partition_spec, options, *, filters=()):
            columns = [["a", "b"], [1, 2], [["a"], None], [b"x", b"y"]]
            rows = pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
            yield rows.slice(0, 1) if filters and self.lies else rows

        lies = False

    class LosesViews(Views):
        lies = True

    assert ids_of(run(Views), "failed") == []
    assert "lost 2 rows of the 2 for which that is true: (text='b'" in reasons_of(run(LosesViews), "filters")


def test_predicates_are_of_every_kind():
    text = "\n".join(repr(filter) for request in requests(MANY.select(["s", "f"])) for filter in request)
    for part in (
        *("s > ", "s < ", "s >= ", "s <= ", "s IN (", "NOT (s IN (", "s IS NULL", "s IS NOT NULL"),
        *("starts_with(s, ", "ends_with(s, ", "contains(s, ", " OR ", " AND ", "s IS NOT DISTINCT FROM NULL"),
        *("s = ''", "s = 'AB'", "s = 'ab '", "f = DOUBLE 'nan'", "s = NULL", "NOT (contains(s, '%'))"),
    ):
        assert part in text, part


def test_of_many_columns_all_are_asked_for():
    wide = pa.table({f"c{i}": [i] for i in range(40)})
    found = requests(wide)
    assert {name for request in found for filter in request for name in filter.columns} == set(wide.schema.names)
    assert not requests(wide.slice(0, 0).select([]))
