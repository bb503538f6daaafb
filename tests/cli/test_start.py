"""Starting: what is imported for what, help, versions, ``bascule doctor``, completion."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bascule as package
from cli.running import COMMAND, TESTS, bascule, environment
from cli.test_sources import shop  # noqa: F401

HEAVY = {"rich", "pyarrow", "duckdb", "_duckdb", "pandas", "numpy", "pytz"}


def imported(*args: str) -> set[str]:
    """The heavy packages that a command imports."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from bascule.cli import main; main(sys.argv[1:])"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], cwd=TESTS, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.split()} & HEAVY


def test_help_imports_nothing_heavy():
    assert imported("--help") == set()
    assert imported("query", "--help") == set()


def test_a_query_on_a_pipe_imports_duckdb_alone():
    assert imported("query", "SELECT now(), 1.5, 'x'") == {"duckdb", "_duckdb"}


def test_help_names_the_commands_and_the_exit_codes():
    done = bascule("--help")
    assert done.returncode == 0
    for word in ("query", "describe", "check", "sources", "doctor", "extension-path", "completion", "130  interrupted"):
        assert word in done.stdout
    assert bascule("--version").stdout == f"bascule {package.__version__}\n"


def test_extension_path_prints_the_file_and_imports_nothing_heavy():
    done = bascule("extension-path")
    assert (done.returncode, done.stderr) == (0, "")
    path = Path(done.stdout.removesuffix("\n"))
    assert path == package.extension_path()
    assert path.name == "bascule.duckdb_extension"
    assert path.is_file()
    assert imported("extension-path") == set()


def test_extension_path_says_what_is_missing(monkeypatch):
    monkeypatch.setattr("bascule._extension._NAME", "none.duckdb_extension")
    with pytest.raises(package.BasculeError) as e:
        package.extension_path()
    assert "none.duckdb_extension is not in" in str(e.value)
    code = (
        "import bascule._extension as e; e._NAME = 'none.duckdb_extension'\n"
        "from bascule.cli import main; main(['extension-path'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", f"Error: {e.value}\n")


def test_an_unknown_command_is_wrong_usage():
    done = bascule("qery")
    assert done.returncode == 2
    assert "No such command 'qery'. Did you mean 'query'?" in done.stderr


def test_doctor_finds_everything_in_order():
    told = json.loads((done := bascule("doctor", "--json")).stdout)
    assert done.returncode == 0
    assert told["bascule"] == package.__version__
    assert told["interpreter"] == sys.executable
    states = {finding["name"]: finding["state"] for finding in told["findings"]}
    assert (
        states["bascule._native"]
        == states["bascule.duckdb_extension"]
        == states["pyarrow"]
        == states["duckdb"]
        == states["python(...) in DuckDB"]
        == "ok"
    )
    assert states["polars"] == states["pandas"] == states["datafusion"] == "ok"
    assert {"pyspark", "pysail", "adbc_driver_sqlite", "connectorx", "sqlglot"} <= states.keys()


def test_doctor_says_what_is_broken_and_what_mends_it(tmp_path):
    (tmp_path / "duckdb").mkdir()
    (tmp_path / "duckdb" / "__init__.py").write_text("raise ImportError('a library is gone')")
    (tmp_path / "adbc_driver_sqlite-9.dist-info").mkdir()
    (tmp_path / "adbc_driver_sqlite-9.dist-info" / "METADATA").write_text("Name: adbc_driver_sqlite\nVersion: 9\n")
    (tmp_path / "adbc_driver_sqlite.py").write_text("")
    done = bascule("doctor", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    broken = next(row for line in done.stdout.splitlines() if (row := line.split())[:2] == ["engine", "duckdb"])
    assert "broken" in broken
    assert "'bascule[duckdb]'" in broken
    assert "duckdb: ImportError: a library is gone" in done.stdout.splitlines()
    assert done.stderr == "Error: broken: duckdb, python(...) in DuckDB\n"


def test_doctor_says_where_the_environments_of_files_are(tmp_path):
    place = tmp_path / "bascule" / "environments"
    told = json.loads(bascule("doctor", "--json", env={"XDG_CACHE_HOME": str(tmp_path)}).stdout)
    assert told["environments"] == f"{place} (none yet)"
    (place / "0123").mkdir(parents=True)
    (place / "0123" / "file").write_bytes(b"x" * 3_000_000)
    (place / ".0123.lock").touch()
    told = json.loads(bascule("doctor", "--json", env={"XDG_CACHE_HOME": str(tmp_path)}).stdout)
    assert told["environments"] == f"{place} (1 of them, 3 MB)"


def test_another_duckdb_is_too_new(tmp_path):
    info = tmp_path / "duckdb-99.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: duckdb\nVersion: 99.1\n")
    done = bascule("doctor", "--json", env={"PYTHONPATH": str(tmp_path)})
    (found,) = [f for f in json.loads(done.stdout)["findings"] if f["name"] == "duckdb"]
    assert (done.returncode, found["state"], found["version"]) == (1, "too new", "99.1")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shells_script_is_printed(shell):
    done = bascule("completion", shell)
    assert done.returncode == 0
    assert f"_BASCULE_COMPLETE={shell}_complete" in done.stdout


@pytest.fixture
def complete(shop: Path, tmp_path: Path):  # noqa: F811
    """Types a line and a TAB into a real bash: the words that it would complete to."""
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "bascule"
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    env = environment(PATH=f"{program.parent}:{os.environ['PATH']}")

    def typed(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in words)
        script = (
            'eval "$(bascule completion bash)"\n'
            "compopt() { :; }\n"  # works only while a key is pressed
            f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMPREPLY=()\n"
            '_bascule_completion bascule; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", script], cwd=shop, env=env, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    return typed


def test_bash_completes_commands_sources_options_and_formats(complete):
    assert complete("bascule", "d") == ["describe", "doctor"]
    assert complete("bascule", "ext") == ["extension-path"]
    assert complete("bascule", "describe", "or") == ["orders"]
    assert complete("bascule", "describe", "orders", "-o", "p") == ["password=", "pin="]
    assert complete("bascule", "describe", "orders", "-o", "order", "=", "d") == ["down"]
    assert complete("bascule", "describe", "shop.py", ":", "Orders", "-o", "u") == ["url="]
    assert complete("bascule", "query", "--format", "js") == ["json", "jsonl"]
    assert complete("bascule", "describe", "nosuch", "-o", "") == []
