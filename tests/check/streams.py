"""Classes that can be read as streams and get it wrong, each in the way that its name says."""

from __future__ import annotations

import itertools
from typing import Any

import pyarrow as pa

import growingsources


class Grows(growingsources.Growing):
    """Sound: 100 rows, in micro-batches of up to 30."""

    def length(self, options: Any) -> int:
        return 100

    def latest_offset(self, options: Any, *, start: Any = None, end: Any = None) -> dict[str, Any]:
        return {"n": min(100, start["n"] + 30) if start else 100}


class HasNoLatest(Grows):
    latest_offset = None  # type: ignore[assignment]

    def plan_partitions(self, options: Any, *, start: Any = None, end: Any = None) -> Any:
        return super().plan_partitions(options, start=start, end=end)


class SaysMore(Grows):
    """Its micro-batches hold one row beyond their end."""

    def plan_partitions(self, options: Any, *, start: Any, end: Any) -> Any:
        return [{**spec, "high": spec["high"] + 1} for spec in super().plan_partitions(options, start=start, end=end)]


class ReadsWhatIsNew(Grows):
    """Plans what it has not planned yet."""

    planned = 0

    def plan_partitions(self, options: Any, *, start: Any, end: Any) -> Any:
        if end is None:
            return super().plan_partitions(options, start=start, end=end)
        low, ReadsWhatIsNew.planned = ReadsWhatIsNew.planned, end["n"]
        return [{"low": low, "high": end["n"]}]


class IncludesItsEnd(Grows):
    """Has one row where start is end."""

    def plan_partitions(self, options: Any, *, start: Any, end: Any) -> Any:
        found = super().plan_partitions(options, start=start, end=end)
        return found or [{"low": 0, "high": 1}]


class GoesBack(Grows):
    """Its offsets come round."""

    def latest_offset(self, options: Any, *, start: Any = None, end: Any = None) -> dict[str, Any]:
        return {"n": (start["n"] + 30) % 90 if start else 100}


class EndsEarly(Grows):
    """Takes the beginning for its start where none is given."""

    def latest_offset(self, options: Any, *, start: Any = None, end: Any = None) -> dict[str, Any]:
        latest = end["n"] if end else 100
        return {"n": min(latest, (start or {"n": 0})["n"] + 30)}


class NumbersPerRead(Grows):
    """Numbers its rows as they are read."""

    numbers = itertools.count()

    def read_partition(self, spec: Any, options: Any) -> Any:
        for batch in super().read_partition(spec, options):
            if spec["high"] == 30:
                text = [str(next(self.numbers)) for _ in range(batch.num_rows)]
                batch = batch.set_column(1, "text", pa.array(text, pa.large_string()))
            yield batch
