"""Which interpreter workers run in, what reaches them, and what a user reads where none starts."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import bascule
from bascule import _native
from bascule._wire import VERSION
from life.notebook import run_cell
from process.beside import beside_healthy, nothing_left, query

WHERE = "process.failing_sources:Where"


def error_of(con: duckdb.DuckDBPyConnection, sql: str) -> str:
    with pytest.raises(duckdb.Error) as caught:
        con.execute(sql).fetchall()
    return str(caught.value)


def script(path: Path, text: str) -> Path:
    path.write_text(textwrap.dedent(text).lstrip())
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter without bascule."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


@pytest.fixture
def cells() -> Iterator[Any]:
    """A notebook's kernel, for ``life.notebook.run_cell``."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", extra_arguments=["--HistoryManager.enabled=False"])
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


# ---- none starts ----


def test_an_interpreter_that_is_not_there_is_named(con):
    with beside_healthy(con):
        text = error_of(con, query(bascule_python="/no/such/python"))
    assert "process.failing_sources:Fails: " in text
    assert "can't be started with the interpreter /no/such/python: No such file or directory" in text
    assert "bascule_python" in text, "what to do"


def test_a_file_that_is_no_interpreter_is_named(con, tmp_path):
    (tmp_path / "python").write_text("not a program")
    with beside_healthy(con):
        text = error_of(con, query(bascule_python=tmp_path / "python"))
    assert f"{tmp_path}/python: Permission denied" in text


def test_an_interpreter_without_bascule_says_what_to_install(con, bare_python):
    with beside_healthy(con):
        text = error_of(con, query(bascule_python=bare_python))
    assert f"no worker process could be started with the interpreter {bare_python}" in text
    assert "No module named" in text
    assert "bascule" in text
    assert f"{bare_python} -m pip install bascule=={bascule.__version__}" in text
    assert "bascule_python" in text


def test_an_interpreter_with_another_bascule_says_which(con, other_python):
    with beside_healthy(con):
        text = error_of(con, query(bascule_python=other_python))
    version = sys.version.split()[0]
    assert f"the interpreter {other_python} ({sys.executable} ({version})) has bascule 99.1" in text, text
    assert f"and this host has {bascule.__version__} (protocol {VERSION}): they must be the same" in text
    assert f"{other_python} -m pip install bascule=={bascule.__version__}" in text


def test_a_program_that_is_no_worker_is_named(con, tmp_path):
    with beside_healthy(con):
        mute = script(tmp_path / "mute", "#!/bin/sh\nexit 0")
        assert f"interpreter {mute}: it exited with status 0" in error_of(con, query(bascule_python=mute))
        loud = script(tmp_path / "loud", "#!/bin/sh\necho I am no Python >&2\nexit 7")
        text = error_of(con, query(bascule_python=loud))
        assert f"interpreter {loud}: it exited with status 7, saying:\nI am no Python\n" in text
        garbage = script(tmp_path / "garbage", "#!/bin/sh\necho 'hello, here is a program' >&3\nsleep 60")
        assert str(garbage) in error_of(con, query(bascule_python=garbage))


def test_a_worker_that_never_says_hello_is_given_up_after_the_timeout(con, tmp_path):
    slow = script(tmp_path / "slow", "#!/bin/sh\nexec sleep 60")
    with beside_healthy(con):
        text = error_of(con, query(bascule_python=slow, bascule_timeout=1))
    assert f"the worker process that {slow} started did not answer within 1 s" in text


# ---- which one ----


def test_the_environment_names_the_interpreter(con, bare_python, monkeypatch):
    monkeypatch.setenv("BASCULE_PYTHON", str(bare_python))
    assert f"interpreter {bare_python}" in error_of(con, query(what="count(*)"))
    named = query("Where", "count(*)", bascule_python=sys.executable)
    with nothing_left():
        assert con.execute(named).fetchall() == [(1,)], "an option has the last word"


# ---- what reaches it ----


def test_the_class_asks_for_a_worker(con):
    with nothing_left():
        rows = con.execute("SELECT pid FROM python('process.failing_sources:InProcesses')").fetchall()
        assert rows[0][0] != os.getpid()
        rows = con.execute(
            "SELECT pid FROM python('process.failing_sources:InProcesses', bascule_executor := 'inprocess')"
        ).fetchall()
        assert rows == [(os.getpid(),)]


