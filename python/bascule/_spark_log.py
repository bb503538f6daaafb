"""What a read on Spark or Sail leaves in the log of the process that does it: a line for each partition and, where all of
a plan's are read in one process, their sum.

Neither engine carries a data source's own counts to the driver. In a Sail server all is one process; Spark itself sums
rows and bytes in its metrics of the scan.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Any

__all__ = ["log", "partition_read", "to_stderr"]

log = logging.getLogger("bascule")

#: Plans of which some partitions were read here. Most of Spark's are never whole here: the oldest go.
_MOST = 256
_lock = threading.Lock()
_sums: dict[str, _Sum] = {}


class _Sum:
    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self.counts: Counter[str] = Counter()


def to_stderr() -> None:
    """An engine's Python processes have no logging set up, and their stderr is the executor's log. Where Spark has set it
    up (``spark.sql.pyspark.worker.logging.enabled``), its handler gets the lines.
    """
    if log.level == logging.NOTSET:
        log.setLevel(logging.INFO)
    if not logging.getLogger().handlers and not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        log.addHandler(handler)


def partition_read(label: str, plan: str, number: int, of: int, metrics: dict[str, Any]) -> None:
    """Logs that one partition was read to its end, and the sum with its last one.

    Args:
        label: of the source.
        plan: a name of the plan that no other has.
        number: of the partition, from 0, and ``of`` how many.
        metrics: as :func:`bascule._metrics.metrics_of`.
    """
    counts = Counter({name: metrics[name] for name in ("rows", "batches", "bytes", "python_seconds", "seconds")})
    counts.update({f"reported {name}": value for name, value in metrics["reported"]})
    log.info("%s, partition %d of %d: %s", label, number, of, _words(counts))
    with _lock:
        total = _sums.setdefault(plan, _Sum())
        if number not in total.numbers:
            total.numbers.add(number)
            total.counts.update(counts)
        whole = len(total.numbers) == of
        if whole or len(_sums) > _MOST:
            del _sums[plan if whole else next(iter(_sums))]
    if whole:
        log.info("%s, all of %d partitions: %s", label, of, _words(total.counts))


def _words(counts: Counter[str]) -> str:
    """``10 rows in 2 batches, 308 bytes, 0.004 s in Python of 0.010 s``, and what the class counted."""
    words = (
        f"{counts['rows']} rows in {counts['batches']} batches, {counts['bytes']} bytes, "
        f"{counts['python_seconds']:.3f} s in Python of {counts['seconds']:.3f} s"
    )
    reported = [(name, value) for name, value in counts.items() if name.startswith("reported ")]
    return "; ".join([words, *(f"{name.removeprefix('reported ')}: {value:g}" for name, value in sorted(reported))])
