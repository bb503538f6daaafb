"""Waits in slices, so that a cancel or an interrupt reaches a thread that waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Rate", "interruptible", "pause"]

T = TypeVar("T")

_SLICE_S = 0.05


def pause(seconds: float) -> None:
    """Sleeps."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _SLICE_S))


def interruptible(work: Callable[[], T]) -> T:
    """What ``work`` returns or raises. A socket is waited for in C, where nothing of Python runs: so on a thread of its
    own, which an interrupt leaves to its time-out.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as e:
            failure.append(e)
        finally:
            done.set()

    threading.Thread(target=run, name="bascule-rest", daemon=True).start()
    while not done.wait(_SLICE_S):
        pass
    if failure:
        raise failure[0]
    return outcome[0]


class Rate:
    """So many requests a second at most, of all threads together; none while the server wants a pause.

    Args:
        per_second: None: any number.
    """

    def __init__(self, per_second: float | None) -> None:
        self._gap_s = 1 / per_second if per_second else 0.0
        self._lock = threading.Lock()
        self._next = 0.0  # when the next request may go; guarded by it

    def wait(self) -> None:
        """Until it is this thread's turn."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap_s
        pause(turn - now)

    def hold(self, seconds: float) -> None:
        """Lets nobody go for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
