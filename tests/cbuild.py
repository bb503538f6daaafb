"""Builds the C tests with a compiler and its sanitizers, in one folder for all that use that pair."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent  # of the virtual environment: not resolved

#: Makes a sanitizer's finding end the program, whatever it is.
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1",
}

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


def build(
    compiler: str, sanitizers: str, targets: Iterable[str], build_type: str = "Debug", python: bool = False
) -> tuple[Path, str]:
    """The folder of the build, and what went wrong in making `targets`. python: with what needs Python's headers."""
    folder = ROOT / "build" / f"{'python' if python else 'unit'}-{compiler}-{sanitizers.split(',')[0]}"
    env = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    configure = [str(TOOLS / "cmake"), "-S", str(ROOT), "-B", str(folder), "-G", "Ninja"]
    configure += [
        f"-DCMAKE_C_COMPILER={compiler}",
        f"-DCMAKE_BUILD_TYPE={build_type}",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-DBASCULE_PYTHON={'ON' if python else 'OFF'}",
        "-DBASCULE_TESTS=ON",
        f"-DBASCULE_SANITIZE={sanitizers}",
    ]
    # Only what the tests use.
    for command in (configure, [str(TOOLS / "cmake"), "--build", str(folder), "-j2", "--target", *targets]):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return folder, f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"
    return folder, ""


def built(
    compiler: str, sanitizers: str, targets: Iterable[str], build_type: str = "Debug", python: bool = False
) -> Path:
    """The folder of the build, for a fixture: skips where it can't be had, fails where it can't be made."""
    if reason := missing(compiler, sanitizers):
        pytest.skip(reason)
    folder, failure = build(compiler, sanitizers, targets, build_type, python)
    if failure:
        pytest.fail(failure, pytrace=False)
    return folder


def run(*command: str | Path, timeout: float | None = 100, env: dict[str, str] | None = None) -> tuple[int, str]:
    """A sanitized program's exit status and all that it printed. env: what is set besides."""
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **SANITIZER_OPTIONS, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout
