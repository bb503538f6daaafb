"""A class that takes its worker process down fails its own query, with an error that says how; the query beside it
reads on, and nothing is left."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from bascule import BasculeError, _native
from process.beside import beside_healthy, children, nothing_left, query, wait_until, workers
from process.failing_sources import LIES, TEXT_LIES

PLACES = ["infer_schema", "plan_partitions", "read_partition", "batch"]
LABEL = "process.failing_sources:Fails"


def doing(place: str, label: str = LABEL) -> str:
    """The words before each error of ``place``."""
    reads = place in ("read_partition", "batch")
    return f"{label}, partition 1 of 2: read_partition" if reads else f"{label}: {place}"


def error_of(con: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The text of the error that a query ends with, the worker's process id in it masked."""
    with pytest.raises(duckdb.Error) as caught:
        con.execute(sql).fetchall()
    return re.sub(r"worker process \d+", "worker process PID", str(caught.value))


def read(**options: str) -> str:
    """Reads partition 1 without an engine: how many rows it has, or the error."""
    try:
        scan = _native.Source(LABEL, {"bascule_executor": "process", **options}).plan().scan()
        return f"{pa.RecordBatchReader.from_stream(scan.partition(1)).read_all().num_rows} rows"
    except (OSError, BasculeError) as e:
        return f"{type(e).__name__}: {e}"


# ---- it dies ----

DEATHS = {
    "segfault": "was killed by signal 11 (Segmentation fault)",
    "abort": "was killed by signal 6 (Aborted)",
    "exit": "exited with status 3",
    "kill": "was killed by signal 9 (Killed)",
}


def test_a_segfault_fails_its_query_and_names_the_python_line(con):
    with beside_healthy(con):
        texts = {place: error_of(con, query(place=place, how="segfault")) for place in PLACES}
    for place, text in texts.items():
        assert f"{doing(place)}: the worker process PID was killed by signal 11 (Segmentation fault). " in text
        assert "This query fails, others and the host go on" in text
        assert "Its last Python frames:\nFatal Python error: Segmentation fault" in text
        assert re.search(r'failing_sources.py", line \d+ in at', text), text


def test_a_worker_that_ends_fails_its_query(con):
    with beside_healthy(con):
        texts = {how: error_of(con, query(place="read_partition", how=how)) for how in DEATHS}
    for how, text in texts.items():
        assert f"{doing('read_partition')}: the worker process PID {DEATHS[how]}. This query fails" in text


def test_without_an_engine_the_error_is_the_same(con):
    how = "exit"
    with beside_healthy(con):
        text = read(place="batch", how=how)
        assert text.startswith(f"OSError: {doing('batch')}: the worker process ")
        assert f"{DEATHS[how]}. This query fails" in text
        text = read(place="infer_schema", how=how)
        assert text.startswith(f"BasculeError: {doing('infer_schema')}: the worker process ")
        assert f"{DEATHS[how]}. This query fails" in text
        assert read() == "30 rows", "the next one has a new worker"


def test_a_killed_worker_fails_only_its_query(con, tmp_path):
    """From outside, as the system's out-of-memory killer does it."""
    pids = tmp_path / "pids"

    def kill() -> None:
        assert wait_until(pids.exists)
        time.sleep(0.2)
        os.kill(int(pids.read_text()), signal.SIGKILL)

    with beside_healthy(con):
        killer = threading.Thread(target=kill)
        killer.start()
        text = error_of(con, query(place="batch", how="sleep", pid=pids))
        killer.join()
    assert f"{doing('batch')}: the worker process PID was killed by signal 9 (Killed)" in text


def test_an_idle_worker_that_was_killed_is_replaced(con):
    with nothing_left():
        for _ in range(3):
            assert con.execute(query(what="count(*)")).fetchall() == [(60,)]
            idle = workers()
            for pid in idle:
                os.kill(pid, signal.SIGKILL)
            assert wait_until(lambda: not idle & children())  # noqa: B023


def test_a_closed_channel_fails_its_query(con):
    with beside_healthy(con):
        text = error_of(con, query(place="read_partition", how="close the channel"))
    assert f"{doing('read_partition')}: the worker process PID " in text


# ---- it hangs ----


HANGS = [
    *(("sleep", place) for place in ("infer_schema", "plan_partitions", "batch")),
    *((how, "read_partition") for how in ("hang in C", "hang deaf", "stop")),
]


def at_once(con: duckdb.DuckDBPyConnection, queries: list[str]) -> list[str]:
    """The errors of queries that run side by side."""
    with ThreadPoolExecutor(len(queries)) as pool:
        cursors = [con.cursor() for _ in queries]
        texts = list(pool.map(error_of, cursors, queries))
        for cursor in cursors:
            cursor.close()
    return texts


