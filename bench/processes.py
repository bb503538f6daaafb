"""Classes in worker processes: what a second worker brings, and what the way through one costs."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from bench import process_sources
from bench.machine import REPOSITORY
from bench.measure import (
    Case,
    Figure,
    Spread,
    alternate,
    check,
    differences,
    fresh,
    ratios,
    scaled,
    stopwatch,
)
from bench.tables import N_THREADS, QUERIES, WideTable, connect, timed

#: The default of bascule_readahead.
READAHEAD = 64 << 20


def process(call: str, **settings: object) -> str:
    """A call of python(...) that runs in worker processes."""
    named = {"bascule_executor": "process", **settings}
    return f"{call[:-1]}{''.join(f', {name} := {value!r}' for name, value in named.items())})"


# ---- cores ----

BATCH_SECONDS = 0.020


def workers(quick: bool) -> Case:
    """A class that holds the GIL: with a second worker, and with a second thread."""
    n_batches, n = (10, 3) if quick else (25, 9)
    loops = process_sources.calibrated(BATCH_SECONDS)
    call = f"python('bench.process_sources:Busy', partitions := 2, batches := {n_batches}, loops := {loops})"
    counted = process_sources.spin(loops)
    answer = [(sum(range(2 * n_batches)), counted, counted)]
    two_threads, one_thread = connect(), connect()
    one_thread.execute("SET threads = 1")

    # What the machine itself gives: the same loops, in processes that have nothing to do with each other.
    code = f"from bench.process_sources import spin; input(); spin({loops * n_batches}); print()"

    def plain(n_processes: int, n_turns: int) -> float:
        command = [sys.executable, "-c", code]
        with ExitStack() as stack:
            started = [
                stack.enter_context(
                    subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY)
                )
                for _ in range(n_processes * n_turns)
            ]
            time.sleep(1 + n_processes * n_turns / 2)  # they import
            return sum(
                stopwatch(lambda turn=turn: _together(started[turn::n_turns]))[0]  # type: ignore[misc]
                for turn in range(n_turns)
            )

    def run(con: duckdb.DuckDBPyConnection, source: str, here: int) -> Callable[[], float]:
        sql = f"SELECT sum(n), min(counted), max(counted) FROM {source}"
        return lambda: timed(con, sql, answer, here)

    two, one, threads, thread, together, in_turn = alternate(
        n,
        run(two_threads, process(call, bascule_workers=2), 0),
        run(two_threads, process(call, bascule_workers=1), 0),
        run(two_threads, call, 2 * n_batches),
        run(one_thread, call, 2 * n_batches),
        lambda: plain(2, 1),
        lambda: plain(1, 2),
    )

    def figure(name: str, many: list[float], single: list[float], target: float | None) -> Figure:
        return Figure(name, "x", ratios(single, many), target, _ms(many), _ms(single), "ms", at_least=True)

    figures = [
        figure("2 workers, how many times as fast as 1", two, one, 1.8),
        figure("in-process: 2 DuckDB threads, how many times as fast as 1", threads, thread, None),
        figure("the machine: the same loops in 2 processes at once, and one after the other", together, in_turn, None),
    ]
    setup = (
        f"2 partitions of {n_batches} batches; each batch is a loop in Python that holds the GIL for "
        f"{BATCH_SECONDS * 1e3:.0f} ms on a core of its own, and the same number of loops wherever it runs. "
        f"{n} rounds of the four queries. The last line has no source and no DuckDB: more than that no machine gives"
    )
    return Case("Cores", setup, figures, ("two", "one"))


def _together(processes: list[subprocess.Popen[bytes]]) -> None:
    """Lets them begin, and waits until each is done."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        assert process.stdout is not None
        check("a process's answer", process.stdout.readline(), b"\n")


# ---- the way through shared memory ----


def transport(quick: bool) -> Case:
    """The nine columns through two workers and DuckDB, and through one worker without an engine."""
    wide, n = WideTable(65536, 5 if quick else 48), 5 if quick else 15
    con = connect()
    figures = []
    for name, query in QUERIES.items():
        sql, answer = query(wide)
        there, here = alternate(
            n,
            partial(timed, con, sql.format(process(wide.source, bascule_workers=2)), answer, 0),
            partial(timed, con, sql.format(wide.source), answer, wide.n_batches),
        )
        title = f"{name}: throughput of 2 workers, of that in-process"
        target = 0.45 if query is WideTable.all_columns else None
        figures.append(Figure(title, "x", ratios(here, there), target, _ms(there), _ms(here), "ms", at_least=True))
    con.close()
    figures += _without_engine(wide.batch, 80 if quick else 400, n)
    setup = (
        f"{wide.describe()}, {n} pairs. The last lines are without an engine: a Python program takes {figures[-1].value.n} "
        "times the batches of one worker and drops them, and beside it memcpy copies the same buffers as often, into "
        f"memory that it has written to before: into {READAHEAD >> 20} MiB of it, a batch after the other, as much as "
        "the worker may be ahead (bascule_readahead), and into the same place again and again, which stays in the caches"
    )
    return Case("Through shared memory", setup, figures, ("processes", "beside"))


