"""Partitions read by several threads, and handed over by one: bounded by bytes, in order or as they come.

Waking a thread costs more than many a batch, so it is done seldom: one thread reads until whoever takes the batches has
waited for it a moment, then there are more; threads with nothing to do are woken once there is a good deal of room.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator
from typing import Any

__all__ = ["ReadAhead"]

#: How long the end of a read waits for its threads. Python code of a class that they are in was told to stop; a call into C
#: may take any time.
_JOIN_S = 3.0
#: How long is slept for a batch, at first and at most, before it is waited for.
_FIRST_NAP_S = 100e-6
_LONGEST_NAP_S = 800e-6


#: Reads that aren't through, to be ended while the interpreter is whole.
_running: weakref.WeakSet[ReadAhead] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for read in list(_running):
        read.end()


class ReadAhead:
    """The batches of all partitions, once.

    Args:
        open_partition: a partition's batches. Called and read on one of the threads.
        n: how many partitions there are.
        threads: how many read at a time, at most: the second begins once a batch was waited for.
        max_bytes: of batches that are read and not handed over; a thread that has one more waits with it. There are
            never more of them than were handed over, or than threads: who wants few gets few read.
        ordered: partition after partition.
        finish: ends reads that are under way, once nobody wants them any more; ``cancel``: after an error or an interrupt.
        size_of: a batch, in bytes.

    What a partition raises is raised where its turn comes; nothing of it is lost before.
    """

    def __init__(
        self,
        open_partition: Callable[[int], Iterator[Any]],
        n: int,
        *,
        threads: int,
        max_bytes: int,
        ordered: bool,
        finish: Callable[[], None],
        cancel: Callable[[], None],
        size_of: Callable[[Any], int],
    ) -> None:
        self.is_through = False
        #: Seconds for which batches were waited for by whoever takes them.
        self.starved = 0.0
        #: Seconds for which a partition's thread waited for its turn, while another's batches were taken.
        self.turns: defaultdict[int, float] = defaultdict(float)
        self._open_partition = open_partition
        self._finish = finish
        self._cancel = cancel
        self._size_of = size_of
        self._n = n
        self._max_bytes = max_bytes
        self._ordered = ordered
        self._max_threads = min(threads, n)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)  # there is what is waited for
        self._room = threading.Condition(self._lock)  # there may be more
        self._is_awaited = False
        self._n_idle = 0  # threads that have a batch too many
        self._next = 0  # to be claimed
        self._turn = 0  # whose batches are handed over, in order
        self._least = threads
        self._bytes = self._waiting = self._handed = 0  # of batches that are read, how many there are; and were
        self._stopped = False
        self._error: BaseException | None = None
        #: Of each queue its batches and their sizes, then None for its end, or what was raised. Out of order there is one
        #: queue.
        self._queues: dict[int, deque[Any]] = {}
        self._running = n

    def __iter__(self) -> Generator[Any, None, None]:
        try:
            _running.add(self)
            self._start()
            while self._running:
                item = self._take()
                if isinstance(item, BaseException):
                    try:
                        raise item
                    finally:
                        del item  # its traceback holds this frame: a circle, which would keep the source open
                if item is not None:
                    yield item[0]
            self.is_through = True
        except GeneratorExit:
            raise
        except BaseException:
            self._finish = self._cancel
            raise
        finally:
            # Behind the interpreter's end a thread may have been stopped with the lock in its hands.
            if not sys.is_finalizing():
                self.end()

    def fail(self, error: BaseException) -> None:
        """Whoever takes batches gets this error, at once. Any thread."""
        with self._lock:
            self._error = error
            self._filled.notify_all()

    # ---- the threads ----

    def _start(self) -> None:
        """One thread more at first, then twice as many."""
        for i in range(len(self._threads), min(self._max_threads, max(1, 2 * len(self._threads)))):
            thread = threading.Thread(target=self._work, name=f"bascule-read-{i}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # there can't be more of them
                if not self._threads:
                    raise
                self._max_threads = i
                return
            self._threads.append(thread)

    def _work(self) -> None:
        while (i := self._claim()) is not None:
            try:
                for batch in self._open_partition(i):
                    if not self._put(i, batch, self._size_of(batch)):
                        return
            except BaseException as e:
                self._end(i, e)
            else:
                self._end(i, None)

    def _claim(self) -> int | None:
        with self._lock:
            if self._stopped or self._next == self._n:
                return None
            self._next += 1
            return self._next - 1

    def _put(self, i: int, batch: Any, size: int) -> bool:
        """False: nobody wants it any more."""
        with self._lock:
            while not self._stopped and self._is_enough(i):
                is_its_turn = not self._ordered or i == self._turn
                since = time.monotonic()
                self._n_idle += 1
                self._room.wait()
                self._n_idle -= 1
                self.turns[i] += 0.0 if is_its_turn else time.monotonic() - since
            if self._stopped:
                return False
            self._bytes += size
            self._waiting += 1
            self._queue(i).append((batch, size))
            self._say_filled(i)
            return True

    def _is_enough(self, i: int) -> bool:
        """Are there so many batches that one of partition ``i`` must wait? Not the one that all wait for."""
        if (not self._ordered or i == self._turn) and not self._queue(i):
            return False
        return self._bytes >= self._max_bytes or self._waiting >= max(self._least, self._handed)

    def _has_much_room(self) -> bool:
        return 2 * self._bytes <= self._max_bytes and 2 * self._waiting <= max(self._least, self._handed)

    def _end(self, i: int, error: BaseException | None) -> None:
        with self._lock:
            if not self._stopped:  # an error's traceback holds the partition's stream
                self._queue(i).append(error)
                self._say_filled(i)

    def _say_filled(self, i: int) -> None:
        if self._is_awaited and (not self._ordered or i == self._turn):
            self._is_awaited = False
            self._filled.notify()

    def _queue(self, i: int) -> deque[Any]:
        return self._queues.setdefault(i if self._ordered else 0, deque())

    # ---- who wants them ----

    def _take(self) -> Any:
        """The next item of the queue whose turn it is."""
        nap, since = _FIRST_NAP_S, 0.0
        while True:
            with self._lock:
                if self._error is not None:
                    raise self._error
                queue = self._queue(self._turn)
                if queue:
                    self.starved += time.monotonic() - since if since else 0.0
                    return self._taken(queue.popleft())
                since = since or time.monotonic()
                if self._stopped:
                    self._running = 0
                    return None
                if self._n_idle:  # one of them may have what is wanted
                    self._room.notify_all()
                if nap > _LONGEST_NAP_S and len(self._threads) == self._max_threads:
                    self._is_awaited = True
                    self._filled.wait()
                    continue
            if nap > _LONGEST_NAP_S:
                self._start()
                nap = _FIRST_NAP_S
            time.sleep(nap)
            nap *= 2

    def _taken(self, item: Any) -> Any:
        if item is None:
            self._running -= 1
            if self._ordered:
                del self._queues[self._turn]
                self._turn += 1
        elif not isinstance(item, BaseException):
            self._bytes -= item[1]
            self._waiting -= 1
            self._handed += 1
        if self._n_idle and self._has_much_room():
            self._room.notify_all()
        return item

    def end(self) -> None:
        """Nobody wants more: the threads end, and are waited for."""
        _running.discard(self)
        with self._lock:
            self._stopped = True
            self._queues.clear()
            self._room.notify_all()
            self._filled.notify_all()
        if not self.is_through:
            self._finish()
        deadline = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
