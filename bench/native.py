"""Programs in C that time a step of the core alone."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from bench.machine import REPOSITORY

TOOLS = Path(sys.executable).parent


@cache
def program(name: str) -> Path:
    """Built as the package is: Release."""
    folder = REPOSITORY / "build" / "bench"
    env = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    configure = ["cmake", "-S", str(REPOSITORY), "-B", str(folder), "-G", "Ninja"]
    configure += ["-DCMAKE_BUILD_TYPE=Release", "-DBASCULE_PYTHON=OFF", "-DBASCULE_BENCH=ON"]
    configure += [f"-DPython_EXECUTABLE={sys.executable}"]
    for command in (configure, ["cmake", "--build", str(folder), "--target", name]):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"bench: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return folder / "bench" / name


def validate_batch(columns: str, rows: int, calls: int = 20_000) -> tuple[float, float]:
    """Seconds for the check of one batch: without nulls, and with every bit of their bitmaps counted."""
    command = [str(program("validate_batch")), columns, str(rows), str(calls)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    plain, counted = done.stdout.split()
    return float(plain) * 1e-9, float(counted) * 1e-9
