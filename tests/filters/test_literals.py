"""Literals that Python has no value of."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest

from bascule import filters as f
from bascule.filters import LessThan

TYPES = [pa.date32(), pa.date64(), *map(pa.timestamp, ("s", "ms", "us")), pa.timestamp("us", "UTC")]
MOST = {32: 2**31 - 1, 64: 2**63 - 1}


@pytest.mark.parametrize("type_", TYPES, ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_moment_beyond_pythons_years_is_shown_but_has_no_value(type_, sign):
    """DuckDB's infinities are such moments."""
    tick = 86_400_000 if type_ == pa.date64() else 1
    ticks = sign * (MOST[type_.bit_width] // tick) * tick
    literal = pa.array([ticks], pa.int32() if type_.bit_width == 32 else pa.int64()).view(type_)[0]
    predicate = LessThan("d", literal)
    assert " after 1970-01-01" in repr(predicate)
    assert predicate == LessThan("d", literal)
    with pytest.raises(ValueError, match="beyond Python's years: use the Arrow literal"):
        _ = predicate.value


def test_a_day_is_shown_as_a_date():
    assert repr(LessThan("d", pa.scalar(-1, pa.date32()))) == "d < DATE '1969-12-31'"
    assert repr(LessThan("d", pa.scalar(86_400_000, pa.date64()))) == "d < DATE '1970-01-02'"


@pytest.mark.parametrize(
    "filter",
    [
        f.And(f.EqualTo("a", 1), f.Or(f.Not(f.IsNull("b")), f.In("c", ["x", None]))),
        f.GreaterThan("t", pa.scalar(2**62, pa.timestamp("ns"))),
        f.StringStartsWith("s", "é"),
        f.EqualNullSafe("x", float("nan")),
    ],
    ids=repr,
)
def test_predicates_can_be_pickled(filter):
    again = pickle.loads(pickle.dumps(filter))
    assert again == filter
    assert hash(again) == hash(filter)
    assert repr(again) == repr(filter)
