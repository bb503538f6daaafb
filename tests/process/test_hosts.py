"""However a host ends, nothing of it is left; and what a host lacks (descriptors, shared memory) is an error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from process.beside import marked, wait_until

TESTS = Path(__file__).parents[1]
#: A child that inherits it was started by the host that has it.
MARK = "BASCULE_TEST_MARK"

HOST = f"""
    import atexit, os, signal, sys, threading, time
    after_the_gate = []  # runs after bascule's own hook, which is registered later
    atexit.register(lambda: [call() for call in after_the_gate])
    sys.path.insert(0, {str(TESTS)!r})
    import pyarrow as pa
    from bascule import _native
    def say(*words): os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""
ENGINE = """
    import bascule, duckdb
    from process.beside import HEALTHY, HEALTHY_ROWS, Healthy, beside_healthy, nothing_left, query, wait_until, workers
    def failure(sql):
        try:
            con.execute(sql).fetchall()
        except duckdb.Error as e:
            return str(e)
        return "it went well"
    con = bascule.connect(config={"threads": 2})
    con.execute("SET enable_progress_bar = false")
"""


class Host:
    """A program of its own, and all that it starts."""

    def __init__(self, *code: str, **environment: str) -> None:
        self.mark = f"{MARK}={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-c", "".join(map(textwrap.dedent, code))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, name: value, **environment},
        )
        self.said: list[str] = []

    def read_until(self, word: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if word in line:
                return
        raise AssertionError(f"no {word}: {self.said}, {self.process.stderr and self.process.stderr.read()}")

    def finish(self) -> None:
        """It ends by itself, and well."""
        out, err = self.process.communicate(timeout=100)
        self.said += out.splitlines()
        self.err = err
        assert self.process.returncode == 0, (self.said, err)

    def left(self, seconds: float) -> dict[int, str]:
        """Its processes that are left after that time at most. Shared memory without a name, as all of it is, lives in
        processes only."""
        wait_until(lambda: not marked(self.mark), seconds)
        return marked(self.mark)


@contextmanager
def host(code: str, engine: str = ENGINE, **environment: str) -> Iterator[Host]:
    program = Host(HOST, engine, code, **environment)
    try:
        yield program
    finally:
        for pid in {program.process.pid, *marked(program.mark)}:
            if program.process.poll() is None or pid != program.process.pid:
                os.kill(pid, signal.SIGKILL)
        program.process.wait()
        for file in (program.process.stdout, program.process.stderr):
            if file is not None:
                file.close()


READS = """
    threading.Thread(target=failure, args=(query({options}),), daemon=True).start()
    assert wait_until(lambda: os.path.exists({pids!r}))
    with Healthy(con) as healthy:
        healthy.read_more()
        say("READY", *workers())
        time.sleep(60)
"""


# ---- it is killed ----


@pytest.mark.parametrize("how", ["sleep", "hang in C", "stop", "hang deaf"])
def test_no_worker_outlives_a_killed_host(how, tmp_path):
    """Also one that keeps the GIL in a call into C, one that is stopped, one that ignores signals."""
    pids = str(tmp_path / "pids")
    options = f"place='batch', how={how!r}, pid={pids!r}, rows=200_000"
    with host(textwrap.dedent(READS.format(options=options, pids=pids))) as program:
        program.read_until("READY")
        assert len(marked(program.mark)) >= 3, "the host and two workers"
        time.sleep(0.3)
        program.process.kill()
        assert program.left(5) == {}


def test_no_worker_outlives_a_host_that_is_killed_while_it_starts_one():
    code = """
        for _ in range(8):
            threading.Thread(target=failure, args=(query(bascule_workers=8),), daemon=True).start()
        assert wait_until(lambda: workers())
        say("READY")
        time.sleep(60)
    """
    with host(code) as program:
        program.read_until("READY")
        program.process.kill()
        assert program.left(10) == {}


# ---- it ends ----


ENDS = {
    "its end": "",
    "sys.exit": "sys.exit(0)",
    "os._exit": "os._exit(0)",
    "with a scan open": "stream = pa.RecordBatchReader.from_stream(_native.Source('process.failing_sources:Numbers',"
    " {'bascule_executor': 'process', 'batches': '1000', 'rows': '10000'}).plan().scan().partition(0));"
    " batch = stream.read_next_batch()",
    "with a relation open": "relation = con.sql(query())",
    "with a result half fetched": "result = con.execute(query()); row = result.fetchone()",
    "with a thread in a worker": "thread = threading.Thread(target=failure, args=(query(place='batch', how='sleep'),),"
    " daemon=True); thread.start(); time.sleep(1); after_the_gate.append(thread.join)",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_host_that_ends_leaves_nothing_and_says_nothing(end):
    code = f"""
        with Healthy(con) as healthy:
            healthy.read_more()
            say(failure(query()))
        {ENDS[end]}
    """
    with host(code) as program:
        program.finish()
        assert program.said == ["it went well"]
        assert program.err == ""
        assert program.left(5) == {}


# ---- it forks ----


def test_a_child_that_is_forked_during_a_scan_reads_for_itself():
    code = """
        import warnings
        warnings.simplefilter("ignore")
        def child(call):
            pid = os.fork()
            if pid == 0:
                signal.alarm(60)
                try:
                    say("child:", call())
                    os._exit(0)
                except BaseException as e:
                    say("child failed:", type(e).__name__, e)
                    os._exit(1)
            say("child ended:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        def rows():
            stream = _native.Source("process.failing_sources:Numbers", {"bascule_executor": "process"}).plan().scan()
            return pa.RecordBatchReader.from_stream(stream.partition(0)).read_all().num_rows
        def new_database():
            other = bascule.connect(config={"threads": 1})
            answer = other.execute(query(what="count(*)")).fetchall()
            other.close()
            _native.end_workers()
            return answer, _native.worker_count()
        with nothing_left(), Healthy(con) as healthy:
            options = {"bascule_executor": "process", "batches": "40", "rows": "5000"}
            scan = _native.Source("process.failing_sources:Numbers", options).plan().scan()
            stream = pa.RecordBatchReader.from_stream(scan.partition(0))
            stream.read_next_batch()
            for call in (os.getpid, rows, new_database,
                         lambda: pa.RecordBatchReader.from_stream(scan.partition(1)).read_all().num_rows):
                healthy.read_more()
                child(call)
            healthy.read_more()
            say("parent:", rows(), stream.read_all().num_rows)
            del stream, scan
    """
    with host(code) as program:
        program.finish()
        answers = [line for line in program.said if line.startswith("child")]
        assert answers[1::2] == ["child ended: 0"] * 4, program.said
        assert answers[2::2] == ["child: 30", "child: ([(60,)], 0)", "child: 200000"], program.said
        assert "parent: 30 195000" in program.said
        assert program.left(5) == {}


def test_a_forked_child_that_exits_leaves_its_parents_workers_alone():
    """Without an engine: DuckDB does not live through the exit of such a child."""
    code = """
        import warnings
        warnings.simplefilter("ignore")
        source = _native.Source("process.failing_sources:Numbers", {"bascule_executor": "process"})
        def read(): return pa.RecordBatchReader.from_stream(source.plan().scan().partition(0)).read_all().num_rows
        enough, rows = threading.Event(), []
        def read_on():
            while not enough.is_set(): rows.append(read())
        thread = threading.Thread(target=read_on)
        thread.start()
        while not rows: time.sleep(0.05)
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                sys.exit(0)
            say("child ended:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        n = len(rows)
        while len(rows) < n + 2: time.sleep(0.05)
        enough.set()
        thread.join()
        say(set(rows), read())
    """
    with host(code, engine="") as program:
        program.finish()
        assert program.said == [*["child ended: 0"] * 5, "{30} 30"]
        assert program.err == ""
        assert program.left(5) == {}


# ---- it lacks something ----


def test_without_descriptors_a_query_fails_and_says_what_to_raise():
    code = """
        import resource
        with beside_healthy(con) as healthy:
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            kept = []
            resource.setrlimit(resource.RLIMIT_NOFILE, (200, most))
            try:
                while True:
                    kept.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                pass
            for free in range(16):
                healthy.read_more()
                say(free, repr(failure(query(bascule_worker_memory="1GB"))))
                os.close(kept.pop())
            for fd in kept: os.close(fd)
            say("then:", failure(query(bascule_worker_memory="1GB")))
    """
    with host(code) as program:
        program.finish()
        texts = [line for line in program.said if line[:1].isdigit()]
        failed = [text for text in texts if "it went well" not in text]
        assert failed, program.said
        for text in failed:
            assert "too many files are open" in text, text
            assert "ulimit -n" in text, text
        assert "then: it went well" in program.said


def test_where_the_system_refuses_shared_memory_the_query_says_so(no_memfd):
    code = """
        say(failure(query()))
        say(con.execute(HEALTHY.replace("'process'", "'inprocess'")).fetchall() == HEALTHY_ROWS)
        say(failure(query(place="plan_partitions", how="exit")))
        _native.end_workers()
        say(_native.worker_count())
    """
    with host(code, LD_PRELOAD=no_memfd) as program:
        program.finish()
        refused, healthy, died, count = program.said
        assert "process.failing_sources:Fails, partition " in refused
        assert "the system refuses shared memory (memfd_create: Function not implemented)" in refused
        assert healthy == "True", "in the host's own interpreter there is no need of it"
        assert "plan_partitions: the worker process" in died, "without a crash file"
        assert "exited with status 3" in died
        assert count == "0"


def test_a_worker_without_shared_memory_fails_alone(python_without_memfd):
    code = f"""
        os.environ["PYTHONPATH"] = {str(TESTS)!r}
        with beside_healthy(con):
            say(failure(query(bascule_python={str(python_without_memfd)!r})))
    """
    with host(code) as program:
        program.finish()
        assert "the system refuses shared memory" in program.said[0]
