"""DuckDB's own scan of the same Arrow tables, as a program: it may crash.

python own.py < names    one line for each: the name, and what came of it
"""

from __future__ import annotations

import functools
import os
import resource
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import duckdb
import pyarrow as pa

from arrays import catalogue, variants
from empties import CASES
from reading import select, table
from values import decode, in_microseconds

READ, WRONG, CRASHED = "read", "wrong values", "crashed"
#: Variants without offsets: DuckDB refuses those of many types that it reads else.
PLAIN = ("one batch", "no nulls", "many batches", "nulls alone")


@functools.cache
def everything() -> dict[str, pa.Field]:
    return {name: field for fields in catalogue().values() for name, field in fields.items()}


def tables(name: str) -> list[pa.Table]:
    if name in CASES:
        return [pa.table({"v": CASES[name]})]
    field = everything()[name]
    given = variants(name, field, 75)
    return [table(pa.schema([field.with_name("v")]), given[v]) for v in PLAIN if v in given]


def connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET arrow_lossless_conversion = true")
    return con


def attempt(con: duckdb.DuckDBPyConnection, name: str) -> str:
    for given in tables(name):
        try:
            con.register("t", given)
            got = [v for chunk in select(con, "t").chunks for v in decode(chunk)]
        except duckdb.Error as e:
            return str(e).splitlines()[0]
        if got != [v for chunk in given.column(0).chunks for v in decode(chunk, in_microseconds)]:
            return WRONG
    return READ


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    con = connect()
    for name in sys.stdin.read().splitlines():
        became = attempt(con, name)
        print(name, became, sep="\t", flush=True)
        if became.startswith(("INTERNAL", "FATAL")):
            con = connect()  # the database is lost


def of(names: Iterable[str]) -> dict[str, str]:
    """What becomes of each of these in DuckDB's own scan: READ, WRONG, CRASHED or an error."""
    out: dict[str, str] = {}
    todo = list(names)
    # Where a sanitizer is loaded, a crash is a crash for it too.
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:handle_abort=0:handle_sigfpe=0"}
    while todo:
        done = subprocess.run(
            [sys.executable, __file__],
            input="\n".join(todo),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=env,
        )
        lines: list[Any] = [line.split("\t", 1) for line in done.stdout.splitlines()]
        out |= dict(lines)
        if done.returncode >= 0 and "AddressSanitizer" not in done.stderr:
            assert done.returncode == 0, done.stderr
            break
        out[todo[len(lines)]] = CRASHED
        todo = todo[len(lines) + 1 :]
    return out


if __name__ == "__main__":
    main()
