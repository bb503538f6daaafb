"""Programs that may end badly: each a process of its own, some at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
HANGS_S = 60

#: A class that says when it is made and closed, and when a read begins and ends.
PRELUDE = """
    import atexit, os, signal, sys, threading, time
    after_the_gate = []  # runs after bascule's own hook, which is registered later
    atexit.register(lambda: [call() for call in after_the_gate])
    import bascule, pyarrow as pa
    from bascule._native import Source
    SCHEMA = pa.schema([("a", pa.int64())])
    BATCH = pa.record_batch([list(range(5000))], schema=SCHEMA)
    inside, lock = threading.Event(), threading.Lock()
    lock.acquire()
    def say(*words): os.write(1, (" ".join(map(str, words)) + "\\n").encode())
    class S:
        batches = 10_000
        def __init__(self): say("made")
        def infer_schema(self, options): return SCHEMA
        def plan_partitions(self, options): return [{} for _ in range(100)]
        def read_partition(self, spec, options):
            try:
                say("read")
                for i in range(self.batches):
                    if i == 1:
                        inside.set()
                        self.inside(options.get("how"))
                    yield BATCH
            finally:
                say("ended")
        def inside(self, how):
            if how == "busy":
                while True: pass
            elif how == "sleep": time.sleep(1)
            elif how == "lock": lock.acquire()
            elif how == "raise": raise ValueError("no second batch")
            elif how: exec(how, globals())
        def close(self): say("closed")
    def native(how="", partition=0):
        scan = Source("__main__:S", {"how": how}).plan().scan()
        return pa.RecordBatchReader.from_stream(scan.partition(partition))
    def background(call):
        def work():
            try:
                say("result:", call())
            except BaseException as e:
                say("error:", type(e).__name__, str(e).partition("\\n")[0])
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        inside.wait(30)
        return thread
"""

CONNECT = """
    con = bascule.connect(config={"threads": 2})
    con.execute("SET enable_progress_bar = false")
    def query(how=""): return con.execute("SELECT sum(a) FROM python('__main__:S', how := ?)", [how]).fetchall()
"""


@dataclass
class Ended:
    status: int
    out: str
    err: str
    seconds: float

    def said(self, word: str) -> int:
        return self.out.splitlines().count(word)

    def closed_all(self) -> bool:
        """Every instance and every read that was begun was ended.

        A thread may be stopped between its ``try`` and its word: then there are more ends than reads.
        """
        return self.said("made") == self.said("closed") > 0 and self.said("read") <= self.said("ended")


def run(*parts: str) -> Ended:
    """Runs a program of these parts; a hang is a failure."""
    script = "".join(textwrap.dedent(part) + "\n" for part in parts)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


@contextmanager
def begun(
    request: pytest.FixtureRequest, test: Callable[..., None], call: Callable[..., Any]
) -> Iterator[dict[tuple[Any, ...], Future[Any]]]:
    """``call`` with the parameters of each chosen case of ``test``, begun at once, as many at a time as
    there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = {}
        for item in request.session.items:
            if getattr(item, "originalname", None) == test.__name__ and item.path == request.path:
                values = tuple(
                    item.callspec.params[name] for name in test.__code__.co_varnames if name in item.callspec.params
                )
                futures[values] = pool.submit(call, *values)
        yield futures
