"""Predicates as a source meets them, and as other forms: Arrow expressions, SQL.

A class whose ``plan_partitions`` or ``read_partition`` takes a keyword ``filters`` gets a tuple of these, joined by AND.
They are hints: what it returns must hold every row for which they are all true, and may hold others.

    >>> from bascule import filters
    >>> filters.And(filters.EqualTo("region", "eu"), filters.Not(filters.IsNull("day")))
    region = 'eu' AND NOT (day IS NULL)
"""

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
]
