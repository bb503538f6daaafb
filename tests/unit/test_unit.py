"""Builds the C unit tests with each compiler and runs each executable as one test."""

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


@cache
def build(compiler: str) -> Path:
    """The folder of the executables; the error of a failed build is kept, so that it fails once."""
    folder = ROOT / "build" / f"unit-{compiler}"
    env = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    configure = [str(TOOLS / "cmake"), "-S", str(ROOT), "-B", str(folder), "-G", "Ninja"]
    configure += [f"-DCMAKE_C_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=Debug", f"-DPython_EXECUTABLE={sys.executable}"]
    configure += ["-DBASCULE_PYTHON=OFF", "-DBASCULE_TESTS=ON", "-DBASCULE_SANITIZE=address,undefined"]
    # Only what the tests link: engines have tests of their own.
    for command in (configure, [str(TOOLS / "cmake"), "--build", str(folder), "-j2", "--target", *EXECUTABLES]):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return folder / "tests" / "unit"


@cache
def missing(compiler: str) -> str | None:
    if shutil.which(compiler) is None:
        return f"{compiler} is not installed"
    found = subprocess.run(
        [compiler, "-fsyntax-only", "-x", "c", "-"],
        input="#include <stdarg.h>\n#include <stddef.h>\n#include <setjmp.h>\n#include <stdint.h>\n#include <cmocka.h>\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return None if found.returncode == 0 else "cmocka is not installed (libcmocka-dev)"


@pytest.fixture(scope="module", params=["gcc", "clang-19"])
def folder(request: pytest.FixtureRequest) -> Path:
    compiler: str = request.param
    if reason := missing(compiler):
        pytest.skip(reason)
    return build(compiler)


@pytest.mark.timeout(600)  # the first of a compiler builds them all
@pytest.mark.parametrize("name", EXECUTABLES)
def test_unit(folder: Path, name: str) -> None:
    env = {
        **os.environ,
        "ASAN_OPTIONS": "detect_leaks=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
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
