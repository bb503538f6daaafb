"""Running the SQL of ``bascule query`` and writing the rows of its last statement.

Rows are written by DuckDB's COPY, for Arrow by pyarrow, as they come: none is kept but those of a table. The statement
runs once, within another that names the format; what can't stand in another, as EXPLAIN, runs before it and its rows
are kept.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import click
import duckdb

from bascule.cli import tables, watching
from bascule.cli.failures import Failure
from bascule.cli.masking import masked_sql

__all__ = ["Query"]

_KEPT = "bascule_rows"
_COPY = {
    "csv": "FORMAT csv, HEADER true",
    "json": "FORMAT json, ARRAY true",
    "jsonl": "FORMAT json, ARRAY false",
    "parquet": "FORMAT parquet",
}
_NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|BIGNUM|DECIMAL\(.*")
# What statements without rows hand back.
_NO_ROWS = ([("Count", "BIGINT")], [("Success", "BOOLEAN")])


def _prints_aside() -> contextlib.redirect_stdout[TextIO]:
    """What a class prints is none of the rows: it goes to stderr."""
    return contextlib.redirect_stdout(sys.stderr)


@dataclass
class _Rows:
    """The rows of a table as texts; None is NULL."""

    names: list[str]
    types: list[str]
    cells: list[tuple[str | None, ...]]
    more: bool


class Query:
    """SQL on a connection.

    Args:
        connection: DuckDB's.
        sql: statements separated by semicolons.
        attached: database files; the first becomes the default.
        read_only: attach them so.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, sql: str, attached: Sequence[str] = (), read_only: bool = False
    ) -> None:
        self._connection = connection
        self._sql = sql
        self._attached = attached
        self._read_only = read_only
        self._lines_before = 0  # of the statement that the last one stands in
        self._explains = False  # the last one is EXPLAIN

    def write(self, kind: str, output: str | None = None, limit: int | None = None) -> None:
        """Runs the statements and writes the rows of the last one.

        Args:
            kind: table, csv, json, jsonl, parquet or arrow.
            output: a file; None: stdout.
            limit: how many rows a table has at most; None: all.

        Raises:
            Failure: what DuckDB or a source said, without secrets.
            BrokenPipeError: nobody reads stdout any more.
        """
        try:
            if output is not None:
                with _prints_aside():
                    self._write_file(kind, Path(output).resolve(), limit)
            elif kind == "table":
                self._print_table(limit)
            else:
                fd = sys.stdout.fileno()
                with _prints_aside():
                    watching.into_descriptor(
                        self._connection, fd, lambda path: self._write(kind, path, "stdout", limit)
                    )
        except duckdb.Error as e:
            raise Failure(self._worded(e)) from None

    def _print_table(self, limit: int | None) -> None:
        begun, on_terminal = time.monotonic(), sys.stdout.isatty()
        with _prints_aside():
            rows = watching.watched(self._connection, lambda: self._fetch(limit, with_types=on_terminal))
        if rows is None:
            return
        if isinstance(rows, str):
            click.echo(rows, nl=False)
            return
        if not on_terminal:
            for line in _lines(rows):
                print(line)
            return
        shown = tables.draw(rows.names, rows.types, rows.cells, right=_numbers(rows))
        counted = f"{len(rows.cells):,} " + ("of more rows" if rows.more else "row" if len(rows.cells) == 1 else "rows")
        columns = "" if len(shown) == len(rows.names) else f", {len(shown)} of {len(rows.names)} columns"
        click.secho(f"{counted}{columns}, {time.monotonic() - begun:.2f} s", dim=True, err=True)

    def _write_file(self, kind: str, path: Path, limit: int | None) -> None:
        """Writes beside ``path`` and renames, so that no half file is left. A device or a pipe is written to."""
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            with path.open("wb") as file:
                watching.into_descriptor(
                    self._connection, file.fileno(), lambda target: self._write(kind, target, str(path), limit)
                )
            return
        # The suffix stays: it says how to compress.
        beside = path.with_name(f".{os.getpid()}-{path.name}")
        try:
            watching.watched(self._connection, lambda: self._write(kind, str(beside), str(path), limit))
            beside.replace(path)
        except duckdb.Error as e:
            raise Failure(self._worded(e).replace(str(beside), str(path))) from None
        except OSError as e:
            raise Failure(f"{path} can't be written: {e.strerror}") from None
        finally:
            beside.unlink(missing_ok=True)

    # ---- from here on, on the query's thread ----

    def _write(self, kind: str, path: str, shown: str, limit: int | None) -> None:
        """Writes the rows to ``path``, which messages call ``shown``."""
        if kind == "table":
            rows = self._fetch(limit, with_types=False)
            if rows is not None:
                text = rows if isinstance(rows, str) else "".join(f"{line}\n" for line in _lines(rows))
                Path(path).write_text(text, "utf-8")
                return
        elif sql := self._prepare():
            if kind == "arrow":
                self._write_arrow(sql, path, stream=path.startswith("/dev/fd/"))
            else:
                to = f"TO {_literal(path)} ({_COPY[kind]}, USE_TMP_FILE false)"
                self._connection.execute(f"COPY (\n{sql}\n) {to}")
            return
        if shown != "stdout":
            raise Failure(f"the last statement has no rows to write to {shown}")

    def _write_arrow(self, sql: str, path: str, *, stream: bool) -> None:
        """Writes Arrow's IPC format: a file's, or where it can't be sought the stream's."""
        import pyarrow as pa

        try:
            with self._connection.sql(sql).to_arrow_reader() as reader:
                new = pa.ipc.new_stream if stream else pa.ipc.new_file
                with Path(path).open("wb") as file, new(file, reader.schema) as writer:
                    for batch in reader:
                        writer.write_batch(batch)
        except (pa.ArrowException, OSError) as e:
            # An Arrow stream carries DuckDB's errors as pyarrow's.
            raise Failure(masked_sql(str(e), self._sql)) from None

    def _fetch(self, limit: int | None, *, with_types: bool) -> _Rows | str | None:
        """The rows of a table; a plan's text; None where there are none."""
        sql = self._prepare()
        if sql is None:
            return None
        run = self._connection.execute
        if self._explains:
            return "".join(text for (text,) in run(f"SELECT explain_value {sql}").fetchall())
        # The text of each value is DuckDB's. typeof() brings the types without binding the sources once more.
        typeof = ", typeof(COLUMNS(*))" if with_types else ""
        some = f" LIMIT {limit + 1}" if limit is not None else ""
        run(f"SELECT CAST(COLUMNS(*) AS VARCHAR){typeof} FROM (\n{sql}\n){some}")
        names = [column[0] for column in self._connection.description]
        cells = self._connection.fetchall()
        types = [""] * len(names)
        if with_types:
            n = len(names) // 2
            names, types = names[:n], list(cells[0][n:]) if cells else self._types(sql)
            cells = [row[:n] for row in cells]
        more = limit is not None and len(cells) > limit
        return _Rows(names, [kind.strip('"') for kind in types], cells[:limit], more)

    def _types(self, sql: str) -> list[str]:
        described = self._connection.execute(f"SELECT column_type FROM (DESCRIBE FROM (\n{sql}\n))")
        return [kind for (kind,) in described.fetchall()]

    def _prepare(self) -> str | None:
        """Runs all but the last statement. Returns a SELECT for the rows of the last; None: it has none."""
        run = self._connection.execute
        for i, path in enumerate(self._attached):
            name = _identifier(Path(path).stem)
            run(f"ATTACH {_literal(path)} AS {name}" + (" (READ_ONLY)" if self._read_only else ""))
            if i == 0:
                run(f"USE {name}")
        statements = self._connection.extract_statements(self._sql)
        if not statements:
            raise click.UsageError("there is no SQL statement")
        for statement in statements[:-1]:
            run(statement)
        last = statements[-1]
        sql = _without_semicolon(last.query)
        self._explains = last.type == duckdb.StatementType.EXPLAIN
        try:
            self._connection.extract_statements(f"COPY (\n{sql}\n) TO ''")
        except duckdb.ParserException:
            return self._keep(last)
        self._lines_before = 1
        return sql

    def _keep(self, statement: duckdb.Statement) -> str | None:
        """Runs what can't stand in another statement. Returns a SELECT for its rows, if it has any."""
        run = self._connection.execute
        run(statement)
        columns = [(column[0], str(column[1])) for column in self._connection.description or ()]
        if not columns or columns in _NO_ROWS:
            return None
        with warnings.catch_warnings():
            # It advises what would run the statement twice.
            warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)
            kept = self._connection.to_arrow_table()
        self._connection.register(_KEPT, kept)
        return f"FROM {_KEPT}"

    def _worded(self, error: duckdb.Error) -> str:
        """DuckDB's message with the user's line numbers, without secrets."""
        text = str(error)
        if self._lines_before:
            text = re.sub(r"^LINE (\d+):", lambda line: f"LINE {int(line[1]) - self._lines_before}:", text, flags=re.M)
        return masked_sql(text, self._sql)


def _lines(rows: _Rows) -> list[str]:
    return list(tables.aligned(rows.names, rows.cells, right=_numbers(rows)))


def _numbers(rows: _Rows) -> set[int]:
    return {i for i, kind in enumerate(rows.types) if _NUMBERS.fullmatch(kind)}


def _without_semicolon(sql: str) -> str:
    """A statement's text without what ends it: semicolons, and comments behind them."""
    raw = sql.encode()
    for offset, kind in reversed(duckdb.tokenize(sql)):  # offsets count bytes
        if raw[offset : offset + 1] == b";":
            raw = raw[:offset]
        elif kind != duckdb.token_type.comment:
            break
    return raw.decode()


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
