"""Many threads over one source, one plan, one scan, one database."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

import bascule
from bascule import _instance
from bascule._native import Source
from life.sources import Life, life_rows, wait_until

N = 12
ROWS = life_rows()


def in_threads(call, n: int = N) -> list:
    """``call(i)`` on ``n`` threads that begin together. What they return; the first error is raised."""
    barrier, results, errors = threading.Barrier(n), [None] * n, []

    def work(i):
        try:
            barrier.wait(20)
            results[i] = call(i)
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]
    return results


def rows_of(reader: pa.RecordBatchReader) -> list[tuple[int, int]]:
    table = reader.read_all()
    return list(zip(table["p"].to_pylist(), table["k"].to_pylist(), strict=True))


def stream(partition) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_stream(partition)


# ---- the core's objects ----


def test_one_source_planned_and_read_by_many_threads():
    source = Source("life.sources:Life")

    def read(i):
        scan = source.plan(["k"] if i % 2 else None).scan()
        tables = [stream(scan.partition(p)).read_all() for p in range(3)]
        return pa.concat_tables(tables)["k"].to_pylist()

    assert in_threads(read) == [[k for _, k in ROWS]] * N
    assert (Life.calls["made"], Life.calls["plan"], Life.calls["read"]) == (1, N, 3 * N)
    source = None
    assert Life.all_closed()


def test_one_scan_whose_partitions_are_read_by_many_threads():
    scan = Source("life.sources:Life", {"partitions": "60"}).plan().scan()
    found = in_threads(lambda i: [rows_of(stream(scan.partition(p))) for p in range(i, 60, N)])
    assert Counter(row for thread in found for part in thread for row in part) == Counter(life_rows(60))
    assert scan.progress == 1
    scan = None
    assert Life.all_closed()


def test_one_partition_that_is_read_by_many_threads():
    partition = Source("life.sources:Life").plan().scan().partition(1)
    assert in_threads(lambda i: rows_of(stream(partition))) == [[r for r in ROWS if r[0] == 1]] * N
    assert Life.calls["read"] == N
    partition = None
    assert Life.all_closed()


def test_one_stream_that_threads_read_in_turns():
    reader = stream(Source("life.sources:Life", {"batches": "120"}).plan().scan().partition(0))
    lock, found = threading.Lock(), []

    def read(i):
        for _ in range(10):
            with lock:
                found.extend(reader.read_next_batch()["k"].to_pylist())

    in_threads(read)
    assert found == list(range(1200))
    with pytest.raises(StopIteration):
        reader.read_next_batch()
    reader = None
    assert Life.all_closed()


def test_a_stream_that_is_dropped_on_another_thread_than_it_was_read_on():
    readers = [stream(Source("life.sources:Life").plan().scan().partition(0)) for _ in range(N)]
    in_threads(lambda i: readers[i].read_next_batch())
    in_threads(lambda i: readers.__setitem__((i + 1) % N, None))
    assert (Life.calls["read"], Life.calls["end"], Life.calls["close"]) == (N, N, N)


def test_names_dropped_while_other_threads_read_what_is_under_them():
    """The last reference ends a source, on whatever thread it goes."""
    sources = [Source("life.sources:Life", {"partitions": str(i + 1)}) for i in range(N)]
    plans = [source.plan() for source in sources]
    scans = [plan.scan() for plan in plans]

    def work(i):
        if i % 3 == 0:
            sources.clear()
            plans.clear()
        return rows_of(stream(scans[i].partition(i)))

    assert in_threads(work) == [[(i, k) for k in range(30)] for i in range(N)]
    scans.clear()
    assert Life.all_closed()
    assert Life.calls["made"] == N


def test_a_cancel_reaches_every_thread_of_the_scan():
    options = {"partitions": str(N), "batches": "1000000"}
    scan = Source("life.sources:Life", options).plan().scan()

    def work(i):
        if i == 0:
            assert wait_until(lambda: Life.calls["read"] == N - 1)
            scan.cancel()
            return
        with pytest.raises(OSError, match=r"the scan of life\.sources:Life was cancelled"):
            stream(scan.partition(i)).read_all()
        return

    in_threads(work)
    with pytest.raises(OSError, match="was cancelled"):
        stream(scan.partition(0)).read_all()
    scan = None
    assert Life.all_closed()


def test_one_failing_partition_leaves_the_other_threads_alone():
    class Failing(Life):
        def read_partition(self, spec, options):
            for batch in super().read_partition(spec, options):
                yield batch
                if spec["p"] == 3:
                    raise ValueError("partition 3 is broken")

    import life.sources

    life.sources.Failing = Failing
    scan = Source("life.sources:Failing", {"partitions": str(N)}).plan().scan()

    def work(i):
        if i != 3:
            return len(rows_of(stream(scan.partition(i))))
        with pytest.raises(OSError, match="partition 3 of 12: read_partition raised ValueError: partition 3 is broken"):
            stream(scan.partition(3)).read_all()
        return 30

    assert in_threads(work) == [30] * N
    scan = None
    del life.sources.Failing
    assert Life.all_closed()


def test_threads_that_come_and_go_leave_nothing_behind():
    """Each new thread gets a thread state of the interpreter for its reads, and gives it back."""
    scan = Source("life.sources:Life").plan().scan()
    for _ in range(20):
        in_threads(lambda i: stream(scan.partition(i % 3)).read_all().num_rows)
    native = Path("/proc/self/task")
    before = len(list(native.iterdir()))
    for _ in range(20):
        in_threads(lambda i: stream(scan.partition(i % 3)).read_all().num_rows)
    assert wait_until(lambda: len(list(native.iterdir())) <= before)
    assert len(sys._current_frames()) <= threading.active_count() + 1


# ---- DuckDB ----


def classes_kept() -> list[object]:
    """What binds keep, once no garbage of other tests is left."""
    gc.collect()
    wait_until(lambda: not _instance._found)
    return [*_instance._found.values(), *_instance._newest.values()]


def test_cursors_on_many_threads_read_the_same_source(con):
    cursors = [con.cursor() for _ in range(N)]
    found = in_threads(lambda i: [cursors[i].execute("FROM python('life.sources:Life')").fetchall() for _ in range(5)])
    assert found == [[ROWS] * 5] * N
    assert wait_until(Life.all_closed)
    assert Life.calls["made"] == 5 * N, "connections share no instance"
    assert not classes_kept(), "no bind is left that keeps a class"


def test_cursors_on_many_threads_read_different_options(con):
    cursors = [con.cursor() for _ in range(N)]

    def read(i):
        sql = f"SELECT count(*), max(p) FROM python('life.sources:Life', partitions := {i + 1})"
        return [cursors[i].execute(sql).fetchall() for _ in range(5)]

    assert in_threads(read) == [[[(30 * (i + 1), i)]] * 5 for i in range(N)]
    assert wait_until(Life.all_closed)


def test_databases_that_open_and_close_on_many_threads():
    def read(i):
        for _ in range(3):
            with bascule.connect(config={"threads": 2}) as con:
                assert con.execute("FROM python('life.sources:Life')").fetchall() == ROWS

    in_threads(read, 6)
    assert wait_until(Life.all_closed)
    assert not classes_kept()


def test_failing_binds_and_good_ones_on_many_threads(con):
    cursors = [con.cursor() for _ in range(N)]

    def read(i):
        for _ in range(5):
            if i % 2:
                with pytest.raises(Exception, match="has no class 'Nothing'"):
                    cursors[i].execute("FROM python('life.sources:Nothing')")
            else:
                assert cursors[i].execute("FROM python('life.sources:Life')").fetchall() == ROWS

    in_threads(read)
    assert wait_until(Life.all_closed)
    assert not classes_kept()


def test_one_file_that_many_threads_name_is_loaded_once(con, tmp_path):
    file = tmp_path / "orders.py"
    file.write_text("from life.sources import Life\nLife.calls['loaded'] += 1\nclass Orders(Life): pass\n")
    cursors = [con.cursor() for _ in range(N)]
    found = in_threads(lambda i: cursors[i].execute(f"SELECT count(*) FROM python('{file}:Orders')").fetchone())
    assert found == [(len(ROWS),)] * N
    assert Life.calls["loaded"] == 1


@pytest.mark.parametrize("first", ["Source('life.sources:Life')", "bascule.connect()"])
def test_the_first_use_of_a_process_may_be_on_many_threads_at_once(first):
    script = f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        import threading
        def work():
            barrier.wait()
            import bascule
            from bascule._native import Source
            thing = {first}
            if isinstance(thing, Source):
                results.append(thing.plan().partition_count)
            else:
                results.append(len(thing.execute("FROM python('life.sources:Life')").fetchall()))
        barrier, results = threading.Barrier(8), []
        threads = [threading.Thread(target=work) for _ in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        print(sorted(results))
    """
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == str([3 if "Source" in first else 90] * 8) + "\n"
