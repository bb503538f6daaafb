"""docs/check.md and the repository's script say what is so."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import bascule.check
from bascule.check import CHECKS

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "python" / "test_python_datasource.py"


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)


def test_the_page_lists_the_checks():
    page = (ROOT / "docs" / "check.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.M) == [(c.id, c.proves) for c in CHECKS.values()]


def test_the_examples_of_docstrings_run():
    assert doctest.testmod(bascule.check).failed == 0


def test_the_script_verifies_the_jdbc_source():
    done = run(sys.executable, SCRIPT)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "  ok       batches" in done.stdout
    assert "note: 1,000 rows in " in done.stdout
    assert re.search(
        r"SELECT \* FROM python\('bascule.sources.jdbc:JDBCArrowDataSource', url := 'sqlite:.*/orders.db'", done.stdout
    )
    assert "The interface for custom sources" in done.stdout


def test_the_script_runs_by_an_interpreter_without_bascule():
    done = run(sys.executable, "-S", SCRIPT, "--no-usage")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_script_says_what_to_do_where_nothing_is_built(tmp_path):
    (tmp_path / "python").mkdir()
    script = shutil.copy(SCRIPT, tmp_path / "python")
    done = run(sys.executable, "-S", script)
    assert (done.returncode, done.stdout) == (2, "")
    assert "can't import bascule" in done.stderr
    assert "run `make build` first" in done.stderr


def test_the_script_is_a_test_as_well():
    done = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, SCRIPT)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
