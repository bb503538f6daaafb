"""Predicates as Arrow expressions say of each row what DuckDB says of it: true, false or NULL."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings

from bascule import BasculeError
from bascule import filters as f
from bascule.filters import Exactness, filter_table
from filters.values import COMPARISONS, NOON, STRINGS, TABLE, UTC, VALUES, evaluated, scalar, trees


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


def agrees(con: duckdb.DuckDBPyConnection, filter: f.Filter) -> None:
    expected = [row[0] for row in con.execute(f"SELECT {sql(filter)} FROM rows").fetchall()]
    said = filter.to_arrow(TABLE.schema)
    assert said.exactness is Exactness.EXACT, filter
    assert evaluated(said.expression) == expected, filter
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
