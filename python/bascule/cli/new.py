"""``bascule new``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import keyword
import re
import sys
from pathlib import Path

import click

from bascule import __version__
from bascule.cli.failures import Failure

__all__ = ["command"]

_PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{dashed}"
version = "0.1.0"
description = "{words} as a table in every engine"
requires-python = ">=3.11"
dependencies = ["bascule>={version}", "pyarrow>=18"]

[project.optional-dependencies]
test = ["pytest>=8"]

[project.entry-points."bascule.sources"]
{name} = "{name}:{cls}"

[tool.hatch.build.targets.wheel]
packages = ["src/{name}"]
"""

_SOURCE = '''\
"""{words} as a table: ``FROM python('{name}', days := 3)``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from bascule import ArrowBatchDataSource, Option, Options

__all__ = ["{cls}"]

SCHEMA = pa.schema([("day", pa.int64()), ("value", pa.float64())])


class {cls}(ArrowBatchDataSource):
    """One row for each hour of each day. Replace it by what your source has."""

    OPTIONS = (
        Option("days", int, default=7, minimum=1, doc="how many days to read"),
        # Option("token", secret=True, doc="masked in every message; users write '@env:TOKEN'"),
    )

    def infer_schema(self, options: Options) -> pa.Schema:
        """The columns."""
        return SCHEMA

    def plan_partitions(self, options: Options) -> list[dict[str, Any]]:
        """What can be read apart. A query for `day = 3` reads one partition, by its bounds."""
        return [{{"day": day, "bascule_bounds": {{"day": (day, day)}}}} for day in range(options.typed["days"])]

    def read_partition(self, partition_spec: dict[str, Any], options: Options) -> Iterator[pa.RecordBatch]:
        """The rows of one partition."""
        day = partition_spec["day"]
        yield pa.record_batch([[day] * 24, [day + hour / 24 for hour in range(24)]], schema=SCHEMA)
'''

_TEST = '''\
"""The checks of Bascule, and what is right for this source alone."""

import bascule
from bascule.testing import SourceSuite
from {name} import {cls}


class Test{cls}(SourceSuite):
    source = {cls}
    options = {{"days": "3"}}


def test_each_hour_of_each_day_comes_once():
    rows = bascule.table({cls}, days=3).to_arrow()
    assert rows.num_rows == 3 * 24
    assert len(set(rows["value"].to_pylist())) == 3 * 24
'''

_README = """\
# {dashed}

{words} as a table in DuckDB, Spark, Polars, DataFusion, pandas.

```
pip install -e '.[test]'
pytest
bascule check {name}
bascule query "FROM python('{name}', days := 3) LIMIT 5"
```

The class is in `src/{name}/__init__.py`; its options are listed by `bascule sources {name}`.
"""


@click.command("new")
@click.argument("name")
@click.option("--directory", type=click.Path(file_okay=False), help="Where to make it; else a folder of its name.")
def command(name: str, directory: str | None) -> None:
    """Make a package with a source: the class, its test, the short name.

    \b
    bascule new my_source
    cd my_source && pip install -e '.[test]'
    pytest
    bascule query "FROM python('my_source')"
    """
    if problem := _problem(name):
        raise click.UsageError(f"{name!r} {problem}: choose another name, such as orders or my_source")
    folder = Path(directory or name)
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise Failure(f"{folder} is there already: nothing is written. Choose another folder by --directory")
    fields = {
        "name": name,
        "dashed": name.replace("_", "-"),
        "words": name.replace("_", " ").strip().capitalize(),
        "cls": "".join(part.capitalize() for part in name.split("_")),
        "version": __version__,
    }
    files = {
        "pyproject.toml": _PROJECT,
        "README.md": _README,
        f"src/{name}/__init__.py": _SOURCE,
        f"src/{name}/py.typed": "",
        f"tests/test_{name}.py": _TEST,
    }
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text.format(**fields), "utf-8")
    except OSError as e:
        raise Failure(f"{folder} can't be written: {e.strerror}") from None
    for path in files:
        click.echo(folder / path)
    click.echo(f"""
Next, where bascule is installed:
  cd {folder}
  pip install -e '.[test]'     once: makes the short name {name!r} known; your changes need no second time
  pytest
  bascule query "FROM python('{name}') LIMIT 5"
""")


def _problem(name: str) -> str:
    """Why it can't be a package's name and a short name; "": it can."""
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        return "is no Python name in small letters"
    if keyword.iskeyword(name):
        return "is a keyword of Python"
    if name in sys.stdlib_module_names or name in ("test", "tests"):
        return "is a module of Python's standard library" if name != "tests" else "is the folder of the tests"
    for point in importlib.metadata.entry_points(group="bascule.sources"):
        if point.name == name:
            return f"is a short name already, of {point.value}"
    if (spec := importlib.util.find_spec(name)) is not None and spec.origin is not None:  # no mere folder
        return "is a package that is installed already"
    return ""
