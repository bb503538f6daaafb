"""Databases that ConnectorX knows, and that no test of ours has read: SQL Server, Oracle, Redshift, Trino, ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import pyarrow as pa
from sqlglot import exp

from bascule import BasculeError, OptionError
from bascule.filters._sql import Kind, SqlColumn
from bascule.sources.jdbc import _partitions, _sql
from bascule.sources.jdbc._connectorx import ConnectorXStream
from bascule.sources.jdbc._database import Column, Database, Settings, Stream, log, needs
from bascule.sources.jdbc._url import Url

#: By scheme, the dialect of sqlglot.
DIALECTS = {"mssql": "tsql", "oracle": "oracle", "redshift": "redshift", "trino": "trino", "clickhouse": "clickhouse"}


class Other(Database):
    drivers = ("connectorx",)

    def __init__(self, url: Url, settings: Settings) -> None:
        if url.scheme not in DIALECTS:
            raise OptionError(
                f"option 'url' names a database that is not known: {url.scheme}. Known are postgresql, mysql (and mariadb), "
                f"sqlite, duckdb, and, untested, {', '.join(DIALECTS)}"
            )
        self.dialect, self.label = DIALECTS[url.scheme], url.scheme
        super().__init__(url, settings)
        if settings.timeout_s:
            raise OptionError(f"option 'queryTimeout' can't be kept: ConnectorX has no such limit for {self.label}")
        log.warning("%s: reading %s by ConnectorX was never tested by Bascule; check what you get", url, self.label)

    def describe(self, source: exp.Expr) -> list[Column]:
        none = exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(0))
        sql = _sql.generate(_sql.select([exp.Star()], source, none), self.dialect)
        try:
            table = needs("connectorx").read_sql(self.url.uri(), sql, return_type="arrow")
        except BaseException as e:  # ConnectorX panics with a BaseException
            raise self.explain(e) from None
        return [
            Column(
                field.name,
                field.type,
                _sql.column(field.name),
                _partitions.kind_of(field.type),
                SqlColumn(Kind.INTEGER) if pa.types.is_integer(field.type) else None,
            )
            for field in table.schema
        ]

    def session(self) -> _Session:
        return _Session(self)

    def stream(
        self, select: exp.Select, columns: Sequence[Column], snapshot: str | None, parameters: Sequence[pa.Scalar]
    ) -> Stream:
        before = [self.settings.init] if self.settings.init else []
        return ConnectorXStream(self.url.uri(), _sql.generate(select, self.dialect), before, self.settings.fetchsize)

    def explain(self, error: BaseException) -> BasculeError:
        if isinstance(error, KeyboardInterrupt):
            raise error
        if isinstance(error, BasculeError):
            return error
        return BasculeError(f"{self.url}: {_sql.one_line(str(error))}")


class _Session:
    def __init__(self, database: Other) -> None:
        self._database = database

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            table = needs("connectorx").read_sql(self._database.url.uri(), sql, return_type="arrow")
        except BaseException as e:
            raise self._database.explain(e) from None
        return [tuple(row.values()) for row in table.to_pylist()]

    def export_snapshot(self) -> str | None:
        return None

    def cancel(self) -> None:
        pass  # ConnectorX has no way

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass
