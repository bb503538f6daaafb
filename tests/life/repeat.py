"""One thing done 10,000 times, and what the process holds after 2,000 and after all of them; in worker processes, which
take longer, 1,500 times unless ``BASCULE_SOAK`` is set.

``python -m life.repeat CASE`` prints both measurements as JSON; tests/life/test_repeats.py compares
them. A process of its own: nothing else allocates meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

# Before pyarrow and duckdb: allocators that keep freed pages for a while would show growth that is none.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

import duckdb
import pyarrow as pa

import bascule
from bascule import _native
from bascule._native import Source
from life.growth import Run, grown
from process.beside import wait_until, workers

FIRST, ALL = 2_000, 10_000
SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.string())])
BATCH = pa.record_batch([list(range(100)), ["x"] * 100], schema=SCHEMA)
LARGE = pa.record_batch([list(range(10_000)), ["x"] * 10_000], schema=SCHEMA)


class MallInfo(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in [
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        ]
    ]


libc = ctypes.CDLL(None)
libc.mallinfo2.restype = MallInfo


class Small:
    """Two partitions of two batches. ``act``: raise, interrupt (the query that reads it), more (1,000 large batches)."""

    def infer_schema(self, options):
        return SCHEMA

    def plan_partitions(self, options):
        return [{"p": p} for p in range(2)]

    def read_partition(self, spec, options):
        act = options.get("act", "")
        many = act == "more"
        for b in range(1000 if many else 2):
            if b == 1 and act == "raise":
                raise ValueError(f"partition {spec['p']} has no second batch")
            if b == 1 and act == "interrupt":
                con.interrupt()
            yield pa.record_batch((LARGE if many else BATCH).columns, schema=SCHEMA)

    def close(self):
        pass


con = bascule.connect(config={"threads": 1})


def read_scan() -> None:
    scan = Source("__main__:Small", {"region": "eu"}).plan(["b"]).scan()
    for p in range(2):
        assert pa.RecordBatchReader.from_stream(scan.partition(p)).read_all().num_rows == 200


def abandon_scan() -> None:
    scan = Source("__main__:Small", {"act": "more"}).plan().scan()
    pa.RecordBatchReader.from_stream(scan.partition(0)).read_next_batch()
    scan.partition(1).__arrow_c_stream__()


def cancel_scan() -> None:
    scan = Source("__main__:Small").plan().scan()
    reader = pa.RecordBatchReader.from_stream(scan.partition(0))
    reader.read_next_batch()
    scan.cancel()
    with contextlib.suppress(OSError):
        reader.read_next_batch()
        raise AssertionError("the scan was not cancelled")


def fail_scan() -> None:
    with contextlib.suppress(OSError):
        scan = Source("__main__:Small", {"act": "raise"}).plan().scan()
        pa.RecordBatchReader.from_stream(scan.partition(0)).read_all()
        raise AssertionError("the read did not fail")


def fail_open() -> None:
    for name, options in [("__main__:Nothing", {}), ("__main__:Small", {"bascule_x": "1"})]:
        with contextlib.suppress(bascule.BasculeError):
            Source(name, options)
            raise AssertionError("the source was opened")


def query() -> None:
    assert con.execute("SELECT count(b) FROM python('__main__:Small', region := 'eu')").fetchall() == [(400,)]


def fail_query() -> None:
    with contextlib.suppress(duckdb.Error):
        con.execute("SELECT sum(a) FROM python('__main__:Small', act := 'raise')").fetchall()
        raise AssertionError("the query did not fail")


def fail_bind() -> None:
    with contextlib.suppress(duckdb.Error):
        con.execute("FROM python('__main__:Nothing')")
        raise AssertionError("the bind did not fail")


def abandon_cursor() -> None:
    cursor = con.cursor()
    cursor.execute("SET streaming_buffer_size = '10KB'")  # else much is read ahead, which takes long
    assert cursor.execute("FROM python('__main__:Small', act := 'more')").fetchone() == (0, "x")


def interrupt_query() -> None:
    with contextlib.suppress(duckdb.InterruptException):
        con.execute("SELECT sum(a) FROM python('__main__:Small', act := 'interrupt')").fetchall()
        raise AssertionError("the query was not interrupted")


def execute_prepared() -> None:
    assert con.execute("EXECUTE prepared(3)").fetchall() == [(400,)]


def query_a_new_class() -> None:
    """As a notebook's cell that runs again: the class object before is garbage."""
    sys.modules["__main__"].Fresh = type("Fresh", (Small,), {})
    assert con.execute("SELECT count(b) FROM python('__main__:Fresh')").fetchall() == [(400,)]


def read_on_a_new_thread() -> None:
    thread = threading.Thread(target=read_scan)
    thread.start()
    thread.join()


# ---- in worker processes ----

IN_WORKERS = "python('testsources:Numbers', bascule_executor := 'process')"


def query_in_workers() -> None:
    assert con.execute(f"SELECT count(s) FROM {IN_WORKERS}").fetchall() == [(18,)]


def read_scan_in_a_worker() -> None:
    scan = Source("testsources:Numbers", {"bascule_executor": "process"}).plan(["s"]).scan()
    for p in range(2):
        assert pa.RecordBatchReader.from_stream(scan.partition(p)).read_all().num_rows == 10


