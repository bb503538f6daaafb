"""What a class prints in a worker reaches the host's stderr, each line with the source's name before it; never
stdout, never the protocol."""

from __future__ import annotations

import subprocess
import sys
import textwrap
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
    assert told.lines() == [f"{'x' * 40} 0 {i:06}" for i in range(20_000)]


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