def _without_engine(batch: pa.RecordBatch, n_batches: int, n: int) -> list[Figure]:
    one = Puller(
        "bench.sources:Wide", batch, n_batches, {"rows": batch.num_rows, "batches": n_batches, "partitions": 1}
    )
    turning, same = Copier(batch, READAHEAD), Copier(batch, 1)
    through, copied, copied_warm = alternate(
        n, one.pull, partial(turning.copy, n_batches), partial(same.copy, n_batches)
    )
    size = turning.n_bytes * n_batches / 1e9

    def rate(seconds: list[float]) -> Spread:
        return Spread.of(size / s for s in seconds)

    def figure(name: str, seconds: list[float], target: float | None) -> Figure:
        value = ratios(seconds, through)
        return Figure(name, "x", value, target, rate(through), rate(seconds), "GB/s", at_least=True)

    return [
        figure(f"one worker, of memcpy into {READAHEAD >> 20} MiB", copied, 0.6),
        figure("one worker, of memcpy into the same place", copied_warm, None),
    ]


class Puller:
    """Reads a source by one worker, without an engine."""

    def __init__(self, name: str, batch: pa.RecordBatch, n_batches: int, options: dict[str, Any]) -> None:
        from bascule._native import Source

        settings = {"bascule_executor": "process", "bascule_workers": 1}
        self._source = Source(name, {key: str(value) for key, value in {**settings, **options}.items()})
        self._batch, self._n_batches = batch, n_batches

    def pull(self) -> float:
        """Seconds for all batches of the first partition; their number of rows and the last one's values checked."""
        seconds, (n_rows, last) = stopwatch(self._pull)
        check("rows pulled", n_rows, self._batch.num_rows * self._n_batches)
        check("the last batch is the one yielded", last is not None and last.equals(self._batch), True)
        return seconds

    def _pull(self) -> tuple[int, pa.RecordBatch | None]:
        n_rows, batch = 0, None
        for batch in pa.RecordBatchReader.from_stream(self._source.plan().scan().partition(0)):
            n_rows += batch.num_rows
        return n_rows, batch


