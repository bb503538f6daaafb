"""The interpreter's end: no abort, no hang, whatever was open."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
    import atexit, sys, threading, time
    after_the_gate = []  # runs after bascule's own hook, which is registered later
    atexit.register(lambda: [call() for call in after_the_gate])
    import bascule, pyarrow as pa
    SCHEMA = pa.schema([("a", pa.int64())])
    class S:
        def infer_schema(self, options): return SCHEMA
        def plan_partitions(self, options): return [{} for _ in range(100)]
        def read_partition(self, spec, options):
            try:
                for _ in range(1000):
                    if options.get("busy"):
                        t = time.monotonic()
                        while time.monotonic() - t < 0.01: pass
                    yield pa.record_batch([list(range(5000))], schema=SCHEMA)
            finally:
                print("generator ended")
        def close(self): print("closed")
"""

# A forked child of a process with a DuckDB connection crashes at its end, and so does a daemon thread
# in a query at the interpreter's end, without Bascule too: no test does either.
CONNECT = """
    con = bascule.connect(config={"threads": 2})
"""


def run(code: str, connect: str = CONNECT) -> str:
    script = textwrap.dedent(PRELUDE + connect) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "leaked" not in done.stderr
    return done.stdout


def test_with_a_relation_bound():
    assert "closed" in run("r = con.sql(\"FROM python('__main__:S')\")")


def test_with_a_source_open():
    assert run("from bascule._native import Source; s = Source('__main__:S')") == "closed\n"


def test_with_a_stream_half_read():
    out = run("""
        from bascule._native import Source
        reader = pa.RecordBatchReader.from_stream(Source('__main__:S').plan().scan().partition(0))
        reader.read_next_batch()
    """)
    assert out == "generator ended\nclosed\n"


def test_with_a_duckdb_reader_half_read():
    assert "closed" in run(
        "reader = con.sql(\"FROM python('__main__:S')\").to_arrow_reader(1000); reader.read_next_batch()"
    )


@pytest.mark.parametrize("busy", ["", ", busy := 1"])
def test_with_a_query_running_in_another_thread(busy):
    run(f"""
        def work():
            try:
                con.execute("SELECT sum(a) FROM python('__main__:S'{busy})").fetchall()
            except BaseException as e:
                print(type(e).__name__)
        thread = threading.Thread(target=work, daemon=True)
        after_the_gate.append(thread.join)
        thread.start()
        time.sleep(0.3)
    """)


def test_by_an_exception():
    script = textwrap.dedent(PRELUDE + CONNECT) + "r = con.sql(\"FROM python('__main__:S')\")\nraise SystemExit(3)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False).returncode == 3


def test_reading_after_the_end_is_an_error_not_a_crash():
    assert "the Python interpreter is closing" in run("""
        import atexit
        from bascule._native import Source
        scan = Source('__main__:S').plan().scan()
        def late():
            import bascule._native
            bascule._native.close_gate()
            try:
                pa.RecordBatchReader.from_stream(scan.partition(0)).read_all()
            except Exception as e:
                print(e)
        atexit.register(late)
    """)


def test_with_batches_whose_buffers_are_pythons():
    """DuckDB's threads release them when they like; the release would take the GIL of a dead interpreter."""
    for _ in range(4):
        run("""
            import numpy as np
            class Owned(S):
                def read_partition(self, spec, options):
                    for _ in range(1000):
                        yield pa.record_batch([pa.array(np.arange(50_000))], schema=SCHEMA)
            readers = [con.cursor().sql("FROM python('__main__:Owned')").to_arrow_reader(1000) for _ in range(3)]
            for reader in readers:
                reader.read_next_batch()
        """)


def test_a_forked_child_ends_at_once_and_leaves_the_parents_instances_alone():
    out = run(
        """
        import os, warnings
        from bascule._native import Source
        warnings.simplefilter("ignore")
        threading.excepthook = lambda args: None
        scan = Source('__main__:S', {"busy": "1"}).plan().scan()
        thread = threading.Thread(target=lambda: pa.RecordBatchReader.from_stream(scan.partition(0)).read_all(), daemon=True)
        thread.start()
        time.sleep(0.2)
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            sys.exit(7)
        print("child:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), time.monotonic() - started < 5)
    """,
        connect="",
    )
    assert "child: 7 True" in out
    assert out.count("closed") == 1, "by the parent"