def test_the_hosts_path_and_directory_reach_the_worker(con, tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "only_here_for_workers.py").write_text("from process.failing_sources import Where\n")
    with nothing_left():
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(tmp_path / "lib")
        sql = "FROM python('only_here_for_workers:Where', bascule_executor := 'process')"
        [(pid, directory, path)] = con.execute(sql).fetchall()
        assert pid != os.getpid()
        assert directory == str(tmp_path)
        assert [entry for entry in sys.path if isinstance(entry, str)] == path.split("\n")[: len(sys.path)]


def test_a_directory_that_is_gone_does_not_matter(con, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    with nothing_left():
        monkeypatch.chdir(gone)
        gone.rmdir()
        assert con.execute(query(what="count(*)")).fetchall() == [(60,)]


MAIN = """
    import bascule, duckdb, pyarrow as pa, threading
    SCHEMA = pa.schema([("a", pa.int64())])
    class Base:
        def infer_schema(self, options): return SCHEMA
        def plan_partitions(self, options): return [{"p": p, "kept": Kept(p)} for p in range(3)]
    class Kept:
        def __init__(self, p): self.p = p
    class Mine(Base):
        def read_partition(self, spec, options):
            import os
            assert os.getpid() != HOST
            yield pa.record_batch([[spec["p"] * FACTOR + spec["kept"].p]], schema=SCHEMA)
    import os
    HOST, FACTOR = os.getpid(), 10
    con = bascule.connect()
    q = "SELECT sum(a) FROM python('__main__:Mine', bascule_executor := 'process')"
    print(con.execute(q).fetchall())
    FACTOR = 100
    print(con.execute(q).fetchall())
    lock = threading.Lock()
    class Locked(Mine):
        def read_partition(self, spec, options):
            with lock:
                yield from super().read_partition(spec, options)
    try:
        con.execute(q.replace("Mine", "Locked")).fetchall()
    except duckdb.Error as e:
        print(e)
"""


def test_a_class_of_a_script_goes_to_workers_by_value(tmp_path):
    """With what its methods use; one that can't says why."""
    main = tmp_path / "program.py"
    main.write_text(textwrap.dedent(MAIN))
    done = subprocess.run([sys.executable, main], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first, second, *error = done.stdout.splitlines()
    assert first == "[(33,)]".replace("33", str(0 + 11 + 22))
    assert second in ("[(33,)]", "[(303,)]"), "the class itself is the same one"
    text = " ".join(error)
    assert "__main__:Locked is known to this process alone" in text
    assert "the global 'lock', which read_partition uses, (a lock) can't be pickled" in text
    assert "Put the class into a module" in text
    assert "bascule_executor = 'inprocess'" in text


CELL = """
    import os, pyarrow as pa, bascule
    FACTOR = {factor}
    class Mine:
        def infer_schema(self, options): return pa.schema([("pid", pa.int64()), ("a", pa.int64())])
        def plan_partitions(self, options): return [{{}}]
        def read_partition(self, spec, options):
            yield pa.record_batch([[os.getpid()], [FACTOR]], schema=self.infer_schema(options))
    con = bascule.connect()
    [(pid, a)] = con.execute("FROM python('__main__:Mine', bascule_executor := 'process')").fetchall()
    print("ELSEWHERE" if pid != os.getpid() else "HERE", a)
"""


def test_a_class_of_a_notebooks_cell_goes_to_workers_as_the_cell_last_said(cells):
    for factor in (1, 2):
        printed, error = run_cell(cells, textwrap.dedent(CELL).format(factor=factor))
        assert error is None, error
        assert f"ELSEWHERE {factor}" in printed


def test_a_spec_that_cannot_be_pickled_is_an_error_that_says_so(con, tmp_path, monkeypatch):
    (tmp_path / "spec_of_locks.py").write_text(
        textwrap.dedent(
            """
            import threading
            from process.failing_sources import Numbers
            class Locks(Numbers):
                def plan_partitions(self, options):
                    return [{"lock": threading.Lock()}]
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    with beside_healthy(con):
        text = error_of(con, "FROM python('spec_of_locks:Locks', bascule_executor := 'process')")
    assert "spec_of_locks:Locks: plan_partitions" in text
    assert "can't be pickled" in text
    assert "dict of plain values" in text


def test_options_with_secrets_are_in_no_command_line_and_no_environment(con):
    from process.beside import workers

    with nothing_left():
        con.execute(query("Numbers", password="hunter2hunter2")).fetchall()
        assert _native.worker_count() > 0
        for pid in workers():
            for file in ("cmdline", "environ"):
                assert b"hunter2" not in Path(f"/proc/{pid}/{file}").read_bytes()
