"""Polars over a table: what a query needs reaches the class, and no answer differs."""

from __future__ import annotations

import datetime
import decimal
import operator

import polars as pl
import pyarrow as pa
import pytest

import bascule
import testsources
from bascule import filters as f
from bascule._polars_filters import translated

SCHEMA = pl.Schema(
    {
        "a": pl.Int64,
        "x": pl.Float64,
        "s": pl.String,
        "d": pl.Date,
        "t": pl.Datetime("us"),
        "b": pl.Boolean,
        "c": pl.Categorical(),
    }
)
a, x, s, d, t, b, c = map(pl.col, SCHEMA)


def lit(value, name):
    return pl.lit(value, SCHEMA[name])


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (a > lit(5, "a"), [f.GreaterThan("a", 5)]),
        (lit(5, "a") > a, [f.LessThan("a", 5)]),
        (lit(5, "a") == a, [f.EqualTo("a", 5)]),
        (a != lit(5, "a"), [f.Not(f.EqualTo("a", 5))]),
        (a.eq_missing(lit(5, "a")), [f.EqualNullSafe("a", 5)]),
        ((a >= lit(1, "a")) & (s == lit("x", "s")), [f.GreaterThanOrEqual("a", 1), f.EqualTo("s", "x")]),
        ((a >= lit(1, "a")) | (s == lit("x", "s")), [f.Or(f.GreaterThanOrEqual("a", 1), f.EqualTo("s", "x"))]),
        (~(x <= lit(1.5, "x")), [f.Not(f.LessThanOrEqual("x", 1.5))]),
        (a.is_null() & s.is_not_null(), [f.IsNull("a"), f.IsNotNull("s")]),
        (a.is_between(lit(1, "a"), lit(3, "a"), "left"), [f.And(f.GreaterThanOrEqual("a", 1), f.LessThan("a", 3))]),
        (s.is_in(["x", "y", None]), [f.In("s", ["x", "y"])]),
        (s.str.starts_with("x"), [f.StringStartsWith("s", "x")]),
        (s.str.ends_with("x"), [f.StringEndsWith("s", "x")]),
        (s.str.contains("x", literal=True), [f.StringContains("s", "x")]),
        (d >= lit(datetime.date(2026, 1, 2), "d"), [f.GreaterThanOrEqual("d", datetime.date(2026, 1, 2))]),
        (b & (a > lit(1, "a")), [f.EqualTo("b", True), f.GreaterThan("a", 1)]),
        # What means something else there, or isn't known, is not said; the rest of an AND is.
        (a > 5.5, []),
        (s.str.contains("x+"), []),
        (c == pl.lit("x"), []),
        (a.is_in([1], nulls_equal=True), []),
        ((a + 1 > lit(5, "a")) & (a < lit(9, "a")), [f.LessThan("a", 9)]),
        ((a + 1 > lit(5, "a")) | (a < lit(9, "a")), []),
        (~(a + 1 > lit(5, "a")), []),
        (a > x, []),
        (a.cast(pl.Int32) > pl.lit(5, pl.Int32), []),
        (a == pl.lit(None), []),
    ],
    ids=str,
)
def test_what_a_predicate_says(expression, said):
    assert translated(expression, SCHEMA) == said


@pytest.fixture(params=["inprocess", "process"])
def days(request):
    return bascule.table("pushsources:Filters", executor=request.param)


@pytest.fixture(params=["in-memory", "streaming"])
def engine(request):
    return request.param


def pushed():
    row = bascule.scans().to_pylist()[0]
    return row["pushed_columns"], row["pushed_filters"], row["pushed_limit"]


def test_columns_predicates_and_limits_reach_the_class(days, engine):
    frame = days.to_polars()
    asked = frame.filter(pl.col("id") >= 95, pl.col("name") != "n96").select("price")
    assert asked.collect(engine=engine)["price"].to_list() == [n / 4 for n in (95, 97, 98, 99)]
    columns, filters, _ = pushed()
    assert set(columns.split(", ")) == {"id", "name", "price"}
    assert filters == "id >= 95 AND NOT (name = 'n96')"
    assert frame.head(3).collect(engine=engine)["id"].to_list() == [0, 1, 2]


def test_what_cant_be_said_is_filtered_by_polars(days, engine):
    found = days.to_polars().filter((pl.col("id") % 7 == 0) & (pl.col("id") < 50)).collect(engine=engine)
    assert found["id"].to_list() == list(range(0, 50, 7))
    assert pushed()[1] == "id < 50"


def test_what_the_table_was_asked_holds(days, engine):
    asked = days.where(f.GreaterThan("id", 10)).select("id", "name").limit(5).to_polars()
    assert asked.collect_schema() == pl.Schema({"id": pl.Int64, "name": pl.String})
    assert asked.collect(engine=engine)["id"].to_list() == [11, 12, 13, 14, 15]
    # A limit that came before the filter: of these five rows.
    assert asked.filter(pl.col("id") > 13).collect(engine=engine)["id"].to_list() == [14, 15]
    assert asked.head(2).collect(engine=engine)["id"].to_list() == [11, 12]


@pytest.mark.parametrize("n", [100, 3000])
def test_long_chains_of_predicates(days, engine, n):
    either = pl.any_horizontal(*(pl.col("id") == i for i in range(0, n, 7))) if n > 100 else None
    for i in range(0, n, 7) if either is None else ():
        either = pl.col("id") == i if either is None else either | (pl.col("id") == i)
    assert days.to_polars().filter(either).collect(engine=engine)["id"].to_list() == list(range(0, 100, 7))


