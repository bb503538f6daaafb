"""The interpreter's end, whatever was open: no abort, no hang, nothing on stderr, every instance closed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from life.programs import CONNECT, PRELUDE, Ended, begun, run

# What the main thread, or a thread that has ended, holds when the interpreter ends.
NATIVE = {
    "nothing": "S(); say('closed')",
    "a source": "thing = Source('__main__:S')",
    "a plan": "thing = Source('__main__:S').plan()",
    "a scan": "thing = Source('__main__:S').plan().scan()",
    "a stream unread": "thing = native()",
    "a stream half read": "thing = native(); thing.read_next_batch()",
    "a stream read to its end": "S.batches = 2; thing = native(); thing.read_all()",
    "a batch alone": "thing = native().read_next_batch()",
    "capsules": "p = Source('__main__:S').plan().scan().partition(0); thing = p.__arrow_c_stream__(), p.__arrow_c_schema__()",
    "a stream that failed": """
        reader = native("raise")
        try:
            reader.read_all()
        except OSError as e:
            thing = e
    """,
    "a cancelled scan": """
        scan = Source('__main__:S').plan().scan()
        thing = pa.RecordBatchReader.from_stream(scan.partition(0))
        thing.read_next_batch()
        scan.cancel()
    """,
    "a class that holds its own reader": "S.mine = native(); S.mine.read_next_batch()",
    "a reader that its own generator holds": "S.inside = lambda self, how: setattr(self, 'r', r); r = native(); r.read_next_batch(); r.read_next_batch()",
}

DUCKDB = {
    "a relation": "thing = con.sql(\"FROM python('__main__:S')\")",
    "a prepared statement": "con.execute(\"PREPARE q AS FROM python('__main__:S', how := $1)\"); con.execute(\"EXPLAIN EXECUTE q('')\")",
    "a result unread": "con.execute(\"FROM python('__main__:S')\")",
    "a result half fetched": "con.execute(\"FROM python('__main__:S')\"); con.fetchmany(10)",
    "a reader half read": "thing = con.sql(\"FROM python('__main__:S')\").to_arrow_reader(1000); thing.read_next_batch()",
    "cursors": "thing = [con.cursor().execute(\"FROM python('__main__:S')\") for _ in range(3)]; [c.fetchone() for c in thing]",
    "a query that failed": """
        try:
            query("raise")
        except Exception as e:
            thing = e
    """,
    "a query that was interrupted": """
        try:
            query("con.interrupt()")
        except Exception as e:
            thing = e
    """,
    "an open transaction": """
        S.batches = 2
        con.execute("BEGIN"); con.execute("CREATE TABLE t AS FROM python('__main__:S')"); con.execute("FROM t")
        con.fetchone()
    """,
    "a class that holds its own result": "S.mine = con.cursor().execute(\"FROM python('__main__:S')\"); S.mine.fetchone()",
    "a connection whose name is gone": "thing = con.cursor().execute(\"FROM python('__main__:S')\"); thing.fetchone(); del con",
}

ENDS = {
    "its end": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise RuntimeError('theirs')", 1),
    "os._exit": ("os._exit(4)", 4),
    "a signal": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)", -15),
    "an exit hook that reads on": (
        """
        def read_on():
            try:
                say("rows:", native().read_all().num_rows)
            except Exception as e:
                say("refused:", e)
        after_the_gate.append(read_on)
        """,
        0,
    ),
}


# Where little depends on the state, these stand for the others.
SOME = ["a stream half read", "a relation", "a result half fetched", "a reader half read"]
CASES = [
    *((end, state) for end in ("its end", "an exception") for state in (*NATIVE, *DUCKDB)),
    *((end, state) for end in ENDS if end not in ("its end", "an exception") for state in SOME),
]


def program(state: str, end: str, where: str = "main") -> Ended:
    """``state`` made on the main thread, or on another that is over when ``end`` comes."""
    native, code = state in NATIVE, textwrap.dedent(NATIVE.get(state) or DUCKDB[state])
    if where == "another":
        code = f"thread = threading.Thread(target=exec, args=({code!r}, globals()))\nthread.start()\nthread.join()"
    return run(PRELUDE, "" if native else CONNECT, code, ENDS[end][0])


def check(ended: Ended, end: str) -> None:
    assert ended.status == ENDS[end][1], ended.err
    if end == "an exception":
        assert ended.err.startswith("Traceback (most recent call last):")
        assert ended.err.endswith("RuntimeError: theirs\n")
    else:
        assert ended.err == ""
    if end not in ("os._exit", "a signal"):
        assert ended.closed_all(), ended.out
    if end == "an exit hook that reads on":
        assert "refused: finding __main__:S: the Python interpreter is closing" in ended.out


@pytest.fixture(scope="module")
def programs(request: pytest.FixtureRequest) -> Iterator[dict[tuple[str, ...], Future[Ended]]]:
    with begun(request, test_the_interpreter_ends, lambda end, state: program(state, end)) as futures:
        yield futures


NEVER = ["native('lock').read_all()", "query('lock')"]


@pytest.fixture(scope="module", autouse=True)
def never(request: pytest.FixtureRequest) -> Iterator[dict[tuple[str, ...], Future[Ended]]]:
    """Begun first, because they wait for long."""

    def call(read: str) -> Ended:
        return run(PRELUDE, CONNECT if "query" in read else "", f"background(lambda: {read})")

    with begun(request, test_a_daemon_thread_that_never_comes_back_is_named_and_left, call) as futures:
        yield futures


@pytest.mark.parametrize(("end", "state"), CASES)
def test_the_interpreter_ends(programs, end, state):
    check(programs[end, state].result(), end)


@pytest.mark.parametrize("state", SOME)
def test_what_a_thread_left_that_is_over(state):
    check(program(state, "its end", "another"), "its end")


def test_everything_at_once():
    """Each state that leaves the class as it is, on a thread of its own, all over by the end."""
    states = [textwrap.dedent(code) for code in (*NATIVE.values(), *DUCKDB.values()) if "S." not in code]
    ended = run(
        PRELUDE,
        CONNECT,
        f"""
        for code in {states!r}:
            names = dict(globals(), con=con.cursor())
            thread = threading.Thread(target=exec, args=(code, names))
            thread.start()
            thread.join()
            after_the_gate.append(lambda names=names: names.get("thing"))
        """,
    )
    check(ended, "its end")


# ---- while a thread is in the class ----


def test_a_thread_that_is_no_daemon_reads_to_the_end():
    """The interpreter waits for such threads before its exit hooks."""
    ended = run(
        PRELUDE,
        CONNECT,
        """
        def work(call): threading.Thread(target=lambda: say("result:", call())).start()
        S.batches = 100
        work(lambda: native("sleep").read_all().num_rows)
        work(query)
        """,
    )
    assert (ended.status, ended.err) == (0, "")
    assert "result: 500000" in ended.out
    assert "result: [(" in ended.out
    assert ended.closed_all()


HOWS = ["busy", "sleep", "while True: time.sleep(0.01)"]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("end", ["its end", "sys.exit", "an exception"])
def test_a_daemon_thread_in_the_class(how, end):
    """Its loop is stopped, its sleep waited for. It is joined here, as below: its way back into Python, out
    of pyarrow's or DuckDB's C++, races with the end of the interpreter."""
    ended = run(PRELUDE, f"after_the_gate.append(background(lambda: native({how!r}).read_all()).join)", ENDS[end][0])
    check(ended, end)
    assert (
        "error: OSError __main__:S, partition 0 of 100: read_partition: the Python interpreter is closing, its sources "
        "can't be read any more"
    ) in ended.out.splitlines()


@pytest.mark.parametrize("how", HOWS)
def test_a_daemon_thread_in_a_query(how):
    ended = run(PRELUDE, CONNECT, f"after_the_gate.append(background(lambda: query({how!r})).join)")
    check(ended, "its end")
    assert "error: IOException" in ended.out
    assert "the Python interpreter is closing" in ended.out


def test_many_daemon_threads_in_the_class():
    ended = run(
        PRELUDE,
        """
        for i in range(20):
            inside.clear()
            thread = background(lambda: native("busy" if i % 2 else "while True: time.sleep(0.01)", i).read_all())
            after_the_gate.append(thread.join)
        """,
    )
    check(ended, "its end")
    assert ended.said("made") == ended.said("read") == 20
    assert ended.out.count("error: OSError") == 20


def test_an_interrupt_that_no_bytecode_of_the_class_met_is_taken_back():
    """It would end the thread, silently, behind the class."""
    ended = run(
        PRELUDE,
        """
        S.read_partition = lambda self, spec, options: iter(lock.acquire, True)
        def free(): time.sleep(1); lock.release()
        threading.Thread(target=free, daemon=True).start()
        inside.set()
        after_the_gate.append(background(lambda: native().read_all().num_rows).join)
        time.sleep(0.5)
        """,
    )
    check(ended, "its end")
    assert "result: 0" in ended.out.splitlines()


def test_a_lock_that_an_exit_hook_frees_lets_the_thread_end():
    ended = run(PRELUDE, "background(lambda: native('lock').read_all())", "atexit.register(lock.release)")
    check(ended, "its end")


# ---- from inside the class ----


@pytest.mark.parametrize("reads", ["native(HOW).read_all()", "query(HOW)"])
@pytest.mark.parametrize(
    ("how", "status"), [("os._exit(4)", 4), ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)", -15)]
)
def test_the_class_ends_the_process_at_once(reads, how, status):
    ended = run(PRELUDE, CONNECT if "query" in reads else "", reads.replace("HOW", repr(how)))
    assert (ended.status, ended.err) == (status, "")


@pytest.mark.parametrize("reads", ["native(HOW).read_all()", "query(HOW)"])
def test_a_class_that_exits_fails_its_read_and_the_program_goes_on(reads):
    """As any exception of a class: a query of many partitions can't end the program."""
    ended = run(
        PRELUDE,
        CONNECT if "query" in reads else "",
        f"""
        try:
            {reads.replace("HOW", repr("sys.exit(3)"))}
        except Exception as e:
            say(str(e).partition("\\n")[0])
        """,
    )
    check(ended, "its end")
    assert "read_partition raised SystemExit: 3" in ended.out


