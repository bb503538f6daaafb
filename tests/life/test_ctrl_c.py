"""Ctrl-C in a terminal (a pseudo-terminal, so that the key is what sends the signal) and in a notebook's kernel."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from life.notebook import PROMPT_S, run_cell

HERE = Path(__file__).parent

CONNECT = f"""
    import sys
    sys.path.insert(0, {str(HERE)!r})
    import bascule
    con = bascule.connect(config={{"threads": THREADS}})
    def query(**options):
        given = ", ".join(f"{{name}} := '{{value}}'" for name, value in options.items())
        return "SELECT count(*) FROM python('interrupted_source:Source', " + given + ")"
"""
PLACES = ["infer_schema", "plan_partitions", "read_partition", "second batch"]

#: DuckDB's two words for it: ours through its error, or its own.
INTERRUPTED = ("InterruptException: INTERRUPT Error: ", "RuntimeError: Query interrupted")


class Terminal:
    """A Python program with a terminal of its own."""

    def __init__(self, code: str, threads: int):
        script = textwrap.dedent(CONNECT).replace("THREADS", str(threads)) + textwrap.dedent(code)
        self.text = ""
        self._seen = 0
        self._pid, self._file = pty.fork()
        if self._pid == 0:
            plain = {**os.environ, "PYTHON_COLORS": "0"}  # 3.13 colours a traceback in a terminal
            os.execve(sys.executable, [sys.executable, "-c", script], plain)

    def read(self, until: str | None = None, seconds: float = PROMPT_S) -> str:
        """Reads to the next ``until``, or to the end. Returns all that was printed."""
        end = time.monotonic() + seconds
        while until is None or until not in self.text[self._seen :]:
            assert time.monotonic() < end, f"no {until or 'end'} within {seconds} s of:\n{self.text}"
            if select.select([self._file], [], [], 0.1)[0]:
                try:
                    data = os.read(self._file, 65536)
                except OSError:  # Linux's end of a terminal
                    break
                if not data:
                    break
                self.text += data.decode()
        if until is not None and until in self.text[self._seen :]:
            self._seen = self.text.index(until, self._seen) + len(until)
        return self.text

    def press_ctrl_c(self) -> None:
        time.sleep(0.2)  # into the loop
        os.write(self._file, b"\x03")

    def status(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._file)


@contextlib.contextmanager
def terminal(code: str, threads: int = 4) -> Iterator[Terminal]:
    program = Terminal(code, threads)
    try:
        yield program
    finally:
        program.close()


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("how", ["con.execute(q).fetchall()", "con.sql(q).show()"])
def test_ctrl_c_ends_a_script_with_one_error(place, threads, how):
    with terminal(f"q = query(place={place!r})\n{how}\nprint('NEVER')", threads) as program:
        program.read("READY")
        program.press_ctrl_c()
        text = program.read()
        assert program.status() == 1
        assert "NEVER" not in text
        assert any(words in text for words in INTERRUPTED), text
        assert text.count("Traceback (most recent call last)") == 1
        assert "Exception ignored" not in text
        assert ("ENDED" in text) == (place in ("read_partition", "second batch"))


def test_ctrl_c_ends_many_partitions_on_many_threads():
    with terminal("con.execute(query(place='read_partition', partitions=8))") as program:
        program.read("READY")
        program.press_ctrl_c()
        text = program.read()
        assert program.status() == 1
        assert any(words in text for words in INTERRUPTED), text
        assert text.count("ENDED") >= 4


def test_ctrl_c_ends_a_sleep_of_the_main_thread():
    with terminal("con.execute(query(place='read_partition', sleeps='yes'))", threads=1) as program:
        program.read("READY")
        program.press_ctrl_c()
        assert "read_partition was interrupted (KeyboardInterrupt)" in program.read()


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_a_session_goes_on_after_ctrl_c(executor):
    code = f"""
        import duckdb
        for place in ("infer_schema", "plan_partitions", "read_partition"):
            try:
                con.execute(query(place=place, bascule_executor={executor!r}))
            except (duckdb.InterruptException, RuntimeError):
                print("CAUGHT", place)
        for _ in range(100_000):
            pass  # a signal left over would come down here
        print(con.execute(query(place="", bascule_executor={executor!r})).fetchall())
    """
    with terminal(code) as program:
        for place in ("infer_schema", "plan_partitions", "read_partition"):
            program.read("READY")
            program.press_ctrl_c()
            program.read(f"CAUGHT {place}")
        assert "[(2,)]" in program.read()
        assert program.status() == 0


def test_ctrl_c_leaves_another_threads_query_alone():
    code = """
        import threading, time
        other = con.cursor()
        def work():
            other.execute("CREATE TEMP TABLE t AS " + query(place=""))  # binds on this thread
            print("ROWS", other.execute("SELECT count(*) FROM python('testsources:Counted', partitions := 1, "
                                        "batches := 20, sleep := 0.05)").fetchall())
        worker = threading.Thread(target=work)
        worker.start()
        print("READY", flush=True)
        try:
            while True: time.sleep(0.01)
        except KeyboardInterrupt:
            print("MINE")
        worker.join()
    """
    code = f"import sys; sys.path.insert(0, {str(HERE.parent)!r})\n" + textwrap.dedent(code)
    with terminal(code) as program:
        program.read("READY")
        program.press_ctrl_c()
        text = program.read()
        assert program.status() == 0, text
        assert "MINE" in text
        assert "ROWS [(100,)]" in text


def test_a_programs_own_handler_stays_in_force():
    code = """
        import signal, time
        signal.signal(signal.SIGINT, lambda *_: print("HANDLED", flush=True))
        con.execute("SET threads = 1")
        print(con.execute(query(place="own")).fetchall())
        print("READY", flush=True)
        while True: time.sleep(0.01)
    """
    with terminal(code) as program:
        program.read("READY")
        program.press_ctrl_c()
        assert "HANDLED" in program.read("HANDLED")


def test_the_signal_handler_is_python_s_again_after_a_scan():
    code = """
        import ctypes, time
        libc = ctypes.CDLL(None)
        def handler():
            now = (ctypes.c_void_p * 32)()
            libc.sigaction(2, None, ctypes.byref(now))
            return now[0]
        before = handler()
        con.execute(query(place="")).fetchall()
        during = handler()
        for _ in range(200):
            if handler() == before: break
            time.sleep(0.05)
        print("BACK" if handler() == before != during else "OTHER")
    """
    with terminal(code) as program:
        assert "BACK" in program.read()


# ---- notebook ----


@pytest.mark.parametrize("place", PLACES)
def test_a_notebook_s_stop_button_ends_the_cell_and_the_next_one_runs(kernel, place):
    manager, client = kernel
    printed, error = run_cell(client, textwrap.dedent(CONNECT).replace("THREADS", "4"))
    assert error is None, error
    printed, error = run_cell(
        client, f"con.sql(query(place={place!r}, partitions=2)).fetchall()", manager.interrupt_kernel
    )
    assert error is not None, printed
    assert error["ename"] in ("InterruptException", "RuntimeError", "KeyboardInterrupt"), error
    printed, error = run_cell(client, "print(con.sql(query(place='')).fetchall())")
    assert error is None, error
    assert "[(2,)]" in printed
