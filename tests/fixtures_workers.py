"""Interpreters that workers can't be run by, and a system that refuses them shared memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SHIM = """
    #include <errno.h>
    int memfd_create(const char *name, unsigned flags)
    {
        (void)name; (void)flags;
        errno = ENOSYS;
        return -1;
    }
"""


def interpreter(path: Path, environment: str, flags: str = "") -> Path:
    """Writes the tests' interpreter with more in its environment."""
    path.write_text(f'#!/bin/sh\n{environment} exec {sys.executable} {flags} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def no_memfd(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that refuses shared memory, for LD_PRELOAD."""
    folder = tmp_path_factory.mktemp("shim")
    source, library = folder / "shim.c", folder / "shim.so"
    source.write_text(textwrap.dedent(SHIM))
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    return str(library)


@pytest.fixture
def python_without_memfd(no_memfd: str, tmp_path: Path) -> Path:
    """An interpreter to which the system refuses shared memory."""
    return interpreter(tmp_path / "python", f"LD_PRELOAD={no_memfd}")


@pytest.fixture
def other_python(tmp_path: Path) -> Path:
    """An interpreter with another version of bascule."""
    import bascule

    package = tmp_path / "other" / "bascule"
    package.mkdir(parents=True)
    shutil.copy(Path(bascule.__file__).parent / "worker.py", package)
    (package / "__init__.py").write_text('__version__ = "99.1"\n')
    return interpreter(tmp_path / "python99", f"PYTHONPATH={package.parent}", "-S")
