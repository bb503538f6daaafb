"""Classes that misbehave: the user reads what happened, and the connection goes on."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
import time
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import bascule

SCHEMA = pa.schema([("a", pa.int64())])


def batch(*values: int) -> pa.RecordBatch:
    return pa.record_batch([list(values)], schema=SCHEMA)


class Base:
    """A class that behaves; the cases below replace one method."""

    def infer_schema(self, options):
        return SCHEMA

    def plan_partitions(self, options):
        return [{"i": 0}, {"i": 1}]

    def read_partition(self, spec, options):
        yield batch(spec["i"])


@pytest.fixture
def run(monkeypatch, con):
    """Reads a class made of ``Base`` and the given methods; SQL around it by ``sql``."""

    def read(sql: str = "FROM {} ORDER BY ALL", on: Any = None, **methods: Any) -> list[tuple[Any, ...]]:
        module = SimpleNamespace(Source=type("Source", (Base,), methods))
        monkeypatch.setitem(sys.modules, "hostile", module)
        return (on or con).execute(sql.format("python('hostile:Source')")).fetchall()

    read.con = con
    yield read
    assert read() == [(0,), (1,)], "the connection goes on"


def message(run: Any, **methods: Any) -> str:
    with pytest.raises(duckdb.Error) as caught:
        run(**methods)
    return str(caught.value)


def returns(value: Any) -> Any:
    return lambda self, *args: value


def raises(error: BaseException) -> Any:
    def method(self, *args):
        raise error

    return method


# ---- what it returns ----

NOT_A_SCHEMA = "hostile:Source: infer_schema returned {}, expected a pyarrow.Schema"
NOT_A_LIST = "hostile:Source: plan_partitions returned {}, expected a list of dicts"
NOT_BATCHES = "partition 0 of 2: read_partition returned {}, expected an iterator of record batches (use yield)"


@pytest.mark.parametrize(
    ("method", "value", "words"),
    [
        ("infer_schema", None, NOT_A_SCHEMA.format("None")),
        ("infer_schema", {"a": "int64"}, NOT_A_SCHEMA.format("a dict")),
        ("plan_partitions", None, NOT_A_LIST.format("None")),
        ("plan_partitions", {"i": 0}, NOT_A_LIST.format("a dict")),
        ("plan_partitions", [{}, None], "returned a list whose item 1 is None, expected a dict"),
        ("read_partition", None, NOT_BATCHES.format("None")),
        ("read_partition", 7, NOT_BATCHES.format("an int")),
        ("read_partition", iter([None]), "partition 0 of 2: read_partition yielded None, expected a record batch"),
        ("read_partition", "text", "read_partition yielded a str, expected a record batch"),
        ("read_partition", [[1, 2]], "read_partition yielded a list, expected a record batch"),
    ],
)
def test_a_wrong_return_is_named(run, method, value, words):
    run.con.execute("SET threads = 1")  # or any of the partitions may be the first to fail
    assert words in message(run, **{method: returns(value)})


# ---- what it raises ----


class Own(BaseException):
    pass


ERRORS = [SystemExit(3), SystemExit("bye"), Own("mine"), GeneratorExit(), StopIteration(1), RecursionError("deep")]


@pytest.mark.parametrize("method", ["__init__", "infer_schema", "plan_partitions", "read_partition"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda e: f"{type(e).__name__}({e})")
def test_whatever_is_raised_is_an_error_of_the_query(run, method, error):
    said = message(run, **{method: raises(error)})
    assert type(error).__name__ in said
    assert f"{method} raised" in said
    assert "hostile:Source" in said


@pytest.mark.parametrize("method", ["__init__", "infer_schema", "plan_partitions", "read_partition"])
def test_a_keyboard_interrupt_that_the_class_raises_is_a_cancel(run, method):
    with pytest.raises(duckdb.InterruptException) as caught:
        run(**{method: raises(KeyboardInterrupt())})
    assert f"{method} was interrupted (KeyboardInterrupt)" in str(caught.value)


@pytest.mark.parametrize("method", ["__init__", "infer_schema", "plan_partitions", "read_partition"])
def test_a_class_that_sleeps_can_be_interrupted(run, method):
    asleep = threading.Event()

    def sleeps(self, *args):
        asleep.set()
        for _ in range(6000):
            time.sleep(0.01)

    def interrupt():
        asleep.wait(10)
        run.con.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    started = time.monotonic()
    with pytest.raises(duckdb.InterruptException):
        run(**{method: sleeps})
    assert time.monotonic() - started < 20, "not the minute that it sleeps"
    thread.join()


def test_sys_exit_in_a_generator_ends_the_query_not_the_program(run):
    def read(self, spec, options):
        yield batch(1)
        sys.exit(5)

    assert "read_partition raised SystemExit: 5" in message(run, read_partition=read)


def test_an_exception_that_can_not_be_shown_is_still_an_error(run):
    class Rude(Exception):
        def __str__(self):
            raise RuntimeError("no")

        __repr__ = __str__

    assert "read_partition raised Rude" in message(run, read_partition=raises(Rude()))


def test_endless_recursion_is_an_error(run):
    def read(self, spec, options):
        yield from read(self, spec, options)

    assert "RecursionError" in message(run, read_partition=read)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_generator_that_refuses_to_end_is_logged(run, caplog):
    def read(self, spec, options):
        while True:
            try:
                while True:
                    yield batch(*range(100))
            except GeneratorExit:
                continue

    assert len(run("FROM {} LIMIT 3", read_partition=read)) == 3
    assert "generator ignored GeneratorExit" in caplog.text


# ---- what it does meanwhile ----


def test_a_class_that_yields_for_ever_is_ended_by_a_limit(run):
    def read(self, spec, options):
        while True:
            yield batch(*range(1000))

    assert len(run("FROM {} LIMIT 5000", read_partition=read)) == 5000


def test_a_schema_that_changes_between_calls_is_read_as_first_told(run):
    told = []

    def infer(self, options):
        told.append(1)
        return SCHEMA if len(told) == 1 else pa.schema([("b", pa.string())])

    assert run(infer_schema=infer) == [(0,), (1,)]
    # A new query asks again, and the batches no longer fit.
    assert "batch 0: column 'a' is not in the schema" in message(run, infer_schema=infer)


def test_batches_that_change_within_a_partition_are_named(run):
    def read(self, spec, options):
        yield batch(1)
        yield pa.record_batch({"a": ["text"]})

    assert "batch 1: column 'a' is string, but infer_schema said int64" in message(run, read_partition=read)


def test_a_class_that_deletes_itself_is_read(run):
    def read(self, spec, options):
        sys.modules.pop("hostile", None)
        self.__dict__.clear()
        for name in ("infer_schema", "plan_partitions"):
            if name in vars(type(self)):
                delattr(type(self), name)
        yield batch(spec["i"])

    assert run(read_partition=read, infer_schema=Base.infer_schema) == [(0,), (1,)]


def test_a_class_that_changes_what_it_was_given_changes_nothing_for_others(run):
    def plan(self, options):
        options["a"] = "1"
        options.clear()
        return [{"i": 0}, {"i": 1}]

    def read(self, spec, options):
        i = spec.pop("i")
        spec.clear()
        yield batch(i)

    sql = "SELECT * FROM {0} UNION ALL SELECT * FROM {0} ORDER BY ALL"
    assert run(sql, plan_partitions=plan, read_partition=read) == [(0,), (0,), (1,), (1,)]


def test_a_class_that_prints_reads_as_usual(run, capfd):
    def read(self, spec, options):
        sys.stdout.write(f"out {spec['i']}\n")  # one write, of two threads
        os.write(2, b"err\n")
        yield batch(spec["i"])

    assert run(read_partition=read) == [(0,), (1,)]
    out, err = capfd.readouterr()
    assert sorted(out.split()) == ["0", "1", "out", "out"]
    assert err == "err\nerr\n"


def test_a_class_that_starts_threads_reads_as_usual(run):
    def read(self, spec, options):
        found = []
        threads = [threading.Thread(target=found.append, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        yield batch(*sorted(found))

    assert run(read_partition=read) == sorted([(i,) for i in range(8)] * 2)


def test_a_class_that_forks_reads_as_usual(run):
    def read(self, spec, options):
        done = subprocess.run([sys.executable, "-c", "print(7)"], capture_output=True, check=True)
        child = os.fork()
        if child == 0:
            os._exit(9)
        yield batch(int(done.stdout), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    with pytest.warns() if sys.version_info >= (3, 12) else contextlib.nullcontext():
        assert run(read_partition=read) == [(7,), (7,), (9,), (9,)]


def test_a_class_may_read_its_partitions_under_a_lock(run):
    lock = threading.Lock()

    def read(self, spec, options):
        for i in range(20):
            with lock:
                yield batch(spec["i"] * 100 + i)

    assert len(run(read_partition=read)) == 40


def test_a_lock_that_is_held_over_a_yield_and_an_early_end_is_let_go(run):
    lock = threading.Lock()

    def read(self, spec, options):
        with lock:
            while True:
                yield batch(*range(3000))

    assert len(run("SET threads = 1; FROM {} LIMIT 10", read_partition=read)) == 10
    assert not lock.locked()


def test_a_class_may_use_another_connection(run):
    def read(self, spec, options):
        with bascule.connect() as other:
            yield other.sql("SELECT range AS a FROM range(3)").to_arrow_table()

    assert run(read_partition=read) == sorted([(i,) for i in range(3)] * 2)


def test_a_class_may_read_another_source_through_duckdb(run):
    def read(self, spec, options):
        with bascule.connect() as other:
            query = "SELECT k AS a FROM python('testsources:Numbers', partitions := 1, batches := 1)"
            yield other.sql(query).to_arrow_table()

    assert run(read_partition=read) == sorted([(i,) for i in range(5)] * 2)


def test_a_class_may_use_a_cursor_of_its_own_connection(run):
    def read(self, spec, options):
        yield run.con.cursor().sql("SELECT 40 + 2::BIGINT AS a").to_arrow_table()

    assert run(read_partition=read) == [(42,), (42,)]


def test_a_class_that_uses_the_connection_that_reads_it_is_refused_by_duckdb(run):
    def read(self, spec, options):
        yield run.con.execute("SELECT 1 AS a").to_arrow_table()

    assert "connection is busy" in message(run, read_partition=read)


def test_a_class_in_a_class_of_its_own_kind_to_a_depth(run):
    """Each level is a query of its own, with threads of its own."""

    def read(self, spec, options):
        depth = int(options.get("depth", "0"))
        if depth < 5:
            with bascule.connect(config={"threads": 1}) as other:
                yield other.sql(
                    f"SELECT a + 1 AS a FROM python('hostile:Source', depth := {depth + 1})"
                ).to_arrow_table()
        else:
            yield batch(0)

    assert run("SELECT count(*), min(a), max(a) FROM {}", read_partition=read) == [(64, 5, 5)]


def test_a_spec_that_can_not_be_pickled_is_read_in_this_process(run):
    def plan(self, options):
        return [{"i": i, "lock": threading.Lock(), "call": lambda: 1} for i in range(2)]

    def read(self, spec, options):
        with spec["lock"]:
            yield batch(spec["i"] + spec["call"]())

    assert run(plan_partitions=plan, read_partition=read) == [(1,), (2,)]


def test_a_class_with_a_metaclass_slots_and_borrowed_methods(run, monkeypatch):
    class Meta(type):
        def __getattr__(cls, name):
            raise AttributeError(f"nothing by the name {name}")

    class Odd(metaclass=Meta):
        __slots__ = ("x",)
        infer_schema = staticmethod(lambda options: SCHEMA)
        plan_partitions = classmethod(lambda cls, options: [{}])
        read_partition = staticmethod(lambda spec, options: iter([batch(5)]))

    monkeypatch.setitem(sys.modules, "odd", SimpleNamespace(Odd=Odd))
    assert run.con.execute("FROM python('odd:Odd')").fetchall() == [(5,)]


def test_os_exit_ends_the_process_with_its_status():
    """A class that ends the process does: nothing of ours turns it into a crash."""
    code = """
        import os, sys, bascule, pyarrow as pa
        class S:
            def infer_schema(self, options): return pa.schema([("a", pa.int64())])
            def plan_partitions(self, options): return [{}]
            def read_partition(self, spec, options): os._exit(7)
        bascule.connect().execute("FROM python('__main__:S')").fetchall()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (7, b"")
