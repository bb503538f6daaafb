"""Files of DuckDB, by the ADBC driver that its Python package brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlglot import exp

from bascule import BasculeError, OptionError, Statistics
from bascule.filters._sql import Kind, SqlColumn
from bascule.sources.jdbc import _partitions, _sql
from bascule.sources.jdbc._adbc import AdbcSession, AdbcStream
from bascule.sources.jdbc._database import Column, Database, Settings, Stream, needs
from bascule.sources.jdbc._url import Url

#: By the type's name. Not HUGEINT, nor timestamps of nanoseconds: a literal may have no place there, an error.
_COMPARED = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT"), Kind.INTEGER),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"), Kind.INTEGER),
    "DOUBLE": Kind.FLOAT,
    "FLOAT": Kind.REAL,
    "BOOLEAN": Kind.BOOLEAN,
    "VARCHAR": Kind.FOLDED,
    "BLOB": Kind.BINARY,
    "DATE": Kind.DATE,
    "TIMESTAMP": Kind.TIMESTAMP,
    "TIMESTAMP_S": Kind.TIMESTAMP,
    "TIMESTAMP_MS": Kind.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": Kind.INSTANT,
    "TIME": Kind.TIME,
}


class DuckDB(Database):
    dialect = "duckdb"
    drivers = ("adbc",)
    label = "DuckDB"
    binds = True

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
            declared = [row[1] for row in session.rows(f"DESCRIBE {sql}")]
        return [
            Column(
                field.name,
                field.type,
                _sql.column(field.name),
                _partitions.kind_of(field.type),
                self._compared(field.name, kind),
            )
            for field, kind in zip(schema, declared, strict=True)
        ]

    def _compared(self, name: str, declared: str) -> SqlColumn | None:
        if declared == "UUID" or declared.startswith("ENUM("):  # read as strings
            return SqlColumn(Kind.FOLDED, _sql.cast(_sql.column(name), "varchar", self.dialect))
        found = Kind.DECIMAL if declared.startswith("DECIMAL(") else _COMPARED.get(declared)
        return None if found is None else SqlColumn(found)

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

    def stream(
        self, select: exp.Select, columns: Sequence[Column], snapshot: str | None, parameters: Sequence[pa.Scalar]
    ) -> Stream:
        return AdbcStream(self.connect, _sql.generate(select, self.dialect), {}, parameters)

    def statistics(self, source: exp.Expr) -> Statistics | None:
        if not _sql.is_table(source):
            return None
        with self.session() as session:
            rows = session.rows(
                "SELECT estimated_size, schema_name = current_schema() FROM duckdb_tables() WHERE "
                + _sql.generate(_named(source), self.dialect)
            )
        return Statistics(int(rows[0][0])) if len(rows) == 1 and (source.args.get("db") or rows[0][1]) else None

    def explain(self, error: BaseException) -> BasculeError:
        return error if isinstance(error, BasculeError) else BasculeError(f"{self.url}: {_sql.one_line(str(error))}")


def _named(source: exp.Expr) -> exp.Expr:
    """The condition on duckdb_tables() that is true for the table alone; names differ not in case there."""
    parts = {"table_name": source.name, "schema_name": source.text("db"), "database_name": source.text("catalog")}
    return exp.and_(
        *(
            exp.EQ(this=exp.func("LOWER", exp.column(name)), expression=exp.func("LOWER", _sql.text(value)))
            for name, value in parts.items()
            if value
        )
    )
