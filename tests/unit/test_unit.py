"""Builds the C unit tests with each compiler and its sanitizers, and runs each executable as one test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOOLS = Path(sys.executable).parent  # of the virtual environment: not resolved
EXECUTABLES = sorted("_".join(file.relative_to(HERE).with_suffix("").parts) for file in HERE.glob("*/**/test_*.c"))


#: Compiler and sanitizers of each build.
BUILDS = [("gcc", "address,undefined"), ("clang-19", "address,undefined"), ("clang-19", "thread")]

PROBE = """
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
int main(void) { return 0; }
"""


@cache
def missing(compiler: str, sanitizers: str) -> str | None:
    """Why this build can't be had here."""
    if shutil.which(compiler) is None:
        return f"{compiler} is not installed"
    command = [compiler, f"-fsanitize={sanitizers}", "-x", "c", "-", "-o", os.devnull, "-lcmocka"]
    found = subprocess.run(command, input=PROBE, capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return None
    if "cmocka" in found.stderr:
        return "cmocka is not installed (libcmocka-dev)"
    return f"{compiler} can't link with -fsanitize={sanitizers}: {found.stderr.strip()[:200]}"


@cache
def build(compiler: str, sanitizers: str) -> tuple[Path, str]:
    """The folder of the executables, and what went wrong in making them."""
    folder = ROOT / "build" / f"unit-{compiler}-{sanitizers.split(',')[0]}"
    env = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    configure = [str(TOOLS / "cmake"), "-S", str(ROOT), "-B", str(folder), "-G", "Ninja"]
    configure += [f"-DCMAKE_C_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=Debug", f"-DPython_EXECUTABLE={sys.executable}"]
    configure += ["-DBASCULE_PYTHON=OFF", "-DBASCULE_TESTS=ON", f"-DBASCULE_SANITIZE={sanitizers}"]
    # Only what the tests link: engines have tests of their own.
    for command in (configure, [str(TOOLS / "cmake"), "--build", str(folder), "-j2", "--target", *EXECUTABLES]):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return folder, f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"
    return folder / "tests" / "unit", ""


@pytest.fixture(scope="module", params=BUILDS, ids=lambda b: f"{b[0]}-{b[1].split(',')[0]}")
def folder(request: pytest.FixtureRequest) -> Path:
    compiler, sanitizers = request.param
    if reason := missing(compiler, sanitizers):
        pytest.skip(reason)
    path, failure = build(compiler, sanitizers)
    if failure:
        pytest.fail(failure, pytrace=False)
    return path


@pytest.mark.timeout(600)  # the first of a compiler builds them all
@pytest.mark.parametrize("name", EXECUTABLES)
def test_unit(folder: Path, name: str) -> None:
    env = {
        **os.environ,
        "ASAN_OPTIONS": "detect_leaks=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "TSAN_OPTIONS": "halt_on_error=1",
    }
    done = subprocess.run(
        [str(folder / name)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=100,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{name} ended with {done.returncode}:\n{done.stdout}", pytrace=False)
