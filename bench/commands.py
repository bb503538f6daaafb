"""The command line: whole processes."""

from __future__ import annotations

import subprocess
import sys

from bench.machine import REPOSITORY
from bench.measure import Case, Figure, alternate, check, differences, scaled, stopwatch


def _run(*arguments: str) -> float:
    seconds, done = stopwatch(
        lambda: subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=REPOSITORY / "tests"
        )
    )
    check(f"exit code of {' '.join(arguments)}: {done.stderr}", done.returncode, 0)
    return seconds


def commands(quick: bool) -> Case:
    """What `bascule` costs beside the interpreter."""
    n = 3 if quick else 15
    imported, queried, helped = alternate(
        n,
        lambda: _run("-c", "import duckdb, pyarrow"),
        lambda: _run("-m", "bascule", "query", "SELECT sum(k) FROM python('testsources:Numbers')"),
        lambda: _run("-m", "bascule", "--help"),
    )
    figures = [
        Figure(
            "bascule query on a small source, against import duckdb, pyarrow",
            "ms more",
            differences(queried, imported, 1e3),
            400.0,
            scaled(queried, 1e3),
            scaled(imported, 1e3),
            "ms",
        ),
        Figure("bascule --help", "ms", scaled(helped, 1e3), 150.0),
    ]
    return Case("The command line", f"whole processes, {n} rounds of the three", figures)
