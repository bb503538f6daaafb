"""Sources that grow, for tests of streams: importable as ``growingsources:Class``, in workers too."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import pyarrow as pa


class Growing:
    """Rows 0, 1, 2, ... before the number in the file ``length``, as ``partitions`` of each micro-batch.

    Options: ``record``: a file that gets a line for each plan and commit; ``kill_at``, ``hang_at``: who reads that row
    first, as the file ``length`` + ".done" tells, ends its process, or never goes on.
    """

    def infer_schema(self, options: Any) -> pa.Schema:
        return pa.schema([("n", pa.int64()), ("text", pa.large_string())])

    def length(self, options: Any) -> int:
        return int(Path(options["length"]).read_text())

    def initial_offset(self, options: Any) -> dict[str, Any]:
        return {"n": int(options.get("from", "0"))}

    def latest_offset(self, options: Any) -> dict[str, Any]:
        return {"n": self.length(options)}

    def commit_offset(self, offset: Any, options: Any) -> None:
        self.note(options, "commit", offset)

    def plan_partitions(self, options: Any, *, start: Any, end: Any) -> list[dict[str, Any]]:
        self.note(options, "plan", start, end)
        low = start["n"] if start else 0
        high = end["n"] if end else self.length(options)
        n = int(options.get("partitions", "2"))
        marks = [low + (high - low) * i // n for i in range(n + 1)]
        return [{"low": a, "high": b} for a, b in itertools.pairwise(marks) if a < b]

    def read_partition(self, spec: Any, options: Any) -> Any:
        for low in range(spec["low"], spec["high"], 100):
            n = range(low, min(low + 100, spec["high"]))
            self.stop(n, options)
            yield pa.record_batch([list(n), [f"row {i}" for i in n]], schema=self.infer_schema(options))

    def note(self, options: Any, *what: Any) -> None:
        if record := options.get("record"):
            with Path(record).open("a", encoding="utf-8") as file:
                file.write(json.dumps(what) + "\n")

    def stop(self, n: range, options: Any) -> None:
        for option in ("kill_at", "hang_at"):
            if int(options.get(option, "-1")) in n:
                try:
                    Path(options["length"] + ".done").touch(exist_ok=False)
                except FileExistsError:
                    return
                if option == "kill_at":
                    os._exit(3)
                time.sleep(600)


class GrowingByRows(Growing):
    """The same, at most ``most`` rows in a micro-batch."""

    def latest_offset(self, options: Any, *, start: Any = None, end: Any = None) -> dict[str, Any]:
        latest = end["n"] if end else self.length(options)
        return {"n": min(latest, start["n"] + int(options["most"])) if start else latest}


class GrowingWithoutEnd(GrowingByRows):
    """The same, but can't be told where to end."""

    def latest_offset(self, options: Any, *, start: Any) -> dict[str, Any]:
        return super().latest_offset(options, start=start)


class OffsetIs(Growing):
    """Gives an offset that is none: what ``offset`` names."""

    OFFSETS: dict[str, Any] = {  # noqa: RUF012
        "order": {"a": "é", "b": {"x": [None, True], "y": 1}},
        "other_order": {"b": {"y": 1, "x": [None, True]}, "a": "é"},
        "text": "7",
        "none": None,
        "object": {"at": object()},
        "key": {1: 2},
        "tuple": {"at": (1, 2)},
        "nan": {"at": float("nan")},
        "long": {"at": "x" * (2 << 20)},
    }

    def latest_offset(self, options: Any) -> Any:
        return self.OFFSETS[options["offset"]]


class NoCommit(Growing):
    """Needs not know what was read."""

    commit_offset = None  # type: ignore[assignment]


class NoOffsets:
    """A table, no stream."""

    def infer_schema(self, options: Any) -> pa.Schema:
        return pa.schema([("n", pa.int64())])

    def plan_partitions(self, options: Any, *, start: Any = 1, end: Any = 2) -> list[dict[str, Any]]:
        return [{"start": start, "end": end}]

    def read_partition(self, spec: Any, options: Any) -> Any:
        yield pa.record_batch({"n": range(spec["start"], spec["end"])})


class OffsetsAlone(NoOffsets):
    """Has offsets, and can't plan by them."""

    def initial_offset(self, options: Any) -> dict[str, Any]:
        return {"n": 0}

    def latest_offset(self, options: Any) -> dict[str, Any]:
        return {"n": 1}

    def plan_partitions(self, options: Any) -> list[dict[str, Any]]:  # type: ignore[override]
        return [{"start": 0, "end": 1}]


class OffsetRaises(Growing):
    """Can't say how far it goes."""

    def latest_offset(self, options: Any) -> Any:
        raise ConnectionError(f"no answer for {options['password']}")
