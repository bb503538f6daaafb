"""Predicates made by hypothesis, and what DuckDB and Arrow say of them for each row: True, False or None."""

from __future__ import annotations

import datetime
import decimal
from itertools import count

import duckdb
import pyarrow as pa
import pyarrow.acero
from hypothesis import strategies as st

from bascule import filters as fl

NAN, INF = float("nan"), float("inf")
D = decimal.Decimal
OPERATORS = {
    fl.EqualTo: "=",
    fl.EqualNullSafe: "IS NOT DISTINCT FROM",
    fl.GreaterThan: ">",
    fl.GreaterThanOrEqual: ">=",
    fl.LessThan: "<",
    fl.LessThanOrEqual: "<=",
}
STRINGS = {fl.StringStartsWith: "starts_with", fl.StringEndsWith: "ends_with", fl.StringContains: "contains"}
FLOATS = [0.0, -0.0, NAN, INF, -INF, 0.1, 0.5, 1.0, -1.0, 2.5, 127.0, 300.0, 16777216.0, 9007199254740992.0, 1e300]
SINGLES = [0.0, -0.0, NAN, INF, -INF, 0.10000000149011612, 0.5, 1.0, -1.0, 2.5, 16777216.0, 3.4028234663852886e38]
TEXTS = ["", "a", "ab", "b", "A", "é", "z", "\ue000", "\U0001f600", "a%", "_", "it's", "ba"]
DAYS = [datetime.date(1970, 1, 1), datetime.date(2026, 1, 31), datetime.date(2026, 2, 1), datetime.date(1969, 12, 31)]
MOMENTS = [datetime.datetime.combine(day, datetime.time()) for day in DAYS] + [
    datetime.datetime(2026, 1, 31, 12, 0, 0, 1000),
    datetime.datetime(2026, 1, 31, 12, 0, 1),
    datetime.datetime(1969, 12, 31, 23, 59, 59, 999999),
]


def ints(bits: int, signed: bool) -> list[int]:
    low = -(2 ** (bits - 1)) if signed else 0
    high = low + 2**bits - 1
    return sorted({low, low + 1, high, high - 1, 0, 1, 2, 5, min(high, 2**53 + 1), min(high, 2**24 + 1)})


def moments(type_: pa.DataType) -> list[pa.Scalar]:
    zone = datetime.UTC if type_.tz else None
    unit = {"s": 1000000, "ms": 1000, "us": 1, "ns": 1}[type_.unit]
    floored = [
        (m - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1) // unit * unit for m in MOMENTS
    ]
    epoch = datetime.datetime(1970, 1, 1, tzinfo=zone)
    return [pa.scalar(epoch + datetime.timedelta(microseconds=m), type_) for m in floored]


def scalars(values: list[object], type_: pa.DataType) -> list[pa.Scalar]:
    return [pa.scalar(value, type_) for value in values]


