"""Reads a statement's rows on a thread, one batch ahead, so that waiting for the database can be interrupted.

A driver waits in C: nothing of Python runs meanwhile, and a KeyboardInterrupt would come with its
answer. The reading generator waits in slices instead, and cancels the statement when it is ended.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator

import pyarrow as pa

from bascule import BasculeError
from bascule.sources.jdbc._database import Stream

_SLICE_S = 0.05
#: How long the end of a read waits for a cancelled statement. The thread ends by itself later, if it must.
_END_S = 5.0


def read_ahead(
    open_stream: Callable[[], Stream], explain: Callable[[BaseException], BasculeError]
) -> Generator[pa.RecordBatch, None, None]:
    """The batches of a stream that is opened, read and closed on a thread of its own."""
    reading = _Reading(open_stream)
    try:
        while (item := reading.next()) is not None:
            if isinstance(item, BaseException):
                raise item if isinstance(item, BasculeError) else explain(item)
            yield item
    finally:
        reading.end()


class _Reading:
    def __init__(self, open_stream: Callable[[], Stream]) -> None:
        self._open = open_stream
        self._items: queue.SimpleQueue[pa.RecordBatch | BaseException | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(1)
        self._ended = threading.Event()
        self._stream: Stream | None = None
        self._closing = threading.Lock()  # a stream is cancelled or closed, not both at once
        self._thread = threading.Thread(target=self._run, name="bascule-jdbc", daemon=True)
        self._thread.start()

    def next(self) -> pa.RecordBatch | BaseException | None:
        """The next batch; the error that ended it; or None at the end."""
        while True:
            try:
                item = self._items.get(timeout=_SLICE_S)
            except queue.Empty:
                continue
            self._room.release()
            return item

    def end(self) -> None:
        self._ended.set()
        self._room.release()
        with self._closing:
            if self._stream is not None:
                self._stream.cancel()
        self._thread.join(_END_S)

    def _run(self) -> None:
        try:
            self._stream = stream = self._open()
            try:
                for batch in stream:
                    self._room.acquire()
                    if self._ended.is_set():
                        return
                    self._items.put(batch)
            finally:
                with self._closing:
                    self._stream = None
                    stream.close()
            self._items.put(None)
        except BaseException as e:  # a driver in Rust panics with a BaseException
            self._items.put(e)
