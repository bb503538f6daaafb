"""``bascule query``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bascule.cli.arguments import import_from_here
from bascule.cli.failures import Failure, Missing
from bascule.errors import BasculeError

if TYPE_CHECKING:
    import duckdb

__all__ = ["command"]

_ROWS = 40
_FORMATS = ("table", "csv", "json", "jsonl", "parquet", "arrow")
_SUFFIXES = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
_COMPRESSED = (".gz", ".zst")
_DATABASES = (".duckdb", ".ddb", ".db")


@click.command("query")
@click.argument("sql", required=False)
@click.option("-f", "--file", type=click.Path(exists=True, dir_okay=False), help="Read the SQL from a file.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(_FORMATS),
    help="How to print the rows; without it as -o's suffix says, else a table. json is an array of objects, jsonl one a "
    "line.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="Write the rows to a file, which is there when all of them are in it.",
)
@click.option("--rows", type=click.IntRange(min=0), help=f"Rows of a table; 0: all. On a terminal {_ROWS}, else all.")
@click.option(
    "--attach",
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="Attach a DuckDB database under its file's name; may be repeated, the first is the default. A missing file "
    "named .duckdb, .ddb or .db is created, as by ATTACH.",
)
@click.option("--read-only", is_flag=True, help="Attach read-only; a missing file is an error.")
@click.option(
    "--timeline",
    type=click.Path(dir_okay=False),
    help="Write a page that shows who waited for whom while the sources were read.",
)
@click.option("--threads", type=click.IntRange(min=1), help="DuckDB's threads, which read partitions.")
def command(
    sql: str | None,
    file: str | None,
    kind: str | None,
    output: str | None,
    rows: int | None,
    attach: tuple[str, ...],
    read_only: bool,
    timeline: str | None,
    threads: int | None,
) -> None:
    """Run SQL; print or write the rows of its last statement.

    SQL is DuckDB's, with sources as python('pkg.mod:Class', option := 'value'), or - for stdin. Statements are
    separated by semicolons.

    \b
    bascule query "SELECT count(*) FROM python('orders.py:Orders')"
    bascule query -f report.sql -o report.parquet
    bascule query --attach shop.duckdb "CREATE TABLE orders AS FROM python('orders.py:Orders')"
    """
    text = _read(sql, file)
    kind = kind or _kind_of(output)
    to_terminal = output is None and sys.stdout.isatty()
    if rows is not None and kind != "table":
        raise click.UsageError("--rows is for tables: write LIMIT in the SQL")
    if to_terminal and kind in ("parquet", "arrow"):
        raise click.UsageError(f"{kind} is binary and is not written to a terminal: give -o FILE, or a pipe")
    if output is not None and not Path(output).absolute().parent.is_dir():
        raise click.UsageError(f"there is no directory {Path(output).parent}")
    if timeline is not None and (
        Path(timeline).suffix.lower() not in (".html", ".htm") or not Path(timeline).absolute().parent.is_dir()
    ):
        raise click.UsageError(f"a timeline is an .html file in a directory that is there, not {timeline}")
    attached = [_database(path, read_only) for path in attach]
    import_from_here()
    connection = _connect(threads)

    from bascule.cli.running import Query

    if rows is None and to_terminal:
        rows = _ROWS
    query = Query(connection, text, attached, read_only)
    if timeline is None:
        query.write(kind, output, limit=rows or None)
        return
    try:
        query.write(kind, output, limit=rows or None)
    finally:
        _write_timeline(Path(timeline))


def _write_timeline(path: Path) -> None:
    """Of all that this process has read: of a query that failed, too."""
    from bascule import scans, timeline

    numbers = sorted(scans()["scan"].to_pylist())
    if not numbers:
        click.echo(f"no source was read: {path} is not written", err=True)
        return
    timeline(*numbers).save(path)


def _read(sql: str | None, file: str | None) -> str:
    if (sql is None) == (file is None):
        raise click.UsageError("give either SQL (or - for stdin) or -f FILE")
    if file is None and sql != "-":
        return sql or ""
    try:
        return Path(file).read_text("utf-8") if file else sys.stdin.buffer.read().decode("utf-8")
    except (OSError, UnicodeError) as e:
        reason = (e.strerror if isinstance(e, OSError) else None) or "it is not UTF-8 text"
        raise Failure(f"{file or 'stdin'} can't be read: {reason}") from None


def _kind_of(output: str | None) -> str:
    """The format that a file's suffix means."""
    if output is None:
        return "table"
    suffixes = [s.lower() for s in Path(output).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    kind = _SUFFIXES.get(suffixes[-1] if suffixes else "")
    if kind is None:
        raise click.UsageError(f"{output} has none of the suffixes {', '.join(_SUFFIXES)}: give --format")
    return kind


def _database(path: str, read_only: bool) -> str:
    """A database to attach: one that exists, or that a typing error is unlikely to name."""
    found = Path(path).expanduser()
    if not found.exists() and "://" not in path and (read_only or found.suffix.lower() not in _DATABASES):
        why = "" if read_only else f"; one named {', '.join(_DATABASES)} would be created"
        raise Failure(f"there is no database {path}{why}")
    return path if "://" in path else str(found)


def _connect(threads: int | None) -> duckdb.DuckDBPyConnection:
    """A connection that knows ``python(...)`` and takes no variable of this program for a table."""
    import bascule

    config: dict[str, Any] = {"python_enable_replacements": False}
    if threads is not None:
        config["threads"] = threads
    try:
        return bascule.connect(config=config)
    except BasculeError as e:
        raise Missing(str(e)) from None
