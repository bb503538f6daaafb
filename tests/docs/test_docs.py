"""What the README and the docs print runs as printed."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text("utf-8"), re.DOTALL)


def run(code: str, cwd: Path) -> str:
    # A file: a program given by -c is interactive to DuckDB, which prints a bar when a query takes two seconds.
    program = cwd / "program.py"
    program.write_text(code)
    return subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=60, check=True, cwd=cwd
    ).stdout


def test_the_readmes_program_prints_what_its_comment_says(tmp_path):
    (code,) = blocks(ROOT / "README.md", "python")
    said = re.findall(r"^# (\[.*\])$", code, re.M)
    assert run(code, tmp_path).splitlines() == said


def test_the_readmes_sql_finds_the_class_in_every_form(tmp_path):
    orders = (
        "import pyarrow as pa\n"
        "class Orders:\n"
        "    def infer_schema(self, options): return pa.schema([('n', pa.int64())])\n"
        "    def plan_partitions(self, options): return [{}]\n"
        "    def read_partition(self, spec, options): yield pa.record_batch([[1]], names=['n'])\n"
    )
    info = tmp_path / "acme-1.dist-info"
    for path, text in {
        tmp_path / "acme" / "sources.py": orders,
        tmp_path / "path" / "to" / "orders.py": orders,
        info / "METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1\n",
        info / "entry_points.txt": "[bascule.sources]\norders = acme.sources:Orders\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (sql,) = blocks(ROOT / "README.md", "sql")
    statements = [s.strip() for s in re.sub(r"--.*", "", sql).split(";") if s.strip()]
    assert len(statements) == 4
    out = run(
        "import sys, bascule; sys.path.insert(0, '.'); con = bascule.connect()\n"
        f"for sql in {statements!r}: print(con.execute(sql).fetchall())",
        tmp_path,
    )
    assert out.splitlines() == ["[(1,)]"] * 4


def test_the_guides_class_works(tmp_path):
    code = blocks(ROOT / "docs" / "guide.md", "python")[0]
    (tmp_path / "readings.py").write_text(code)
    out = run(
        "import bascule; print(bascule.connect().sql(\"FROM python('readings.py:Readings', days := 2)\").fetchall())",
        tmp_path,
    )
    assert out == "[(0, 0.5), (0, 1.5), (1, 0.5), (1, 1.5)]\n"


@pytest.mark.parametrize(
    "module",
    [
        *("bascule", "bascule.contract", "bascule.options", "bascule.duckdb", "bascule.polars", "bascule.datafusion"),
        *("bascule._table", "bascule._composed", "bascule._source_function", "bascule._timeline"),
        *(
            "bascule.sources.jdbc",
            "bascule.sources.files",
            "bascule.sources.kinesis",
            "bascule.sources.bigquery",
            "bascule.sources.predict",
            "bascule.sources.rest",
        ),
    ],
)
def test_the_examples_of_docstrings_run(module):
    results = doctest.testmod(importlib.import_module(module))
    assert results.failed == 0


@pytest.mark.parametrize(
    "page", ["bigquery.md", "files.md", "kafka.md", "kinesis.md", "metrics.md", "predict.md", "rest.md", "table.md"]
)
def test_the_examples_of_pages_run(page):
    results = doctest.testfile(str(ROOT / "docs" / page), module_relative=False)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_readme_is_one_screen_to_the_first_result():
    text = (ROOT / "README.md").read_text("utf-8")
    assert text[: text.index("# [(4000")].count("\n") < 40
