"""What workers see of the host as it changes, and what one query leaves to the next: nothing."""

from __future__ import annotations

import os
import sys
import time
import types
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from bascule import OptionError, _native
from process.beside import query, wait_until, workers

SOURCE = """
import os, signal, time
import pyarrow as pa

VERSION = {version}

class Says:
    "One row a partition: VERSION, option x, the working directory."
    def infer_schema(self, options):
        return pa.schema([("version", pa.int64()), ("x", pa.string()), ("directory", pa.string())])
    def plan_partitions(self, options):
        return [{{}}] * int(options.get("partitions", "2"))
    def read_partition(self, spec, options):
        yield pa.record_batch([[VERSION], [options.get("x")], [os.getcwd()]], schema=self.infer_schema(options))
        if "goes" in options:
            os.chdir(options["goes"])
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        if "raises" in options:
            raise {{"KeyboardInterrupt": KeyboardInterrupt, "ValueError": ValueError}}[options["raises"]]

class ClosesSlowly(Says):
    def close(self):
        time.sleep(1)
        print("closed at last")

class Typo(Says):
    executor = "proces"
"""
PROCESS = {"bascule_executor": "process"}


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module of its own with the sources, and what writes it anew."""
    name = f"edited_{tmp_path.name}"
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(version: int) -> str:
        (tmp_path / f"{name}.py").write_text(SOURCE.format(version=version))
        return name

    write(1)
    return types.SimpleNamespace(name=name, write=write)


def rows(con: duckdb.DuckDBPyConnection, what: str, source: str, **options: object) -> list[tuple]:
    given = "".join(f", {name} := '{value}'" for name, value in options.items())
    return con.execute(
        f"SELECT DISTINCT {what} FROM python('{source}', bascule_executor := 'process'{given})"
    ).fetchall()


def test_a_scan_never_has_two_versions_of_a_class(module):
    source = _native.Source(f"{module.name}:Says", {**PROCESS, "bascule_workers": "2"})
    scan = source.plan().scan()
    first = pa.RecordBatchReader.from_stream(scan.partition(0))
    assert first.read_next_batch().column("version").to_pylist() == [1]
    module.write(22222)
    with pytest.raises(OSError, match="its file was changed after the query began"):
        pa.RecordBatchReader.from_stream(scan.partition(1)).read_all()
    del source, scan, first
    again = _native.Source(f"{module.name}:Says", PROCESS).plan().scan()
    assert pa.RecordBatchReader.from_stream(again.partition(1)).read_all()["version"].to_pylist() == [22222]


def test_a_class_by_value_sees_the_module_that_was_edited(con, module, monkeypatch):
    made = types.ModuleType("made_here")
    code = f"""
import pyarrow as pa
class Asks:
    def infer_schema(self, options):
        return pa.schema([("version", pa.int64())])
    def plan_partitions(self, options):
        return [{{}}]
    def read_partition(self, spec, options):
        import {module.name} as helper
        yield pa.record_batch([[helper.VERSION]], schema=self.infer_schema(options))
