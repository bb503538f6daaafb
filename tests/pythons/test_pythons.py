"""The package with each CPython from 3.11 on that is on this machine: built, installed as users do, its tests run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNNING = sys.version_info[:2]
MINORS = (11, 12, 13)

#: What depends on the interpreter and runs without a compiler. Repeating everything takes long, and is done once.
TESTS = ("tests/python", "tests/engines", "tests/conformance", "tests/hostile", "tests/life")
NOT_AGAIN = ("tests/life/test_repeats.py",)


def version_of(python: str) -> tuple[int, int] | None:
    """The version of an interpreter; None where it is none, as a version manager's stand-in for one."""
    code = "import sys, ensurepip, venv; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return None
    return None if done.returncode else tuple(map(int, done.stdout.split()))  # type: ignore[return-value]


def others() -> dict[tuple[int, int], str]:
    """An interpreter for each version but the running one, on the PATH or where pyenv and uv keep theirs."""
    keepers = (
        Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions",
        Path("~/.local/share/uv/python").expanduser(),
    )
    found: dict[tuple[int, int], str] = {}
    for minor in MINORS:
        if (3, minor) == RUNNING:
            continue
        name = f"python3.{minor}"
        kept = [str(path) for keeper in keepers for path in sorted(keeper.glob(f"*3.{minor}.*/bin/{name}"))]
        for python in [*filter(None, [shutil.which(name)]), *kept]:
            if version_of(python) == (3, minor):
                found[3, minor] = python
                break
    return found


def requirements() -> list[str]:
    """What building and testing need, of requirements-dev.txt."""
    wanted, part = [], ""
    for line in (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines():
        part = line.removeprefix("# ") if line.startswith("#") else part
        if part in ("build", "test") and "==" in line:
            wanted.append(line)
    return wanted


def run(*command: str | Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=900, check=False, cwd=ROOT, env=env
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))} failed:\n{done.stdout[-6000:]}{done.stderr[-3000:]}"
    return done.stdout


def test_the_running_python_is_one_that_the_package_is_for():
    assert RUNNING in [(3, minor) for minor in MINORS]
    assert re.search(r'requires-python = ">=3\.11"', (ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("minor", sorted({minor for _, minor in others()} | {RUNNING[1]}))
def test_the_package_works_with(minor, tmp_path):
    python = others().get((3, minor), sys.executable)
    environment = tmp_path / "venv"
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    run(python, "-m", "venv", environment, env=env)
    env["PATH"] = f"{environment / 'bin'}{os.pathsep}{env['PATH']}"
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    inside = environment / "bin" / "python"
    run(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements(), env=env)
    run(
        *(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-build-isolation"),
        *("--config-settings", f"build-dir={tmp_path / 'build'}", ".[duckdb]"),
        env=env,
    )
    found = run(inside, "-c", "import bascule._native as n; print(n.__file__)", env=env).strip()
    assert found.startswith(str(environment)), found
    said = run(
        *(inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", tmp_path / "t", *TESTS),
        *(f"--ignore={path}" for path in NOT_AGAIN),
        env=env,
    )
    assert re.search(r"\d{3,} passed", said), said[-2000:]
