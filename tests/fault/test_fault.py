"""Each public C function with its n-th allocation failing, for all n, under the sanitizers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import cbuild

HERE = Path(__file__).parent

BUILDS = [("gcc", "address,undefined"), ("clang-19", "address,undefined")]

#: What hands out memory in C and POSIX; free is wrapped to count what is left.
ALLOCATORS = frozenset(
    [
        "malloc",
        "calloc",
        "realloc",
        "reallocarray",
        "aligned_alloc",
        "posix_memalign",
        "memalign",
        "valloc",
        "strdup",
        "strndup",
        "asprintf",
        "vasprintf",
        "getline",
        "getdelim",
        "open_memstream",
    ]
)


@pytest.fixture(scope="module", params=BUILDS, ids=lambda b: b[0])
def folder(request: pytest.FixtureRequest) -> Path:
    return cbuild.built(*request.param, ["fault_twins", "fault_process"])


def run(folder: Path, *args: str) -> str:
    code, output = cbuild.run(folder / "tests" / "fault" / "fault_twins", *args)
    if code != 0:
        pytest.fail(f"fault_twins ended with {code}:\n{output}", pytrace=False)
    return output


def public_functions(header: str) -> set[str]:
    """The functions that bascule.h declares; those of its vtables are not among them."""
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    return set(re.findall(r"^[a-z][\w *]*?\b(bsc_\w+)\(", code, flags=re.MULTILINE))


@pytest.mark.timeout(600)  # builds them
def test_each_function_survives_each_failing_allocation(folder):
    run(folder)


@pytest.mark.timeout(600)
def test_scan_in_worker_processes_survives_each_failing_allocation(folder):
    code, output = cbuild.run(folder / "tests" / "fault" / "fault_process", timeout=500)
    if code != 0:
        pytest.fail(f"fault_process ended with {code}:\n{output}", pytrace=False)


def test_each_public_function_has_a_twin(folder):
    declared = public_functions((cbuild.ROOT / "include" / "bascule.h").read_text())
    assert len(declared) > 20
    assert {name for name in run(folder, "--list").split() if not name.startswith("bsc__")} == declared


def test_the_archive_has_the_functions_that_the_header_is_read_for(folder):
    symbols = subprocess.run(["nm", "-g", str(folder / "libbascule.a")], capture_output=True, text=True, check=True)
    defined = set(re.findall(r" T (bsc_[a-z]\w*)$", symbols.stdout, flags=re.MULTILINE))
    assert public_functions((cbuild.ROOT / "include" / "bascule.h").read_text()) == defined


@pytest.mark.parametrize("archive", ["libbascule.a", "libnanoarrow.a"])
def test_no_allocation_passes_the_twins_by(folder, archive):
    wrapped = set(
        re.findall(r"\w+", re.search(r"foreach\(function ([^)]+)\)", (HERE / "CMakeLists.txt").read_text())[1])
    )
    symbols = subprocess.run(["nm", "-u", str(folder / archive)], capture_output=True, text=True, check=True).stdout
    called = set(re.findall(r" U (\w+)", symbols)) & ALLOCATORS
    assert "malloc" in called
    assert called <= wrapped
