"""What a partition's bounds say of a predicate, and which columns a predicate restricts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bascule.filters._tree import Filter

__all__ = ["may_match", "pins"]


def may_match(filter: Filter, bounds: Mapping[str, Any]) -> bool:
    """May a row within the bounds satisfy the predicate?"""
    del filter, bounds
    return True


def pins(filter: Filter, column: str) -> bool:
    """Does the predicate restrict the column?"""
    return column in filter.columns
