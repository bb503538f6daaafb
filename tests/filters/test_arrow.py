"""Predicates as Arrow expressions say of each row what DuckDB says of it: true, false or NULL."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import dataset

from bascule import BasculeError
from bascule import filters as f
from bascule.filters import Exactness, filter_table

NAN, INF = float("nan"), float("inf")
DAY = datetime.date(2026, 1, 2)
NOON = datetime.datetime(2026, 1, 2, 12)
UTC = datetime.UTC

#: By type: values, None among them, which are also the literals.
VALUES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "b": (pa.bool_(), [True, False]),
    "i8": (pa.int8(), [-128, -1, 0, 1, 127]),
    "u8": (pa.uint8(), [0, 1, 255]),
    "i32": (pa.int32(), [-(2**31), 0, 7, 2**31 - 1]),
    "i64": (pa.int64(), [-(2**63), -1, 0, 1, 2**63 - 1]),
    "u64": (pa.uint64(), [0, 1, 2**63, 2**64 - 1]),
    "f32": (pa.float32(), [-INF, -1.5, -0.0, 0.0, 0.5, INF, NAN]),
    "f64": (pa.float64(), [-INF, -1.5, -0.0, 0.0, 0.5, INF, NAN]),
    "dec": (pa.decimal128(10, 2), [Decimal("-1.50"), Decimal("0.00"), Decimal("1.25")]),
    "s": (pa.string(), ["", "a", "A", "ab", "ab ", "é", "e\u0301", "z", "\uffff", "\U0001f600", "it's", "%", "a%b"]),
    "ls": (pa.large_string(), ["", "a", "A", "\uffff", "\U0001f600"]),
    "d": (pa.dictionary(pa.int8(), pa.string()), ["", "a", "A", "é"]),
    "bin": (pa.binary(), [b"", b"\0", b"a", b"\xff"]),
    "date": (pa.date32(), [datetime.date(1, 1, 1), DAY, datetime.date(9999, 12, 31)]),
    "time": (pa.time64("us"), [datetime.time(), datetime.time(12), datetime.time(23, 59, 59, 999999)]),
    "ts": (pa.timestamp("us"), [datetime.datetime(1, 1, 1), NOON, NOON.replace(microsecond=1)]),
    "tz": (pa.timestamp("us", "Europe/Berlin"), [NOON.replace(tzinfo=UTC), datetime.datetime(1960, 1, 1, tzinfo=UTC)]),
    "ts_s": (pa.timestamp("s"), [NOON, datetime.datetime(1960, 1, 1)]),
    "ts_ns": (pa.timestamp("ns"), [NOON, NOON.replace(microsecond=1)]),
}
COMPARISONS = [f.EqualTo, f.EqualNullSafe, f.LessThan, f.LessThanOrEqual, f.GreaterThan, f.GreaterThanOrEqual]
STRINGS = [f.StringStartsWith, f.StringEndsWith, f.StringContains]


def literal_type(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def table() -> pa.Table:
    """Every value of a column once, and NULL; the columns are as long as the longest."""
    rows = max(len(values) for _, values in VALUES.values()) + 1
    columns = {}
    for name, (type_, values) in VALUES.items():
        cycled = [([*values, None] * rows)[i] for i in range(rows)]
        array = pa.array(cycled, literal_type(type_))
        columns[name] = array.dictionary_encode().cast(type_) if pa.types.is_dictionary(type_) else array
    return pa.table(columns)


TABLE = table()


def scalar(column: str, value: Any) -> pa.Scalar:
    return pa.scalar(value, literal_type(VALUES[column][0]))


def sql(filter: f.Filter) -> str:
    """``repr`` is SQL, but for binary literals."""
    text = repr(filter)
    while "X'" in text:
        begin = text.index("X'")
        end = text.index("'", begin + 2)
        escaped = "".join(f"\\x{text[i : i + 2]}" for i in range(begin + 2, end, 2))
        text = f"{text[:begin]}'{escaped}'::BLOB{text[end + 1 :]}"
    return text


@pytest.fixture(scope="module")
def con():
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("t", TABLE)
    connection.execute("CREATE TABLE rows AS SELECT * FROM t")
    yield connection
    connection.close()


def evaluated(filter: f.Filter) -> list[bool | None]:
    said = filter.to_arrow(TABLE.schema)
    assert said.exactness is Exactness.EXACT, filter
    return dataset.dataset(TABLE).to_table(columns={"x": said.expression})["x"].to_pylist()


def agrees(con: duckdb.DuckDBPyConnection, filter: f.Filter) -> None:
    expected = [row[0] for row in con.execute(f"SELECT {sql(filter)} FROM rows").fetchall()]
    assert evaluated(filter) == expected, filter
    kept = filter_table([filter], TABLE)
    assert kept.num_rows == sum(value is True for value in expected)


@pytest.mark.parametrize("column", VALUES)
def test_each_comparison_of_each_type_is_duckdbs(con, column):
    for value in [*VALUES[column][1], None]:
        for kind in COMPARISONS:
            agrees(con, kind(column, scalar(column, value)))
            agrees(con, f.Not(kind(column, scalar(column, value))))
    agrees(con, f.IsNull(column))
    agrees(con, f.Not(f.IsNotNull(column)))
    values = VALUES[column][1]
    agrees(con, f.In(column, [scalar(column, v) for v in values[1:]]))
    agrees(con, f.Not(f.In(column, [scalar(column, v) for v in values[:2]])))
    agrees(con, f.In(column, [scalar(column, values[0]), scalar(column, None)]))
    agrees(con, f.Not(f.In(column, [scalar(column, values[0]), scalar(column, None)])))


@pytest.mark.parametrize("column", ["s", "ls", "d"])
@pytest.mark.parametrize("kind", STRINGS)
def test_parts_of_text_are_duckdbs(con, column, kind):
    for value in VALUES[column][1]:
        agrees(con, kind(column, value))
        agrees(con, f.Not(kind(column, value)))


@pytest.mark.parametrize(
    ("column", "value"),
    [("i8", 300), ("i8", -300), ("u8", -1), ("i64", 2**63), ("i32", 2**40), ("u64", -1), ("i64", -(2**63))],
)
def test_numbers_beyond_a_columns_range_are_compared_as_numbers(con, column, value):
    for kind in COMPARISONS:
        agrees(con, kind(column, value))
        agrees(con, f.Not(kind(column, value)))
    agrees(con, f.In(column, [value, 1]))


def leaves() -> st.SearchStrategy[f.Filter]:
    def comparison(column: str) -> st.SearchStrategy[f.Filter]:
        value = st.sampled_from([*VALUES[column][1], None]).map(lambda v: scalar(column, v))
        options = [
            st.builds(lambda kind, v: kind(column, v), st.sampled_from(COMPARISONS), value),
            st.builds(lambda vs: f.In(column, vs), st.lists(value, min_size=1, max_size=4)),
            st.sampled_from([f.IsNull(column), f.IsNotNull(column)]),
        ]
        if column in ("s", "ls", "d"):
            options.append(
                st.builds(lambda kind, v: kind(column, v), st.sampled_from(STRINGS), st.sampled_from(VALUES[column][1]))
            )
        return st.one_of(options)

    return st.sampled_from(sorted(VALUES)).flatmap(comparison)


trees = st.recursive(
    leaves(),
    lambda children: st.one_of(
        st.builds(f.Not, children),
        st.lists(children, min_size=1, max_size=3).map(lambda cs: f.And(*cs)),
        st.lists(children, min_size=1, max_size=3).map(lambda cs: f.Or(*cs)),
    ),
    max_leaves=8,
)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(filter=trees)
def test_trees_are_duckdbs(con, filter):
    agrees(con, filter)


@pytest.mark.parametrize("of", ["plain", "nested"])
def test_rows_with_views_are_picked_though_arrow_has_no_kernel(of):
    views = pa.array(["a", None, "longer than twelve bytes", "d"]).cast(pa.string_view())
    column = views if of == "plain" else pa.ListArray.from_arrays([0, 1, 2, 3, 4], views)
    rows = pa.table({"v": column, "x": [1, 2, None, 4]})
    assert filter_table([f.GreaterThan("x", 1)], rows).to_pylist() == [rows.to_pylist()[i] for i in (1, 3)]
    (batch,) = rows.to_batches()
    assert filter_table([f.IsNull("x")], batch).to_pylist() == [rows.to_pylist()[2]]
    assert filter_table([f.EqualTo("x", 9)], batch).num_rows == 0
    if of == "plain":
        assert filter_table([f.EqualTo("v", "d")], rows)["x"].to_pylist() == [4]


# ---- what can't be said ----


@pytest.mark.parametrize(
    "filter",
    [
        f.EqualTo("nowhere", 1),
        f.EqualTo("twice", 1),
        f.EqualTo("list", 1),
        f.EqualTo("s", 1),
        f.EqualTo("n", "a"),
        f.EqualTo("naive", NOON.replace(tzinfo=UTC)),
    ],
)
def test_what_arrow_cant_say_is_said_so(filter):
    schema = pa.schema(
        [
            *[("twice", pa.int64()), ("twice", pa.int64()), ("list", pa.list_(pa.int64())), ("s", pa.string())],
            *[("n", pa.int64()), ("naive", pa.timestamp("us"))],
        ]
    )
    assert filter.to_arrow(schema) == f.Translated(None, Exactness.NO)
    both = f.And(filter, f.IsNull("s")).to_arrow(schema)
    assert both.exactness is Exactness.SUPERSET
    assert both.expression.equals(f.IsNull("s").to_arrow(schema).expression)
    for spoilt in (f.Or(filter, f.IsNull("s")), f.Not(filter), f.Not(f.And(filter, f.IsNull("s")))):
        assert spoilt.to_arrow(schema).exactness is Exactness.NO
    with pytest.raises(BasculeError, match="can't filter rows by"):
        filter_table([filter], schema.empty_table())
