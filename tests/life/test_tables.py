"""A table in a program's life: interrupted in a notebook, in forked and spawned children, open at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from life.notebook import PROMPT_S, run_cell

HERE = Path(__file__).parent
BEGIN = f"""
    import sys
    sys.path[:0] = [{str(HERE)!r}, {str(HERE.parent)!r}]
    import threading, time, bascule, pyarrow as pa
    def table(**options):
        return bascule.table("interrupted_source:Source", **options)
"""
READS = {
    "arrow": "to_arrow()",
    "reader": "to_reader().read_all()",
    "count": "count()",
    "polars": "to_polars().collect()",
    "duckdb": "to_duckdb(bascule.connect()).fetchall()",
}


@pytest.mark.parametrize("executor", ["inprocess", "process"])
@pytest.mark.parametrize("read", READS)
def test_a_cell_that_is_interrupted_ends_and_the_kernel_lives(kernel, read, executor):
    manager, client = kernel
    assert run_cell(client, BEGIN)[1] is None
    begun = time.monotonic()
    # What a worker prints is no cell's.
    ready = "threading.Timer(1.5, print, ['READY'], dict(flush=True)).start()"
    asked = f"table(place='second batch', executor={executor!r}, partitions=2).{READS[read]}"
    printed, error = run_cell(client, f"{ready}\n{asked}", manager.interrupt_kernel)
    assert error is not None, printed
    assert time.monotonic() - begun < PROMPT_S
    printed, error = run_cell(client, f"print(table(partitions=3, executor={executor!r}).count())")
    assert (error, printed.splitlines()[-1]) == (None, "6")
    printed, error = run_cell(
        client, "print([t.name for t in threading.enumerate() if t.name.startswith('bascule-read')])"
    )
    assert (error, printed.splitlines()[-1]) == (None, "[]")


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_ctrl_c_ends_a_program_that_reads(executor):
    code = textwrap.dedent(BEGIN) + (
        f"for batch in table(place='second batch', sleeps=True, partitions=2, executor={executor!r}).batches(): pass"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert program.stdout is not None
    for line in program.stdout:
        if "READY" in line:
            break
    time.sleep(0.3)
    os.kill(program.pid, signal.SIGINT)
    said, _ = program.communicate(timeout=30)
    assert program.returncode != 0
    assert "KeyboardInterrupt" in said, said
    assert "Fatal Python error" not in said


def run(code: str) -> str:
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error::DeprecationWarning:bascule",
            "-c",
            textwrap.dedent(BEGIN) + textwrap.dedent(code),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("executor", ["inprocess", "process"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_read_what_their_parent_has_open(method, executor):
    said = run(f"""
    import multiprocessing
    from numbers_of import rows_of
    if __name__ == "__main__":
        numbers = bascule.table("testsources:Numbers", executor={executor!r}, partitions=4)
        assert numbers.count() == 40
        with multiprocessing.get_context({method!r}).Pool(2) as pool:
            print(sum(pool.map(rows_of, numbers.partitions())), sum(pool.map(rows_of, [numbers, numbers])), numbers.count())
    """)
    assert said == "40 80 40\n"


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_the_end_of_a_program_with_an_open_reader(executor):
    said = run(f"""
    numbers = bascule.table("testsources:Numbers", executor={executor!r}, partitions=50, batches=20)
    reader = numbers.to_reader()
    batches = numbers.batches()
    frame = numbers.to_polars()
    print(reader.read_next_batch().num_rows, next(batches).num_rows)
    """)
    assert said == "5 5\n"


def test_a_forked_child_closes_nothing_of_its_parents():
    said = run("""
    import os
    class Connected:
        def __init__(self): self.pid = os.getpid()
        def infer_schema(self, options): return pa.schema([("n", pa.int64())])
        def plan_partitions(self, options): return [{}]
        def read_partition(self, spec, options): yield pa.record_batch({"n": [1]})
        def close(self): print("closed", self.pid == os.getpid(), flush=True)
    numbers = bascule.table(Connected)
    assert numbers.count() == 1
    if os.fork() == 0:
        assert numbers.count() == 1
        del numbers
        os._exit(0)
    os.wait()
    """)
    assert set(said.splitlines()) == {"closed True"}