def test_a_signal_handler_that_exits_does_so_between_batches():
    """Python runs it on the main thread: here outside the class, in the program's own loop."""
    ended = run(
        PRELUDE,
        """
        signal.signal(signal.SIGTERM, lambda *args: sys.exit(5))
        reader = native()
        for i, batch in enumerate(reader):
            if i == 3:
                os.kill(os.getpid(), signal.SIGTERM)
        """,
    )
    assert (ended.status, ended.err) == (5, "")
    assert ended.closed_all()


# ---- after the gate ----


def test_reading_behind_the_closed_gate_is_an_error_not_a_crash():
    ended = run(
        PRELUDE,
        """
        import bascule._native
        half, scan, source = native(), Source("__main__:S").plan().scan(), Source("__main__:S")
        half.read_next_batch()
        def late():
            bascule._native.close_gate()
            for call in (half.read_all, pa.RecordBatchReader.from_stream(scan.partition(0)).read_all, source.plan,
                         lambda: Source("__main__:S")):
                try:
                    call()
                    say("read")
                except Exception as e:
                    say(type(e).__name__, "closing" if "the Python interpreter is closing" in str(e) else e)
        atexit.register(late)
        """,
    )
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[-4:] == ["OSError closing"] * 2 + ["BasculeError closing"] * 2


