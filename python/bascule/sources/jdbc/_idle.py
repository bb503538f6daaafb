"""A connection between two statements: opening one takes longer than most small questions."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["Idle"]

#: Connections of a parent process: closing them here would end them there.
_of_parents: list[Any] = []


class Idle:
    """At most one connection that nobody uses, outside of a transaction. Any thread.

    Args:
        owner: when it is gone, the connection is closed.
    """

    def __init__(self, owner: object) -> None:
        self._lock = threading.Lock()
        # Guarded by it.
        self._kept: Any = None
        self._pid = os.getpid()
        self._closed = False
        weakref.finalize(owner, self.close)

    def take(self, is_well: Callable[[Any], object]) -> Any:
        """The connection, if there is one of this process that ``is_well`` doesn't raise for; else None."""
        with self._lock:
            kept, self._kept = self._kept, None
            foreign = self._pid != os.getpid()
            self._pid = os.getpid()
        if kept is None:
            return None
        if foreign:
            _of_parents.append(kept)
            return None
        try:
            is_well(kept)
        except Exception:
            _close(kept)
            return None
        return kept

    def give_back(self, connection: Any) -> None:
        """Keeps a connection, its transaction rolled back; closes it where one is kept, or that fails."""
        try:
            connection.rollback()
        except Exception:
            _close(connection)
            return
        with self._lock:
            keep = self._kept is None and not self._closed and self._pid == os.getpid()
            if keep:
                self._kept = connection
        if not keep:
            _close(connection)

    def close(self) -> None:
        """Closes it; what is given back later, too."""
        with self._lock:
            kept, self._kept = self._kept, None
            self._closed = True
            foreign = self._pid != os.getpid()
        if kept is not None:
            if foreign:
                _of_parents.append(kept)
            else:
                _close(kept)


def _close(connection: Any) -> None:
    with contextlib.suppress(Exception):
        connection.close()
