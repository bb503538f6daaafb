"""10,000 times the same: no growth of memory, descriptors, threads or Python references.

Each case of life/repeat.py is a process of its own, as many at a time as there are processors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from life.growth import Run, grown

TESTS = Path(__file__).parents[1]
HANGS_S = 1_500 if os.environ.get("BASCULE_SOAK") else 280

CASES = [
    *("query", "fail_query", "abandon_cursor", "interrupt_query", "execute_prepared", "query_a_new_class"),
    *("query_in_workers", "read_scan_in_a_worker", "end_early_in_workers", "kill_a_worker"),
    *("read_scan", "abandon_scan", "cancel_scan", "fail_scan", "fail_open", "fail_bind", "read_on_a_new_thread"),
]

# Generous: the processors may be shared.
pytestmark = pytest.mark.timeout(HANGS_S + 20)


def run(case: str) -> list[Run]:
    done = subprocess.run(
        [sys.executable, "-m", "life.repeat", case],
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
        # glibc counts what a thread keeps for itself (its tcache) as in use.
        env={**os.environ, "PYTHONPATH": str(TESTS), "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [Run(*run) for run in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[list[Run]]]]:
    """What the chosen tests are going to ask for, begun at once."""
    asked = [item.callspec.params["case"] for item in request.session.items if item.path == request.path]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {case: pool.submit(run, case) for case in asked}


@pytest.mark.parametrize("case", CASES)
def test_nothing_grows(runs, case):
    found = runs[case].result()
    assert grown(found) == {}
    assert found[-1].last["sources that know a class"] == 0


@pytest.mark.parametrize("case", ["leak"])
def test_the_measurement_sees_what_leaks(runs, case):
    assert grown(runs[case].result()).keys() >= {
        "malloc's bytes",
        "Python's memory blocks",
        "references to its schema",
        "descriptors",
    }
