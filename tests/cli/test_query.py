"""``bascule query`` on pipes and files: formats by value, statements, errors, exit codes."""

from __future__ import annotations

import datetime
import io
import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from cli.running import COMMAND, TESTS, bascule, environment, rows

VALUES = r"""
    SELECT * FROM (VALUES
        (1, 'a "quoted", text' || chr(10) || 'é日', 1.50::DECIMAL(20, 2), '\x00\xFF'::BLOB, DATE '2024-02-29',
            TIMESTAMPTZ '2024-01-02 03:04:05.000006+01', [1, NULL, 3], {'x': 1, 'y': ['z']}, 0.1::DOUBLE, true),
        (2, '', -12345678901234567.89, ''::BLOB, DATE '0001-01-01',
            TIMESTAMPTZ '1969-12-31 23:59:59+00', [], {'x': NULL, 'y': []}, 1e300, false),
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
    ) t(i, s, d, b, day, moment, l, r, x, ok) ORDER BY i
"""
UTC = datetime.UTC
EXPECTED = [
    {
        "i": 1,
        "s": 'a "quoted", text\né日',
        "d": Decimal("1.50"),
        "b": b"\x00\xff",
        "day": datetime.date(2024, 2, 29),
        "moment": datetime.datetime(2024, 1, 2, 2, 4, 5, 6, UTC),
        "l": [1, None, 3],
        "r": {"x": 1, "y": ["z"]},
        "x": 0.1,
        "ok": True,
    },
    {
        "i": 2,
        "s": "",
        "d": Decimal("-12345678901234567.89"),
        "b": b"",
        "day": datetime.date(1, 1, 1),
        "moment": datetime.datetime(1969, 12, 31, 23, 59, 59, 0, UTC),
        "l": [],
        "r": {"x": None, "y": []},
        "x": 1e300,
        "ok": False,
    },
    dict.fromkeys(["i", "s", "d", "b", "day", "moment", "l", "r", "x", "ok"]),
]
AS_JSON = [
    {
        **EXPECTED[0],
        "b": r"\x00\xFF",
        "day": "2024-02-29",
        "moment": "2024-01-02 02:04:05.000006+00",
    },
    {**EXPECTED[1], "b": "", "day": "0001-01-01", "moment": "1969-12-31 23:59:59+00"},
    EXPECTED[2],
]


def output(kind: str, tmp_path: Path, into: str) -> bytes:
    """The bytes of VALUES in a format, from stdout or a file."""
    if into == "file":
        rows(VALUES, "-o", tmp_path / f"out.{kind}")
        assert [path.name for path in tmp_path.iterdir()] == [f"out.{kind}"]
        return (tmp_path / f"out.{kind}").read_bytes()
    with (tmp_path / "out").open("wb") as file:
        command = [*COMMAND, "query", VALUES, "--format", kind]
        subprocess.run(command, stdout=file, env=environment(), timeout=60, check=True)
    return (tmp_path / "out").read_bytes()


@pytest.mark.parametrize(("kind", "into"), [("json", "file"), ("jsonl", "stdout")])
def test_json_has_every_value(kind, into, tmp_path):
    text = output(kind, tmp_path, into).decode()
    found = (
        json.loads(text, parse_float=str)
        if kind == "json"
        else [json.loads(s, parse_float=str) for s in text.splitlines()]
    )
    for row in found:
        row["d"] = row["d"] and Decimal(row["d"])
        row["x"] = row["x"] and float(row["x"])
    assert found == AS_JSON


def test_csv_has_every_value(tmp_path, con):
    (tmp_path / "read.csv").write_bytes(output("csv", tmp_path, "stdout"))
    types = {"s": "VARCHAR", "d": "DECIMAL(20,2)", "b": "BLOB", "moment": "TIMESTAMPTZ", "x": "DOUBLE", "ok": "BOOLEAN"}
    con.execute("SET TimeZone = 'UTC'")
    found = con.sql(
        "SELECT * REPLACE (l::INTEGER[] AS l, r::STRUCT(x INTEGER, y VARCHAR[]) AS r)"
        f" FROM read_csv(?, types = {types}, allow_quoted_nulls = false)",
        params=[str(tmp_path / "read.csv")],
    ).to_arrow_table()
    assert found.to_pylist() == EXPECTED


@pytest.mark.parametrize(("kind", "into"), [("parquet", "stdout"), ("arrow", "stdout"), ("arrow", "file")])
def test_arrow_and_parquet_have_every_value_and_type(kind, into, tmp_path):
    data = io.BytesIO(output(kind, tmp_path, into))
    if kind == "parquet":
        table = pyarrow.parquet.read_table(data)
    else:  # a file can be sought, a stream read as it comes
        table = (pa.ipc.open_file if into == "file" else pa.ipc.open_stream)(data).read_all()
    assert table.to_pylist() == EXPECTED
    assert table.schema.field("d").type == pa.decimal128(20, 2)
    assert table.schema.field("moment").type.tz is not None


