"""Values of each type, a table of them, and predicates of them at random: what translations to and from Arrow are tried with."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import strategies as st
from pyarrow import dataset

from bascule import filters as f

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


def evaluated(expression: pc.Expression) -> list[bool | None]:
    """What Arrow says of each row of TABLE."""
    return dataset.dataset(TABLE).to_table(columns={"x": expression})["x"].to_pylist()


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
