"""Runs a scenario with the n-th allocation of _native failing, for all n. In a process of its own.

python native_twins.py PACKAGE SCENARIO

PACKAGE is a folder with a bascule of which _native was built with faults.c (CMakeLists.txt). A call of
Python's C API counts as an allocation. Each failure must end in an out-of-memory error or change nothing;
afterwards the same is done without a fault, and nothing may be left: no block, no instance.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from typing import Any

# An editable install of bascule would be found before PACKAGE.
sys.meta_path[:] = [finder for finder in sys.meta_path if "ScikitBuild" not in type(finder).__name__]
sys.path.insert(0, sys.argv[1])

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


def connection() -> Any:
    con = bascule.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    return con


def scenarios() -> dict[str, Callable[[], Any]]:
    return {
        "stream": lambda: stream(None),
        "stream_columns": lambda: stream(["b", "a"]),
        "duckdb": lambda: con.execute("FROM python('faultsource:Source', region := 'eu')").fetchall(),
        "duckdb_columns": lambda: con.execute("SELECT b, a FROM 'faultsource:Source'").fetchall(),
        "duckdb_options": lambda: con.execute(
            "SELECT c.x, d FROM python('faultsource', 'Source', at := TIMESTAMPTZ '2026-01-01 00:00:00+00', "
            "options := MAP {'region': 'eu', 'n': '1'}, bascule_validation := 'full')"
        ).fetchall(),
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


def main() -> None:
    run = scenarios()[sys.argv[2]]
    swallowed: list[Any] = []
    sys.unraisablehook = lambda what: swallowed.append(repr(what.exc_value))
    expected = run()
    assert run() == expected
    gc.collect()
    gc.freeze()  # what is there is not looked through each time
    live, wrong, n = lib.faults_live(), [], 0
    while True:
        n += 1
        error, got = "", None
        swallowed.clear()
        lib.faults_arm(n)
        try:
            got = run()
        except Exception as e:
            error = f"{type(e).__module__}.{type(e).__name__}: {e}"
            if not is_out_of_memory(e):
                wrong.append(f"{n}: {error}")
        counted = lib.faults_disarm()
        if counted < n:
            break
        if not error and got != expected:
            wrong.append(f"{n}: other rows: {got}")
        if "hush" in error:
            wrong.append(f"{n}: a secret: {error}")
        del got
        if run() != expected:
            wrong.append(f"{n}: then other rows without a fault (after {error or swallowed})")
        gc.collect()
        if lib.faults_live() != live:
            wrong.append(f"{n}: left {lib.faults_live() - live} blocks (after {error or swallowed})")
            live = lib.faults_live()
        if len(faultsource.Source.alive):
            wrong.append(f"{n}: left {len(faultsource.Source.alive)} instances (after {error or swallowed})")
            faultsource.Source.alive.clear()
    assert not error, error
    print(f"{n - 1} allocations")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    if sys.argv[2].startswith("duckdb"):
        con = connection()
    main()
