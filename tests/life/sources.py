"""Sources whose life can be watched and held up. Importable as ``life.sources:Class``."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import pyarrow as pa

SCHEMA = pa.schema([("p", pa.int64()), ("k", pa.int64())])


def wait_until(fact: Callable[[], bool], seconds: float = 20) -> bool:
    """Waits for what another thread does. False: it did not."""
    end = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


class Life:
    """``partitions`` x ``batches`` x ``rows`` rows: partition, running number.

    The option ``stop`` names the moment at which the class waits for ``go``, having said so by
    ``reached``: schema, plan, read (before the first batch), batch (before the second), end (in the
    generator's ``finally``), close.
    """

    calls: Counter[str] = Counter()  # noqa: RUF012
    options_seen: list[dict[str, str]] = []  # noqa: RUF012
    reached = threading.Event()
    go = threading.Event()
    _counting = threading.Lock()

    @classmethod
    def reset(cls) -> None:
        cls.calls.clear()
        cls.options_seen.clear()
        cls.reached.clear()
        cls.go.clear()

    @classmethod
    def all_closed(cls) -> bool:
        """Every instance and every generator ended, each once."""
        return cls.calls["made"] == cls.calls["close"] > 0 and cls.calls["read"] == cls.calls["end"]

    def __init__(self):
        self.stops_at = None
        self.count("made")

    def count(self, moment):
        with self._counting:
            self.calls[moment] += 1

    def at(self, moment):
        self.count(moment)
        if moment == self.stops_at:
            self.reached.set()
            assert self.go.wait(30), "nobody let the source go on"

    def infer_schema(self, options):
        self.stops_at = options.get("stop")
        self.options_seen.append(dict(options))
        self.at("schema")
        return SCHEMA

    def plan_partitions(self, options):
        self.at("plan")
        return [{"p": p} for p in range(int(options.get("partitions", "3")))]

    def read_partition(self, spec, options):
        batches, rows = int(options.get("batches", "3")), int(options.get("rows", "10"))
        fails_at = int(options.get("fails_at", "-1"))
        self.at("read")
        try:
            for b in range(batches):
                if b > 0:
                    self.at("batch")
                if b == fails_at:
                    raise ValueError("this batch is missing")
                yield pa.record_batch([[spec["p"]] * rows, list(range(b * rows, (b + 1) * rows))], schema=SCHEMA)
        finally:
            self.at("end")

    def close(self):
        self.at("close")


def life_rows(partitions: int = 3, batches: int = 3, rows: int = 10) -> list[tuple[int, int]]:
    """What ``Life`` yields with these options."""
    return [(p, k) for p in range(partitions) for k in range(batches * rows)]