def test_a_pipe_gets_nothing_but_data():
    text = rows(
        "SELECT i AS number, CASE WHEN i > 0 THEN repeat('x', 200) || chr(27) || chr(10) END AS s FROM range(45) t(i)"
    )
    lines = text.splitlines()
    assert lines[:2] == ["number  s", "0       NULL"]
    assert lines[2] == "1       " + "x" * 200 + r"\x1b\n"
    assert len(lines) == 46


@pytest.mark.parametrize("kind", ["csv", "jsonl", "table"])
def test_what_a_class_prints_is_not_among_the_rows(tmp_path, kind):
    (tmp_path / "talks.py").write_text(
        "import pyarrow as pa\n\n\n"
        "class Talks:\n"
        "    def infer_schema(self, options):\n        return pa.schema({'a': pa.int64()})\n\n"
        "    def plan_partitions(self, options):\n        return [{}]\n\n"
        "    def read_partition(self, spec, options):\n        print('I am read')\n"
        "        yield pa.record_batch({'a': [1]})\n"
    )
    done = bascule("query", "FROM python('talks.py:Talks')", "--format", kind, cwd=tmp_path)
    assert done.returncode == 0
    assert "I am read" in done.stderr
    assert "I am read" not in done.stdout


def test_a_table_is_aligned_and_has_as_many_rows_as_asked_for():
    sql = "SELECT * FROM (VALUES ('日本', 1), ('ab', 22), ('c', 3)) t(a, b)"
    assert rows(sql, "--rows", 2).splitlines() == ["a     b", "日本  1", "ab    22"]


def test_sources_are_read_in_the_current_directory(tmp_path):
    (tmp_path / "mine.py").write_text("from testsources import Numbers\n")
    sql = "SELECT count(*) AS n FROM python('mine:Numbers', rows := 7)"
    done = bascule("query", sql, cwd=tmp_path, env={"PYTHONPATH": str(TESTS)})
    assert (done.stdout, done.returncode) == ("n\n42\n", 0)


def test_every_statement_runs_and_the_last_ones_rows_are_printed():
    first = "SELECT 'never'; CREATE TABLE t AS SELECT 1 AS a; -- ;\nINSERT INTO t VALUES (2);"
    assert rows(f"{first} FROM t ORDER BY a DESC; -- end") == "a\n2\n1\n"


def test_a_statement_without_rows_prints_nothing():
    assert rows("SELECT 1; CREATE TABLE t AS SELECT 1 AS a") == ""
    assert rows("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)", "--format", "csv") == ""


def test_what_is_no_select_is_printed_too():
    assert (
        rows("CREATE TABLE t (a HUGEINT); INSERT INTO t VALUES (1) RETURNING *, uuid() IS NULL AS u")
        == "a  u\n1  false\n"
    )
    assert rows("CREATE TABLE t (a INT); DESCRIBE t", "--format", "csv").startswith("column_name,")
    assert "Dummy Scan" in rows("EXPLAIN SELECT 1")


def test_sql_comes_from_a_file_and_from_stdin(tmp_path):
    (tmp_path / "q.sql").write_text("SELECT 1 AS a;\nSELECT 'é' AS b\n")
    assert rows("-f", tmp_path / "q.sql") == "b\né\n"
    assert bascule("query", "-", stdin="SELECT 3 AS c").stdout == "c\n3\n"


def test_attached_databases_go_by_their_files_names(tmp_path):
    odd = tmp_path / 'my "odd" shop.duckdb'
    assert rows("CREATE TABLE t AS SELECT 1 AS a", "--attach", odd) == ""
    assert rows("CREATE TABLE u AS SELECT 2 AS a", "--attach", tmp_path / "second.db") == ""
    both = "--attach", odd, "--attach", tmp_path / "second.db", "--read-only"
    assert rows("FROM t UNION ALL FROM second.u ORDER BY a", *both) == "a\n1\n2\n"
    done = bascule("query", "CREATE TABLE v AS SELECT 1", *both)
    assert done.returncode == 1
    assert "read-only" in done.stderr


@pytest.mark.parametrize("args", [("shop.dukdb",), ("shop.duckdb", "--read-only")])
def test_a_missing_database_is_not_made_by_mistake(args, tmp_path):
    done = bascule("query", "SELECT 1", "--attach", *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Error: there is no database {args[0]}" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_query_that_fails_leaves_the_file_as_it_was(tmp_path):
    (tmp_path / "out.csv").write_text("before")
    done = bascule("query", "FROM python('testsources:ReadRaises')", "-o", tmp_path / "out.csv")
    assert done.returncode == 1
    assert "the disk is on fire" in done.stderr
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out.csv", "before")]


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    fifo = tmp_path / "out.csv"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE, text=True) as reader:
        rows("SELECT 1 AS a", "-o", fifo)
        assert reader.communicate(timeout=10)[0] == "a\n1\n"
    assert fifo.is_fifo()


