"""The house's own rules: formats, types, who may include and import whom, exported symbols, warnings."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
C_FILES = sorted(p for top in ("include", "src", "engines", "python", "tests") for p in (ROOT / top).rglob("*.[ch]"))


def run(*command: object) -> None:
    done = subprocess.run([str(c) for c in command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def tool(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def native() -> str:
    import bascule._native

    return str(bascule._native.__file__)


def test_ruff():
    run(BIN / "ruff", "check", ".")
    run(BIN / "ruff", "format", "--check", ".")


def test_types_are_strict():
    run(BIN / "mypy")


def test_python_imports_point_down():
    run(BIN / "lint-imports", "--no-cache")


def test_c_includes_point_down():
    assert tool("lint_includes").complaints() == []


def test_the_include_lint_sees_an_arrow_that_points_up(tmp_path, monkeypatch):
    lint = tool("lint_includes")
    (tmp_path / "src" / "base").mkdir(parents=True)
    (tmp_path / "src" / "base" / "x.c").write_text(
        '#include <Python.h>\n#include "scan/internal.h"\n#include <string.h>\n'
    )
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    assert [c.split(": ")[1] for c in lint.complaints()] == [
        "src/base must not include Python.h",
        "src/base must not include scan/internal.h",
    ]


def test_c_format():
    run(BIN / "clang-format", "--dry-run", "--Werror", *C_FILES)


def test_the_module_exports_its_init_function_alone():
    assert tool("check_exports").complaints(native()) == []


def test_the_extension_exports_its_entry_point_alone():
    from bascule._extension import extension_path

    assert tool("check_exports").complaints(str(extension_path())) == []


def test_the_export_check_sees_more_symbols(tmp_path):
    (tmp_path / "x.c").write_text(
        "int stray = 1; int duckdb_open(void); int PyInit__native(void) { return duckdb_open(); }"
    )
    run("cc", "-shared", "-fPIC", "-o", tmp_path / "x.so", tmp_path / "x.c")
    found = tool("check_exports").complaints(str(tmp_path / "x.so"))
    assert "exports ['PyInit__native', 'stray']" in found[0]
    assert "needs DuckDB to load: ['duckdb_open']" in found[1]
    (tmp_path / "y.c").write_text("void Py_Initialize(void); int stray = 1; void f(void) { Py_Initialize(); }")
    run("cc", "-shared", "-fPIC", "-o", tmp_path / "y.duckdb_extension", tmp_path / "y.c")
    found = tool("check_exports").complaints(str(tmp_path / "y.duckdb_extension"))
    assert "exports ['f', 'stray'], expected ['bascule_init_c_api_v2']" in found[0]
    assert "needs Python to load: ['Py_Initialize']" in found[1]


@pytest.mark.parametrize("build_type", ["Debug", "Release"])
def test_clang_builds_everything_without_a_warning(build_type):
    if not shutil.which("clang-19"):
        pytest.skip("clang-19 is not installed")
    build = ROOT / "build" / f"clang-{build_type}"
    run(
        *(BIN / "cmake", "-S", ROOT, "-B", build, "-G", "Ninja", f"-DCMAKE_BUILD_TYPE={build_type}"),
        *(
            "-DCMAKE_C_COMPILER=clang-19",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DCMAKE_MAKE_PROGRAM={BIN / 'ninja'}",
        ),
    )
    run(BIN / "cmake", "--build", build)
    (module,) = build.glob("_native*.so")
    assert tool("check_exports").complaints(str(module), str(build / "libbascule.a")) == []
    assert tool("check_exports").complaints(str(build / "bascule.duckdb_extension")) == []


def test_files_stay_small_enough_to_read():
    for path in C_FILES:
        if "tests" not in path.parts:
            assert len(path.read_text().splitlines()) <= 800, path