def test_a_hang_ends_with_the_timeout(con, tmp_path):
    """A sleep, a call into C that keeps the GIL, a class that ignores signals, a process that is stopped."""
    pids = tmp_path / "pids"
    with beside_healthy(con):
        queries = [query(place=place, how=how, pid=pids, bascule_timeout="6") for how, place in HANGS]
        texts = at_once(con, queries)
        hung = set(map(int, pids.read_text().split()))
        assert len(hung) == len(HANGS)
        assert wait_until(lambda: not hung & workers(), 6), "they were killed"
    for (_, place), text in zip(HANGS, texts, strict=True):
        assert f"{doing(place)}: the worker process PID did not answer within 6 s (bascule_timeout)" in text


# ---- it raises ----


@pytest.mark.parametrize("how", ["raise", "raise unpicklable", "raise mute"])
def test_an_exception_has_the_text_of_the_in_process_one(con, how):
    with beside_healthy(con):
        for place in PLACES:
            sql = query(place=place, how=how)
            text = error_of(con, sql)
            assert text == error_of(con, sql.replace(":= 'process'", ":= 'inprocess'"))
            assert doing(place) in text


def test_an_exit_of_python_is_an_exception(con):
    with beside_healthy(con):
        text = error_of(con, query(place="batch", how="leave"))
    assert "raised SystemExit: 3" in text


def test_too_much_memory_is_a_memory_error(con):
    with beside_healthy(con):
        text = error_of(con, query(place="read_partition", how="memory", bascule_worker_memory="400MB"))
        assert con.execute(query(bascule_worker_memory="400MB", what="count(*)")).fetchall() == [(60,)]
    assert f"{doing('read_partition')} raised MemoryError" in text
    assert "bascule_worker_memory = 400,000,000 bytes" in text


# ---- it lies ----


@pytest.mark.parametrize("group", range(6))
def test_what_breaks_the_protocol_is_an_error_not_a_crash(con, group):
    wrong = {}
    with beside_healthy(con):
        for lie in list(LIES)[group::6]:
            text = error_of(con, query(place="read_partition", how=lie))
            if doing("read_partition") not in text or LIES[lie][1] not in text:
                wrong[lie] = text
    assert wrong == {}


def test_offsets_of_text_that_lead_elsewhere_are_an_error_not_a_crash(con):
    with beside_healthy(con):
        for lie in TEXT_LIES:
            text = error_of(con, query("FailsAsText", place="read_partition", how=lie))
            assert "process.failing_sources:FailsAsText, partition 1 of 2" in text
            assert TEXT_LIES[lie][1] in text


def test_every_lie_before_the_schema_is_an_error_too(con):
    with beside_healthy(con):
        for lie in ("text", "the end of another", "a batch of nothing", "a request"):
            for place in ("infer_schema", "plan_partitions"):
                text = error_of(con, query(place=place, how=lie))
                assert f"{doing(place)}: the worker process PID broke the protocol and was killed: " in text


# ---- it is tried again ----


@pytest.mark.parametrize("how", ["exit", "raise"])
def test_a_partition_that_failed_is_read_again(con, how, tmp_path, caplog):
    sql = query(
        place="read_partition", how=how, marker=tmp_path / "once", bascule_retries=1, what="p, count(*), sum(k)"
    )
    with beside_healthy(con):
        rows = con.execute(f"{sql} GROUP BY p ORDER BY p").fetchall()
    assert rows == [(0, 30, 435), (1, 30, 435)]
    warnings = [record.getMessage() for record in caplog.records if "bascule_retries" in record.getMessage()]
    assert len(warnings) == 1
    assert doing("read_partition") in warnings[0]
    assert "(read again: bascule_retries, 1 of 1)" in warnings[0]


def test_a_partition_is_not_read_again_once_it_gave_rows(con, tmp_path):
    with beside_healthy(con):
        text = error_of(
            con,
            query(
                place="batch", how="exit", marker=tmp_path / "once", log=tmp_path / "log", bascule_retries=5, rows=3000
            ),
        )
    assert "exited with status 3" in text
    assert (tmp_path / "log").read_text().count("read 1\n") == 1


def test_retries_are_counted(con, tmp_path, caplog):
    with beside_healthy(con):
        text = error_of(con, query(place="read_partition", how="exit", log=tmp_path / "log", bascule_retries=2))
    assert "exited with status 3" in text
    assert (tmp_path / "log").read_text().count("read 1\n") == 3
    assert sum("bascule_retries" in record.getMessage() for record in caplog.records) == 2


# ---- it ends early ----


def test_a_limit_stops_the_reading_promptly(con, tmp_path):
    log = tmp_path / "log"
    sql = query(batches=2000, rows=3000, log=log)
    with beside_healthy(con):
        assert len(con.execute(f"{sql} LIMIT 1").fetchall()) == 1
        assert wait_until(lambda: _ended(log), 10), log.read_text()
    words = log.read_text().splitlines()
    for p in ("0", "1"):
        assert words.count(f"batch {p}") <= 2
        assert words.count(f"read {p}") == words.count(f"end {p}")
    assert "close" in words


