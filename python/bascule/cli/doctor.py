"""``bascule doctor``."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import click

from bascule import __version__, _environment, extension_path
from bascule.cli import tables
from bascule.cli.failures import Failure
from bascule.errors import BasculeError

__all__ = ["OneRow", "command"]

_ENGINES = ("duckdb", "polars", "datafusion", "pandas", "pyspark", "pysail")
_DRIVERS = {
    "bigquery": ("google.cloud.bigquery_storage", "sqlglot"),
    "files": ("obstore", "wcmatch"),
    "jdbc": ("adbc_driver_postgresql", "adbc_driver_sqlite", "connectorx", "pymysql", "sqlglot", "tenacity"),
    "kafka": ("confluent_kafka", "fastavro", "google.protobuf", "httpx", "sqlglot"),
    "kinesis": ("botocore", "google.protobuf", "sqlglot", "tenacity"),
    "predict": ("joblib", "onnxruntime", "sklearn"),
    "progress": ("tqdm",),
    "rest": ("httpx", "sqlglot", "tenacity"),
    "scripts": ("packaging", "uv"),
}
#: Distributions of another name than what is imported.
_DISTRIBUTIONS = {
    "google.cloud.bigquery_storage": "google-cloud-bigquery-storage",
    "google.protobuf": "protobuf",
    "sklearn": "scikit-learn",
}
_COLOURS = {"ok": "green", "broken": "red", "too new": "red", "too old": "red"}
_BROKEN = ("broken", "too new", "too old")


class OneRow:
    """One row, one column: that python(...) reads it shows that the engine knows it."""

    def infer_schema(self, options: dict[str, str]) -> Any:
        import pyarrow as pa

        return pa.schema([("answer", pa.int64())])

    def plan_partitions(self, options: dict[str, str]) -> list[dict[str, Any]]:
        return [{}]

    def read_partition(self, partition_spec: dict[str, Any], options: dict[str, str]) -> Any:
        import pyarrow as pa

        yield pa.record_batch([[42]], names=["answer"])


@dataclass(frozen=True)
class _Finding:
    """One thing that was looked at.

    ``state`` is ok, missing, broken, too new, too old, or why it is of no use yet; ``mend`` the command that helps.
    """

    part: str
    name: str
    state: str
    version: str = ""
    works_with: str = ""
    mend: str = ""
    detail: str = ""


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Show versions, what is missing for which engine or source, and what mends it.

    Exit code 1 if something that is installed is broken; what is missing is no error.
    """
    about = {
        "bascule": __version__,
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "platform": platform.platform(),
        "environments": _environments(),
    }
    findings = [_core(), _extension(), _pyarrow(), *map(_engine, _ENGINES), *_drivers(), _query()]
    broken = [finding.name for finding in findings if finding.state in _BROKEN]
    if as_json:
        click.echo(json.dumps({**about, "findings": [asdict(f) for f in findings], "broken": broken}, indent=2))
    else:
        _show(about, findings)
    if broken:
        raise Failure(f"broken: {', '.join(broken)}")


def _show(about: dict[str, str], findings: list[_Finding]) -> None:
    for name, value in about.items():
        click.echo(f"{name:12} {value}")
    click.echo()
    rows = [(f.part, f.name, f.version, f.works_with, f.state, f.mend) for f in findings]
    tables.show(("part", "name", "version", "works with", "state", "to mend it"), rows, colours=_COLOURS)
    for finding in findings:
        if finding.detail:
            click.echo(f"\n{finding.name}: {finding.detail}")


def _environments() -> str:
    """Where the environments of files with dependencies are, and their size. Packages that uv linked from its own
    cache take no more room than there, but count."""
    try:
        cache = _environment.cache()
    except BasculeError as e:
        return str(e)
    count = size = 0
    if cache.is_dir():
        count = sum(not entry.name.startswith(".") for entry in cache.iterdir())
        for directory, _, names in os.walk(cache):
            for name in names:
                with contextlib.suppress(OSError):  # one is being made, or deleted
                    size += os.lstat(f"{directory}/{name}").st_size
    return f"{cache} ({count} of them, {size / 1e6:.0f} MB)" if count else f"{cache} (none yet)"


def _core() -> _Finding:
    mend = "pip install --force-reinstall bascule"
    return _tried("core", "bascule._native", partial(importlib.import_module, "bascule._native"), __version__, mend)


def _extension() -> _Finding:
    mend = "pip install --force-reinstall bascule"
    return _tried("core", "bascule.duckdb_extension", extension_path, __version__, mend)


def _pyarrow() -> _Finding:
    mend = "pip install --force-reinstall pyarrow"
    return _tried("core", "pyarrow", partial(importlib.import_module, "pyarrow"), _version("pyarrow") or "", mend)


def _engine(name: str) -> _Finding:
    """An engine that there is an adapter for."""
    version = _version(name)
    mend = "pip install 'bascule[duckdb]'" if name == "duckdb" else f"pip install {name}"
    works_with = _works_with(name)
    if version is None:
        return _Finding("engine", name, "missing", "", works_with, mend)
    if name == "pandas":  # pyarrow makes its frames: there is nothing of ours to try
        return _Finding("engine", name, "ok", version)
    if works_with and version != works_with:
        state = "too new" if _ordered(version) > _ordered(works_with) else "too old"
        return _Finding("engine", name, state, version, works_with, mend)
    return _tried("engine", name, partial(importlib.import_module, name), version, mend, works_with)


def _works_with(name: str) -> str:
    """The one version that an engine's adapter works with; empty: any."""
    if name != "duckdb":
        return ""
    try:
        from bascule import _native
    except ImportError:  # told as the core's
        return ""
    return _native.duckdb_version


def _drivers() -> list[_Finding]:
    findings = []
    for extra, modules in _DRIVERS.items():
        for module in modules:
            mend, version = f"pip install 'bascule[{extra}]'", _version(module)
            if version is None:
                findings.append(_Finding(extra, module, "missing", mend=mend))
            else:
                attempt = partial(importlib.import_module, module)
                findings.append(_tried(extra, module, attempt, version, mend))
    return findings


def _query() -> _Finding:
    """Asks DuckDB for the row of :class:`OneRow`."""
    name = "python(...) in DuckDB"
    if _version("duckdb") is None:
        return _Finding("query", name, "missing", mend="pip install 'bascule[duckdb]'")

    def run() -> None:
        import bascule

        with bascule.connect() as connection:
            found = connection.execute(f"FROM python('{__name__}:OneRow')").fetchall()
        if found != [(42,)]:
            raise RuntimeError(f"it answered {found}, not [(42,)]")

    return _tried("query", name, run, "", "pip install 'bascule[duckdb]'")


def _tried(
    part: str, name: str, attempt: Callable[[], object], version: str, mend: str, works_with: str = ""
) -> _Finding:
    """What comes of an attempt; an error makes it broken."""
    try:
        attempt()
    except Exception as e:
        return _Finding(part, name, "broken", version, works_with, mend, f"{type(e).__name__}: {e}")
    return _Finding(part, name, "ok", version, works_with)


def _version(name: str) -> str | None:
    """The installed version of a distribution, by its import name."""
    try:
        return importlib.metadata.version(_DISTRIBUTIONS.get(name, name))
    except importlib.metadata.PackageNotFoundError:
        return None


def _ordered(version: str) -> list[int]:
    return [int("".join(c for c in part if c.isdigit()) or 0) for part in version.split(".")]
