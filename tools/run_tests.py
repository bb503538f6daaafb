"""Runs all tests: those that compile and run C for minutes beside the others, at the lowest priority.

python tools/run_tests.py               two processes of pytest
python tools/run_tests.py ARGUMENTS     one, with these arguments of pytest

Half of the others' time is spent waiting for something, on one core; what is left of two cores does the C.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
OF_C = ["tests/fault", "tests/fuzz", "tests/unit"]
#: They take all cores, and time counts in them: when the others are done.
LAST = ["tests/sanitized", "tests/pythons"]
LOG = ROOT / "build" / "tests-of-c.log"


def others() -> list[str]:
    """All of tests and examples but OF_C, LAST at the end."""
    rooms = sorted(f"tests/{path.name}" for path in (ROOT / "tests").iterdir() if list(path.glob("**/test_*.py")))
    return [room for room in rooms if room not in (*OF_C, *LAST)] + ["examples", *LAST]


def pytest(*args: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *args]


def main() -> int:
    if len(sys.argv) > 1:
        return subprocess.run(pytest(*sys.argv[1:]), cwd=ROOT, check=False).returncode
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("wb") as log:
        of_c = subprocess.Popen(["nice", "-n", "19", *pytest(*OF_C)], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            rest = subprocess.run(pytest(*others()), cwd=ROOT, check=False).returncode
            code = of_c.wait()
        except BaseException:
            of_c.terminate()
            raise
    print(f"\n{' '.join(OF_C)} (beside the others):", flush=True)
    sys.stdout.buffer.write(LOG.read_bytes())
    return rest or code


if __name__ == "__main__":
    sys.exit(main())
