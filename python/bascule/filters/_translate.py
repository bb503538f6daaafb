"""What a translation keeps of a predicate, per node: decided here for all translations.

A hint must select a superset of the true rows. So a node that can't be said is left out of an AND, spoils an OR, and
a node that is only a superset can't be negated: what NOT makes of it would be a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, TypeVar

from bascule.filters._tree import And, Filter, Not, Or

__all__ = ["NO", "Exactness", "Translated", "translate"]

T = TypeVar("T")


class Exactness(IntEnum):
    """How a translation's result relates to the predicate."""

    NO = 0
    """It can't be translated."""
    SUPERSET = 1
    """It is true for every row that the predicate is true for, and perhaps for others."""
    EXACT = 2
    """It is true, false and NULL for the same rows."""


@dataclass(frozen=True)
class Translated(Generic[T]):
    """A predicate in another form.

    Args:
        expression: None where ``exactness`` is NO.
        exactness: of the whole.
    """

    expression: T | None
    exactness: Exactness


NO: Translated[Any] = Translated(None, Exactness.NO)
"""What can't be translated."""


def translate(
    filter: Filter,
    leaf: Callable[[Filter], Translated[T]],
    conjunction: Callable[[Sequence[T]], T],
    disjunction: Callable[[Sequence[T]], T],
    negation: Callable[[T], T],
) -> Translated[T]:
    """``filter`` in another form, as exactly as its parts can be said.

    Args:
        leaf: translates what is no And, Or or Not.
        conjunction: joins two expressions or more; so does disjunction.
        negation: negates one that is exact.
    """

    def go(node: Filter) -> Translated[T]:
        if isinstance(node, Not):
            child = go(node.child)
            if child.exactness is not Exactness.EXACT or child.expression is None:
                return NO
            return Translated(negation(child.expression), Exactness.EXACT)
        if not isinstance(node, (And, Or)):
            return leaf(node)
        children = [go(child) for child in node.children]
        said = [child.expression for child in children if child.expression is not None]
        worst = min(child.exactness for child in children)
        if isinstance(node, Or):
            if worst is Exactness.NO:
                return NO
            return Translated(said[0] if len(said) == 1 else disjunction(said), worst)
        if not said:
            return NO
        exactness = max(worst, Exactness.SUPERSET)
        return Translated(said[0] if len(said) == 1 else conjunction(said), exactness)

    return go(filter)