def test_batches_whose_buffers_are_pythons():
    """DuckDB's threads release them when they like; the release would take the GIL of a dead interpreter."""
    for _ in range(4):
        ended = run(
            PRELUDE,
            CONNECT,
            """
            import numpy as np
            class Owned(S):
                def read_partition(self, spec, options):
                    for _ in range(1000):
                        yield pa.record_batch([pa.array(np.arange(50_000))], schema=SCHEMA)
            readers = [con.cursor().sql("FROM python('__main__:Owned')").to_arrow_reader(1000) for _ in range(3)]
            for reader in readers:
                reader.read_next_batch()
            """,
        )
        assert (ended.status, ended.err) == (0, "")


# ---- never ----


@pytest.mark.parametrize("read", NEVER)
def test_a_daemon_thread_that_never_comes_back_is_named_and_left(never, read):
    """Nothing can interrupt a thread that waits for a lock: after ten seconds the interpreter ends without it."""
    ended = never[read,].result()
    assert ended.status == 0
    first, *more = ended.err.splitlines()
    if "native" in read:
        assert first == "bascule: 1 thread(s) still read a source at exit, and did not stop within 10000 ms"
        assert more == []
    else:
        assert first.endswith("thread(s) still read a source at exit, and did not stop within 10000 ms")
        assert not more or more[0].startswith("nanobind: leaked"), "DuckDB's own list of what it can't free"
    assert 10 < ended.seconds < 40
