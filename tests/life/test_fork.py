"""A process that forks: the parent goes on as before, and the child reads like any other process."""

from __future__ import annotations

import pytest

from life.programs import CONNECT, PRELUDE, run

FORK = """
    import warnings
    warnings.simplefilter("ignore")
    def child(call):
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)
            try:
                say("child:", call())
                status = 0
            except BaseException as e:
                say("child failed:", type(e).__name__, str(e).partition("\\n")[0])
                status = 1
            os._exit(status)
        say("child ended:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    S.batches = 3
    S.plan_partitions = lambda self, options: [{}] * 2
    rows = lambda: native().read_all().num_rows
    new_database = lambda: bascule.connect(config={"threads": 1}).execute(
        "SELECT count(*) FROM python('__main__:S')").fetchall()
"""


def test_a_forked_child_ends_at_once_and_leaves_the_parents_instances_alone():
    ended = run(
        PRELUDE,
        """
        import warnings
        warnings.simplefilter("ignore")
        thread = background(lambda: native("while True: time.sleep(0.01)").read_all())
        after_the_gate.append(thread.join)
        pid = os.fork()
        if pid == 0:
            sys.exit(7)
        say("child:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
    )
    assert (ended.status, ended.err) == (0, "")
    assert "child: 7" in ended.out.splitlines()
    assert ended.said("closed") == 1, "by the parent"


@pytest.mark.parametrize(
    ("before", "call", "answer"),
    [
        ("", "rows", "15000"),
        ("", "new_database", "[(30000,)]"),
        ("rows()", "rows", "15000"),
        ("rows()", "new_database", "[(30000,)]"),
        ("source = Source('__main__:S', {})", "lambda: source.plan().partition_count", "2"),
    ],
    ids=["reads, first", "opens a database, first", "reads again", "opens a database", "plans the parent's source"],
)
def test_a_forked_child_reads(before, call, answer):
    ended = run(PRELUDE, FORK, f"{before}\nchild({call})\nsay('parent:', rows())")
    assert (ended.status, ended.err) == (0, ""), ended
    assert f"child: {answer}" in ended.out.splitlines()
    assert "child ended: 0" in ended.out.splitlines()
    assert "parent: 15000" in ended.out.splitlines()


@pytest.mark.parametrize(("call", "answer"), [("rows", "15000"), ("new_database", "[(30000,)]")])
def test_a_child_that_is_forked_while_a_thread_reads_reads_too(call, answer):
    ended = run(
        PRELUDE,
        FORK,
        f"""
        go = threading.Event()
        thread = background(lambda: native("while not go.wait(0.01): pass").read_all().num_rows)
        child({call})
        go.set()
        thread.join()
        """,
    )
    assert (ended.status, ended.err) == (0, ""), ended
    assert f"child: {answer}" in ended.out.splitlines()
    assert "child ended: 0" in ended.out.splitlines()
    assert "result: 15000" in ended.out.splitlines(), "the parent's thread goes on"


def test_a_forked_child_opens_a_database_while_its_parents_is_open():
    ended = run(PRELUDE, FORK, CONNECT, "query(); child(new_database); say('parent:', query())")
    assert (ended.status, ended.err) == (0, ""), ended
    assert "child: [(30000,)]" in ended.out.splitlines()
    assert "parent: [(74985000,)]" in ended.out.splitlines()
