"""Ctrl-C in a terminal, whose process group the workers are not of, while one of them is slow."""

from __future__ import annotations

import time

import pytest

from life.test_ctrl_c import INTERRUPTED, PLACES, terminal
from process.beside import marked, wait_until
from process.test_hosts import MARK

PROCESS = "bascule_executor='process'"


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c_ends_a_script_whose_worker_sleeps(place, threads, monkeypatch):
    monkeypatch.setenv(MARK, mark := f"{place}-{threads}-{time.monotonic_ns()}")
    code = f"con.execute(query(place={place!r}, sleeps='yes', {PROCESS})).fetchall()\nprint('NEVER')"
    with terminal(code, threads) as program:
        program.read("[interrupted_source:Source] READY")
        program.press_ctrl_c()
        pressed_at = time.monotonic()
        text = program.read()
        assert program.status() == 1
        assert time.monotonic() - pressed_at < 10
        assert "NEVER" not in text
        assert any(words in text for words in INTERRUPTED), text
        assert text.count("Traceback (most recent call last)") == 1
        assert wait_until(lambda: not marked(mark), 5)


def test_ctrl_c_leaves_another_threads_query_alone():
    code = f"""
        import threading, time
        other = con.cursor()
        rows = []
        def work():
            rows.append(other.execute(query(place="", partitions=4, {PROCESS})).fetchall())
            print("READY", flush=True)
            rows.append(other.execute(query(place="", partitions=40, {PROCESS})).fetchall())
        worker = threading.Thread(target=work)
        worker.start()
        try:
            while True: time.sleep(0.01)
        except KeyboardInterrupt:
            print("MINE")
        worker.join()
        print("ROWS", rows)
    """
    with terminal(code) as program:
        program.read("READY")
        program.press_ctrl_c()
        text = program.read()
        assert program.status() == 0, text
        assert "MINE" in text
        assert "ROWS [[(8,)], [(80,)]]" in text
