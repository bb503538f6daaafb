"""What a query asks of a class, and which of it a class takes: columns, filters, limit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bascule.errors import ContractError

if TYPE_CHECKING:
    from bascule.filters import Filter

__all__ = ["Hints", "may_hold", "missing_filters", "rows_of", "takes"]

#: The keywords that a method may have; plan_partitions of a class that can be read as a stream those of OFFSETS too.
KEYWORDS = ("columns", "filters", "limit")
OFFSETS = ("start", "end")
#: And any plan_partitions this one.
PORTABLE = "portable"

#: What is shown of a query's predicates, in characters.
_TEXT_MAX = 4096
_NO_FILTERS = b"\0\0\0\0"


@dataclass(frozen=True)
class Hints:
    """What one query asks for.

    Args:
        columns: the names of those that it reads, in its order; None: all.
        data: its predicates, as the core writes them.
        limit: how many rows it wants at most, of those for which they are true.
        start, end: offsets of the micro-batch that it is, as JSON; "": it is none.
        portable: partitions are read elsewhere, by their specs, when the plan may be gone.
    """

    columns: tuple[str, ...] | None = None
    data: bytes = _NO_FILTERS
    limit: int | None = None
    start: str = ""
    end: str = ""
    portable: bool = False

    @cached_property
    def filters(self) -> tuple[Filter, ...]:
        """Its predicates, joined by AND."""
        if self.data in (b"", _NO_FILTERS):
            return ()
        from bascule.filters import _wire

        return _wire.load(self.data)

    def text(self) -> str:
        """Its predicates for people, as SQL; "" for none."""
        from bascule.filters import And

        text = repr(And(*self.filters)) if self.filters else ""
        return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 4]} ..."

    def of(self, keywords: Iterable[str]) -> dict[str, Any]:
        """The arguments for a method that takes ``keywords``."""
        more: dict[str, Any] = {}
        for keyword in keywords:
            if keyword == "columns":
                more[keyword] = None if self.columns is None else list(self.columns)
            elif keyword in OFFSETS:
                import json  # later: every worker starts with this module

                text = getattr(self, keyword)
                more[keyword] = json.loads(text) if text else None
            else:
                more[keyword] = getattr(self, keyword)
        return more


def takes(method: Callable[..., Any], keywords: Sequence[str] = KEYWORDS) -> tuple[str, ...]:
    """Which of the keywords a method has."""
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):
        return ()
    for keyword in keywords:
        parameter = parameters.get(keyword)
        if parameter is not None and parameter.kind is not parameter.KEYWORD_ONLY:
            raise ContractError(
                f"takes {keyword} in {method.__name__}, but not by keyword alone: write `*, {keyword}=None` behind the other "
                "parameters"
            )
    return tuple(keyword for keyword in keywords if keyword in parameters)


# ---- what a partition spec says of its rows ----


def rows_of(spec: dict[str, Any], i: int) -> int:
    """Its exact number of rows; -1: it doesn't say."""
    rows = spec.get("bascule_rows")
    if rows is None:
        return -1
    if isinstance(rows, bool) or not isinstance(rows, int) or not 0 <= rows < 2**63:
        raise ContractError(
            f"returned a list whose item {i} has bascule_rows = {rows!r}, which is no number of rows: the exact number, or "
            "leave it out"
        )
    return rows


def may_hold(spec: dict[str, Any], i: int, filters: Sequence[Filter]) -> bool:
    """May a partition have a row that the query wants?"""
    bounds = spec.get("bascule_bounds")
    if bounds is None:
        return True
    if not isinstance(bounds, dict):
        raise ContractError(
            f"returned a list whose item {i} has bascule_bounds = {bounds!r:.100}, which is no dict of column: (min, max)"
        )
    if not filters:
        return True
    from bascule.filters import _bounds

    try:
        return all(_bounds.may_match(filter, bounds) for filter in filters)
    except (TypeError, ValueError) as e:
        raise ContractError(f"returned a list whose item {i} has bascule_bounds that can't be used: {e}") from None


# ---- required_filters ----


def missing_filters(required: Any, filters: Sequence[Filter]) -> str | None:
    """Why a query does not restrict what ``required_filters`` demands; None: it does."""
    if not isinstance(required, (list, tuple)) or not all(
        isinstance(columns, (list, tuple)) and columns and all(isinstance(c, str) for c in columns)
        for columns in required
    ):
        raise ContractError("has required_filters that are no list of lists of column names, as [['day'], ['id']]")
    if not required:
        return None
    if filters:
        from bascule.filters import _bounds

        if any(all(any(_bounds.pins(f, column) for f in filters) for column in columns) for columns in required):
            return None
    wanted = "; or ".join(" and ".join(columns) for columns in required)
    asked = " AND ".join(map(repr, filters)) or "nothing that reached the source"
    return (
        f"is read only by queries that restrict {wanted} (required_filters), and this one restricts {asked:.500}. Compare "
        "these columns with constants in WHERE: =, IN, <, <=, >, >=, BETWEEN"
    )