def end_early_in_workers() -> None:
    """A LIMIT, a stream that is let go of half read, a scan that is cancelled."""
    assert len(con.execute(f"FROM {IN_WORKERS} LIMIT 1").fetchall()) == 1
    scan = Source("testsources:Numbers", {"bascule_executor": "process", "batches": "20"}).plan().scan()
    reader = pa.RecordBatchReader.from_stream(scan.partition(0))
    reader.read_next_batch()
    cancelled = pa.RecordBatchReader.from_stream(scan.partition(1))
    cancelled.read_next_batch()
    scan.cancel()
    with contextlib.suppress(OSError):
        cancelled.read_all()
        raise AssertionError("the scan was not cancelled")


def kill_a_worker() -> None:
    """Now and then, that is: a new one takes a while."""
    scan = Source("testsources:Numbers", {"bascule_executor": "process"}).plan().scan()
    if next(kills) % 100 == 0:
        killed = set(workers())
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        # The system ends them within milliseconds; until then the pool takes an idle one for a live one.
        end = time.monotonic() + 10
        while killed & set(workers()) and time.monotonic() < end:
            time.sleep(0.005)
        with contextlib.suppress(OSError):
            pa.RecordBatchReader.from_stream(scan.partition(0)).read_all()
    else:
        pa.RecordBatchReader.from_stream(scan.partition(0)).read_all()


kills = itertools.count(51)


# ---- what the measurement must see ----


def leak() -> None:
    """One small allocation, one reference, one object, and a descriptor now and then."""
    libc.malloc(24)
    kept.append(SCHEMA)
    kept.append(object())
    if len(kept) % 200 == 0:  # a process may have 1,024
        os.open("/dev/null", os.O_RDONLY)


kept: list[object] = []

CASES: dict[str, Callable[[], None]] = {
    call.__name__: call
    for call in (
        *(read_scan, abandon_scan, cancel_scan, fail_scan, fail_open),
        *(query, fail_query, fail_bind, abandon_cursor, interrupt_query),
        *(execute_prepared, query_a_new_class, read_on_a_new_thread),
        *(query_in_workers, read_scan_in_a_worker, end_early_in_workers, kill_a_worker),
        leak,
    )
}
#: Of the cases in worker processes: when the first measurement is made, and when the last.
FEWER = (500, 1_500) if not os.environ.get("BASCULE_SOAK") else (FIRST, ALL)


def counts(case: str) -> tuple[int, int]:
    return FEWER if "worker" in case else (FIRST, ALL)


def measure() -> dict[str, int]:
    for _ in range(3):
        gc.collect()
    libc.malloc_trim(0)
    heap = libc.mallinfo2()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    held = {
        "resident KiB": int(status["VmRSS"].split()[0]),
        "malloc's bytes": heap.uordblks + heap.hblkhd,
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "shared memory": Path("/proc/self/maps").read_text().count("/memfd:bascule"),
        "threads": int(status["Threads"]),
        "Python's memory blocks": sys.getallocatedblocks(),
        "Python's objects": len(gc.get_objects()),
        "references to the class": sys.getrefcount(Small),
        "references to its schema": sys.getrefcount(SCHEMA),
        "references to None": sys.getrefcount(None),
        "references to dict": sys.getrefcount(dict),
        "Arrow's bytes": pa.total_allocated_bytes(),
        "sources that know a class": len(bascule._instance._found),
    }
    if hasattr(sys, "gettotalrefcount"):
        held["references"] = sys.gettotalrefcount()
    return held


def measure_workers() -> dict[str, int]:
    """What the largest of them holds. Ends them: then there is nothing of theirs in this process either."""
    those = workers()
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in those]
    held = {
        "a worker's resident KiB": max((int(text.split("VmRSS:")[1].split()[0]) for text in statuses), default=0),
        "a worker's descriptors": max((len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in those), default=0),
    }
    gc.collect()
    _native.end_workers()
    wait_until(lambda: _native.worker_count() == 0)
    wait_until(lambda: "/memfd:" not in Path("/proc/self/maps").read_text())
    return held


def settled() -> dict[str, int]:
    """As measure, once idle threads are idle: each of DuckDB's keeps a copy of the settings, for good, when it first
    wakes up by itself, which is after some hundred milliseconds."""
    before = measure()
    for _ in range(10):
        time.sleep(1)
        now = measure()
        if now["malloc's bytes"] == before["malloc's bytes"]:
            break
        before = now
    return now


def main(case: str) -> None:
    logging.disable()
    call = CASES[case]
    con.execute("PREPARE prepared AS SELECT count(b) FROM python('__main__:Small', region := $1)")
    first_at, all_of_them = counts(case)
    for _ in range(first_at // 2):
        call()
    # Python's table of interned strings fills up with those that died, and then doubles, once.
    for i in range(200_000):
        sys.intern(f"{i} died")
    measure()  # the first one allocates what later ones use again
    # What that took from the allocators' lists of free memory is filled up again, once.
    for _ in range(first_at // 2):
        call()
    of_workers = measure_workers()
    last = {**of_workers, **settled()}
    runs: list[Run] = []
    # Once more, where something grew: a leak goes on.
    while len(runs) < 2 and (not runs or grown(runs)):
        first = last
        for _ in range(all_of_them - first_at):
            call()
        of_workers = measure_workers()
        last = {**of_workers, **measure()}
        runs.append(Run(first, last, all_of_them - first_at))
    print(json.dumps(runs))


if __name__ == "__main__":
    main(sys.argv[1])
