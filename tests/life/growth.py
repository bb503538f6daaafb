"""What a process held before and after repeats, and what of that grew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

GROWTH = 0.02
# Sharper than a share of the whole: per repeat. The smallest allocation is 32 bytes.
PER_REPEAT = {"malloc's bytes": 16, "Python's memory blocks": 0.1, "Python's objects": 0.05}


class Run(NamedTuple):
    """Both measurements, and how often it was repeated between them."""

    first: dict[str, int]
    last: dict[str, int]
    repeats: int


def grown(runs: Sequence[Run]) -> dict[str, list[str]]:
    """What grew by more than it may in each of the runs, with its figures. A leak goes on; what is only now and then met, as
    a worker that is killed at another moment, has its memory once.
    """
    found = [_grown(run) for run in runs]
    return {name: [one[name] for one in found] for name in found[0] if all(name in one for one in found)}


def _grown(run: Run) -> dict[str, str]:
    first, last, repeats = run
    assert first.keys() == last.keys()
    return {
        name: f"{first[name]:,} -> {last[name]:,}"
        for name in first
        if last[name] > first[name] * (1 + GROWTH)
        or last[name] - first[name] > PER_REPEAT.get(name, float("inf")) * repeats
    }
