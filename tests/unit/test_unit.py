"""Builds the C unit tests with each compiler and its sanitizers, and runs each executable as one test."""

from __future__ import annotations

from pathlib import Path

import pytest

import cbuild

HERE = Path(__file__).parent
EXECUTABLES = sorted("_".join(file.relative_to(HERE).with_suffix("").parts) for file in HERE.glob("*/**/test_*.c"))


#: Compiler and sanitizers of each build.
BUILDS = [("gcc", "address,undefined"), ("clang-19", "address,undefined"), ("clang-19", "thread")]


@pytest.fixture(scope="module", params=BUILDS, ids=lambda b: f"{b[0]}-{b[1].split(',')[0]}")
def folder(request: pytest.FixtureRequest) -> Path:
    return cbuild.built(*request.param, EXECUTABLES) / "tests" / "unit"


@pytest.mark.timeout(600)  # the first of a compiler builds them all
@pytest.mark.parametrize("name", EXECUTABLES)
def test_unit(folder: Path, name: str) -> None:
    code, output = cbuild.run(folder / name)
    if code != 0:
        pytest.fail(f"{name} ended with {code}:\n{output}", pytrace=False)
