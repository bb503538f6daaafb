"""The package as a type checker shows it to its users: mypy as strict as it is, pyright, and no type left open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
PROGRAM = Path(__file__).parent / "user_program.py"


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "VIRTUAL_ENV": str(BIN.parent), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_the_program_runs():
    done = run(sys.executable, PROGRAM, cwd=PROGRAM.parent)
    assert done.returncode == 0, done.stderr


def test_mypy_strict(tmp_path):
    done = run(BIN / "mypy", "--strict", "--ignore-missing-imports", "--config-file=", PROGRAM, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_pyright(tmp_path, mode):
    """Strict without what pyarrow, which has no types, leaves unknown."""
    unknown = ("MemberType", "ArgumentType", "VariableType", "ParameterType", "LambdaType")
    settings = {
        "typeCheckingMode": mode,
        "reportMissingTypeStubs": False,
        **{f"reportUnknown{what}": False for what in unknown},
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({**settings, "include": ["user.py"]}))
    (tmp_path / "user.py").write_text(PROGRAM.read_text("utf-8"))
    done = run(BIN / "pyright", "--pythonpath", sys.executable, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_every_public_type_is_known():
    done = run(BIN / "pyright", "--verifytypes", "bascule", "--ignoreexternal", "--outputjson", cwd=PROGRAM.parent)
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    # pyspark is not installed beside this Python.
    unknown = [
        s["name"]
        for s in symbols
        if not (s["isTypeKnown"] and not s["isTypeAmbiguous"]) and not s["name"].startswith("bascule.spark.")
    ]
    assert len(symbols) > 300
    assert not unknown
