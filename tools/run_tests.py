"""Runs all tests: those that take no notice of how long they take beside the others, at the lowest priority.

python tools/run_tests.py               two processes of pytest
python tools/run_tests.py ARGUMENTS     one, with these arguments of pytest

Half of the others' time is spent waiting for something, on one core; what is left of two cores does these.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: They compile and run C, or wait for the sources' servers.
BESIDE = ["tests/fault", "tests/fuzz", "tests/unit", "tests/sources"]
#: They take all cores, and time counts in them: when the others are done.
LAST = ["tests/sanitized", "tests/pythons"]
LOG = ROOT / "build" / "tests-beside.log"


def others() -> list[str]:
    """All of tests and examples but BESIDE, LAST at the end."""
    rooms = sorted(f"tests/{path.name}" for path in (ROOT / "tests").iterdir() if list(path.glob("**/test_*.py")))
    return [room for room in rooms if room not in (*BESIDE, *LAST)] + ["examples", *LAST]


def pytest(*args: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *args]


def main() -> int:
    if len(sys.argv) > 1:
        return subprocess.run(pytest(*sys.argv[1:]), cwd=ROOT, check=False).returncode
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("wb") as log:
        beside = subprocess.Popen(
            ["nice", "-n", "19", *pytest(*BESIDE)], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            rest = subprocess.run(pytest(*others()), cwd=ROOT, check=False).returncode
            code = beside.wait()
        except BaseException:
            beside.terminate()
            raise
    print(f"\n{' '.join(BESIDE)} (beside the others):", flush=True)
    sys.stdout.buffer.write(LOG.read_bytes())
    return rest or code


if __name__ == "__main__":
    sys.exit(main())
