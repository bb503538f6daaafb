"""The examples run, are short, and read right."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from bascule._environment import has_metadata, interpreter_for
from bascule._native import Source
from bascule._offsets import Question
from bascule.check import run
from servers import Postgres

EXAMPLES = Path(__file__).parents[2] / "examples"
SOURCES = sorted(p for p in EXAMPLES.glob("*.py") if p.name != "demo.py")


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_an_example_is_under_40_lines(path):
    assert len(path.read_text().splitlines()) < 40


@pytest.mark.parametrize("more", [[], ["--postgres"]], ids=["sqlite", "postgres"])
def test_the_demo_runs_and_shows_the_right_rows(more):
    if more and (reason := Postgres.unavailable()):
        pytest.skip(reason)
    out = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py", *more], capture_output=True, text=True, timeout=110, check=True, cwd="/"
    ).stdout
    assert "│ Frontier Airlines Inc.      │     685 │           21.9 │" in out
    assert "│ calm    │  149178 │           11.0 │" in out
    assert "336,776 rows of 19 columns" in out
    assert "M rows/s" in out
    assert "Try next:" in out
    assert Path.home().as_posix() not in out


@pytest.mark.parametrize("partitions", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_partitions_lose_and_repeat_no_line(con, tmp_path, partitions, end, newline):
    lines = ["id,name,x", *(f"{i},{'n' * (i % 13)},{i / 4}" for i in range(40))]
    path = tmp_path / "t.csv"
    path.write_bytes((newline.join(lines) + (newline if end else "")).encode())
    got = con.sql(f"FROM python('{EXAMPLES}/csv_table.py:CsvTable', path := '{path}', partitions := {partitions})")
    want = pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(strings_can_be_null=True))
    assert got.to_arrow_table().to_pylist() == want.to_pylist()


def test_csv_columns_are_pushed_into_the_parser(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n")
    source, options = load("csv_table").CsvTable(), {"path": str(tmp_path / "t.csv"), "partitions": "1"}
    source.infer_schema(options)
    (table,) = source.read_partition(source.plan_partitions(options)[0], options, columns=["b"])
    assert table.to_pylist() == [{"b": "x"}]


@pytest.mark.parametrize("partitions", [1, 3, 50])
def test_login_records_come_once_each(con, tmp_path, partitions):
    record = load("login_records").RECORD
    path = tmp_path / "wtmp"
    path.write_bytes(
        b"".join(
            record.pack(7 if i % 2 else 2, i, b"tty1", f"user{i}".encode(), b"host", 0, 1_790_000_000 + i, i)
            for i in range(20)
        )
    )
    source = f"python('{EXAMPLES}/login_records.py:LoginRecords', path := '{path}', partitions := {partitions})"
    want = [("user" if i % 2 else "boot", i, f"user{i}", 1_790_000_000_000_000 + i * 1_000_001) for i in range(20)]
    assert con.sql(f'SELECT kind, pid, "user", epoch_us(logged_at) FROM {source}').fetchall() == want
    report = run(f"{EXAMPLES}/login_records.py:LoginRecords", {"path": str(path), "partitions": str(partitions)})
    assert report.ok
    path.write_bytes(b"\0" * 400)
    with pytest.raises(Exception, match="ends within a record: its size is no multiple of 384 bytes"):
        con.sql(f"FROM {source}").fetchall()


@pytest.mark.parametrize("chunk_kib", [0, 1, 1000])
def test_dpkg_packages_come_once_each(con, tmp_path, chunk_kib):
    path = tmp_path / "status"
    path.write_text(
        "".join(
            f"Package: p{i}\nVersion: 1.{i}\nInstalled-Size: {i}\nDescription: x\n more: not a field\n\n"
            for i in range(99)
        )
    )
    rows = con.execute(
        f"FROM python('{EXAMPLES}/dpkg_status.py:DpkgStatus', path := '{path}', chunk_kib := {chunk_kib})"
    ).fetchall()
    assert rows == [(f"p{i}", f"1.{i}", None, None, i) for i in range(99)]


@pytest.mark.timeout(300)  # downloads, where uv has nothing in its cache
def test_the_public_holidays_are_read_in_an_environment_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    python = interpreter_for(str(EXAMPLES / "public_holidays.py"))
    code = (
        "from public_holidays import PublicHolidays as P; p, o = P(), {'from': '2026', 'to': '2026'}\n"
        "for spec in p.plan_partitions(o):\n"
        "    for batch in p.read_partition(spec, o): print(batch.to_pylist()[0], batch.schema == p.infer_schema(o))"
    )
    done = subprocess.run([str(python), "-c", code], cwd=EXAMPLES, capture_output=True, text=True, check=True)
    assert done.stdout == "{'day': datetime.date(2026, 1, 1), 'name': \"New Year's Day\"} True\n"


def test_pyarrow_is_all_that_the_examples_import():
    assert pa
    # A file that names its own dependencies has no need to.
    for path in (p for p in SOURCES if not has_metadata(str(p))):
        lines = [line for line in path.read_text().splitlines() if line.startswith(("import ", "from "))]
        assert {line.split()[1].split(".")[0] for line in lines} <= {"io", "itertools", "os", "pyarrow", "re", "struct"}


def test_a_journal_is_a_table_and_a_stream(con, tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"id": 1, "level": "info", "message": "é"}\n{"id": 2, "level": "warn"}\n{"id": 3, "lev')
    options = {"path": str(path)}
    got = con.sql(f"SELECT id, message FROM python('{EXAMPLES}/journal.py:Journal', path := '{path}') ORDER BY id")
    assert got.fetchall() == [(1, "é"), (2, None)]
    assert run(f"{EXAMPLES}/journal.py:Journal", options).ok
    source = Source(f"{EXAMPLES}/journal.py:Journal", options)
    at, ids = source.offset(Question.INITIAL), []
    for more in ("", 'el": "info"}\n', "", '{"id": 4, "level": "info"}\n' * 2):
        with path.open("a") as file:
            file.write(more)
        end = source.offset(Question.LATEST, at)
        ids.append(pa.table(source.plan(start=at, end=end).scan().partition(0))["id"].to_pylist())
        at = end
    assert ids == [[1, 2], [3], [], [4, 4]]
