"""bascule.duckdb_extension: what the file is, and LOAD in a Python process. tests/java has a host without Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import bascule
from duckdb_api_names import member_names

ROOT = Path(__file__).parents[2]
FOOTER_BYTES = 512

SOURCE = """
import os, time
import pyarrow as pa

class Pids:
    def infer_schema(self, options):
        times = [("begun", pa.float64()), ("ended", pa.float64())]
        return pa.schema([("partition", pa.int64()), ("pid", pa.int64()), *times])
    def plan_partitions(self, options):
        return [{"i": i} for i in range(int(options.get("partitions", "2")))]
    def read_partition(self, spec, options):
        begun = time.monotonic()
        time.sleep(float(options.get("sleep", "0")))
        columns = {"partition": spec["i"], "pid": os.getpid(), "begun": begun, "ended": time.monotonic()}
        yield pa.RecordBatch.from_pylist([columns])
"""

#: Without bascule: a connection that has loaded the file, as a host in another language has it.
START = """
import os, sys, duckdb
path, source, python = sys.argv[1:]
def connect(**config):
    con = duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": 3, **config})
    con.execute(f"LOAD '{path}'")
    con.execute("SET enable_progress_bar = false")
    con.execute(f"SET bascule_python = '{python}'")
    return con
"""


@pytest.fixture
def run(tmp_path: Path):
    """Runs a program after START; its output."""
    (tmp_path / "pids.py").write_text(SOURCE)

    def _run(code: str, path: Path | None = None) -> str:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                START + code,
                path or bascule.extension_path(),
                tmp_path / "pids.py",
                sys.executable,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return _run


def test_the_files_end_says_what_it_is():
    data = bascule.extension_path().read_bytes()
    assert data[:4] == b"\x7fELF"
    footer = data[-FOOTER_BYTES:]
    fields = [footer[i : i + 32].rstrip(b"\0").decode() for i in range(0, 256, 32)]
    assert fields[:3] == [""] * 3
    assert fields[3:6] == ["C_STRUCT_UNSTABLE", bascule.__version__, f"v{duckdb.__version__}"]
    assert fields[6] == duckdb.execute("PRAGMA platform").fetchone()[0]
    assert fields[7] == "4"
    assert footer[256:] == bytes(256)


def test_it_needs_neither_python_nor_duckdb():
    out = subprocess.run(["readelf", "-d", bascule.extension_path()], capture_output=True, text=True, check=True).stdout
    needed = [line.partition("[")[2].rstrip("]") for line in out.splitlines() if "(NEEDED)" in line]
    assert "libc.so.6" in needed
    assert not [name for name in needed if "python" in name or "duckdb" in name]


def test_after_import_bascule_duckdb_a_load_does_nothing(tmp_path):
    (tmp_path / "pids.py").write_text(SOURCE)
    code = f"""
import os, bascule.duckdb, duckdb
con = duckdb.connect()
con.execute("LOAD '{bascule.extension_path()}'")
print(con.execute("SELECT DISTINCT pid FROM python('{tmp_path}/pids.py:Pids')").fetchall() == [(os.getpid(),)])
print("bascule.duckdb_extension" in open("/proc/self/maps").read())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_without_bascule_a_load_reads_by_workers(run):
    assert run("""
con = connect()
rows = con.execute(f"SELECT partition, pid FROM python('{source}:Pids')").fetchall()
print([i for i, _ in rows], os.getpid() in [pid for _, pid in rows])
print([name for name in sys.modules if name.startswith("bascule")])
""").splitlines() == ["[0, 1] False", "[]"]


def test_two_loads_and_two_databases(run):
    assert (
        run("""
first, second = connect(), connect()
first.execute(f"LOAD '{path}'")
for con in first, second:
    print(con.execute("SELECT count(*) FROM duckdb_functions() WHERE function_name = 'python'").fetchone())
    print(con.execute(f"SELECT count(*) FROM python('{source}:Pids', partitions := 5)").fetchone())
""").splitlines()
        == ["(1,)", "(5,)"] * 2
    )