def test_a_table_without_rows(engine):
    frame = bascule.table("testsources:Numbers", partitions=0).to_polars()
    assert frame.collect(engine=engine).schema == frame.collect_schema()
    assert frame.select(pl.len()).collect(engine=engine).item() == 0


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_of_a_thousand_partitions_few_are_read_for_the_first_rows(executor):
    frame = bascule.table("testsources:Numbers", partitions=1000, rows=10, batches=1, executor=executor).to_polars()
    found = frame.filter(pl.col("k") > 3).select("k", "p").head(10).collect()
    assert found["k"].to_list() == [4, 5, 6, 7, 8, 9, 4, 5, 6, 7]
    read = bascule.scans().to_pylist()[0]
    assert 2 <= read["batches"] < 30, read["batches"]


def test_errors_name_source_and_partition(engine):
    frame = bascule.table("sparksources:ReadRaises").to_polars()
    with pytest.raises(Exception, match=r"sparksources:ReadRaises, partition \d of 4: read_partition raised"):
        frame.collect(engine=engine)


@pytest.mark.parametrize("column", ["x", "s"])
def test_comparisons_answer_as_polars_does(column, engine, monkeypatch):
    """Every value against every one, NULL and NaN among them: the class drops rows by what it is told."""
    rows = pa.table({"x": [1.0, None, float("nan"), -0.0, 0.0, float("inf")], "s": ["a", None, "", "é", "Z", "z"]})
    monkeypatch.setattr(testsources.Yields, "schema", rows.schema)
    monkeypatch.setattr(testsources.Yields, "items", [rows])
    frame, memory = bascule.table(testsources.Yields).to_polars(), pl.from_arrow(rows).lazy()
    for value in rows[column].to_pylist():
        literal = pl.lit(value, pl.Float64 if column == "x" else pl.String)
        for compare in (
            operator.eq,
            operator.ne,
            operator.lt,
            operator.le,
            operator.gt,
            operator.ge,
            pl.Expr.eq_missing,
        ):
            for predicate in (compare(pl.col(column), literal), ~compare(pl.col(column), literal)):
                want = memory.filter(predicate).collect()
                assert frame.filter(predicate).collect(engine=engine).equals(want), str(predicate)


TYPES = [
    *(
        pa.bool_(),
        pa.int8(),
        pa.uint64(),
        pa.float32(),
        pa.float64(),
        pa.date32(),
        pa.date64(),
        pa.time32("s"),
        pa.time64("ns"),
    ),
    *(
        pa.timestamp("s"),
        pa.timestamp("us", "UTC"),
        pa.duration("ms"),
        pa.string(),
        pa.large_string(),
        pa.string_view(),
    ),
    *(pa.binary(), pa.large_binary(), pa.binary(2), pa.null(), pa.dictionary(pa.int8(), pa.string())),
    *(pa.decimal32(5, 2), pa.decimal64(12, 2), pa.decimal128(20, 3), pa.list_(pa.int32()), pa.list_(pa.float32(), 2)),
    *(pa.list_(pa.decimal64(12, 2)), pa.struct({"a": pa.int8(), "b": pa.string()})),
]


@pytest.mark.parametrize("type_", TYPES, ids=str)
def test_values_of_each_type_and_of_slices_are_as_polars_takes_them_itself(type_):
    """Of decimals of 64 bits Polars reads beyond the buffer, of slices of lists of one size it panics, by the C interface."""
    if pa.types.is_nested(type_):
        values = [{"a": 1, "b": "é"} if pa.types.is_struct(type_) else [1, 2], None] * 500
        if pa.types.is_list(type_) and pa.types.is_decimal(type_.value_type):
            values = [[decimal.Decimal("1.25")], None, []] * 300
    elif pa.types.is_decimal(type_):
        values = [decimal.Decimal(i).scaleb(-2) for i in range(900)] + [None]
    elif pa.types.is_boolean(type_) or pa.types.is_null(type_):
        values = [None if pa.types.is_null(type_) else i % 2 == 0 for i in range(900)] + [None]
    elif pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_temporal(type_):
        values = [*range(100), None] * 9
    else:
        values = ["é", "", "0123456789012345", None] * 200
        values = values if not pa.types.is_fixed_size_binary(type_) else ["ab", "\0c", None] * 300
    if pa.types.is_temporal(type_):
        integers = pa.array(values, pa.int32() if type_.bit_width == 32 else pa.int64())
        table = pa.table({"v": integers.view(type_)})
    elif pa.types.is_dictionary(type_):
        table = pa.table({"v": pa.array(values).dictionary_encode().cast(type_)})
    else:
        table = pa.table({"v": pa.array(values, type_)})
    for parts in (1, 7):
        source = bascule.MemoryDataSource(table, partitions=parts)
        expected = pl.from_arrow(table)
        if isinstance(type_, pa.FixedSizeListType) and parts > 1:
            with pytest.raises(pl.exceptions.ComputeError):  # its own fault, and an Exception
                bascule.table(source).to_polars().collect()
            continue
        found = bascule.table(source).to_polars().collect()
        assert found.schema == expected.schema
        assert found.equals(expected)
