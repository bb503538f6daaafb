"""Runs a scenario with the n-th allocation of _native failing, for all n. In a process of its own.

python native_twins.py PACKAGE SCENARIO FIRST

PACKAGE is a folder with a bascule of which _native was built with faults.c (CMakeLists.txt). A call of
Python's C API counts as an allocation. Each failure must end in an out-of-memory error or change nothing;
afterwards the same is done without a fault, and nothing may be left: no block, no instance.

Prints "at N" before allocation N fails, "wrong N: ..." for what is found, and at last "done N". FIRST: the
first to fail, so that the caller can go on behind a crash.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# An editable install of bascule would be found before PACKAGE.
sys.meta_path[:] = [finder for finder in sys.meta_path if "ScikitBuild" not in type(finder).__name__]
sys.path.insert(0, sys.argv[1])

import duckdb  # noqa: E402
import faultsource  # noqa: E402
import pyarrow as pa  # noqa: E402

import bascule  # noqa: E402
from bascule import _native  # noqa: E402

assert _native.__file__.startswith(sys.argv[1]), _native.__file__

# PyDLL: the GIL stays, so that nothing else runs between a call and the arming.
lib = ctypes.PyDLL(_native.__file__)
lib.faults_arm.argtypes = [ctypes.c_int64]
lib.faults_disarm.restype = lib.faults_live.restype = ctypes.c_int64

OPTIONS = {"region": "eu", "password": "hush", "bascule_validation": "full"}


def stream(columns: list[str] | None) -> Any:
    source = _native.Source("faultsource:Source", OPTIONS)
    pa.schema(source)
    plan = source.plan(columns)
    scan = plan.scan()
    found = [pa.RecordBatchReader.from_stream(scan.partition(i)).read_all().to_pylist() for i in range(2)]
    return source.label, plan.partition_count, scan.progress, found


def hints() -> Any:
    from bascule.filters import GreaterThan
    from bascule.filters._wire import dump

    source = _native.Source("faultsource:Asked", {})
    filters = dump([GreaterThan("a", 1)])
    plan = source.plan([], None)
    counted = plan.row_count, pa.table(plan.scan().partition(0)).num_rows
    plan = source.plan(["a"], filters, 1)
    rows = pa.table(plan.scan().partition(0)).num_rows
    shipped = source.plan(["a"], specs=[plan.spec(1)])
    again = pa.table(shipped.scan().partition(0)).num_rows
    return source.statistics(), source.claim(filters, 1), counted, plan.pushed, rows, again


def load() -> Any:
    """The module anew; the one that is imported stays."""
    kept = sys.modules.pop("bascule._native")
    try:
        return sorted(vars(importlib.import_module("bascule._native")))
    finally:
        sys.modules["bascule._native"] = bascule._native = kept


def connection() -> Any:
    con = bascule.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    return con


def refusal() -> str:
    """The message for a type that DuckDB doesn't read."""
    try:
        con.execute("FROM python('faultsource:Refused')")
    except duckdb.InvalidInputException as e:
        return str(e).splitlines()[0]
    return "read"


def scenarios() -> dict[str, Callable[[], Any]]:
    return {
        "load": load,
        "stream": lambda: stream(None),
        "stream_columns": lambda: stream(["b", "a"]),
        "duckdb": lambda: con.execute("FROM python('faultsource:Source', region := 'eu')").fetchall(),
        "duckdb_columns": lambda: con.execute("SELECT b, a FROM 'faultsource:Source'").fetchall(),
        "duckdb_options": lambda: con.execute(
            "SELECT c.x, d FROM python('faultsource', 'Source', at := TIMESTAMPTZ '2026-01-01 00:00:00+00', "
            "options := MAP {'region': 'eu', 'n': '1'}, bascule_validation := 'full')"
        ).fetchall(),
        "duckdb_nested": lambda: con.execute("FROM python('faultsource:Nested')").fetchall(),
        "duckdb_refused": refusal,
        "duckdb_filters": lambda: con.execute(
            "SELECT a FROM python('faultsource:Asked') WHERE a > 1 AND b IN ('x', 'y') AND c IS NOT NULL"
        ).fetchall(),
        "hints": hints,
        "duckdb_settings": lambda: con.execute(
            "SELECT a FROM python(options := {'python_module': 'faultsource', 'python_class': 'Source'}, "
            "bascule_schema_mode := 'evolve')"
        ).fetchall(),
    }


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    text = str(error)
    return "out of memory" in text.lower() or "MemoryError" in text or "Cannot allocate memory" in text


