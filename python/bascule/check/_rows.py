"""Rows as they were read first, and where a second read differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

# Of the whole source: what is beyond is counted, not compared.
KEPT_BYTES = 64 << 20
KEPT_ROWS = 500_000


@dataclass
class Difference:
    """How two reads of one partition differ; ``order``: only in the order of their rows."""

    text: str
    order: bool = False


@dataclass
class Rows:
    """The rows of one partition.

    Args:
        partition: its number.
        n_rows: all that were read.
        complete: it was read to its end.
        kept: the first rows, as Arrow messages outside pyarrow's default memory pool, whose size the
            check of memory looks at.
        kept_rows, kept_bytes: how many these are.
    """

    partition: int
    n_rows: int = 0
    complete: bool = False
    kept: list[pa.Buffer] = field(default_factory=list)
    kept_rows: int = 0
    kept_bytes: int = 0

    def keep(self, batch: pa.RecordBatch) -> None:
        """Keeps a batch that follows those kept."""
        sink = pa.BufferOutputStream(pa.system_memory_pool())
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        self.kept.append(sink.getvalue())
        self.kept_bytes += self.kept[-1].size
        self.kept_rows += batch.num_rows

    def batches(self, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        for buffer in self.kept:
            with pa.ipc.open_stream(buffer) as reader:
                for batch in reader:
                    yield batch if columns is None else batch.select(columns)

    def compare(self, batches: Iterable[pa.RecordBatch], columns: list[str] | None = None) -> Difference | None:
        """Where another read differs; None: nowhere, as far as rows are kept.

        Args:
            batches: the other read, of ``columns``; read as far as needed.
            columns: of the first read, the columns to look at; None: all.
        """
        n_rows, seen, difference = 0, [], None
        rest = _Cut(self.batches(columns))
        for batch in batches:
            part = batch.slice(0, max(0, self.kept_rows - n_rows))
            n_rows += batch.num_rows
            if part.num_rows:
                seen.append(part)
                if difference is None:
                    difference = _first_difference(rest.take(part.num_rows), part, n_rows - batch.num_rows)
            if not self.complete and n_rows >= self.kept_rows:
                break
        where = f"partition {self.partition}"
        if n_rows != self.n_rows if self.complete else n_rows < self.kept_rows:
            return Difference(f"{where}: {n_rows:,} rows, the first time {self.n_rows:,}")
        if difference is None:
            return None
        order = self.complete and self.kept_rows == self.n_rows and _bag(self.batches(columns)) == _bag(seen)
        return Difference(f"{where}, {difference}", order)


class _Cut:
    """Batches, taken by numbers of rows."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._left: pa.RecordBatch | None = None

    def take(self, n_rows: int) -> list[pa.RecordBatch]:
        taken = []
        while n_rows:
            batch = self._left if self._left is not None else next(self._batches)
            taken.append(batch.slice(0, n_rows))
            n_rows -= taken[-1].num_rows
            self._left = batch.slice(taken[-1].num_rows) if taken[-1].num_rows < batch.num_rows else None
        return taken


def _first_difference(first: list[pa.RecordBatch], again: pa.RecordBatch, offset: int) -> str | None:
    before, after = pa.Table.from_batches(first), pa.Table.from_batches([again])
    if before.equals(after):
        return None
    for i in range(before.num_columns):
        if before.column(i).equals(after.column(i)):
            continue
        # Also where nothing differs: NaN is not equal to itself.
        pairs = enumerate(zip(values_of(before.column(i)), values_of(after.column(i)), strict=True))
        if (found := next(((row, x, y) for row, (x, y) in pairs if x != y), None)) is not None:
            row, x, y = found
            return f"row {offset + row:,}: column '{before.schema.names[i]}' is {y:.80}, the first time it was {x:.80}"
    return None


def values_of(column: Any) -> list[str]:
    """The values as texts."""
    try:
        return [repr(value) for value in column.to_pylist()]
    except (ValueError, OverflowError, pa.ArrowException):
        # Python has no such value, a time out of its range for example.
        return [str(column.slice(i, 1).to_string()) for i in range(len(column))]


def bag_of(table: pa.Table) -> Counter[tuple[str, ...]]:
    """The rows of a table whatever their order, each as the texts of its values."""
    return _bag(table.to_batches())


def _bag(batches: Iterable[pa.RecordBatch]) -> Counter[tuple[str, ...]]:
    """The rows whatever their order."""
    bag: Counter[tuple[str, ...]] = Counter()
    for batch in batches:
        bag.update(zip(*(values_of(column) for column in batch.columns), strict=True))
    return bag
