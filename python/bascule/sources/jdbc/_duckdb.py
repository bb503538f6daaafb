"""Files of DuckDB, by the ADBC driver that its Python package brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlglot import exp

from bascule import BasculeError, OptionError
from bascule.sources.jdbc import _partitions, _sql
from bascule.sources.jdbc._adbc import AdbcSession, AdbcStream
from bascule.sources.jdbc._database import Column, Database, Settings, Stream, needs
from bascule.sources.jdbc._url import Url


class DuckDB(Database):
    dialect = "duckdb"
    drivers = ("adbc",)
    label = "DuckDB"

    def __init__(self, url: Url, settings: Settings) -> None:
        super().__init__(url, settings)
        self._path = Path(url.database).expanduser()
        if settings.timeout_s:
            raise OptionError("option 'queryTimeout' can't be kept: DuckDB has no such limit")

    def describe(self, source: exp.Expr) -> list[Column]:
        sql = _sql.generate(_sql.select([exp.Star()], source).limit(0), self.dialect)
        with self.session() as session:
            try:
                with session.cursor() as cursor:
                    cursor.execute(sql)
                    schema = cursor.fetch_arrow_table().schema
            except Exception as e:
                raise self.explain(e) from None
        return [
            Column(field.name, field.type, _sql.column(field.name), _partitions.kind_of(field.type)) for field in schema
        ]

    def session(self) -> AdbcSession:
        return AdbcSession(self)

    def connect(self) -> Any:
        """A connection that reads only. A second one to a file that this process writes would lose what it wrote."""
        if not self._path.is_file():
            raise BasculeError(f"{self.url}: there is no such file (looked for {self._path.resolve()})")
        if self._path.with_name(self._path.name + ".wal").exists():
            raise BasculeError(
                f"{self.url}: the database is open elsewhere, or was not closed: there is a .wal file beside it. Where it is "
                "open in this process, query it by its own connection; else open and close it by DuckDB first"
            )
        manager = needs("adbc_driver_manager")
        driver = needs("adbc_driver_duckdb")
        opened = manager.AdbcDatabase(
            driver=driver.driver_path(), entrypoint="duckdb_adbc_init", path=str(self._path), access_mode="READ_ONLY"
        )
        connection = needs("adbc_driver_manager.dbapi").Connection(
            opened, manager.AdbcConnection(opened), autocommit=True
        )
        if self.settings.init:
            with connection.cursor() as cursor:
                cursor.execute(self.settings.init)
        return connection

    def stream(self, select: exp.Select, columns: Sequence[Column], snapshot: str | None) -> Stream:
        return AdbcStream(self.connect, _sql.generate(select, self.dialect), {})

    def explain(self, error: BaseException) -> BasculeError:
        return error if isinstance(error, BasculeError) else BasculeError(f"{self.url}: {_sql.one_line(str(error))}")
