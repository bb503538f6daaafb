"""Predicates as a source meets them, and as other forms: Arrow expressions, SQL.

A class whose ``plan_partitions`` or ``read_partition`` takes a keyword ``filters`` gets a tuple of these, joined by AND.
They are hints: what it returns must hold every row for which they are all true, and may hold others.

    >>> from bascule import filters
    >>> filters.And(filters.EqualTo("region", "eu"), filters.Not(filters.IsNull("day")))
    region = 'eu' AND NOT (day IS NULL)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bascule.filters._bounds import may_match, pins
from bascule.filters._translate import Exactness, Translated
from bascule.filters._tree import (
    And,
    Comparison,
    EqualNullSafe,
    EqualTo,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNotNull,
    IsNull,
    LessThan,
    LessThanOrEqual,
    Not,
    Or,
    StringContains,
    StringEndsWith,
    StringPredicate,
    StringStartsWith,
)

if TYPE_CHECKING:
    from bascule.filters._apply import filter_table
    from bascule.filters._arrow import to_arrow
    from bascule.filters._from_arrow import from_arrow

__all__ = [
    "And",
    "Comparison",
    "EqualNullSafe",
    "EqualTo",
    "Exactness",
    "Filter",
    "GreaterThan",
    "GreaterThanOrEqual",
    "In",
    "IsNotNull",
    "IsNull",
    "LessThan",
    "LessThanOrEqual",
    "Not",
    "Or",
    "StringContains",
    "StringEndsWith",
    "StringPredicate",
    "StringStartsWith",
    "Translated",
    "filter_table",
    "from_arrow",
    "may_match",
    "pins",
    "to_arrow",
]

# These need pyarrow.compute, which takes longer to import than all the rest.
_LATER = {"filter_table": "_apply", "from_arrow": "_from_arrow", "to_arrow": "_arrow"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
