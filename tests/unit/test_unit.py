"""Builds the C unit tests with each compiler and its sanitizers, and runs each executable as one test."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

import cbuild

HERE = Path(__file__).parent
EXECUTABLES = sorted("_".join(file.relative_to(HERE).with_suffix("").parts) for file in HERE.glob("*/**/test_*.c"))


#: Compiler and sanitizers of each build.
BUILDS = [("gcc", "address,undefined"), ("clang-19", "address,undefined"), ("clang-19", "thread")]


@cache
def build(compiler: str, sanitizers: str) -> tuple[Path, str]:
    """The folder of the executables, and what went wrong in making them."""
    folder, failure = cbuild.build(compiler, sanitizers, EXECUTABLES)
    return folder / "tests" / "unit", failure


@pytest.fixture(scope="module", params=BUILDS, ids=lambda b: f"{b[0]}-{b[1].split(',')[0]}")
def folder(request: pytest.FixtureRequest) -> Path:
    compiler, sanitizers = request.param
    if reason := cbuild.missing(compiler, sanitizers):
        pytest.skip(reason)
    path, failure = build(compiler, sanitizers)
    if failure:
        pytest.fail(failure, pytrace=False)
    return path


@pytest.mark.timeout(600)  # the first of a compiler builds them all
@pytest.mark.parametrize("name", EXECUTABLES)
def test_unit(folder: Path, name: str) -> None:
    done = subprocess.run(
        [str(folder / name)],
        env={**os.environ, **cbuild.SANITIZER_OPTIONS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=100,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{name} ended with {done.returncode}:\n{done.stdout}", pytrace=False)
