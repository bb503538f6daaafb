"""``bascule query`` in a terminal: tables, the progress bar, Ctrl-C."""

from __future__ import annotations

import re
import time

from cli.running import terminal

SLOW = "FROM python('testsources:Counted', partitions := {}, batches := 1, sleep := 0.05)"


def test_a_terminal_gets_forty_rows_with_types_and_a_footer():
    with terminal("query", "SELECT i AS number, NULL AS nothing FROM range(99) t(i)") as program:
        lines = program.read().splitlines()
        assert program.status() == 0
    assert re.fullmatch(r"│ number │ nothing │", lines[1])
    assert re.fullmatch(r"│ BIGINT │ NULL    │", lines[2])
    assert lines[4] == "│      0 │ NULL    │"
    assert lines[43] == "│     39 │ NULL    │"
    assert re.fullmatch(r"40 of more rows, \d\.\d\d s", lines[-1])
    assert "\x1b[" in program.raw


def test_wide_tables_are_cut_to_the_terminal():
    columns = ", ".join(f"{i} AS column_{i}" for i in range(30))
    with terminal("query", f"SELECT {columns}, repeat('long ', 99) AS t FROM range(2)", width=70) as program:
        lines = program.read().splitlines()
    assert "column_0" in lines[1]
    assert "…" in lines[2]
    assert max(map(len, lines)) <= 70
    assert re.fullmatch(r"2 rows, \d+ of 31 columns, \d\.\d\d s", lines[-1])


def test_an_empty_result_has_its_columns_and_types():
    with terminal("query", "SELECT 1 AS a WHERE false") as program:
        lines = program.read().splitlines()
    assert lines[1:3] == ["│       a │", "│ INTEGER │"]
    assert lines[-1].startswith("0 rows, ")


def test_what_a_terminal_would_obey_is_not_printed():
    with terminal("query", "SELECT chr(27) || '[31mred' || chr(7) AS a") as program:
        assert r"\x1b[31mred\x07" in program.read()
        assert "\x07" not in program.raw


def test_binary_formats_are_not_written_to_a_terminal():
    with terminal("query", "SELECT 1", "--format", "parquet") as program:
        assert "parquet is binary and is not written to a terminal" in program.read()
        assert program.status() == 2


def test_a_long_query_shows_its_progress_and_leaves_no_trace_of_it():
    sql = "SELECT sum(k) AS s FROM python('testsources:Counted', partitions := 500, batches := 1, sleep := 0.005)"
    with terminal("query", sql, "--threads", 2) as program:
        text = program.read()
        assert program.status() == 0
    shares = [int(share) for share in re.findall(r"(\d+)%", text)]
    assert shares == sorted(shares)
    assert any(0 < share < 100 for share in shares)
    assert program.raw.rindex("\x1b[2K") < program.raw.rindex("HUGEINT")  # the bar's line is cleared


def test_ctrl_c_ends_it_promptly_with_one_line_and_130():
    with terminal("query", "SELECT sum(k) AS s " + SLOW.format(4000)) as program:
        program.read("0:00:")  # the bar
        pressed = time.monotonic()
        program.press_ctrl_c()
        text = program.read()
        assert program.status() == 130
    assert time.monotonic() - pressed < 2
    assert text.rstrip().splitlines()[-1].endswith("Interrupted.")
    assert "Traceback" not in text
    assert "Error" not in text


def test_ctrl_c_leaves_no_half_file(tmp_path):
    with terminal("query", SLOW.format(4000), "-o", tmp_path / "out.csv") as program:
        program.read("0:00:")
        program.press_ctrl_c()
        program.read()
        assert program.status() == 130
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_a_source_that_waits_in_c():
    sql = "FROM python('testsources:Counted', partitions := 2, batches := 1, sleep := 60)"
    with terminal("query", sql) as program:
        program.read("0:00:")
        pressed = time.monotonic()
        program.press_ctrl_c()
        assert "Interrupted." in program.read()
        assert program.status() == 130
    assert time.monotonic() - pressed < 3
