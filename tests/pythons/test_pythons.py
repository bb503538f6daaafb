"""The package with each CPython from 3.11 on that is on this machine: built, installed as users do, its tests run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNNING = sys.version_info[:2]
MINORS = (11, 12, 13)

#: What depends on the interpreter and runs without a compiler.
TESTS = ("tests/python", "tests/engines", "tests/conformance", "tests/hostile", "tests/life")
#: Takes long, and nothing of it is the interpreter's: once is enough.
NOT_AGAIN = ("tests/life/test_repeats.py", "tests/engines/test_duckdb_nested.py", "tests/conformance/test_evolve.py")
#: For the running interpreter all of it ran from the sources: what an installed package may lack.
OF_THE_PACKAGE = (
    "tests/conformance/test_conformance.py",
    "tests/engines/test_duckdb.py",
    "tests/python/test_locate.py",
)


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
        [str(part) for part in command], capture_output=True, text=True, timeout=1500, check=False, cwd=ROOT, env=env
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))} failed:\n{done.stdout[-6000:]}{done.stderr[-3000:]}"
    return done.stdout


def test_the_running_python_is_one_that_the_package_is_for():
    assert RUNNING in [(3, minor) for minor in MINORS]
    assert re.search(r'requires-python = ">=3\.11"', (ROOT / "pyproject.toml").read_text("utf-8"))


VERSIONS = sorted({minor for _, minor in others()} | {RUNNING[1]}, key=lambda minor: (minor == RUNNING[1], minor))


def built_and_tested(minor: int, folder: Path) -> str:
    """What pytest printed in an environment of that Python into which the package was installed."""
    python = others().get((3, minor), sys.executable)
    environment = folder / "venv"
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    run(python, "-m", "venv", environment, env=env)
    env["PATH"] = f"{environment / 'bin'}{os.pathsep}{env['PATH']}"
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    env["BASCULE_ENGINES"] = "native duckdb table"
    inside = environment / "bin" / "python"
    run(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements(), env=env)
    run(
        *(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-build-isolation"),
        *("--config-settings", f"build-dir={folder / 'build'}", ".[duckdb]"),
        env=env,
    )
    found = run(inside, "-c", "import bascule._native as n; print(n.__file__)", env=env).strip()
    assert found.startswith(str(environment)), found
    return run(
        *(inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", folder / "t"),
        *(OF_THE_PACKAGE if minor == RUNNING[1] else TESTS),
        *(f"--ignore={path}" for path in NOT_AGAIN),
        env=env,
    )


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Future[str]]]:
    """All versions, as many at a time as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {minor: pool.submit(built_and_tested, minor, tmp_path_factory.mktemp(f"{minor}")) for minor in VERSIONS}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("minor", VERSIONS)
def test_the_package_works_with(minor, begun):
    said = begun[minor].result()
    assert re.search(r"\d{3,} passed", said), said[-2000:]
