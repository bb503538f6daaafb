"""What classes said of their sources, kept for a while where ``bascule_cache_ttl`` allows it: schema, statistics, and the
partitions of a request where the class has ``cache_partitions``.

One cache for the process that runs the classes: this one, or each worker. Entries are of a class *object*, as it was,
and its options; the host counts how often it was told to forget (``bascule.clear_cache``).
"""

from __future__ import annotations

import threading
import time
from typing import Any

from bascule._identity import marks_of, same_marks

__all__ = ["Entry", "entry"]

#: Entries that are kept; the oldest go first. So do the plans of one.
_MOST = 256
_MOST_PLANS = 64


class Entry:
    """What is known of one source: what ``known`` and ``plans`` have no key of is not known yet."""

    def __init__(self, cls: type, ttl: float) -> None:
        self.cls = cls
        self.marks = marks_of(cls)
        self.until = time.monotonic() + ttl
        self.known: dict[str, Any] = {}
        self.plans: dict[Any, Any] = {}

    def is_valid(self, cls: type) -> bool:
        return self.cls is cls and time.monotonic() < self.until and same_marks(self.marks, marks_of(cls))

    def keep_plan(self, request: Any, plan: Any) -> None:
        with _lock:
            self.plans[request] = plan
            while len(self.plans) > _MOST_PLANS:
                del self.plans[next(iter(self.plans))]


_lock = threading.RLock()
_entries: dict[Any, Entry] = {}
_epoch = 0


def entry(cls: type, options: tuple[tuple[str, str], ...], evolve: bool, ttl: float, epoch: int) -> Entry | None:
    """The entry of a source, for ``ttl`` seconds from its making; None where nothing may be kept."""
    global _epoch
    with _lock:
        if epoch != _epoch:
            _entries.clear()
            _epoch = epoch
        if ttl <= 0:
            return None
        key = (id(cls), options, evolve)
        found = _entries.get(key)
        if found is None or not found.is_valid(cls):
            _entries.pop(key, None)
            found = _entries[key] = Entry(cls, ttl)
            while len(_entries) > _MOST:
                del _entries[next(iter(_entries))]
        return found
