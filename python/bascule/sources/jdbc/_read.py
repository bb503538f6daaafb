"""Waits for the database on a thread, so that waiting can be interrupted.

A driver waits in C: nothing of Python runs meanwhile, and a KeyboardInterrupt would come with its
answer. The calling thread waits in slices instead, and cancels the statement when it is ended.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Generator
from typing import TypeVar

import pyarrow as pa

from bascule import BasculeError
from bascule.sources import _waiting
from bascule.sources.jdbc._database import Stream

T = TypeVar("T")

#: How long the end of a read waits for a cancelled statement. The thread ends by itself later, if it must.
_END_S = 5.0


def read_ahead(
    stream: Stream, explain: Callable[[BaseException], BasculeError]
) -> Generator[pa.RecordBatch, None, None]:
    """The batches of a stream that is opened, read and closed on a thread of its own."""
    reading = _Reading(stream)
    try:
        while (item := reading.next()) is not None:
            if isinstance(item, BaseException):
                raise item if isinstance(item, BasculeError) else explain(item)
            yield item
    finally:
        reading.end()


def interruptible(work: Callable[[], T], cancel: Callable[[], object]) -> T:
    """What ``work`` returns or raises; interrupted, it is cancelled and left to itself."""
    return _waiting.interruptible(work, "bascule-jdbc", cancel, _END_S)


class _Reading:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._items: queue.SimpleQueue[pa.RecordBatch | BaseException | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(1)
        self._ended = threading.Event()
        self._closing = threading.Lock()  # a stream is cancelled or closed, not both at once
        self._closed = False  # guarded by it
        self._thread = threading.Thread(target=self._run, name="bascule-jdbc", daemon=True)
        self._thread.start()

    def next(self) -> pa.RecordBatch | BaseException | None:
        """The next batch; the error that ended it; or None at the end."""
        while True:
            try:
                item = self._items.get(timeout=_waiting.SLICE_S)
            except queue.Empty:
                continue
            self._room.release()
            return item

    def end(self) -> None:
        self._ended.set()
        self._room.release()
        if sys.is_finalizing() or not self._thread.is_alive():
            return  # at the interpreter's end no thread starts any more, and this one is a daemon
        # A server that hangs lets a cancel wait, too: nobody waits for it.
        threading.Thread(target=self._cancel, name="bascule-jdbc-cancel", daemon=True).start()
        self._thread.join(_END_S)

    def _cancel(self) -> None:
        with self._closing:
            if not self._closed:
                self._stream.cancel()

    def _run(self) -> None:
        try:
            try:
                self._stream.open()
                for batch in self._stream:
                    self._room.acquire()
                    if self._ended.is_set():
                        return
                    self._items.put(batch)
            finally:
                with self._closing:
                    self._closed = True
                    self._stream.close()
            self._items.put(None)
        except BaseException as e:  # a driver in Rust panics with a BaseException
            self._items.put(e)
