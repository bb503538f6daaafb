"""The module _native with its n-th allocation failing, for all n: the core, the executor, the DuckDB adapter.

Built once more with gcc and its sanitizers; a call of Python's C API that may lack memory counts as an
allocation (python_faults.h). Python runs with plain malloc, so that the sanitizer sees its objects too.
"""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import cbuild

HERE = Path(__file__).parent
COMPILER, SANITIZERS = "gcc", "address,undefined"

SCENARIOS = [
    "load",
    "first_use",
    "stream",
    "stream_columns",
    "duckdb",
    "duckdb_columns",
    "duckdb_nested",
    "duckdb_refused",
    "duckdb_options",
    "duckdb_settings",
    "duckdb_filters",
    "hints",
]

#: What _native calls of Python's and no lack of memory can fail, or only the setting of an error.
NEEDS_NO_MEMORY = re.compile(
    r"PyArg_\w+|PyErr_\w+|PyEval_\w+|PyGILState_\w+|PyThread\w+|PyCapsule_(GetPointer|IsValid)|PyMem_(Raw)?Free|"
    r"PyException_SetTraceback|PyLong_As\w+|PyModuleDef_Init|PyModule_GetState|PySys_WriteStderr|"
    r"PyType_GetModuleState|Py_Dealloc|Py_AddPendingCall|PyObject_IsTrue|PyBuffer_Release|PyBytes_AsStringAndSize|"
    r"PyIter_Check|PyBool_FromLong|PyList_Size"
)


@pytest.fixture(scope="module")
def package() -> Path:
    folder = cbuild.built(COMPILER, SANITIZERS, ["fault_native"], python=True)
    package = folder / "tests" / "fault" / "package" / "bascule"
    for source in (cbuild.ROOT / "python" / "bascule").glob("*.py"):
        link = package / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    (package / "filters").unlink(missing_ok=True)
    (package / "filters").symlink_to(cbuild.ROOT / "python" / "bascule" / "filters")
    return package


def sanitized(*args: str) -> tuple[int, str]:
    """Python with the sanitizer's library, which has to be loaded first: its exit status and what it printed."""
    libraries = [
        subprocess.run(
            [COMPILER, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    env = {
        "LD_PRELOAD": ":".join(libraries),
        # What Python itself keeps to its end is no leak of ours; blocks are counted instead.
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
    }
    return cbuild.run(sys.executable, *args, env=env)


@cache
def findings(package: Path, scenario: str) -> tuple[int, tuple[str, ...]]:
    """How many allocations failed, and what was wrong; a crash is a finding, and the next process goes on behind it."""
    found: list[str] = []
    first = 1
    for _ in range(20):
        code, output = sanitized(str(HERE / "native_twins.py"), str(package.parent), scenario, str(first))
        found += re.findall(r"^wrong (.*)$", output, flags=re.MULTILINE)
        end = re.search(r"^done (\d+)$", output, flags=re.MULTILINE)
        if end and code == 0:
            return int(end[1]), tuple(found)
        tried = re.findall(r"^at (\d+)$", output, flags=re.MULTILINE)
        report = re.search(r"^.*(runtime error|ERROR: AddressSanitizer|Fatal Python error).*$", output, re.MULTILINE)
        if not tried:
            pytest.fail(f"{scenario} ended with {code}:\n{output[-6000:]}", pytrace=False)
        found.append(f"{tried[-1]}: crashed: {report[0] if report else output[-3000:]}")
        first = int(tried[-1]) + 1
    return first, tuple(found)


@pytest.mark.timeout(600)  # builds it
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_allocation_of_the_module_may_fail(package, scenario):
    n, found = findings(package, scenario)
    assert n > 20
    assert not found


def test_a_process_whose_first_use_failed_can_fork(package):
    code, output = sanitized(str(HERE / "native_twins.py"), str(package.parent), "fork", "1")
    assert (code, output) == (0, "the first use failed\nforked\n")


def test_no_call_of_python_that_needs_memory_passes_the_twins_by(package):
    objects = sorted(package.parents[3].glob("tests/fault/CMakeFiles/fault_native.dir/**/*.o"))
    assert len(objects) > 3
    symbols = subprocess.run(["nm", "-u", *map(str, objects)], capture_output=True, text=True, check=True).stdout
    called = set(re.findall(r" U _?(Py\w+?)(?:_SizeT)?$", symbols, flags=re.MULTILINE))
    called = {name for name in called if not re.fullmatch(r"PyExc_\w+|Py\w+_Type|Py_\w+Struct", name)}
    wrapped = set(re.findall(r"^#define (Py\w+)\(", (HERE / "python_faults.h").read_text(), flags=re.MULTILINE))
    # The functions below inline ones that are wrapped by their own names.
    below = {"PyObject_VectorcallMethod", "PyObject_Vectorcall"}
    assert "PyObject_CallFunction" in called
    assert {name for name in called - wrapped - below if not NEEDS_NO_MEMORY.fullmatch(name)} == set()
