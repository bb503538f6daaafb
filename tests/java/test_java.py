"""A host without Python: DuckDB in a JVM reads Python classes by workers."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bascule
import javahost
from javahost import HostError, gone

SOURCE = """
import os, time
import pyarrow as pa

class Orders:
    "Two partitions of two rows."
    SCHEMA = pa.schema([("n", pa.int64()), ("item", pa.string()), ("pid", pa.int64())])
    def infer_schema(self, options):
        return self.SCHEMA
    def plan_partitions(self, options):
        return [{"n": n} for n in range(int(options.get("partitions", "2")))]
    def read_partition(self, spec, options):
        time.sleep(float(options.get("sleep", "0")))
        if "error" in options:
            raise ValueError(options["error"])
        yield pa.record_batch([[spec["n"]] * 2, ["täa", None], [os.getpid()] * 2], schema=self.SCHEMA)
"""
ROWS = [[n, item] for n in range(2) for item in ("täa", None)]


@pytest.fixture
def orders(tmp_path: Path) -> str:
    (tmp_path / "orders.py").write_text(SOURCE)
    return f"{tmp_path}/orders.py:Orders"


def test_a_class_from_a_file(java_host, orders):
    assert java_host.execute(f"SELECT n, item FROM python('{orders}')") == ROWS
    pids = {pid for (pid,) in java_host.execute(f"SELECT pid FROM python('{orders}')")}
    assert pids <= set(java_host.children())


def test_a_class_of_a_virtual_environments_module(java_hosts, tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    installed = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "tests.pth").write_text(f"import site; site.addsitedir({installed!r})\n")
    (packages / "acme").mkdir()
    (packages / "acme" / "orders.py").write_text(SOURCE)
    host = java_hosts()
    host.execute(f"LOAD '{bascule.extension_path()}'")
    host.execute(f"SET bascule_python = '{venv}/bin/python'")
    assert host.execute("SELECT n, item FROM python('acme.orders:Orders')") == ROWS
    assert host.execute("SELECT n, item FROM python('acme.orders', 'Orders')") == ROWS
    assert host.execute("SELECT n, item FROM 'acme.orders:Orders'") == ROWS
    workers = host.children()
    assert workers
    for pid in workers:
        assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] == f"{venv}/bin/python".encode()


@pytest.mark.parametrize("name", ["BASCULE_PYTHON", "VIRTUAL_ENV"])
def test_the_interpreter_of_the_environment(java_hosts, orders, name):
    python = sys.executable if name == "BASCULE_PYTHON" else str(Path(sys.executable).parents[1])
    host = java_hosts(env={"BASCULE_PYTHON": None, "VIRTUAL_ENV": None, name: python})
    host.execute(f"LOAD '{bascule.extension_path()}'")
    assert host.execute(f"SELECT n, item FROM python('{orders}')") == ROWS


def test_the_jvm_maps_no_python(java_host, orders):
    java_host.execute(f"FROM python('{orders}')")
    mapped = java_host.mapped_files()
    assert str(bascule.extension_path()) in mapped
    assert not [name for name in mapped if "python" in Path(name).name.lower()]


def test_two_loads(java_host, orders):
    java_host.execute(f"LOAD '{bascule.extension_path()}'")
    assert java_host.execute(f"SELECT n, item FROM python('{orders}')") == ROWS


def test_without_the_flag_java_cannot_load(java_hosts):
    host = java_hosts("")
    with pytest.raises(HostError, match="signature"):
        host.execute(f"LOAD '{bascule.extension_path()}'")


def test_no_external_access_no_python(java_host, orders):
    java_host.execute("SET enable_external_access = false")
    with pytest.raises(HostError, match="enable_external_access = false forbids"):
        java_host.execute(f"FROM python('{orders}')")


def test_a_classs_error_arrives_beside_a_healthy_query(java_host, orders):
    java_host.begin(f"SELECT n, item FROM python('{orders}', sleep := 0.5)")
    with pytest.raises(HostError) as e:
        java_host.execute(f"FROM python('{orders}', error := 'no tea left')")
    assert "ValueError: no tea left" in str(e.value)
    assert "orders.py:Orders, partition" in str(e.value)
    assert "read_partition" in str(e.value)
    assert java_host.end() == ROWS


def test_a_cancel_ends_a_slow_query(java_host, orders):
    java_host.execute(f"FROM python('{orders}')")
    java_host.begin(f"FROM python('{orders}', sleep := 60)")
    time.sleep(1)
    java_host.cancel()
    begun = time.monotonic()
    with pytest.raises(HostError, match=r"(?i)interrupt|cancel"):
        java_host.end()
    assert time.monotonic() - begun < 10
    assert java_host.execute(f"SELECT n, item FROM python('{orders}')") == ROWS


@pytest.mark.parametrize("end", ["in order", "killed"])
def test_no_worker_outlives_the_jvm(java_host, orders, end):
    java_host.execute(f"FROM python('{orders}')")
    workers = java_host.children()
    assert workers
    if end == "killed":
        java_host.kill(signal.SIGKILL)
    else:
        assert java_host.close() == 0
    assert [pid for pid in workers if not gone(pid)] == []


def test_a_thousand_scans_leave_what_one_left(java_host, orders):
    def scan() -> None:
        java_host.execute(f"FROM python('{orders}')")

    for _ in range(20):
        scan()
    before = java_host.counts()
    for _ in range(1000):
        scan()
    after = java_host.settled(before)
    assert after.children <= before.children
    assert after.shared_mappings <= before.shared_mappings
    assert after.descriptors <= before.descriptors + 2  # the JVM opens some of its own


def test_the_example_prints_rows(java, tmp_path, orders):
    program = javahost.EXAMPLE / "src" / "main" / "java" / "ReadPython.java"
    assert len(program.read_text().splitlines()) < 40
    driver = javahost.BUILD / "dependency"
    page = (javahost.ROOT / "docs" / "duckdb.md").read_text("utf-8")
    (command,) = re.findall(r"^\$ java (.*)$", page, re.M)
    assert "examples/java/target/dependency/*" in command
    done = subprocess.run(
        ["java", "-cp", f"{driver}/*", program, bascule.extension_path(), sys.executable, orders],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["0", "0", "1", "1"], done.stderr