def _ended(log: Path) -> bool:
    """Every read that was begun has run its ``finally``, and an instance was closed."""
    words = log.read_text().splitlines()
    return "close" in words and all(words.count(f"read {p}") == words.count(f"end {p}") for p in "01")


def test_a_cursor_closed_half_way_stops_the_reading(con, tmp_path):
    log = tmp_path / "log"
    with beside_healthy(con):
        cursor = con.cursor()
        cursor.execute("SET streaming_buffer_size = '10KB'")
        reader = cursor.sql(query(batches=5000, rows=3000, log=log)).to_arrow_reader(3000)
        reader.read_next_batch()
        reader.close()
        del reader
        cursor.close()
        assert wait_until(lambda: _ended(log), 10), log.read_text()
        assert log.read_text().count("batch") < 5000


def test_a_stream_released_half_way_stops_the_reading(con, tmp_path):
    log = tmp_path / "log"
    with beside_healthy(con):
        options = {"bascule_executor": "process", "batches": "5000", "rows": "3000", "log": str(log)}
        source = _native.Source(LABEL, options)
        reader = pa.RecordBatchReader.from_stream(source.plan().scan().partition(0))
        batch = reader.read_next_batch()
        del reader, source
        assert wait_until(lambda: _ended(log), 10), log.read_text()
        assert batch.num_rows == 3000
        assert log.read_text().count("batch") < 5000
        del batch


@pytest.mark.parametrize(("how", "place"), [("hang in C", "infer_schema"), ("stop", "batch"), ("hang deaf", "batch")])
def test_an_interrupt_ends_a_query_whose_worker_hangs(con, how, place, tmp_path):
    pids = tmp_path / "pids"
    interrupted_at = 0.0

    def interrupt() -> None:
        nonlocal interrupted_at
        assert wait_until(pids.exists)
        time.sleep(0.2)
        interrupted_at = time.monotonic()
        con.interrupt()

    with beside_healthy(con):
        thread = threading.Thread(target=interrupt)
        thread.start()
        text = error_of(con, query(place=place, how=how, pid=pids))
        took = time.monotonic() - interrupted_at
        thread.join()
        assert "INTERRUPT" in text.upper(), text
        assert took < 5, "promptly; the processors are shared"
        pid = int(pids.read_text())
        assert wait_until(lambda: pid not in workers(), 6), "it was killed"


def test_an_interrupt_runs_finally_and_keeps_the_worker(con, tmp_path):
    """A sleeping class gets a KeyboardInterrupt, as in the host."""
    pids, log = tmp_path / "pids", tmp_path / "log"
    with beside_healthy(con):
        thread = threading.Thread(target=lambda: wait_until(pids.exists) and (time.sleep(0.2), con.interrupt()))
        thread.start()
        error_of(con, query(place="batch", how="sleep", pid=pids, log=log))
        thread.join()
        assert wait_until(lambda: _ended(log), 10), log.read_text()


def test_a_read_whose_workers_are_ended_fails_and_is_never_short(con):
    with nothing_left():
        options = {"bascule_executor": "process", "batches": "5000", "rows": "3000"}
        reader = pa.RecordBatchReader.from_stream(_native.Source(LABEL, options).plan().scan().partition(0))
        batch = reader.read_next_batch()
        _native.end_workers()
        with pytest.raises(OSError, match=r"partition 0 of 2: read_partition: .*worker process") as caught:
            reader.read_all()
        del reader, batch, caught


# ---- many ----


def test_fifty_scans_at_once(con):
    errors: list[BaseException] = []
    results: list[object] = []
    cursors = [con.cursor() for _ in range(50)]

    def scan(i: int) -> None:
        try:
            sql = query(what="count(*), sum(k)", partitions=3, batches=5)
            results.append(cursors[i].execute(sql).fetchall())
        except BaseException as e:
            errors.append(e)

    with beside_healthy(con):
        threads = [threading.Thread(target=scan, args=(i,)) for i in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert errors == []
        assert results == [[(150, 3 * sum(range(50)))]] * 50
        assert len(workers()) < 10, "they wait for each other's"
        for cursor in cursors:
            cursor.close()
        cursors.clear()


def test_failures_among_fifty_scans_are_their_own(con):
    outcomes: list[str] = []
    hows = ["", "exit", "raise", "kill", "text"]
    cursors = [con.cursor() for _ in range(20)]

    def scan(i: int) -> None:
        how = hows[i % len(hows)]
        try:
            place = "read_partition" if how else ""
            rows = cursors[i].execute(query(what="count(*)", place=place, how=how)).fetchall()
            outcomes.append(f"{how} {rows}")
        except duckdb.Error as e:
            outcomes.append(f"{how} failed" if LABEL in str(e) else f"{how}: {e}")

    with beside_healthy(con):
        threads = [threading.Thread(target=scan, args=(i,)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        for cursor in cursors:
            cursor.close()
        cursors.clear()
    assert sorted(outcomes) == sorted([" [(60,)]", *[f"{how} failed" for how in hows[1:]]] * 4)
