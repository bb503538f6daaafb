"""A file with inline script metadata: read by workers of its own environment, from DuckDB and by the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import bascule

SOURCE = '''\
# /// script
# requires-python = ">=3.11"
# dependencies = ["iniconfig>=2"]
# ///
import importlib.util
import sys

import iniconfig
import pyarrow as pa


class Tables:
    """What this interpreter has, and what its file is."""

    def infer_schema(self, options):
        return pa.schema([("has", pa.string()), ("prefix", pa.string())])

    def plan_partitions(self, options):
        return [{"name": name} for name in ("iniconfig", "duckdb")]

    def read_partition(self, partition_spec, options):
        if importlib.util.find_spec(partition_spec["name"]):
            yield pa.record_batch([[partition_spec["name"]], [sys.prefix]], schema=self.infer_schema(options))
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environments")
    (folder / "tables.py").write_text(SOURCE)
    return folder


@pytest.fixture(autouse=True)
def _there(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))


def cli(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bascule", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=dict(os.environ))


def test_duckdb_reads_it_in_its_own_environment(place):
    con = bascule.connect()
    rows = con.execute("FROM python('tables.py:Tables')").fetchall()
    assert [has for has, _ in rows] == ["iniconfig"]  # nothing of the host's
    assert Path(rows[0][1]).is_relative_to(place / "cache")
    assert con.execute("SELECT count(*) FROM python('tables.py:Tables', bascule_workers := 1)").fetchall() == [(1,)]


def test_in_the_host_itself_it_is_as_any_file(monkeypatch):
    monkeypatch.setitem(sys.modules, "iniconfig", None)
    with pytest.raises(duckdb.Error, match="ModuleNotFoundError: import of iniconfig halted"):
        bascule.connect().execute("FROM python('tables.py:Tables', bascule_executor := 'inprocess')")


def test_describe_and_check_go_on_in_its_environment():
    described = cli("describe", "tables.py:Tables")
    assert (described.returncode, "First rows: 1" in described.stdout) == (0, True), described
    checked = cli("check", "tables.py:Tables", "--no-usage")
    assert checked.returncode == 0, checked
    assert "failed" not in checked.stdout


def test_what_can_not_be_made_is_an_error_that_says_why(place):
    (place / "broken.py").write_text(SOURCE.replace("iniconfig>=2", "no-such-package-of-anybody>=1"))
    with pytest.raises(duckdb.Error) as e:
        bascule.connect().execute("FROM python('broken.py:Tables')")
    assert "broken.py" in str(e.value)
    assert "no-such-package-of-anybody" in str(e.value)
