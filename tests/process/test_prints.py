"""What a class prints in a worker reaches the host's stderr, each line with the source's name before it; never
stdout, never the protocol."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LABEL = "process.failing_sources:Prints"

HOST = f"""
    import sys, threading, time
    sys.path.insert(0, {str(TESTS)!r})
    import bascule, duckdb
    from process.beside import beside_healthy, query
    con = bascule.connect(config={{"threads": 2}})
    def read(cls="Prints", partitions=1, **options):
        cursor = con.cursor()
        return cursor.execute(query(cls, "count(*), sum(k)", partitions=partitions, **options)).fetchall()
    with beside_healthy(con):
"""


@dataclass
class Host:
    out: str
    err: str

    def lines(self, label: str = LABEL) -> list[str]:
        """What the source printed, without its name."""
        return [line.removeprefix(f"[{label}] ") for line in self.err.splitlines() if line.startswith(f"[{label}] ")]


def first_difference(lines: list[str]) -> tuple[int, str | None, str | None] | None:
    """Number, told and printed line where they first differ from what ``many`` prints: all 20,000 are no message."""
    printed = [f"{'x' * 40} 0 {i:06}" for i in range(20_000)]
    pairs = enumerate(itertools.zip_longest(lines, printed))
    return next(((i, *pair) for i, pair in pairs if pair[0] != pair[1]), None)


def host(body: str) -> Host:
    code = textwrap.dedent(HOST) + textwrap.indent(textwrap.dedent(body), "    ")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return Host(done.stdout, done.stderr)


def test_prints_of_all_kinds_have_the_sources_name_before_each_line():
    told = host(
        """
        for how in ("print", "C", "stderr", "pieces"):
            assert read(how=how, text=f"by {how}") == [(30, 435)], how
        read(how="print", text="two\\nlines")
        read(how="print", text="\\u00e4\\u6f22\\U0001f600")
        read(how="unended", text="by unended")
        """
    )
    assert told.out == ""
    assert told.lines() == ["by print", "by C", "by stderr", "by pieces", "two", "lines", "ä漢😀", "by unended"]
    assert all(line.startswith("[") for line in told.err.splitlines()), told.err


def test_a_megabyte_of_prints_loses_nothing():
    told = host("assert read(how='many', lines=20_000, text='x' * 40) == [(30, 435)]")
    assert told.out == ""
    assert first_difference(told.lines()) is None


def test_a_long_line_stays_one():
    told = host("read(how='print', text='y' * 100_000)")
    assert told.lines() == ["y" * 100_000]


def test_two_workers_that_print_at_once_keep_their_lines_apart():
    told = host(
        """
        threads = [threading.Thread(target=read, args=(cls, 2), kwargs={"how": "many", "lines": 3000, "text": cls})
                   for cls in ("Prints", "OtherPrints")]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """
    )
    assert told.out == ""
    for cls in ("Prints", "OtherPrints"):
        lines = told.lines(f"process.failing_sources:{cls}")
        for p in (0, 1):
            assert [line for line in lines if line.startswith(f"{cls} {p} ")] == [
                f"{cls} {p} {i:06}" for i in range(3000)
            ]
        assert len(lines) == 6000


@pytest.mark.parametrize("how", ["exit", "segfault"])
def test_what_was_printed_before_the_end_is_shown(how):
    told = host(
        f"""
        try:
            read("PrintsAndFails", how={how!r}, partitions=2)
        except duckdb.Error as e:
            print("FAILED")
        """
    )
    assert told.out == "FAILED\n"
    assert told.lines("process.failing_sources:PrintsAndFails") == ["last words"]


def test_a_line_without_an_end_is_shown_while_the_class_goes_on():
    told = host(
        """
        def fail():
            try:
                read("PrintsAndFails", 2, how="sleep", bascule_timeout=4)
            except duckdb.Error as e:
                print("FAILED")
        thread = threading.Thread(target=fail)
        thread.start()
        time.sleep(3)
        print("meanwhile", file=sys.stderr, flush=True)
        thread.join()
        """
    )
    assert told.out == "FAILED\n"
    assert told.err.index("last words") < told.err.index("meanwhile")


def test_prints_of_a_start_are_shown(tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nseq 1000 >&2\nPYTHONPATH={TESTS} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    told = host(f"read(how='print', bascule_python={str(python)!r})")
    assert told.lines() == [*map(str, range(1, 1001)), "hello"]


def test_the_end_of_a_worker_with_a_memory_limit_names_the_limit():
    told = host(
        """
        try:
            read("PrintsAndFails", 2, how="exit", bascule_worker_memory="512MiB")
        except duckdb.Error as e:
            print(e)
        """
    )
    assert "exited with status 3 (its memory is limited: bascule_worker_memory = 512 MiB)." in told.out


# ---- a host whose stderr nobody reads ----

#: Two megabytes that nobody reads, and others' queries meanwhile.
UNREAD = f"""
    import select, sys, threading
    threading.excepthook = lambda failure: None  # at the end; it would wait for stderr
    sys.path.insert(0, {str(TESTS)!r})
    import bascule
    from process.beside import HEALTHY, HEALTHY_ROWS, query, wait_until
    con = bascule.connect(config={{"threads": 2}})
    def read(cls):
        many = query(cls, "count(*)", partitions=1, how="many", lines=20_000, text="x" * 40)
        assert con.cursor().execute(many).fetchall() == [(30,)]
    threads = [threading.Thread(target=read, args=(cls,), daemon=True) for cls in ("Prints", "OtherPrints")]
    for thread in threads: thread.start()
    assert wait_until(lambda: not select.select([], [sys.stderr], [], 0)[1])
    for _ in range(3):
        assert con.execute(HEALTHY).fetchall() == HEALTHY_ROWS
    print("others read on", all(thread.is_alive() for thread in threads), flush=True)
"""


@contextlib.contextmanager
def unread_host(then: str = "") -> Iterator[subprocess.Popen[str]]:
    code = textwrap.dedent(UNREAD) + textwrap.dedent(then)
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(60)
def test_a_host_whose_stderr_is_full_reads_others_and_ends():
    with unread_host() as process:
        assert process.stdout.readline() == "others read on True\n", process.stderr.read()
        assert process.wait(30) == 0


@pytest.mark.timeout(60)
def test_what_waits_for_stderr_comes_whole_once_it_is_read():
    with unread_host("for thread in threads: thread.join()") as process:
        assert process.stdout.readline() == "others read on True\n", process.stderr.read()
        told = Host(*process.communicate(timeout=30))
        assert process.returncode == 0
    for cls in ("Prints", "OtherPrints"):
        assert first_difference(told.lines(f"process.failing_sources:{cls}")) is None
    assert told.err.count("\n") == 40_000


@pytest.mark.timeout(60)
def test_lines_stay_whole_where_stderr_is_read_slower_than_they_wait_for_their_end():
    with unread_host("for thread in threads: thread.join()") as process:
        assert process.stdout.readline() == "others read on True\n", process.stderr.read()
        err, pipe = b"", process.stderr.fileno()
        while read := os.read(pipe, 16_384):
            err += read
            if len(err) < 320_000:
                time.sleep(0.35)
        assert process.wait(30) == 0
    told = Host("", err.decode())
    for cls in ("Prints", "OtherPrints"):
        assert first_difference(told.lines(f"process.failing_sources:{cls}")) is None
    assert told.err.count("\n") == 40_000
