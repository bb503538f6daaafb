"""A process that forks: the parent goes on as before, and the child works or says what it can't do."""

from __future__ import annotations

from life.programs import PRELUDE, run


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