"""
    exec(code, vars(made))
    monkeypatch.setitem(sys.modules, "made_here", made)
    assert rows(con, "version", "made_here:Asks") == [(1,)]
    module.write(22222)
    assert rows(con, "version", "made_here:Asks") == [(22222,)]


def test_a_directory_that_a_class_goes_to_is_not_the_next_ones(con, module, tmp_path):
    here = str(Path.cwd())
    for _ in range(3):
        assert rows(con, "directory", f"{module.name}:Says", goes=tmp_path) == [(here,)]


def test_the_working_directory_is_the_host_s_of_today(con, module, tmp_path, monkeypatch):
    assert rows(con, "directory", f"{module.name}:Says") == [(str(Path.cwd()),)]
    monkeypatch.chdir(tmp_path)
    assert rows(con, "directory", f"{module.name}:Says") == [(str(tmp_path),)]


def test_the_environment_is_the_host_s_of_today(con, module, monkeypatch):
    for value in ("one", "two"):
        monkeypatch.setenv("SURROUNDINGS_X", value)
        assert rows(con, "x", f"{module.name}:Says", x="@env:SURROUNDINGS_X") == [(value,)]
    monkeypatch.delenv("SURROUNDINGS_X")
    with pytest.raises(duckdb.Error, match="environment variable SURROUNDINGS_X is not set"):
        rows(con, "x", f"{module.name}:Says", x="@env:SURROUNDINGS_X")


def test_another_sys_path_needs_no_other_workers(con, module, tmp_path, monkeypatch):
    rows(con, "version", f"{module.name}:Says")
    before = workers()
    for i in range(3):
        monkeypatch.syspath_prepend(str(tmp_path / str(i)))
        rows(con, "version", f"{module.name}:Says")
    assert workers() == before


def test_a_class_that_closes_slowly_keeps_its_worker_and_its_name(con, module, capfd):
    _native.end_workers()
    rows(con, "version", f"{module.name}:ClosesSlowly", partitions=1, bascule_workers=1)
    assert rows(con, "k", "testsources:Numbers", partitions=1, batches=1, rows=1, bascule_workers=2) == [(0,)]
    printed = []

    def is_closed() -> bool:
        printed.append(capfd.readouterr().err)
        return "closed at last" in "".join(printed)

    assert wait_until(is_closed, 10)
    assert f"[{module.name}:ClosesSlowly] closed at last\n" in "".join(printed)


def test_a_class_that_raises_keyboard_interrupt_keeps_its_worker(con, module):
    rows(con, "version", f"{module.name}:Says", partitions=1, bascule_workers=1)
    before = workers()
    with pytest.raises(duckdb.Error, match="read_partition was interrupted"):
        rows(con, "version", f"{module.name}:Says", raises="KeyboardInterrupt", partitions=1, bascule_workers=1)
    time.sleep(4)
    assert before <= workers()


def test_partitions_read_side_by_side_need_no_more_than_they_are(module):
    options = {**PROCESS, "bascule_workers": "1", "partitions": "6"}
    scan = _native.Source("testsources:Numbers", options).plan().scan()
    streams = [pa.RecordBatchReader.from_stream(scan.partition(i)) for i in range(6)]
    assert sum(stream.read_next_batch().num_rows for stream in streams) > 0
    begun = time.monotonic()
    assert sum(stream.read_all().num_rows for stream in streams) > 0
    assert time.monotonic() - begun < 10


def test_more_threads_than_workers_may_be(con):
    con.execute("SET threads = 1500")
    assert con.execute(query(what="count(*)")).fetchall() == [(60,)]
    con.execute("SET threads = 2")


def test_the_home_directory_is_python_s(con, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "says.py").write_text(SOURCE.format(version=7))
    assert rows(con, "version", "~/says.py:Says") == [(7,)]
    (tmp_path / "says.py").write_text(SOURCE.format(version=88888))
    assert rows(con, "version", "~/says.py:Says") == [(88888,)]


def test_an_executor_that_there_is_not_is_an_error(con, module):
    for executor in ("process", "inprocess"):
        with pytest.raises(duckdb.Error, match=r"has executor = 'proces', which is neither 'inprocess' nor 'process'"):
            con.execute(f"FROM python('{module.name}:Typo', bascule_executor := '{executor}')")


def test_memory_below_what_python_needs_is_refused():
    with pytest.raises(OptionError, match="at least 64 MiB"):
        _native.Source("testsources:Good", {**PROCESS, "bascule_worker_memory": "16MiB"})


def test_a_worker_that_died_at_rest_costs_no_partition(module):
    _native.end_workers()
    source = _native.Source("testsources:Numbers", {**PROCESS, "bascule_workers": "1", "partitions": "3"})
    scan = source.plan().scan()
    n = pa.RecordBatchReader.from_stream(scan.partition(0)).read_all().num_rows
    for pid in workers():
        os.kill(pid, 9)
    time.sleep(0.5)
    assert pa.RecordBatchReader.from_stream(scan.partition(1)).read_all().num_rows == n
