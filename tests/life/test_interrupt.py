"""A query that is interrupted ends at once, wherever the class is, and nothing else does."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pytest

import bascule
from bascule import _native

SCHEMA = pa.schema([("a", pa.int64())])
BATCH = pa.record_batch([[1, 2]], schema=SCHEMA)

#: Far beyond what an interrupt may take, far below what the sources would.
PROMPT_S = 10
ENDLESS_S = 60


def spin(seconds: float = ENDLESS_S) -> None:
    """Runs Python, and yields nothing, until it is interrupted."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


class Source:
    """Says where it is (``reached``), and stays there for ever in the method ``where``."""

    def __init__(self):
        self.state = sys.modules[__name__].state

    def infer_schema(self, options):
        self.stay("infer_schema", options)
        return SCHEMA

    def plan_partitions(self, options):
        self.stay("plan_partitions", options)
        return [{"i": i} for i in range(int(options.get("partitions", "1")))]

    def read_partition(self, spec, options):
        try:
            if str(spec["i"]) == options.get("fails"):
                self.state.reached.wait(PROMPT_S)
                raise ValueError("this one is broken")
            self.stay("read_partition", options)
            while options.get("where") == "yields":
                self.state.reached.set()
                yield BATCH
            yield BATCH
        finally:
            self.state.ended.append(spec["i"])

    def stay(self, where, options):
        if options.get("where") == where:
            self.state.reached.set()
            try:
                spin()
            except KeyboardInterrupt:
                if not options.get("swallow"):
                    raise
            finally:
                self.state.threads.append(threading.get_ident())


@pytest.fixture
def state(monkeypatch):
    """What the sources of one test did."""
    state = SimpleNamespace(reached=threading.Event(), ended=[], threads=[])
    monkeypatch.setattr(sys.modules[__name__], "state", state, raising=False)
    monkeypatch.setitem(sys.modules, "interrupted_source", sys.modules[__name__])
    return state


class NoGenerator(Source):
    """Reads a partition at once, in a plain function."""

    def read_partition(self, spec, options):
        return list(super().read_partition(spec, options))


@contextlib.contextmanager
def prompt():
    started = time.monotonic()
    yield
    assert time.monotonic() - started < PROMPT_S


def interrupt_when_reached(con, state):
    def wait():
        assert state.reached.wait(PROMPT_S)
        time.sleep(0.1)
        con.interrupt()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("where", ["infer_schema", "plan_partitions", "read_partition", "yields"])
def test_an_interrupt_ends_a_class_wherever_it_is(state, where, threads):
    with bascule.connect(config={"threads": threads}) as con:
        waiter = interrupt_when_reached(con, state)
        with prompt(), pytest.raises(duckdb.InterruptException):
            con.execute(
                "SELECT count(*) FROM python('interrupted_source:Source', \"where\" := $where, partitions := 3)",
                {"where": where},
            ).fetchall()
        waiter.join()
        assert con.execute("SELECT sum(a) FROM python('interrupted_source:Source')").fetchall() == [(3,)]


def test_an_interrupted_class_runs_its_finally(con, state):
    waiter = interrupt_when_reached(con, state)
    with prompt(), pytest.raises(duckdb.InterruptException):
        con.execute("FROM python('interrupted_source:Source', \"where\" := 'read_partition')").fetchall()
    waiter.join()
    assert state.ended == [0]


def test_an_interrupt_says_what_it_ended(state):
    with bascule.connect(config={"threads": 1}) as con:
        waiter = interrupt_when_reached(con, state)
        with prompt(), pytest.raises(duckdb.InterruptException) as caught:
            con.execute("FROM python('interrupted_source:Source', \"where\" := 'read_partition')").fetchall()
        waiter.join()
        assert str(caught.value) == (
            "INTERRUPT Error: interrupted_source:Source, partition 0 of 1: read_partition was interrupted "
            "(KeyboardInterrupt)"
        )