NUMBERS = {
    **{t: scalars(ints(t.bit_width, pa.types.is_signed_integer(t)), t)
       for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    pa.float32(): scalars(SINGLES, pa.float32()),
    pa.float64(): scalars(FLOATS, pa.float64()),
    pa.decimal128(5, 2): scalars([D("0.00"), D("1.00"), D("2.50"), D("-999.99"), D("999.99"), D("0.10")], pa.decimal128(5, 2)),
    pa.decimal128(20, 3): scalars([D("0"), D("2.500"), D("0.1"), D("9007199254740993.001"), D("-1")], pa.decimal128(20, 3)),
    pa.decimal64(7, 3): scalars([D("0"), D("2.500"), D("0.1"), D("-9999.999")], pa.decimal64(7, 3)),
    pa.decimal128(3, 0): scalars([D(0), D(1), D(-1), D(127), D(300)], pa.decimal128(3, 0)),
}  # fmt: skip
CALENDAR = {
    pa.date32(): scalars(DAYS, pa.date32()),
    pa.date64(): scalars(DAYS, pa.date64()),
    **{t: moments(t) for t in map(pa.timestamp, ("s", "ms", "us", "ns"))},
}
INSTANTS = {t: moments(t) for t in (pa.timestamp("s", "UTC"), pa.timestamp("us", "Europe/Berlin"))}
TIMES = {
    pa.time32("s"): scalars([0, 1, 86399], pa.time32("s")),
    pa.time32("ms"): scalars([0, 1, 1000, 86399999], pa.time32("ms")),
    pa.time64("us"): scalars([0, 1, 10**6, 86399999999], pa.time64("us")),
}
DURATIONS = {
    pa.duration("s"): scalars([0, 1, -1, 86400 * 31], pa.duration("s")),
    pa.duration("ms"): scalars([0, 1, -1, 1000], pa.duration("ms")),
    pa.duration("us"): scalars([0, 1, -1, 10**6], pa.duration("us")),
}
TEXT = {t: scalars(TEXTS, t) for t in (pa.string(), pa.large_string(), pa.string_view())}
BYTES = {
    **{t: scalars([b"", b"\x00", b"a", b"ab", b"\xff"], t) for t in (pa.binary(), pa.large_binary(), pa.binary_view())},
    pa.binary(2): scalars([b"\x00\x00", b"ab", b"\xff\x00"], pa.binary(2)),
}
BOOLS = {pa.bool_(): scalars([True, False], pa.bool_())}
FAMILIES = {
    "numbers": NUMBERS, "calendar": CALENDAR, "instants": INSTANTS, "times": TIMES, "durations": DURATIONS,
    "text": TEXT, "bytes": BYTES, "bools": BOOLS,
}  # fmt: skip


def column(type_: pa.DataType, family: dict[pa.DataType, list[pa.Scalar]]) -> pa.Array:
    """Each interesting value of a type, and NULL."""
    return pa.array([*family[type_], pa.scalar(None, type_)], type_)


@st.composite
def leaves(draw: st.DrawFn, name: str, family: dict[pa.DataType, list[pa.Scalar]]) -> fl.Filter:
    values = st.sampled_from([scalar for each in family.values() for scalar in each]) | st.sampled_from(
        [pa.scalar(None, type_) for type_ in family]
    )
    if family is TEXT and draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from(list(STRINGS)))(name, draw(st.sampled_from(TEXTS)))
    choice = draw(st.integers(0, 9))
    if choice == 0:
        return draw(st.sampled_from([fl.IsNull, fl.IsNotNull]))(name)
    if choice < 3:
        return fl.In(name, draw(st.lists(values, max_size=9)))
    return draw(st.sampled_from(list(OPERATORS)))(name, draw(values))


def trees(leaf: st.SearchStrategy[fl.Filter]) -> st.SearchStrategy[fl.Filter]:
    return st.recursive(
        leaf,
        lambda child: (
            st.builds(fl.Not, child)
            | st.lists(child, min_size=1, max_size=3).map(lambda each: fl.And(*each))
            | st.lists(child, min_size=1, max_size=3).map(lambda each: fl.Or(*each))
        ),
        max_leaves=5,
    )


def in_duckdb(con: duckdb.DuckDBPyConnection, filter: fl.Filter, table: pa.Table) -> list[bool | None]:
    """What DuckDB says of each row. Literals are columns of their own: no text of a value is involved."""
    literals: dict[str, pa.Scalar] = {}
    numbers = count()

    def said(scalar: pa.Scalar) -> str:
        literals[name := f"l{next(numbers)}"] = scalar
        return name

    def sql(node: fl.Filter) -> str:
        if isinstance(node, fl.Not):
            return f"(NOT {sql(node.child)})"
        if isinstance(node, (fl.And, fl.Or)):
            return "(" + (" AND " if isinstance(node, fl.And) else " OR ").join(map(sql, node.children)) + ")"
        if isinstance(node, fl.IsNull):
            return f"({node.column} IS NULL)"
        if isinstance(node, fl.IsNotNull):
            return f"({node.column} IS NOT NULL)"
        if isinstance(node, fl.StringPredicate):
            return f"{STRINGS[type(node)]}({node.column}, {said(pa.scalar(node.value))})"
        if isinstance(node, fl.In):
            if not node.literals:
                return f"({node.column} <> {node.column})"
            # One by one: an IN over several types casts all to one of them first.
            return "(" + " OR ".join(f"{node.column} = {said(scalar)}" for scalar in node.literals) + ")"
        assert isinstance(node, fl.Comparison)
        return f"({node.column} {OPERATORS[type(node)]} {said(node.literal)})"

    text = sql(filter)
    rows = table.append_column("row_", pa.array(range(len(table))))
    constants = pa.table({"none_": [0], **{name: pa.array([s], s.type) for name, s in literals.items()}})
    con.register("rows_", rows)
    con.register("constants_", constants)
    return [row[0] for row in con.execute(f"SELECT {text} FROM rows_, constants_ ORDER BY row_").fetchall()]


def in_arrow(expression: pa.compute.Expression, table: pa.Table) -> list[bool | None]:
    declaration = pa.acero.Declaration.from_sequence(
        [
            pa.acero.Declaration("table_source", pa.acero.TableSourceNodeOptions(table)),
            pa.acero.Declaration("project", pa.acero.ProjectNodeOptions([expression], ["said"])),
        ]
    )
    return declaration.to_table(use_threads=False)["said"].to_pylist()
