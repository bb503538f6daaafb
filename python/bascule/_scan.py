"""One read of a table: its batches, read ahead; how far it is, what it took, and when."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from bascule._columns import sizes_of
from bascule.errors import BasculeError

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
        if progress:
            from bascule._progress import check_installed

            check_installed()
        self.schema: pa.Schema = read.schema
        self._read = read
        self._label = label
        self._ordered = ordered
        self._threads = threads
        self._max_bytes = max_bytes
        self._bar = progress
        self._is_begun = False

    def __repr__(self) -> str:
        return f"<scan of {self._label}, {self.progress:.0%} read>"

    @property
    def progress(self) -> float:
        """What part is read, in [0, 1]: of the rows, where they are known, else of the partitions."""
        return self._read.progress

    def metrics(self) -> dict[str, Any]:
        """What it did so far: its row of :func:`bascule.scans`."""
        return self._read.metrics()

    def timeline(self) -> Timeline:
        """Who waited for whom so far, as a picture: see :class:`bascule.Timeline`."""
        from bascule._timeline import timeline

        return timeline(self.metrics()["scan"])

    def cancel(self) -> None:
        """Whoever takes its batches gets an error. Any thread."""
        self._read.cancel()

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
        from bascule._read_ahead import read_ahead
        from bascule._trusted import first_rows

        read = self._read
        # In-process a plan has no bound of its own: threads wait for what they read.
        at_once = self._threads or (os.cpu_count() or 1) + _THREADS_MORE
        ahead = read_ahead(
            read.partition,
            read.partition_count,
            threads=min(at_once, read.plan.concurrency),
            max_bytes=self._max_bytes,
            ordered=self._ordered,
            cancel=read.cancel,
            size_of=sizes_of(read.schema),
        )
        batches = first_rows(ahead, read.limit)
        if self._bar:
            from bascule._progress import with_bar

            batches = with_bar(batches, self._label, read)
        try:
            yield from batches
        except (OSError, ValueError) as e:  # what the core says through Arrow's stream
            raise BasculeError(str(e)) from None
        finally:
            ahead.close()  # type: ignore[attr-defined]
