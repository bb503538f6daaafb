"""Partitions are dropped by their bounds only where no row can satisfy the predicate."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bascule import filters as f
from bascule.filters._bounds import may_match, pins
from filters.sql_reference import evaluate
from filters.values import COMPARISONS

UTC = datetime.UTC
NAN = float("nan")


@pytest.mark.parametrize(
    ("filter", "ends", "may"),
    [
        (f.EqualTo("n", 5), (1, 4), False),
        (f.EqualTo("n", 5), (1, 5), True),
        (f.EqualTo("n", 5), (6, None), False),
        (f.EqualTo("n", 5), (None, None), True),
        (f.EqualNullSafe("n", 5), (1, 4), False),
        (f.EqualNullSafe("n", None), (1, 4), True),  # bounds say nothing of NULLs
        (f.EqualTo("n", None), (1, 4), False),
        (f.GreaterThan("n", 4), (1, 4), False),
        (f.GreaterThanOrEqual("n", 4), (1, 4), True),
        (f.LessThan("n", 1), (1, 4), False),
        (f.LessThanOrEqual("n", 1), (1, 4), True),
        (f.In("n", [0, 5]), (1, 4), False),
        (f.In("n", [0, 3]), (1, 4), True),
        (f.Not(f.EqualTo("n", 5)), (5, 5), True),  # equal ends say not that all are equal to a literal...
        (f.Not(f.LessThan("n", 5)), (1, 4), False),
        (f.Not(f.GreaterThanOrEqual("n", 1)), (1, 4), False),
        (f.IsNull("n"), (1, 4), True),
        (f.Not(f.IsNotNull("n")), (1, 4), True),
        (f.And(f.GreaterThan("n", 0), f.EqualTo("n", 9)), (1, 4), False),
        (f.Or(f.GreaterThan("n", 0), f.EqualTo("n", 9)), (1, 4), True),
        (f.Or(f.GreaterThan("n", 8), f.EqualTo("n", 9)), (1, 4), False),
        (f.EqualTo("other", 9), (1, 4), True),
        # Numbers of every kind compare with each other.
        (f.GreaterThan("n", Decimal("4.5")), (1, 4), False),
        (f.EqualTo("n", 4.5), (Decimal("4.5"), 9), True),
        # NaN is the greatest, and may be in any column of floats.
        (f.GreaterThan("n", 5.0), (1.0, 4.0), True),
        (f.EqualTo("n", NAN), (1.0, 4.0), True),
        (f.EqualTo("n", 5.0), (1.0, 4.0), False),
        (f.LessThan("n", 1.0), (1.0, 4.0), False),
        (f.LessThan("n", NAN), (1.0, 4.0), True),
        (f.GreaterThan("n", NAN), (1.0, 4.0), False),
        (f.Not(f.LessThan("n", 5.0)), (1.0, 4.0), True),
        (f.Not(f.GreaterThan("n", 0.0)), (1.0, 4.0), False),
        (f.EqualTo("n", 0.0), (-0.0, -0.0), True),
        # Text, by its UTF-8 bytes.
        (f.EqualTo("n", "z"), ("a", "y"), False),
        (f.EqualTo("n", "é"), ("a", "z"), False),
        (f.EqualTo("n", "\U0001f600"), ("a", "\uffff"), False),
        (f.StringStartsWith("n", "b"), ("ba", "bz"), True),
        (f.StringStartsWith("n", "b"), ("c", "d"), False),
        (f.StringStartsWith("n", "b"), ("a", "az"), False),
        (f.StringStartsWith("n", "b"), ("a", "b"), True),
        (f.StringContains("n", "b"), ("c", "d"), True),
        # Times.
        (f.EqualTo("n", datetime.date(2026, 1, 5)), (datetime.date(2026, 1, 1), datetime.date(2026, 1, 4)), False),
        (f.EqualTo("n", datetime.date(2026, 1, 5)), (datetime.datetime(2026, 1, 1), None), True),
        (f.EqualTo("n", datetime.datetime(2026, 1, 5)), (datetime.datetime(2026, 2, 1, tzinfo=UTC), None), True),
        (f.EqualTo("n", datetime.datetime(2026, 1, 5, tzinfo=UTC)), (datetime.datetime(2026, 2, 1, tzinfo=UTC), None), False),
        (f.EqualTo("n", pa.scalar(1, pa.timestamp("ns"))), (datetime.datetime(2026, 2, 1), None), True),
        (f.EqualTo("n", 5), (pa.scalar(6, pa.int8()), pa.scalar(None, pa.int8())), False),
        # Kinds that don't compare prune nothing.
        (f.EqualTo("n", 5), ("a", "b"), True),
        (f.EqualTo("n", True), (0, 0), True),
        (f.EqualTo("n", 5), (object(), object()), True),
    ],
)  # fmt: skip
def test_partition_may_match(filter: f.Filter, ends: tuple[Any, Any], may: bool) -> None:
    assert may_match(filter, {"n": ends}) is may


def test_bounds_that_are_no_pair_are_refused():
    with pytest.raises(ValueError, match="the bounds of 'n' are 5, expected a pair"):
        may_match(f.EqualTo("n", 5), {"n": 5})


# ---- never a row too few ----

numbers = st.sampled_from([-math.inf, -1.5, -0.0, 0.0, 1.0, 1.5, 2.0, math.inf, NAN])
maybe = st.one_of(st.none(), numbers)
leaves = st.one_of(
    st.builds(lambda kind, v: kind("n", pa.scalar(v, pa.float64())), st.sampled_from(COMPARISONS), maybe),
    st.builds(lambda vs: f.In("n", [pa.scalar(v, pa.float64()) for v in vs]), st.lists(maybe, min_size=1, max_size=3)),
    st.just(f.IsNull("n")),
    st.just(f.IsNotNull("n")),
)
trees = st.recursive(
    leaves,
    lambda children: st.one_of(
        st.builds(f.Not, children), st.builds(f.And, children, children), st.builds(f.Or, children, children)
    ),
    max_leaves=6,
)


@settings(max_examples=1500, deadline=None)
@given(trees, st.lists(maybe, min_size=1, max_size=4))
def test_partition_with_a_true_row_is_kept(filter: f.Filter, rows: list[float | None]) -> None:
    plain = [v for v in rows if v is not None and not math.isnan(v)]
    ends = (min(plain), max(plain)) if plain else (None, None)
    if any(evaluate(filter, {"n": value}) is True for value in rows):
        assert may_match(filter, {"n": ends})


# ---- required filters ----


@pytest.mark.parametrize(
    ("filter", "does"),
    [
        (f.EqualTo("day", 1), True),
        (f.EqualNullSafe("day", 1), True),
        (f.In("day", [1, 2]), True),
        (f.LessThan("day", 1), True),
        (f.IsNull("day"), True),
        (f.StringStartsWith("day", "2026"), True),
        (f.EqualTo("id", 1), False),
        (f.IsNotNull("day"), False),
        (f.Not(f.EqualTo("day", 1)), False),
        (f.StringContains("day", "1"), False),
        (f.And(f.EqualTo("id", 1), f.EqualTo("day", 1)), True),
        (f.Or(f.EqualTo("day", 2), f.EqualTo("day", 1)), True),
        (f.Or(f.EqualTo("id", 2), f.EqualTo("day", 1)), False),
    ],
)
def test_predicate_restricts_a_column(filter: f.Filter, does: bool) -> None:
    assert pins(filter, "day") is does
