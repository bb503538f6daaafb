"""One read of a table: its batches, read ahead; how far it is, what it took, and when."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import TYPE_CHECKING, Any

from bascule._columns import sizes_of
from bascule._metrics import scan_rows
from bascule._read_ahead import ReadAhead
from bascule._timeline_spans import Takings, keep_takings
from bascule.errors import BasculeError, OptionError

if TYPE_CHECKING:
    import pyarrow as pa

    from bascule._timeline import Timeline
    from bascule._trusted import TrustedRead

__all__ = ["READ_AHEAD", "Scan"]

#: Batches that a reader may have read and not handed over, in bytes.
READ_AHEAD = 64 << 20
#: Beyond one for each core: of a source that waits, more at a time are of use.
_THREADS_MORE = 4


class Scan:
    """One read of a table, made by :meth:`bascule.Table.scan`. Its batches can be had once, by one of :meth:`batches`,
    :meth:`to_reader` and the Arrow stream that it is.

    Args:
        read: the plan.
        label: of the source, for messages.
        ordered: partition after partition; False: as they come.
        threads: how many partitions are read at a time; None: as many as are of use.
        max_bytes: of batches that are read and not yet taken.
        progress: draw a bar.
    """

    def __init__(
        self,
        read: TrustedRead,
        label: str,
        *,
        ordered: bool = True,
        threads: int | None = None,
        max_bytes: int = READ_AHEAD,
        progress: bool = False,
    ) -> None:
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
            raise OptionError(f"threads are a number of at least 1, got {threads!r}")
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise OptionError(f"max_bytes are a number of at least 1, got {max_bytes!r}")
        if progress:
            from bascule._progress import check_installed

            check_installed()
        self.schema: pa.Schema = read.schema
        #: Until it has ended; then its number is left.
        self._read: TrustedRead | None = read
        self._number = 0
        self._progress = 0.0
        self._label = label
        self._limit = read.limit
        self._bar = progress
        self._handed = 0
        self._is_begun = False
        # In-process a plan has no bound of its own: threads wait for what they read.
        at_once = threads or (os.cpu_count() or 1) + _THREADS_MORE
        self._ahead = ReadAhead(
            read.partition,
            read.partition_count,
            threads=min(at_once, read.plan.concurrency),
            max_bytes=max_bytes,
            ordered=ordered,
            finish=read.finish,
            cancel=read.cancel,
            size_of=sizes_of(read.schema),
        )

    def __repr__(self) -> str:
        return f"<scan of {self._label}, {self.progress:.0%} read>"

    @property
    def progress(self) -> float:
        """What part is read, in [0, 1]: of the rows, where they are known, else of the partitions. 1: there is no more to come."""
        read = self._read
        return self._progress if read is None else read.progress

    def metrics(self) -> dict[str, Any]:
        """What it did so far: its row of :func:`bascule.scans`."""
        read = self._read
        if read is not None:
            return read.metrics()
        kept = scan_rows(self._number)
        if not kept:
            raise BasculeError("what this scan did is not kept any more: bascule.scans() has the last hundred")
        return kept[self._number]

    def timeline(self) -> Timeline:
        """Who waited for whom so far, as a picture: see :class:`bascule.Timeline`."""
        from bascule._timeline import Timeline, spans_of
        from bascule._timeline_spans import ScanTimeline

        row = self.metrics()
        return Timeline([ScanTimeline(row, spans_of(row["scan"]), self._takings())])

    def _takings(self) -> Takings:
        return Takings(self._handed, self._ahead.starved, dict(self._ahead.turns))

    def cancel(self) -> None:
        """Whoever takes its batches gets an error, at once. Any thread."""
        read = self._read
        if read is not None:
            read.cancel()
            self._ahead.fail(BasculeError(f"the scan of {self._label} was cancelled"))

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_reader().__arrow_c_stream__(requested_schema)

    def to_reader(self) -> pa.RecordBatchReader:
        """Its batches.

        Raises:
            BasculeError: while it is read: whatever the class raises.
        """
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.schema, self.batches())

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches()

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Its batches, one after the other."""
        if self._is_begun:
            raise BasculeError("a scan is read once: Table.scan() makes another")
        self._is_begun = True
        return self._batches()

    def _batches(self) -> Generator[pa.RecordBatch, None, None]:
        from bascule._trusted import first_rows

        ahead = iter(self._ahead)
        batches = first_rows(ahead, self._limit)
        if self._bar and self._read is not None:
            from bascule._progress import with_bar

            batches = with_bar(batches, self._label, self._read)
        has_all = False
        try:
            for batch in batches:
                self._handed += batch.num_rows
                yield batch
            has_all = True
        except (OSError, ValueError) as e:  # what the core says through Arrow's stream
            raise BasculeError(str(e)) from None
        finally:
            ahead.close()
            self._end(has_all)

    def _end(self, has_all: bool) -> None:
        """Lets go of the read, which ends then: what it did is among the last scans'."""
        read = self._read
        if read is None:
            return
        self._progress = 1.0 if has_all else read.progress
        self._number = read.number
        self._read = None
        read.release()
        keep_takings(self._number, self._takings())

    async def batches_async(self) -> AsyncGenerator[pa.RecordBatch, None]:
        """Its batches for ``async for``: other tasks run while one is waited for."""
        import asyncio

        batches, nothing = self.batches(), object()
        pending: asyncio.Future[Any] | None = None
        try:
            while True:
                pending = asyncio.ensure_future(asyncio.to_thread(next, batches, nothing))
                batch = await asyncio.shield(pending)
                if batch is nothing:
                    return
                yield batch
        finally:
            if pending is not None and not pending.done():
                self.cancel()  # a thread waits for the class
                await asyncio.wait([pending])
                pending.exception()
            await asyncio.to_thread(batches.close)
