"""A worker that fails, in a host without Python: the query says how, the one beside it reads on, the JVM lives."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import bascule
from javahost import HostError, JavaHost, gone
from process.beside import HEALTHY_ROWS
from process.failing_sources import LIES

TESTS = Path(__file__).parents[1]
LABEL = "process.failing_sources:Fails"
HEALTHY = (
    "SELECT count(*), sum(k), sum(p), min(s), max(x) FROM python('testsources:Numbers', partitions := 3, batches := 4, "
    "rows := 100, sleep := {sleep})"
)


@pytest.fixture
def host(java_hosts) -> JavaHost:
    """A host whose workers find the sources of the tests."""
    host = java_hosts(env={"PYTHONPATH": str(TESTS)})
    host.execute(f"LOAD '{bascule.extension_path()}'")
    host.execute(f"SET bascule_python = '{sys.executable}'")
    return host


def query(**options: object) -> str:
    return f"SELECT * FROM python('{LABEL}'" + "".join(f", {n} := '{v}'" for n, v in options.items()) + ")"


def failed(host: JavaHost, sql: str) -> str | None:
    """The error of a query; None: it went well."""
    try:
        host.execute(sql)
    except HostError as e:
        return str(e)
    return None


def failure(host: JavaHost, sql: str) -> str:
    """The error of a query that runs beside a healthy one, whose rows are checked, before it and after it."""
    assert numbers(host.execute(HEALTHY.format(sleep=0))) == WHOLE
    host.begin(HEALTHY.format(sleep=0.1))
    text = failed(host, sql)
    assert numbers(host.end()) == WHOLE
    assert numbers(host.execute(HEALTHY.format(sleep=0))) == WHOLE
    assert text is not None, sql
    return re.sub(r"worker process \d+", "worker process PID", text)


def float_or_text(value: object) -> object:
    """A number as one, however JSON has it: HUGEINT comes as text."""
    try:
        return float(value)  # type: ignore[arg-type]
    except ValueError:
        return value


def numbers(rows: list[Any]) -> list[list[object]]:
    return [list(map(float_or_text, row)) for row in rows]


WHOLE = numbers(HEALTHY_ROWS)

DEATHS = {
    "segfault": "was killed by signal 11 (Segmentation fault)",
    "exit": "exited with status 3",
    "kill": "was killed by signal 9 (Killed)",
}


@pytest.mark.parametrize("how", DEATHS)
@pytest.mark.parametrize("place", ["infer_schema", "plan_partitions", "batch"])
def test_a_death(host, place, how):
    text = failure(host, query(place=place, how=how))
    assert f"the worker process PID {DEATHS[how]}" in text
    assert "This query fails, others and the host go on" in text
    assert LABEL in text
    if how == "segfault":
        assert "Its last Python frames:" in text


def test_hangs_end_with_the_timeout(host):
    for how in ("sleep", "hang in C", "stop"):
        text = failure(host, query(place="read_partition", how=how, bascule_timeout=3))
        assert "partition 1 of 2: read_partition: the worker process PID did not answer within 3 s" in text


@pytest.mark.parametrize("how", ["raise", "raise unpicklable", "leave", "memory"])
def test_exceptions(host, how):
    text = failure(host, query(place="read_partition", how=how, bascule_worker_memory="400MB"))
    assert f"{LABEL}, partition 1 of 2: read_partition raised " in text


def test_what_breaks_the_protocol(host):
    for lie in list(LIES)[::8]:
        text = failure(host, query(place="read_partition", how=lie))
        assert LIES[lie][1] in text, lie


def test_workers_that_never_start(host, tmp_path):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    for python, words in {
        "/nowhere/python": "can't be started with the interpreter /nowhere/python: No such file or directory",
        str(bare / "bin" / "python"): f"{bare}/bin/python -m pip install bascule==",
        "/bin/true": "/bin/true: it exited with status 0",
    }.items():
        assert words in failure(host, query(bascule_python=python)), python


def test_another_bascule_is_named(host, other_python):
    text = failure(host, query(bascule_python=other_python))
    assert f"the interpreter {other_python} (" in text
    assert "has bascule 99.1" in text
    assert f"{other_python} -m pip install bascule=={bascule.__version__}" in text


def test_a_worker_without_shared_memory_fails_alone(host, python_without_memfd):
    assert "the system refuses shared memory" in failure(host, query(bascule_python=python_without_memfd))


def test_without_descriptors_a_query_fails_and_says_what_to_raise(host):
    limits = resource.prlimit(host.pid, resource.RLIMIT_NOFILE)
    texts = []
    for free in (0, 2, 4, 6, 8):
        host.begin(HEALTHY.format(sleep=0.3))
        time.sleep(1)  # it has what it needs
        used = max(int(fd.name) for fd in Path(f"/proc/{host.pid}/fd").iterdir()) + 1
        resource.prlimit(host.pid, resource.RLIMIT_NOFILE, (used + free, limits[1]))
        try:
            # Another limit: workers of its own.
            texts.append(failed(host, query(bascule_worker_memory=f"{1000 + free}MB")))
        finally:
            resource.prlimit(host.pid, resource.RLIMIT_NOFILE, limits)
        assert numbers(host.end()) == WHOLE
    assert any(texts)
    for text in filter(None, texts):
        assert "too many files are open" in text
        assert "ulimit -n" in text
    assert failed(host, query(bascule_worker_memory="1GB")) is None


def test_fifty_scans_at_once(host):
    before = host.settled(host.counts())
    for _ in range(50):
        host.begin(HEALTHY.format(sleep=0.01))
    assert f"{LABEL}, partition 1 of 2" in failed(host, query(place="read_partition", how="exit"))
    for _ in range(50):
        assert numbers(host.end()) == WHOLE
    assert host.settled(before, 20).children <= before.children + 4


def test_retries(host, tmp_path):
    sql = query(place="read_partition", how="exit", marker=tmp_path / "once", bascule_retries=1)
    assert len(host.execute(sql)) == 60
    assert "(read again: bascule_retries, 1 of 1)" in host.stderr()


def test_nothing_grows_with_failures(host):
    failure(host, query(place="batch", how="exit"))
    before = host.settled(host.counts())
    for how in ["segfault", "exit", "raise", "kill"]:
        failure(host, query(place="batch", how=how))
    after = host.settled(before)
    assert after.children <= before.children
    assert after.shared_mappings <= before.shared_mappings + 2  # of workers that are warm now
    assert after.descriptors <= before.descriptors + 4


def test_prints_are_the_sources(host):
    host.execute("FROM python('process.failing_sources:Prints', how := 'print', text := 'hello')")
    end = time.monotonic() + 10
    while host.stderr().count("[process.failing_sources:Prints] hello\n") < 2 and time.monotonic() < end:
        time.sleep(0.05)
    assert host.stderr().count("[process.failing_sources:Prints] hello\n") == 2


def test_a_killed_jvm_leaves_no_worker_that_hangs(host):
    host.begin(query(place="read_partition", how="hang in C"))
    end = time.monotonic() + 20
    while not host.children() and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1)
    workers = host.children()
    assert workers
    host.kill(signal.SIGKILL)
    assert [pid for pid in workers if not gone(pid)] == []