def test_a_class_that_swallows_the_interrupt_is_ended_at_its_next_batch(con, state):
    waiter = interrupt_when_reached(con, state)
    with prompt(), pytest.raises(duckdb.InterruptException):
        con.execute(
            "FROM python('interrupted_source:Source', \"where\" := 'read_partition', swallow := 'yes')"
        ).fetchall()
    waiter.join()


def test_an_interrupt_does_not_reach_the_thread_s_later_code(state):
    later = []

    def work(con):
        with pytest.raises(duckdb.InterruptException):
            con.execute(
                "FROM python('interrupted_source:Source', \"where\" := 'read_partition', swallow := 'yes')"
            ).fetchall()
        spin(0.3)
        later.append(threading.get_ident())

    for _ in range(3):
        state.reached.clear()
        with bascule.connect(config={"threads": 1}) as con:
            worker = threading.Thread(target=work, args=(con,))
            worker.start()
            interrupt_when_reached(con, state).join()
            worker.join()
    assert later == state.threads  # the class ran on that very thread


def test_a_failing_partition_ends_the_others(state):
    with bascule.connect(config={"threads": 4}) as con:
        with prompt(), pytest.raises(duckdb.Error, match="this one is broken"):
            con.execute(
                "FROM python('interrupted_source:Source', \"where\" := 'read_partition', partitions := 4, fails := 0)"
            ).fetchall()
        assert 0 in state.ended
        assert len(set(state.ended)) == len(state.ended)


def test_an_interrupt_leaves_other_connections_alone(con, state):
    other = con.cursor()
    found = []

    def count():
        query = "SELECT count(*) FROM python('testsources:Counted', partitions := 1, batches := 20, sleep := 0.05)"
        found.extend(other.execute(query).fetchall())

    worker = threading.Thread(target=count)
    worker.start()
    waiter = interrupt_when_reached(con, state)
    with prompt(), pytest.raises(duckdb.InterruptException):
        con.execute("FROM python('interrupted_source:Source', \"where\" := 'read_partition')").fetchall()
    waiter.join()
    worker.join()
    assert found == [(100,)]


def test_cancelling_a_scan_ends_a_read_that_never_yields(state):
    scan = _native.Source("interrupted_source:Source", {"where": "read_partition"}).plan().scan()
    failures = []

    def read():
        try:
            pa.RecordBatchReader.from_stream(scan.partition(0)).read_all()
        except Exception as e:
            failures.append(str(e))

    reader = threading.Thread(target=read)
    reader.start()
    assert state.reached.wait(PROMPT_S)
    with prompt():
        scan.cancel()
        reader.join()
    assert "read_partition was interrupted (KeyboardInterrupt)" in failures[0]


@pytest.mark.parametrize("threads", [1, 4])
def test_an_interrupt_ends_a_read_partition_that_is_no_generator(state, threads):
    with bascule.connect(config={"threads": threads}) as con:
        waiter = interrupt_when_reached(con, state)
        with prompt(), pytest.raises(duckdb.InterruptException):
            con.execute("FROM python('interrupted_source:NoGenerator', \"where\" := 'read_partition', partitions := 3)")
        waiter.join()
        assert con.execute("SELECT sum(a) FROM python('interrupted_source:NoGenerator')").fetchall() == [(3,)]


def test_another_partitions_error_ends_a_read_partition_that_is_no_generator(state):
    with (
        bascule.connect(config={"threads": 2}) as con,
        prompt(),
        pytest.raises(duckdb.Error, match="this one is broken"),
    ):
        con.execute(
            "FROM python('interrupted_source:NoGenerator', \"where\" := 'read_partition', partitions := 2, fails := 1)"
        )


def test_an_interrupt_ends_a_module_s_import(state, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "endless_import.py").write_text(
        "import interrupted_source\ninterrupted_source.state.reached.set()\ninterrupted_source.spin()\n"
    )
    with bascule.connect() as con:
        waiter = interrupt_when_reached(con, state)
        with prompt(), pytest.raises(duckdb.InterruptException):
            con.execute("FROM python('endless_import:Source')")
        waiter.join()
        assert "endless_import" not in sys.modules
        assert con.execute("SELECT sum(a) FROM python('interrupted_source:Source')").fetchall() == [(3,)]
