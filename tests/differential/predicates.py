"""Random predicates as ``bascule.filters`` trees over a table. They know no engine."""

from __future__ import annotations

from hypothesis import strategies as st

from bascule import filters as f
from differential.data import KINDS as KINDS_OF_DATA
from differential.data import TEXTS, Column

COMPARISONS = (f.EqualTo, f.EqualNullSafe, f.LessThan, f.LessThanOrEqual, f.GreaterThan, f.GreaterThanOrEqual)
STRINGS = (f.StringStartsWith, f.StringEndsWith, f.StringContains)
#: Every kind of node.
KINDS = (*COMPARISONS, *STRINGS, f.In, f.IsNull, f.IsNotNull, f.And, f.Or, f.Not)


def is_text(column: Column) -> bool:
    return KINDS_OF_DATA[column.type] is TEXTS


@st.composite
def parts(draw: st.DrawFn, column: Column) -> str:
    """What some value of a text column begins or ends with."""
    text = draw(st.sampled_from([value for value in column.pool if value is not None]))
    most = draw(st.sampled_from((1, 1, 2, 11, 40)))
    return text[:most] if draw(st.booleans()) else text[-most:]


@st.composite
def leaves(draw: st.DrawFn, columns: tuple[Column, ...]) -> f.Filter:
    """A node without children, about one of the columns."""
    column = draw(st.sampled_from(columns))
    literals = st.sampled_from(column.literals())
    kind = draw(st.sampled_from((*COMPARISONS, f.In, f.IsNull, f.IsNotNull, *(STRINGS * 3 if is_text(column) else ()))))
    if kind in STRINGS:
        return kind(column.name, draw(parts(column)))
    if kind is f.In:
        return f.In(column.name, draw(st.lists(literals, min_size=1, max_size=5)))
    return kind(column.name, draw(literals)) if kind in COMPARISONS else kind(column.name)


@st.composite
def trees(draw: st.DrawFn, columns: tuple[Column, ...], depth: int = 3) -> f.Filter:
    """A tree of at most ``depth`` levels above its leaves."""
    kind = draw(st.sampled_from((None, f.Not, f.And, f.Or))) if depth else None
    if kind is None:
        return draw(leaves(columns))
    if kind is f.Not:
        return f.Not(draw(trees(columns, depth - 1)))
    return kind(*draw(st.lists(trees(columns, depth - 1), min_size=1, max_size=3)))