def test_it_must_be_allowed_at_connect_time(run):
    assert "signature" in run("""
try:
    duckdb.connect().execute(f"LOAD '{path}'")
except duckdb.Error as e:
    print(e)
""")


LOAD_FAILS = """
try:
    connect()
except duckdb.Error as e:
    print(e)
"""


def test_a_file_for_another_duckdb_is_refused_by_duckdb(run, tmp_path):
    data = bascule.extension_path().read_bytes()
    other = tmp_path / "bascule.duckdb_extension"
    footer = data[-FOOTER_BYTES:].replace(b"v2.0.0", b"v2.9.9")
    other.write_bytes(data[:-FOOTER_BYTES] + footer)
    assert "v2.9.9" in run(LOAD_FAILS, other)


#: A DuckDB in Python: its function table, of which two are called, and the file's entry point.
FAKE = """
import ctypes, sys
path, names = sys.argv[1], sys.argv[2].split()

class Str(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_char_p), ("len", ctypes.c_uint64)]

CALL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
TEXT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Str))
GET = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
VERSION = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Str), ctypes.c_void_p)
kept = []

def table(version):
    def library_version(out, err):
        out[0] = Str(version, len(version))
        return 0
    def set_text(info, text):
        print(text[0].ptr[:text[0].len].decode())
        return 0
    functions = dict.fromkeys(names, CALL(lambda a, b: 1))
    functions["duckdb_v2_library_version"] = VERSION(library_version)
    functions["duckdb_v2_error_info_set_text"] = TEXT(set_text)
    kept.append(functions)
    return (ctypes.c_void_p * len(names))(*(ctypes.cast(functions[n], ctypes.c_void_p).value for n in names))

def load(functions):
    class Input(ctypes.Structure):
        _fields_ = [("get_api", GET), ("extension", ctypes.c_void_p), ("context", ctypes.c_void_p), ("err", ctypes.c_void_p)]
    slot = ctypes.c_void_p(1)
    given = Input(GET(lambda extension, version: ctypes.addressof(functions)), None, None, ctypes.addressof(slot))
    ctypes.CDLL(path).bascule_init_c_api_v2(ctypes.byref(given))

other = table(b"v2.0.1")
load(other)
load(table(b"v2.0.0"))
load(other)
"""


def test_another_duckdb_and_a_second_one_are_refused_by_bascule():
    headers = subprocess.run(
        [sys.executable, ROOT / "tools" / "fetch_sdist.py", "duckdb"], capture_output=True, text=True, check=True
    ).stdout.strip()
    names = member_names((Path(headers) / "duckdb_extension_v2.h").read_text("utf-8"))
    done = subprocess.run(
        [sys.executable, "-c", FAKE, bascule.extension_path(), " ".join(names)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    version, second, again = done.stdout.splitlines()
    assert version == again
    assert version.startswith("this bascule works with DuckDB 2.0.0 only")
    assert second.startswith("another DuckDB of this process has loaded this file")


def test_no_external_access_no_python(run):
    assert "enable_external_access = false forbids" in run("""
con = connect()
con.execute("SET enable_external_access = false")
try:
    con.execute(f"FROM python('{source}:Pids')")
except duckdb.Error as e:
    print(e)
""")


def test_as_many_workers_as_threads_unless_told(run):
    assert run("""
con = connect()
def workers(expected, *more):
    arguments = ", ".join(["partitions := 12", "sleep := 0.1", *more])
    for attempt in range(20):  # the first may have read all before the others have started
        rows = con.execute(f"SELECT begun, ended FROM python('{source}:Pids', {arguments})").fetchall()
        found = max(sum(begun <= at < ended for begun, ended in rows) for at, _ in rows)
        if found >= expected:
            return found
print(workers(3))
con.execute("SET threads = 2")
print(workers(2))
con.execute("SET bascule_workers = 1")
print(workers(1), con.execute("SELECT current_setting('bascule_workers')").fetchone()[0])
print(workers(2, "bascule_workers := 2"))
con.execute("RESET bascule_workers")
con.execute("SET bascule_workers = '1'")
print(workers(1))
""").splitlines() == ["3", "2", "1 1", "2", "1"]
