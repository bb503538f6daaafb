"""Waits on a thread of its own, for sources whose libraries wait in C, where no interrupt arrives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["SLICE_S", "interruptible"]

T = TypeVar("T")

#: How long is waited at a time.
SLICE_S = 0.05


def interruptible(
    work: Callable[[], T], name: str, cancel: Callable[[], object] | None = None, end_s: float = 0.0
) -> T:
    """What ``work`` returns or raises; interrupted, it is left to itself.

    Args:
        name: of the thread.
        cancel: ends it, on another thread; it is waited for ``end_s`` then.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as e:
            failure.append(e)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(SLICE_S)
    except BaseException:
        if cancel is not None:
            threading.Thread(target=cancel, name=f"{name}-cancel", daemon=True).start()
            thread.join(end_s)
        raise
    if failure:
        raise failure[0]
    return outcome[0]
