"""Files with inline script metadata: their environments, made by the real uv from the real index."""

from __future__ import annotations

import base64
import csv
import doctest
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import bascule._native
from bascule import BasculeError, SourceNotFoundError, _environment
from bascule._environment import has_metadata, interpreter_for

BLOCK = "# /// script\n# dependencies = [{}]\n{}# ///\nimport pyarrow\n"
#: Nobody listens there.
NOWHERE = "http://reader:opensesame@127.0.0.1:9/simple"
FIND = "import sys; from bascule._environment import interpreter_for; print(interpreter_for(sys.argv[1]))"

pytestmark = pytest.mark.timeout(300)  # downloads, where uv has nothing in its own cache


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A cache of environments for all tests that don't mind what is in it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(shared, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    return shared / "bascule" / "environments"


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    return tmp_path / "own" / "bascule" / "environments"


@pytest.fixture
def no_settings(tmp_path, own_cache, monkeypatch):
    """Neither uv nor pip is told of an index, and uv has nothing in its own cache."""
    for name in list(os.environ):
        if name.startswith(("UV_", "PIP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def write(path: Path, dependencies: str = '"iniconfig>=2"', more: str = "") -> Path:
    path.write_text(BLOCK.format(dependencies, more), "utf-8")
    return path


def says(interpreter: str | None, code: str) -> str:
    assert interpreter is not None
    done = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def failure(path: Path | str) -> str:
    with pytest.raises(BasculeError) as e:
        interpreter_for(str(path))
    return str(e.value)


def library(directory: Path, value: int) -> None:
    (directory / "bascule_test_lib").mkdir(parents=True)
    (directory / "bascule_test_lib" / "__init__.py").write_text(f"VALUE = {value}\n")
    (directory / "pyproject.toml").write_text(
        '[project]\nname = "bascule-test-lib"\nversion = "1"\n'
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    )


# ---- the block ----


def test_a_file_without_a_block_has_no_environment(tmp_path):
    for text in ("", "import pyarrow\n", "# /// script\n# never ended\nimport x\n", "# /// other\n# a = 1\n# ///\n"):
        (tmp_path / "plain.py").write_text(text)
        assert not has_metadata(str(tmp_path / "plain.py"))
        assert interpreter_for(str(tmp_path / "plain.py")) is None


@pytest.mark.parametrize(
    "source",
    [
        b"# /// script\n# dependencies = []\n# ///\n",
        b"\xef\xbb\xbf# /// script\r\n# dependencies = []\r\n#\r\n# ///\r\n",
        "# coding: latin-1\n# ///script\n# é\n# /// script\n# dependencies = []\n# ///".encode("latin-1"),
    ],
)
def test_a_block_is_found_whatever_the_files_encoding_and_line_ends(tmp_path, source):
    (tmp_path / "orders.py").write_bytes(source)
    assert has_metadata(str(tmp_path / "orders.py"))


def test_a_file_that_is_no_text_or_not_there_has_no_block(tmp_path):
    (tmp_path / "orders.py").write_bytes(b"# /// script\n# a = 1\n# ///\n\xff")
    assert not has_metadata(str(tmp_path / "orders.py"))
    assert not has_metadata(str(tmp_path / "none.py"))


def test_a_block_that_is_wrong_says_what_is(tmp_path):
    file = tmp_path / "orders.py"
    begin = f"the script block (# /// script) of file '{file}' can't be used: "
    for block, said in {
        "# dependencies = [httpx]": "it is no TOML: Invalid value (at line 1, column 17)",
        '# dependencies = "httpx"': 'dependencies is a list of texts: dependencies = ["httpx", "polars>=1"]',
        "# requires-python = 3.11": 'requires-python is a text: requires-python = ">=3.11"',
        '# requires-python = "three"': "requires-python = \"three\" is no version specifier, as '>=3.11'",
        "# tool.uv = 1": "tool.uv is a table: [tool.uv]",
        "# a = 1\n# ///\n\n# /// script\n# b = 1": "there are 2 of them; put all into one",
    }.items():
        file.write_text(f"# /// script\n{block}\n# ///\n")
        assert failure(file) == begin + said


def test_another_python_is_asked_for(tmp_path):
    file = write(tmp_path / "orders.py", more='# requires-python = ">=3.99"\n')
    version = ".".join(map(str, sys.version_info[:3]))
    assert failure(file) == (
        f"file '{file}' wants Python >=3.99 (requires-python in its script block), but its environment would be made with "
        f"Python {version}, {sys.executable}. Install bascule for a Python that fits, and name that interpreter: "
        "SET bascule_python = '/path/to/python3'"
    )


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(SourceNotFoundError, match="can't be read: No such file or directory"):
        interpreter_for(str(tmp_path / "none.py"))


def test_every_value_of_toml_survives():
    import tomllib

    text = 'a = "q\\"\\\\\\n\\t\\u0001\\u007fé"\nb = [1, 2.5, true]\nc = { d = {}, "e f" = [] }\ng = 2024-01-01T00:00:00Z\nh = inf'
    values = tomllib.loads(text)
    assert tomllib.loads(f"v = {_environment._toml(values)}")["v"] == values


# ---- this very bascule ----


def test_the_wheel_of_the_running_installation_is_whole(tmp_path):
    running = _environment._Bascule.running()
    path = running.write(tmp_path)
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        record = {row[0]: row[1:] for row in csv.reader(wheel.read(names[-1]).decode().splitlines())}
        assert names[-1] == "bascule-0.1.0.dist-info/RECORD"
        assert list(record) == names
        for name in names[:-1]:
            data = wheel.read(name)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert record[name] == [f"sha256={digest}", str(len(data))]
        assert record[names[-1]] == ["", ""]
        assert {"bascule/__init__.py", "bascule/py.typed", "bascule/cli/query.py"} <= set(names)
        assert [n for n in names if n.startswith("bascule/_native.") and n.endswith(".so")]
        assert not [n for n in names if n.endswith((".c", ".h", ".pyc"))]
        assert b"Requires-Dist: pyarrow" in wheel.read("bascule-0.1.0.dist-info/METADATA")
    first = path.read_bytes()
    assert running.write(tmp_path).read_bytes() == first


def test_another_bascule_is_another_environment(tmp_path):
    running = _environment._Bascule.running()
    script = _environment._Script("x.py", tmp_path / "x.py", "", [], {})
    (tmp_path / "new.py").write_text("x = 1\n")
    files = running.files | {"bascule/new.py": tmp_path / "new.py"}
    changed = _environment._Bascule(running.version, running.tag, files, running.texts)
    before = _environment._key(script, changed)
    assert _environment._key(script, running) != before
    (tmp_path / "new.py").write_text("x = 2\n")
    assert _environment._key(script, changed) != before


# ---- environments ----


def test_the_interpreter_has_the_dependencies_and_this_bascule(tmp_path, cache, capfd):
    file = write(tmp_path / "örders.py", '"iniconfig>=2", "bascule>=0.1"', '# requires-python = ">=3.11"\n')
    python = interpreter_for(str(file))
    assert python is not None
    assert python.startswith(str(cache))
    assert capfd.readouterr() == (
        "",
        "bascule: preparing the environment of örders.py (iniconfig, bascule) …\n",
    )
    assert says(python, "import sys, iniconfig, bascule._native; print(sys.version)") == sys.version
    code = "import hashlib, bascule._native as n; print(hashlib.sha256(open(n.__file__, 'rb').read()).hexdigest(), n.__file__)"
    digest, place = says(python, code).split(" ", 1)
    assert digest == hashlib.sha256(Path(bascule._native.__file__).read_bytes()).hexdigest()
    assert place.startswith(str(cache))
    done = subprocess.run([python, "-m", "bascule", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"bascule {bascule.__version__}\n"
    command = subprocess.run([Path(python).parent / "bascule", "--version"], capture_output=True, text=True, check=True)
    assert command.stdout == done.stdout  # it was moved since it was installed
    points = "import importlib.metadata as m; print([e.name for e in m.entry_points(group='bascule.sources')])"
    assert says(python, points) == "['bigquery', 'files', 'jdbc', 'kafka', 'kinesis', 'predict', 'rest']"


def test_it_has_nothing_of_the_host(tmp_path):
    python = interpreter_for(str(write(tmp_path / "orders.py")))
    code = "import importlib.util as u; print([m for m in ('duckdb', 'pytest', 'iniconfig') if u.find_spec(m)])"
    assert says(python, code) == "['iniconfig']"


def test_the_second_time_takes_no_time(tmp_path, capfd):
    file = str(write(tmp_path / "orders.py"))
    first = interpreter_for(file)
    capfd.readouterr()
    began = time.perf_counter()
    assert interpreter_for(file) == first
    assert time.perf_counter() - began < 0.1
    assert capfd.readouterr() == ("", "")


def test_two_files_with_the_same_block_share_one(tmp_path):
    assert interpreter_for(str(write(tmp_path / "a.py"))) == interpreter_for(str(write(tmp_path / "b.py")))


def test_processes_that_want_it_at_once_make_it_once(tmp_path, own_cache):
    command = [sys.executable, "-c", FIND, write(tmp_path / "orders.py")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate(timeout=250) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], outputs
    assert len({out for out, _ in outputs}) == 1
    assert sum(err.count("preparing") for _, err in outputs) == 1
    assert len([p for p in own_cache.iterdir() if not p.name.startswith(".")]) == 1


def test_a_broken_or_half_built_one_is_made_again(tmp_path, own_cache, capfd):
    file = str(write(tmp_path / "orders.py"))
    python = interpreter_for(file)
    assert python is not None
    place = Path(python).parents[1]
    left = own_cache / f".{place.name}.killed.part"
    (left / "environment").mkdir(parents=True)
    Path(python).unlink()
    Path(python).symlink_to(tmp_path / "gone")
    capfd.readouterr()
    assert interpreter_for(file) == python
    assert "preparing" in capfd.readouterr().err
    assert says(python, "import iniconfig; print('there')") == "there"
    assert not left.exists()


def test_a_failure_leaves_nothing_that_is_used(tmp_path, own_cache):
    file = write(tmp_path / "orders.py", '"iniconfig", "not a requirement"')
    assert "not a requirement" in failure(file)
    assert [p.suffix for p in own_cache.iterdir()] == [".lock"]
    assert "not a requirement" in failure(file)


def test_a_path_is_relative_to_the_file(tmp_path, monkeypatch):
    library(tmp_path / "libs", 7)
    (tmp_path / "sources").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    by_name = write(tmp_path / "sources" / "a.py", '"bascule-test-lib @ ../libs"')
    by_table = write(
        tmp_path / "sources" / "b.py",
        '"bascule-test-lib"',
        '# [tool.uv.sources]\n# bascule-test-lib = { path = "../libs", editable = true }\n',
    )
    for file in (by_name, by_table):
        python = interpreter_for(f"../sources/{file.name}")
        assert says(python, "import bascule_test_lib as lib; print(lib.VALUE)") == "7"
    (tmp_path / "libs" / "bascule_test_lib" / "__init__.py").write_text("VALUE = 8\n")
    python = interpreter_for(str(by_table))
    assert says(python, "import bascule_test_lib as lib; print(lib.VALUE)") == "8"


def test_bascules_extras_are_of_this_bascule(tmp_path):
    python = interpreter_for(str(write(tmp_path / "orders.py", '"bascule[scripts]"')))
    code = "import importlib.metadata as m, packaging; print(m.distribution('bascule').read_text('direct_url.json'))"
    assert json.loads(says(python, code))["url"].startswith("file://")


def test_what_uv_is_told_of_other_pythons_does_not_count(tmp_path, own_cache, monkeypatch):
    monkeypatch.setenv("UV_PYTHON", "3.8")
    monkeypatch.setenv("UV_MANAGED_PYTHON", "1")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "none"))
    python = interpreter_for(str(write(tmp_path / "orders.py")))
    assert says(python, "import sys; print(sys.version)") == sys.version


# ---- what a user reads when it fails ----


def test_a_dependency_that_does_not_exist_is_said_in_uvs_words(tmp_path):
    text = failure(write(tmp_path / "orders.py", '"iniconfig", "bascule-no-such-package>3"'))
    assert text.startswith(
        f"the environment of file '{tmp_path}/orders.py' (iniconfig, bascule-no-such-package) can't be made: uv sync "
        "failed. It said:\n"
    )
    assert "bascule-no-such-package was not found in the package registry" in text
    assert text.endswith(
        "\nMend the file's script block, or tell uv by its environment variables (UV_…) where it finds what it needs"
    )


def test_dependencies_that_bascule_can_not_be_with_are_said(tmp_path):
    assert "bascule==0.1.0 depends on pyarrow>=18" in failure(write(tmp_path / "orders.py", '"pyarrow<10"'))


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"])
def test_an_index_out_of_reach_is_said_without_its_password(tmp_path, no_settings, monkeypatch, variable):
    monkeypatch.setenv(variable, NOWHERE)
    text = failure(write(tmp_path / "orders.py"))
    assert "127.0.0.1:9" in text
    assert "uv could not reach the index: connect it, or name another one by UV_DEFAULT_INDEX" in text
    assert "opensesame" not in text


def test_pips_own_configuration_names_the_index(tmp_path, no_settings, monkeypatch):
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {NOWHERE}\nfind-links = {tmp_path}/none\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    text = failure(write(tmp_path / "orders.py"))
    assert "http://127.0.0.1:9/" in text
    assert "opensesame" not in text


def test_what_uv_is_told_stands_above_pips_settings(tmp_path, no_settings, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    (tmp_path / "config" / "uv").mkdir(parents=True)
    (tmp_path / "config" / "uv" / "uv.toml").write_text(
        '[[index]]\nurl = "http://127.0.0.1:7/simple"\ndefault = true\n'
    )
    assert "http://127.0.0.1:7/" in failure(write(tmp_path / "orders.py"))


def test_the_blocks_own_index_counts(tmp_path, no_settings, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:7/simple")
    index = f'# [[tool.uv.index]]\n# url = "{NOWHERE}"\n# default = true\n'
    text = failure(write(tmp_path / "orders.py", more=index))
    assert "http://127.0.0.1:9/" in text
    assert "opensesame" not in text


def test_a_dependencys_address_is_told_without_its_password(tmp_path, capfd):
    address = NOWHERE.replace("simple", "iniconfig-9-py3-none-any.whl")
    text = failure(write(tmp_path / "orders.py", f'"iniconfig @ {address}"'))
    assert "iniconfig @ http://***@127.0.0.1:9/" in text
    assert "opensesame" not in text + capfd.readouterr().err


def test_offline_with_nothing_cached_says_so(tmp_path, no_settings, monkeypatch):
    monkeypatch.setenv("UV_OFFLINE", "1")
    text = failure(write(tmp_path / "orders.py"))
    assert "the network was disabled" in text
    assert "with UV_OFFLINE=1 it takes what it has in its own cache" in text


def test_a_cache_that_can_not_be_written_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert failure(write(tmp_path / "orders.py")) == (
        f"the environment of file '{tmp_path}/orders.py' (iniconfig) can't be made in {tmp_path}/file/bascule/environments: "
        "Not a directory. Environments are cached below XDG_CACHE_HOME: set it to a directory that can be written"
    )


def test_without_uv_the_extra_is_named(tmp_path, own_cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", "")
    file = write(tmp_path / "orders.py")
    assert failure(file) == (
        f"file '{file}' has dependencies of its own (iniconfig), and uv, which makes their environment, is not installed for "
        f"{sys.executable}: pip install 'bascule[scripts]'"
    )


def test_uv_on_the_path_will_do(tmp_path, own_cache, monkeypatch):
    import uv

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").symlink_to(uv.find_uv_bin())
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert shutil.which("uv") == str(tmp_path / "bin" / "uv")
    assert says(interpreter_for(str(write(tmp_path / "orders.py"))), "import iniconfig; print(1)") == "1"


def test_a_cache_elsewhere_is_the_homes_where_the_variable_is_no_absolute_path(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert _environment.cache() == Path.home() / ".cache" / "bascule" / "environments"


def test_the_examples_of_docstrings_run():
    assert doctest.testmod(_environment).failed == 0
