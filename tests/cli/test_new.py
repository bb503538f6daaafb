"""``bascule new``: what it makes is installed, passes its test, and is a table; what is there is left alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cli.running import bascule


def run(*command, cwd, **env):
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, **env}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_from_nothing_to_a_table(tmp_path):
    """As its reader does it: made, installed, tested, queried by its short name."""
    assert bascule("new", "my_source", cwd=tmp_path).returncode == 0
    project = tmp_path / "my_source"
    environment = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--system-site-packages", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    # This environment's packages, as they are here: the one that runs the tests is a virtual environment itself.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "here.pth").write_text(
        f"import site; site.addsitedir({str(next(p for p in sys.path if p.endswith('site-packages')))!r})\n"
    )
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "-e", ".", cwd=project)
    assert "passed" in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    sql = "SELECT count(*), sum(value) FROM python('my_source', days := 3) WHERE day = 2"
    assert run(python, "-m", "bascule", "query", sql, "--format", "csv", cwd=tmp_path).splitlines()[1] == "24,59.5"
    assert "my_source" in run(python, "-m", "bascule", "sources", cwd=tmp_path)
    assert "days" in run(python, "-m", "bascule", "sources", "my_source", cwd=tmp_path)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("json", "is a module of Python's standard library"),
        ("pyarrow", "is a package that is installed already"),
        ("bascule", "is a package that is installed already"),
        ("jdbc", "is a short name already, of bascule.sources.jdbc:JDBCArrowDataSource"),
        ("class", "is a keyword of Python"),
        ("a-b", "is no Python name in small letters"),
        ("tests", "is the folder of the tests"),
    ],
)
def test_names_that_would_get_in_the_way_are_refused(tmp_path, name, why):
    done = bascule("new", name, cwd=tmp_path)
    assert (done.returncode, f"{name!r} {why}: choose another name" in done.stderr) == (2, True)
    assert not list(tmp_path.iterdir())


def test_names_and_folders(tmp_path):
    for name in ("My", "1st", "a-b", "class", "a.b", ""):
        assert bascule("new", name, cwd=tmp_path).returncode == 2
    assert not list(tmp_path.iterdir())
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    done = bascule("new", "taken", cwd=tmp_path)
    assert (done.returncode, "is there already: nothing is written" in done.stderr) == (1, True)
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["file"]
    done = bascule("new", "other", "--directory", tmp_path / "deep" / "er", cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "deep" / "er" / "src" / "other" / "__init__.py").exists()
    assert str(tmp_path / "deep" / "er" / "pyproject.toml") in done.stdout
