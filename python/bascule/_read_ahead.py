"""Partitions read by several threads, and handed over by one: bounded by bytes, in order or as they come."""

from __future__ import annotations

import atexit
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["read_ahead"]

#: How long the end of a read waits for threads that are within a class, which has been told to stop.
_JOIN_S = 5.0


def read_ahead(
    open_partition: Callable[[int], Iterator[Any]],
    n_partitions: int,
    *,
    threads: int,
    max_bytes: int,
    ordered: bool,
    cancel: Callable[[], None],
) -> Iterator[Any]:
    """The batches of all partitions.

    Args:
        open_partition: a partition's batches, which have ``nbytes``. Called and read on one of the threads.
        threads: how many read at a time.
        max_bytes: of batches that are read and not handed over; a thread that has one more waits with it. There are
            never more of them than were handed over, or than threads: who wants few gets few read.
        ordered: partition after partition.
        cancel: ends reads that are under way, once nobody wants them any more.

    What a partition raises is raised here, where its turn comes; nothing of it is lost before.
    """
    shared = _Shared(n_partitions, max_bytes, ordered, threads, cancel)
    workers = [
        threading.Thread(target=shared.work, args=(open_partition,), name=f"bascule-read-{i}", daemon=True)
        for i in range(min(threads, n_partitions))
    ]
    try:
        for worker in workers:
            try:
                worker.start()
            except RuntimeError:  # there can't be more of them
                if not shared.threads:
                    raise
                break
            shared.threads.append(worker)
        _running.add(shared)
        yield from shared.batches()
        shared.is_through = True
    finally:
        # Behind the interpreter's end a thread may have been stopped with the lock in its hands.
        if not sys.is_finalizing():
            shared.end()


#: Reads that aren't through, to be ended while the interpreter is whole.
_running: weakref.WeakSet[_Shared] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for shared in list(_running):
        shared.end()


class _Shared:
    def __init__(self, n: int, max_bytes: int, ordered: bool, threads: int, cancel: Callable[[], None]) -> None:
        self.threads: list[threading.Thread] = []
        self.is_through = False
        self._cancel = cancel
        self._n = n
        self._max_bytes = max_bytes
        self._ordered = ordered
        self._changed = threading.Condition()
        self._next = 0  # to be claimed
        self._turn = 0  # whose batches are handed over, in order
        self._least = threads
        self._bytes = self._waiting = self._handed = 0  # of batches that are read, how many there are; and were
        self._stopped = False
        #: Of each queue its batches, then None for its end, or what was raised. Out of order there is one queue.
        self._queues: dict[int, deque[Any]] = {}
        self._running = n

    # ---- the threads ----

    def work(self, open_partition: Callable[[int], Iterator[Any]]) -> None:
        while (i := self._claim()) is not None:
            try:
                for batch in open_partition(i):
                    if not self._put(i, batch):
                        return
            except BaseException as e:
                self._end(i, e)
            else:
                self._end(i, None)

    def _claim(self) -> int | None:
        with self._changed:
            if self._stopped or self._next == self._n:
                return None
            self._next += 1
            return self._next - 1

    def _put(self, i: int, batch: Any) -> bool:
        """False: nobody wants it any more."""
        with self._changed:
            while not self._stopped and self._is_enough(i):
                self._changed.wait()
            if self._stopped:
                return False
            self._bytes += batch.nbytes
            self._waiting += 1
            self._queue(i).append(batch)
            self._changed.notify_all()
            return True

    def _is_enough(self, i: int) -> bool:
        """Are there so many batches that one of partition ``i`` must wait? Not the one that all wait for."""
        if (not self._ordered or i == self._turn) and not self._queue(i):
            return False
        return self._bytes >= self._max_bytes or self._waiting >= max(self._least, self._handed)

    def _end(self, i: int, error: BaseException | None) -> None:
        with self._changed:
            self._queue(i).append(error)
            self._changed.notify_all()

    def _queue(self, i: int) -> deque[Any]:
        return self._queues.setdefault(i if self._ordered else 0, deque())

    # ---- who wants them ----

    def batches(self) -> Iterator[Any]:
        while self._running:
            with self._changed:
                while not (queue := self._queue(self._turn)):
                    if self._stopped:
                        return
                    self._changed.wait()
                item = queue.popleft()
                if item is None:
                    self._running -= 1
                    if self._ordered:
                        del self._queues[self._turn]
                        self._turn += 1
                elif not isinstance(item, BaseException):
                    self._bytes -= item.nbytes
                    self._waiting -= 1
                    self._handed += 1
                self._changed.notify_all()
            if isinstance(item, BaseException):
                raise item
            if item is not None:
                yield item

    def end(self) -> None:
        """Nobody wants more: the threads end, and are waited for."""
        _running.discard(self)
        with self._changed:
            self._stopped = True
            self._queues.clear()
            self._changed.notify_all()
        if not self.is_through:
            self._cancel()
        for thread in self.threads:
            thread.join(_JOIN_S)
