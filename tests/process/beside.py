"""What a process holds of worker processes, and a query that goes on beside one that fails."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from bascule import _native

HEALTHY = (
    "SELECT count(*), sum(k), sum(p), min(s), max(x) FROM python('testsources:Numbers', bascule_executor := 'process', "
    "partitions := 3, batches := 4, rows := 100)"
)
HEALTHY_ROWS = [(1200, 3 * sum(range(400)), 400 + 800, "0-1", 199.5)]

#: A query of ``process.failing_sources`` in worker processes.
QUERY = "SELECT {what} FROM python('process.failing_sources:{cls}', bascule_executor := 'process'{options})"


def query(cls: str = "Fails", what: str = "*", **options: Any) -> str:
    given = "".join(f", {name} := '{value}'" for name, value in options.items())
    return QUERY.format(what=what, cls=cls, options=given)


def wait_until(fact: Callable[[], bool], seconds: float = 20) -> bool:
    """Waits for what another thread or process does. False: it did not."""
    end = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def children(pid: int | None = None) -> set[int]:
    """The processes that one has started, ended but not reaped ones too."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == (pid or os.getpid()):
                found.add(int(stat.parent.name))
    return found


def workers() -> set[int]:
    """This process's workers."""
    found = set()
    for child in children():
        with contextlib.suppress(OSError):
            if b"bascule.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(child)
    return found


def marked(mark: str) -> dict[int, str]:
    """Every live process that has ``mark`` in its environment: id and command."""
    found = {}
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in environ.read_bytes():
                command = (environ.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(environ.parent.name)] = command
    return found


def held() -> dict[str, int]:
    """Descriptors, children and shared memory of this process."""
    descriptors = {}
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            descriptors[fd.name] = str(fd.readlink())
    maps = Path("/proc/self/maps").read_text().splitlines()
    return {
        "children": len(children()),
        "descriptors": len(descriptors),
        "shared memory": sum("/memfd:" in line for line in maps) + sum("memfd" in to for to in descriptors.values()),
        "workers": _native.worker_count(),
    }


class Healthy:
    """A thread that reads a checked source over and over, until it is left."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._cursor = con.cursor()
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.reads = 0
        self.failure: BaseException | None = None

    def _run(self) -> None:
        try:
            while not self._enough.wait(0.02):
                rows = self._cursor.execute(HEALTHY).fetchall()
                assert rows == HEALTHY_ROWS, rows
                self.reads += 1
        except BaseException as e:
            self.failure = e

    def read_more(self, n: int = 1) -> None:
        """Waits for ``n`` reads that begin from now on."""
        goal = self.reads + n + 1
        assert wait_until(lambda: self.failure is not None or self.reads >= goal, 60), "the healthy query hangs"
        if self.failure is not None:
            raise AssertionError("the healthy query failed") from self.failure

    def __enter__(self) -> Healthy:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._enough.set()
        self._thread.join(60)
        self._cursor.close()
        assert not self._thread.is_alive(), "the healthy query hangs"


@functools.cache
def settle() -> None:
    """Makes what a first use makes for good: a thread, a pipe to wake it."""
    _native.Source("testsources:Numbers", {"bascule_executor": "process"})


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """What workers and their memory take is given back once they are ended."""
    settle()
    gc.collect()
    _native.end_workers()
    before = held()
    yield
    gc.collect()
    _native.end_workers()
    assert wait_until(lambda: grown(before) == {}, 10), grown(before)


def grown(before: dict[str, int]) -> dict[str, tuple[int, int]]:
    now = held()
    return {what: (before[what], now[what]) for what in before if now[what] > before[what]}


@contextlib.contextmanager
def beside_healthy(con: duckdb.DuckDBPyConnection) -> Iterator[Healthy]:
    """Runs its body beside a healthy query on the same pool, which must read on as if nothing happened; after it the
    process holds what it held before."""
    with nothing_left(), Healthy(con) as healthy:
        healthy.read_more()
        yield healthy
        healthy.read_more()