def failed_in() -> str:
    """The functions of _native on the stack of the allocation that failed, innermost first."""
    frames = (ctypes.c_void_p * 12)()
    n = lib.faults_frames(frames, len(frames))
    ours = [
        line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(_native.__file__)
    ]
    spans = [[int(at, 16) for at in line[0].split("-")] for line in ours]
    base, end = spans[0][0], spans[-1][1]
    places = [hex(at - base - 1) for at in frames[:n] if at and base <= at < end]
    command = ["addr2line", "-f", "-i", "-e", _native.__file__, *places]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    skip = ("__wrap_", "faults_", "fault_", "bsc__alloc", "bsc__calloc", "bsc__resize", "bsc__strndup")
    return " < ".join([name for name in output[::2] if not name.startswith(skip)][:5])


def wrong(n: int, what: str) -> None:
    print(f"wrong {n}: {what} [{failed_in()}]", flush=True)


def fail_one(n: int, run: Callable[[], Any], expected: Any, swallowed: list[str]) -> bool:
    """Lets allocation ``n`` fail. False: there are fewer."""
    error, got = "", None
    swallowed.clear()
    lib.faults_arm(n)
    try:
        got = run()
    except Exception as e:
        out_of_memory = is_out_of_memory(e)
        error = f"{type(e).__module__}.{type(e).__name__}: {e}"
    if lib.faults_disarm() < n:
        assert not error, error
        return False
    if error and not out_of_memory:
        wrong(n, error)
    if not error and got != expected:
        wrong(n, f"other rows: {got}")
    if "hush" in error:
        wrong(n, f"a secret: {error}")
    if run() != expected:
        wrong(n, "then other rows without a fault")
    return True


def use_executor() -> str:
    """Makes the in-process executor, which a process does once, and nothing else."""
    try:
        _native.register_duckdb("no library")
    except bascule.OptionError as e:
        return str(e)[:30]
    return ""


def first_uses(first: int) -> None:
    """The first use, each time in a process that has not done it yet."""
    n = first
    while True:
        print(f"at {n}", flush=True)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if fail_one(n, use_executor, "DuckDB's library no library is", []) else 3
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 3:
            print(f"done {n - 1}")
            return
        if code != 0:
            sys.exit(f"a child ended with {code}")
        n += 1


def fork_after_a_failed_use() -> None:
    lib.faults_arm(1)
    try:
        use_executor()
    except MemoryError:
        print("the first use failed")
    lib.faults_disarm()
    use_executor()
    signal.alarm(5)  # a fork that waits for a lock never ends
    if os.fork() == 0:
        os._exit(0)
    os.wait()
    print("forked")


def main(scenario: str, first: int) -> None:
    run = scenarios()[scenario]
    swallowed: list[str] = []
    sys.unraisablehook = lambda what: swallowed.append(repr(what.exc_value))
    expected = run()
    assert run() == expected
    gc.collect()
    _native.forget_scans()
    gc.freeze()  # what is there is not looked through each time
    live, n = lib.faults_live(), first
    while True:
        print(f"at {n}", flush=True)
        if not fail_one(n, run, expected, swallowed):
            break
        gc.collect()
        _native.forget_scans()
        if lib.faults_live() != live:
            wrong(n, f"left {lib.faults_live() - live} blocks")
            live = lib.faults_live()
        if len(faultsource.Source.alive):
            wrong(n, f"left {len(faultsource.Source.alive)} instances, {swallowed}")
            faultsource.Source.alive.clear()
        n += 1
    print(f"done {n - 1}")


if __name__ == "__main__":
    if sys.argv[2].startswith("duckdb"):
        con = connection()
    if sys.argv[2] == "first_use":
        first_uses(int(sys.argv[3]))
    elif sys.argv[2] == "fork":
        fork_after_a_failed_use()
    else:
        main(sys.argv[2], int(sys.argv[3]))
