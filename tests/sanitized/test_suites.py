"""The tests of the bridge once more, with `_native`, the core and the DuckDB adapter under ASan and UBSan.

Python runs with plain malloc, so that the sanitizer sees its objects too. Leaks are counted elsewhere (tests/fault,
tests/life): what Python keeps to its end is none of ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

import cbuild

COMPILER, SANITIZERS = "gcc", "address,undefined"
#: The longest first: as many run at a time as there are processors.
SUITES = ["tests/types", "tests/engines", "tests/hostile", "tests/python", "tests/conformance"]
#: Nothing of C is in the one, and the package here is not installed. The other takes minutes here: what a worker does
#: with each type, and what the host does with it, has sanitized tests of its own in tests/unit/process and tests/fuzz.
NOT_HERE = ("tests/python/test_environment.py", "tests/types/test_process.py")
#: Python builds the deeper layers of types for minutes here, and DuckDB's own scan is not ours.
NOT_THESE = "not (process or own_scan or ((three or four or five) and layers))"
Run = Callable[..., tuple[int, str]]

#: An editable installation finds its own _native before any path.
WITHOUT_FINDER = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "ScikitBuild" not in type(finder).__name__]
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with the package, its module sanitized."""
    build = cbuild.built(COMPILER, SANITIZERS, ["_native", "duckdb_extension"], python=True)
    folder = tmp_path_factory.mktemp("sanitized")
    (folder / "bascule").mkdir()
    for source in (cbuild.ROOT / "python" / "bascule").iterdir():
        if source.suffix == ".py" or (source / "__init__.py").exists():
            (folder / "bascule" / source.name).symlink_to(source)
    (module,) = build.glob("_native.*.so")
    (folder / "bascule" / module.name).symlink_to(module)
    (folder / "bascule" / "bascule.duckdb_extension").symlink_to(build / "bascule.duckdb_extension")
    (folder / "sitecustomize.py").write_text(WITHOUT_FINDER)
    return folder


@pytest.fixture(scope="module")
def run(package: Path) -> Run:
    """Python with the sanitized package: exit status and all that it printed."""
    libraries = [
        subprocess.run(
            [COMPILER, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    env = {
        "LD_PRELOAD": ":".join(libraries),  # has to be loaded first
        "ASAN_OPTIONS": "detect_leaks=0",
        "BASCULE_ENGINES": "native duckdb",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(package),
    }
    return lambda *args: cbuild.run(sys.executable, *args, timeout=1800, env=env)


@pytest.fixture(scope="module")
def begun(run: Run) -> Iterator[dict[str, Future[tuple[int, str]]]]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        command = (
            *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "600", "-k", NOT_THESE),
            *(f"--ignore={cbuild.ROOT / name}" for name in NOT_HERE),
        )
        yield {suite: pool.submit(run, *command, str(cbuild.ROOT / suite)) for suite in SUITES}


@pytest.mark.timeout(300)  # builds it
def test_the_package_is_the_sanitized_one(package, run):
    code, output = run("-c", "import bascule._native as n; print(n.__file__)")
    assert code == 0, output
    assert Path(output.strip()).parent == package / "bascule"
    assert b"__asan_report_load8" in Path(output.strip()).read_bytes()


@pytest.mark.timeout(2000)
@pytest.mark.parametrize("suite", SUITES)
def test_the_suite_passes(begun, suite):
    code, output = begun[suite].result()
    if code != 0:
        pytest.fail(f"{suite} ended with {code}:\n{output[-8000:]}", pytrace=False)
    assert " passed" in output
