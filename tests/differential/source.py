"""The sources under test: one drops every row that its predicates allow it to drop, its twin drops none.

Data is a folder (:meth:`differential.data.Data.write`), so that worker processes read the same.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from bascule import filters as f
from differential.reference import evaluator

#: The predicates of each reading in this process, newest last; the test that looks clears it.
arrived: list[tuple[f.Filter, ...]] = []


@functools.lru_cache(maxsize=64)
def _read(path: str) -> tuple[pa.Schema, tuple[pa.RecordBatch, ...]]:
    with pa.ipc.open_stream(path) as stream:
        return stream.schema, tuple(stream)


def nodes(filters: Iterable[f.Filter]) -> Iterator[f.Filter]:
    """All nodes of the trees."""
    for filter in filters:
        yield filter
        if isinstance(filter, f.Not):
            yield from nodes([filter.child])
        elif isinstance(filter, f.And | f.Or):
            yield from nodes(filter.children)


def kinds(filters: Iterable[f.Filter], schema: pa.Schema) -> list[tuple[str, str]]:
    """Each node's class and its column's type ("" for And, Or, Not)."""
    return [
        (type(node).__name__, str(schema.field(node.column).type) if hasattr(node, "column") else "")
        for node in nodes(filters)
    ]


def taken(batch: pa.RecordBatch, mask: pa.BooleanArray) -> pa.RecordBatch:
    """The rows of the mask. pyarrow takes none of string views."""
    if mask.true_count == len(mask):
        return batch
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    columns = [column.cast(plain.get(column.type, column.type)) for column in batch.columns]
    columns = [column.filter(mask).cast(type_) for column, type_ in zip(columns, batch.schema.types, strict=True)]
    return pa.record_batch(columns, schema=batch.schema)


class Plain:
    """All rows. Options: ``folder``."""

    def infer_schema(self, options: dict[str, str]) -> pa.Schema:
        return _read(f"{options['folder']}/schema.arrows")[0]

    def plan_partitions(self, options: dict[str, str]) -> list[dict[str, Any]]:
        return [{"path": str(path)} for path in sorted(Path(options["folder"]).glob("p*.arrows"))]

    def read_partition(self, spec: dict[str, Any], options: dict[str, str]) -> Iterator[pa.RecordBatch]:
        yield from _read(spec["path"])[1]


class Hinted(Plain):
    """No row of which a predicate isn't true.

    Options: ``folder``; ``mutant``, the name of a wrong evaluator; ``record``, a file that gets a line of JSON for each
    reading: the kinds of its predicates' nodes.
    """

    def read_partition(
        self, spec: dict[str, Any], options: dict[str, str], *, filters: tuple[f.Filter, ...] | None = None
    ) -> Iterator[pa.RecordBatch]:
        self.note(filters, options)
        for batch in _read(spec["path"])[1]:
            yield taken(batch, evaluator(options.get("mutant")).keep(filters, batch))

    def note(self, filters: tuple[f.Filter, ...] | None, options: dict[str, str]) -> None:
        arrived.append(tuple(filters or ()))
        if "record" in options:
            line = json.dumps(kinds(filters or (), self.infer_schema(options))) + "\n"
            # One write of few bytes to a file opened for appending: lines of several workers don't mix.
            fd = os.open(options["record"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                os.write(fd, line.encode())
            finally:
                os.close(fd)


class Planned(Hinted):
    """As Hinted; leaves out partitions without a row to give, and gives no column that isn't asked for."""

    def plan_partitions(
        self, options: dict[str, str], *, filters: tuple[f.Filter, ...] | None = None
    ) -> list[dict[str, Any]]:
        self.note(filters, options)
        judge = evaluator(options.get("mutant"))
        return [
            spec
            for spec in super().plan_partitions(options)
            if any(judge.keep(filters, batch).true_count for batch in _read(spec["path"])[1])
        ]

    def read_partition(
        self,
        spec: dict[str, Any],
        options: dict[str, str],
        *,
        columns: list[str] | None = None,
        filters: tuple[f.Filter, ...] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        for batch in super().read_partition(spec, options, filters=filters):
            yield batch if columns is None else batch.select(columns)


class Claims(Planned):
    """Applies all predicates exactly, and says so. With a ``mutant`` it lies."""

    def push_filters(self, filters: tuple[f.Filter, ...], options: dict[str, str]) -> tuple[f.Filter, ...]:
        return ()


class ClaimsSome(Planned):
    """Claims those of one column only."""

    def push_filters(self, filters: tuple[f.Filter, ...], options: dict[str, str]) -> tuple[f.Filter, ...]:
        return tuple(filter for filter in filters if len(filter.columns) != 1)
