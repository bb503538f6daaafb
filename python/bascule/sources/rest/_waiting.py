"""Waits in slices, so that a cancel or an interrupt reaches a thread that waits."""

from __future__ import annotations

import threading
import time

from bascule.sources._waiting import SLICE_S

__all__ = ["Rate", "pause"]


def pause(seconds: float) -> None:
    """Sleeps."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, SLICE_S))


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