def test_compression_goes_by_the_suffix(tmp_path, con):
    rows("SELECT 42 AS a", "-o", tmp_path / "out.csv.gz")
    assert (tmp_path / "out.csv.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert con.execute("FROM read_csv(?)", [str(tmp_path / "out.csv.gz")]).fetchall() == [(42,)]


def test_output_is_appended_where_the_shell_appends(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("before\n")
    with path.open("a") as file:
        subprocess.run([*COMMAND, "query", "SELECT 1 AS a", "--format", "csv"], stdout=file, timeout=60, check=True)
    assert path.read_text() == "before\na\n1\n"


def test_an_error_is_the_message_alone_with_the_users_line():
    done = bascule("query", "SELECT a,\n  foo FROM python('testsources:Good')", "--format", "csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith('Error: Binder Error: Referenced column "foo" not found')
    assert "\nLINE 2:   foo FROM" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [(), ("--format", "arrow", "-o", "/dev/null")])
def test_a_sources_error_brings_its_own_traceback_only(how):
    done = bascule("query", "FROM python('testsources:ReadRaises')", *how)
    assert done.returncode == 1
    assert "testsources:ReadRaises, partition 1 of 2" in done.stderr
    assert done.stderr.rstrip().endswith("OSError: the disk is on fire")
    assert done.stderr.count("Traceback") == 1
    assert "bascule/cli" not in done.stderr


def test_secrets_in_the_sql_are_masked_in_errors_even_where_duckdb_cuts_the_line():
    for blanks in (5, 10):
        sql = f"SELECT a FROM python('testsources:Nope', {' ' * blanks} password := 'CANARYCANARYCANARY')"
        assert "CANA" not in bascule("query", sql).stderr


def test_secrets_in_the_sql_are_masked_in_errors():
    given = "password := 'CANARY1', url => 'http://u:CANARY2@h', options := MAP {'api_key': 'CANARY3'}"
    done = bascule("query", f"SELECT a FROM python('testsources:Nope', {given})")
    assert done.returncode == 1
    assert "password := '***'" in done.stderr
    assert "CANARY" not in done.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "give either SQL (or - for stdin) or -f FILE"),
        (("  -- nothing",), "there is no SQL statement"),
        (("SELECT 1", "--rows", "3", "--format", "csv"), "--rows is for tables"),
        (("SELECT 1", "-o", "out.txt"), "give --format"),
        (("SELECT 1", "-o", "no/such/out.csv"), "there is no directory no/such"),
        (("SELECT 1", "--format", "xml"), "'xml' is not one of"),
    ],
)
def test_wrong_usage_is_exit_code_2(args, words):
    done = bascule("query", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_rows_that_are_asked_for_and_not_there_are_an_error(tmp_path):
    done = bascule("query", "CREATE TABLE t AS SELECT 1", "-o", tmp_path / "out.csv")
    assert done.returncode == 1
    assert "has no rows to write to" in done.stderr


def test_without_duckdb_the_exit_code_is_3(tmp_path):
    (tmp_path / "duckdb.py").write_text("raise ModuleNotFoundError(\"No module named 'duckdb'\", name='duckdb')")
    done = bascule("query", "SELECT 1", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 3
    assert "pip install 'bascule[duckdb]'" in done.stderr


@pytest.mark.parametrize("kind", ["table", "csv", "arrow"])
def test_a_closed_pipe_ends_it_quietly(kind):
    n = "50_000" if kind == "table" else "10_000_000_000"
    command = [*COMMAND, "query", f"FROM range({n}) t(i)", "--format", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.read(1) != b""
        program.stdout.close()
        assert program.wait(20) == 0
        assert program.stderr.read() == b""


@pytest.mark.parametrize("kind", ["csv", "arrow"])
def test_memory_does_not_grow_with_the_result(kind):
    """12 M rows of 16 bytes are 183 MiB, as text 210."""
    code = (
        "import re, sys; from bascule.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024, file=sys.stderr)"
    )

    def peak_mib(n: int) -> int:
        sql = f"SELECT i, i * 2 AS j FROM range({n}) t(i)"
        command = [COMMAND[0], "-c", code, "query", sql, "--format", kind, "--threads", "2"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
        return int(done.stderr)

    assert peak_mib(12_000_000) < peak_mib(500_000) + 100


def test_a_timeline_is_written_of_what_was_read(tmp_path):
    page = tmp_path / "t.html"
    assert (
        rows("--timeline", page, "SELECT count(p) FROM python('testsources:Numbers', partitions := 4)")
        == "count(p)\n40\n"
    )
    assert "testsources:Numbers, in-process: done after" in page.read_text("utf-8")
    failed = bascule("query", "--timeline", page, "FROM python('sparksources:ReadRaises')")
    assert failed.returncode == 1
    assert "no rows today" in failed.stderr
    assert "sparksources:ReadRaises, in-process: failed after" in page.read_text("utf-8")


def test_a_timeline_of_nothing_and_one_that_can_not_be_written(tmp_path):
    done = bascule("query", "--timeline", tmp_path / "t.html", "SELECT 1")
    assert (done.returncode, "no source was read" in done.stderr) == (0, True)
    assert not (tmp_path / "t.html").exists()
    for path in (tmp_path / "t.png", tmp_path / "no" / "t.html"):
        wrong = bascule("query", "--timeline", path, "SELECT 1")
        assert (wrong.returncode, "an .html file" in wrong.stderr) == (2, True)
