"""``bascule.testing`` as a package uses it: by a pytest of its own, on a sound and a broken source."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from bascule.check import CHECKS

HERE = Path(__file__).parent


def run_pytest(tmp_path: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_sources.py").write_text(
        f"import sys\nsys.path.insert(0, {str(HERE)!r})\n" + textwrap.dedent(code)
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--color=no", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


def test_each_check_is_a_test(tmp_path):
    done = run_pytest(
        tmp_path,
        """
        from bascule.testing import SourceSuite

        class TestGood(SourceSuite):
            source = "broken:Good"
            options = {"region": "eu"}
        """,
    )
    assert done.returncode == 0, done.stdout
    found = set(re.findall(r"^PASSED test_sources.py::TestGood::test_(\w+)", done.stdout, re.M))
    hints = {"columns", "columns_used", "filters", "claims", "limit"}
    assert found == set(CHECKS) - hints - {
        "close",
        "secrets",
        "statistics",
        "partition_facts",
        "required_filters",
        "stream",
    }
    assert "21 passed, 11 skipped in" in done.stdout
    assert "it has no close()" in done.stdout


def test_a_failure_is_what_the_check_says_and_a_warning_a_warning(tmp_path):
    done = run_pytest(
        tmp_path,
        """
        import broken
        from bascule.testing import SourceSuite

        class TestWrongType(SourceSuite):
            source = broken.WrongType  # the class itself

        class TestForgetsColumns(SourceSuite):
            source = broken.ForgetsColumns
        """,
    )
    assert done.returncode == 1
    assert (
        "batches: Every batch has the columns and types of infer_schema, and is sound Arrow data.\n"
        "broken:WrongType, partition 0 of 2, batch 1: column 'a' is int32, but infer_schema said int64. Cast it in "
        "read_partition, or change infer_schema\n"
    ) in done.stdout
    assert "CheckWarning: columns_used: broken:ForgetsColumns: read_partition yielded all 2 columns" in done.stdout
    assert re.search(r"\b1 failed, .* 1 warning", done.stdout)
    assert "testing.py" not in done.stdout.partition("warnings summary")[0]


def test_one_test_runs_alone(tmp_path):
    code = """
        from bascule.testing import Limits, SourceSuite

        class TestReadsOnce(SourceSuite):
            source = "broken:ReadsOnce"
            limits = Limits(partitions=1)
        """
    done = run_pytest(tmp_path, code, "-k", "read_again")
    assert done.returncode == 1
    assert "read again, partition 0: 0 rows, the first time 4" in done.stdout
    done = run_pytest(tmp_path, code, "-k", "threads")
    assert done.returncode == 0
    assert "it needs 'read_again', which failed" in done.stdout


def test_a_suite_without_a_source_says_so(tmp_path):
    done = run_pytest(
        tmp_path,
        """
        from bascule.testing import SourceSuite

        class TestOrders(SourceSuite):
            pass
        """,
    )
    assert done.returncode == 1
    assert "TestOrders names no source: write source = 'pkg.mod:Class', or the class itself" in done.stdout


def test_a_missing_pytest_is_told():
    code = "import sys; sys.modules['pytest'] = None; import bascule.testing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "BasculeError: bascule.testing needs pytest, which is not installed: pip install pytest" in done.stderr