class Copier:
    """memcpy of a batch's buffers, into `room` bytes of warm memory in turn; at least a batch's."""

    def __init__(self, batch: pa.RecordBatch, room: int) -> None:
        self._batch = batch
        buffers = [b for column in batch.columns for b in column.buffers() if b is not None]
        self._buffers = [(b.address, b.size) for b in buffers]
        self.n_bytes = sum(size for _, size in self._buffers)
        self._places = [np.ones(self.n_bytes, np.uint8) for _ in range(max(1, room // self.n_bytes))]
        self._addresses = [place.ctypes.data for place in self._places]

    def copy(self, times: int) -> float:
        """Seconds; the last copy checked."""
        seconds, _ = stopwatch(lambda: self._copy(times))
        place = self._places[(times - 1) % len(self._places)]
        at = 0
        for address, size in self._buffers:
            check("copied buffer", place[at : at + size].tobytes() == ctypes.string_at(address, size), True)
            at += size
        return seconds

    def _copy(self, times: int) -> None:
        memmove = ctypes.memmove
        for i in range(times):
            to = self._addresses[i % len(self._addresses)]
            for address, size in self._buffers:
                memmove(to, address, size)
                to += size


# ---- latency ----

FIRST_ROWS = 20
IMPORTS = "import bascule, pyarrow"
NUMBERS = process("python('bench.process_sources:Numbers', partitions := 2)")


def _first_rows() -> list[float]:
    """In a process of its own, imports done: seconds of the first query, which starts the workers, and of the next."""
    con = connect()
    seconds = []
    for _ in range(FIRST_ROWS + 3):
        elapsed, row = stopwatch(lambda: con.execute(f"SELECT n FROM {NUMBERS} LIMIT 1").fetchone())
        check("first row", row, (0,))
        seconds.append(elapsed)
    return seconds


def _started(code: str) -> float:
    seconds, done = stopwatch(lambda: subprocess.run([sys.executable, "-c", code], check=False))
    check(f"exit code of {code}", done.returncode, 0)
    return seconds


def process_latency(quick: bool) -> Case:
    """The first row, cold and warm, and many small partitions."""
    n_processes = 3 if quick else 9
    cold, warm, imports = [], [], []
    for _ in range(n_processes):
        imports.append(_started(IMPORTS))
        first, _, _, *rest = fresh(_first_rows)
        cold.append(first)
        warm += rest
    n, pairs = 2000, 5 if quick else 15
    con = connect()
    answer = [(n * (n - 1) // 2,)]
    call = f"python('bench.sources:Rows', partitions := {n})"
    there, here = alternate(
        pairs,
        lambda: timed(con, f"SELECT sum(n) FROM {process(call)}", answer, 0),
        lambda: timed(con, f"SELECT sum(n) FROM {call}", answer, n),
    )
    figures = [
        Figure("first row, workers warm", "ms", _ms(warm), 10.0, _ms(warm), None, "ms"),
        Figure(
            f"first row, no worker yet, against python -c '{IMPORTS}'",
            "ms more",
            differences(cold, imports, 1e3),
            100.0,
            _ms(cold),
            _ms(imports),
            "ms",
        ),
        Figure(
            f"sum over {n:,} partitions of one row, for each partition",
            "µs",
            scaled(there, 1e6 / n),
            200.0,
            _ms(there),
            _ms(here),
            "ms",
        ),
    ]
    setup = (
        f"First rows: LIMIT 1 of 2 partitions of 3 rows, from execute to fetchone, in {n_processes} processes with their "
        f"imports done, the first query of each and, after two more, the next {FIRST_ROWS}. {N_THREADS} DuckDB threads and "
        f"so {N_THREADS} workers; {pairs} pairs for the partitions, whose other side is in-process"
    )
    return Case("Latency of worker processes", setup, figures, ("processes", "beside"))


# ---- repeats ----


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise LookupError(name)


def _held() -> dict[str, int]:
    """What this process and its workers hold."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    host = os.getpid()
    listed = [path.read_text("ascii").split() for path in Path("/proc/self/task").glob("*/children")]
    children = [int(pid) for pids in listed for pid in pids]
    everyone = [host, *children]
    maps = [line for pid in everyone for line in Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines()]
    return {
        "descriptors": sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in everyone),  # noqa: PTH208
        "processes": len(everyone),
        "mappings of shared memory": sum("/memfd:" in line for line in maps),
        "resident KiB of the host": _status(host, "VmRSS"),
        "resident KiB of the workers": sum(_status(pid, "VmRSS") for pid in children),
    }


def _repeated(few: int, many: int) -> tuple[dict[str, int], dict[str, int], float]:
    """In a process of its own: what is held after few scans and after many, and seconds a scan between them."""
    con = connect()

    def scans(n: int) -> None:
        for _ in range(n):
            check("sum", con.execute(f"SELECT sum(n) FROM {NUMBERS}").fetchone(), (12,))

    scans(few)
    first = _held()
    seconds, _ = stopwatch(lambda: scans(many - few))
    return first, _held(), seconds / (many - few)


def process_repeats(quick: bool) -> Case:
    """10,000 scans: what the host and its workers hold."""
    few, many = (100, 1000) if quick else (1000, 10_000)
    first, last, seconds = fresh(_repeated, few, many)
    # Two threads and two workers: otherwise nothing was measured.
    check("processes", first["processes"], 1 + N_THREADS)
    figures = [
        Figure(
            name,
            "%",
            Spread.of([100 * (last[name] - before) / max(before, 1)]),
            2.0,
            Spread.of([last[name]]),
            Spread.of([before]),
        )
        for name, before in first.items()
    ]
    cost = Spread.of([seconds * 1e6])
    figures.append(Figure("a scan", "µs", cost))
    setup = (
        f"{many:,} times the sum of 2 partitions of 6 rows, {N_THREADS} DuckDB threads and workers, in one process: growth "
        f"of what host and workers hold together from the {few:,}th to the {many:,}th scan, and the mean time of those"
    )
    return Case("Many scans by worker processes", setup, figures, (f"after {many:,}", f"after {few:,}"))


def _ms(values: list[float]) -> Spread:
    return scaled(values, 1e3)
