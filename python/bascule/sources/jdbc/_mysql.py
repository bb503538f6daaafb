"""MySQL and MariaDB: rows by ConnectorX, the only driver that yields Arrow; questions by PyMySQL."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import pyarrow as pa
from sqlglot import exp

from bascule import BasculeError, OptionError, Statistics
from bascule.filters._sql import Kind, SqlColumn
from bascule.sources.jdbc import _partitions, _sql, _types
from bascule.sources.jdbc._connectorx import ConnectorXStream
from bascule.sources.jdbc._database import CONNECT_TIMEOUT_S, Column, Database, Stream, connect_again, needs

_BINARY_CHARSET = 63
_UNSIGNED = 32
_INTEGERS = {1: 8, 2: 16, 9: 32, 3: 32, 8: 64}
_DECIMAL, _DATE, _TIME, _DATETIME, _YEAR, _TIMESTAMP, _BIT, _JSON = 246, 10, 11, 12, 13, 7, 16, 245
_STRINGS = (253, 254, 252, 251, 250, 249, 15)
#: Types whose values compare with any text.
_TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
#: Connection properties of the JDBC driver that are of no use here.
_PROPERTIES = frozenset(
    [
        "usessl",
        "sslmode",
        "requiressl",
        "servertimezone",
        "connectiontimezone",
        "useunicode",
        "characterencoding",
        "zerodatetimebehavior",
        "allowpublickeyretrieval",
        "rewritebatchedstatements",
        "usecursorfetch",
        "defaultfetchsize",
        "autoreconnect",
        "tinyint1isbit",
        "connecttimeout",
        "sockettimeout",
    ]
)
#: TIMESTAMPs are sent in the session's zone, which must be known.
_UTC = "SET time_zone = '+00:00'"
_PASSING = (1040, 1053, 2002, 2003, 2006, 2013)
_HINTS = {
    1044: "Check the options user and password, and the user's rights",
    1045: "Check the options user and password",
    1049: "Check the database's name at the end of the URL",
    1054: "Check the columns that query or predicates name",
    1146: "Check dbtable or query; names with spaces are quoted: `my table`",
    2003: "Check the host and the port, and that the server runs and takes connections from here",
    1969: "queryTimeout is the seconds that the statement may take, 0 for any",
    3024: "queryTimeout is the seconds that the statement may take, 0 for any",
}


class MySQL(Database):
    dialect = "mysql"
    drivers = ("connectorx",)
    label = "MySQL"

    def describe(self, source: exp.Expr) -> list[Column]:
        # Of the query itself where that is possible: within another, MariaDB would run it whole.
        sql = _sql.without_rows(source) or _sql.generate(_sql.select([exp.Star()], source).limit(0), self.dialect)
        with self.session() as session:
            return [self._column(field) for field in session.fields(sql)]

    def _column(self, field: Any) -> Column:
        name, code, unsigned = field.name, field.type_code, bool(field.flags & _UNSIGNED)
        column = _sql.column(name)
        number = exp.paren(exp.Add(this=column, expression=exp.Literal.number(0)))
        if code in _INTEGERS:
            kind = getattr(pa, f"{'u' if unsigned else ''}int{_INTEGERS[code]}")()
            return Column(name, kind, column, _partitions.INTEGER, SqlColumn(Kind.INTEGER))
        if code == _DECIMAL:
            precision = field.length - (0 if unsigned else 1) - (1 if field.scale else 0)
            text = _sql.cast(column, "char", self.dialect)
            kind = _types.decimal(precision, field.scale)
            size = isinstance(kind, (pa.Decimal128Type, pa.Decimal256Type))
            return Column(name, kind, text, _partitions.DECIMAL, SqlColumn(Kind.DECIMAL) if size else None)
        if code == _TIME:
            return Column(name, pa.time64("us"), self._microseconds(column), compared=SqlColumn(Kind.TIME))
        if code == _BIT:
            return Column(name, pa.uint64(), number, compared=SqlColumn(Kind.INTEGER, number))
        if code in _STRINGS and field.charsetnr != _BINARY_CHARSET:
            return Column(name, pa.string(), column, compared=SqlColumn(Kind.TEXT))
        found = {
            4: (pa.float32(), _partitions.FLOAT, SqlColumn(Kind.REAL)),
            5: (pa.float64(), _partitions.FLOAT, SqlColumn(Kind.FLOAT)),
            _DATE: (pa.date32(), _partitions.DATE, SqlColumn(Kind.DATE)),
            _DATETIME: (pa.timestamp("us"), _partitions.TIMESTAMP, SqlColumn(Kind.TIMESTAMP)),
            _TIMESTAMP: (pa.timestamp("us", "UTC"), _partitions.INSTANT, SqlColumn(Kind.INSTANT)),
            # As a number: compared with 70, a year is compared with 1970.
            _YEAR: (pa.int16(), _partitions.INTEGER, SqlColumn(Kind.INTEGER, number)),
            _JSON: (pa.json_(), None, None),
            6: (pa.null(), None, None),
        }.get(code, (pa.binary(), None, SqlColumn(Kind.BINARY) if code in _STRINGS else None))
        return Column(name, found[0], column, found[1], found[2])

    def comparable(self, source: exp.Expr, columns: Sequence[Column]) -> dict[str, SqlColumn]:
        """Strings of a table by their own collation, too, which an index serves: where that takes any text."""
        found = super().comparable(source, columns)
        if not _sql.is_table(source) or not any(c.kind is Kind.TEXT for c in found.values()):
            return found
        with contextlib.suppress(BasculeError), self.session() as session:
            for name, kind, charset in session.rows(
                "SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_SET_NAME FROM information_schema.COLUMNS "
                "WHERE TABLE_SCHEMA = IF(%s = '', DATABASE(), %s) AND TABLE_NAME = %s",
                (source.text("db"), source.text("db"), source.name),
            ):
                column = found.get(name)
                if column and column.kind is Kind.TEXT and kind in _TEXTS and charset in ("utf8mb4", "utf8mb3", "utf8"):
                    found[name] = replace(column, kind=Kind.FOLDED)
        return found

    def statistics(self, source: exp.Expr) -> Statistics | None:
        if not _sql.is_table(source):
            return None
        with self.session() as session:
            rows = session.rows(
                "SELECT TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' "
                "AND TABLE_SCHEMA = IF(%s = '', DATABASE(), %s) AND TABLE_NAME = %s",
                (source.text("db"), source.text("db"), source.name),
            )
        if len(rows) != 1 or rows[0][0] is None:
            return None
        return Statistics(int(rows[0][0]), total_bytes=None if rows[0][1] is None else int(rows[0][1]))

    def _microseconds(self, column: exp.Expr) -> exp.Expr:
        """A TIME of a day as its microseconds; of others, which last up to 838 hours, -1: no Arrow time."""
        # MariaDB's has the fraction, MySQL's has not.
        seconds = exp.func("FLOOR", exp.func("TIME_TO_SEC", column.copy(), dialect=self.dialect), dialect=self.dialect)
        micro = exp.func("MICROSECOND", column.copy(), dialect=self.dialect)
        value = exp.Add(this=exp.Mul(this=seconds, expression=exp.Literal.number(1_000_000)), expression=micro)
        outside = exp.or_(
            exp.LT(this=column.copy(), expression=_sql.cast(_sql.text("00:00:00"), "time", self.dialect)),
            exp.GTE(this=column.copy(), expression=_sql.cast(_sql.text("24:00:00"), "time", self.dialect)),
        )
        case = exp.Case(ifs=[exp.If(this=outside, true=exp.Literal.number(-1))], default=value)
        return _sql.cast(case, "signed", self.dialect)

    def session(self) -> _Session:
        driver = needs("pymysql")
        if self._wants_tls():
            raise OptionError(
                "option 'url' asks for TLS, which ConnectorX can't be told for MySQL: leave it out, and tunnel the connection"
            )

        def connect() -> Any:
            return driver.connect(
                host=self.url.host or "localhost",
                port=self.url.port or 3306,
                user=self.url.user,
                password=(self.url.password or "").encode(),  # as text it would be cut to latin-1
                database=self.url.database or None,
                charset="utf8mb4",
                connect_timeout=CONNECT_TIMEOUT_S,
            )

        try:
            connection = connect_again(connect, lambda e: bool(e.args) and e.args[0] in _PASSING)
        except Exception as e:
            raise self.explain(e) from None
        session = _Session(connection, self)
        try:
            session.is_mariadb = "mariadb" in connection.get_server_info().lower()
            for statement in self._before(session.is_mariadb):
                session.rows(statement)
        except BaseException:
            session.close()
            raise
        self._mariadb = session.is_mariadb
        return session

    _mariadb: bool | None = None

    def stream(
        self, select: exp.Select, columns: Sequence[Column], snapshot: str | None, parameters: Sequence[pa.Scalar]
    ) -> Stream:
        if self._mariadb is None and self.settings.timeout_s:
            self.session().close()  # which of the two it is
        uri = self.url.uri("mysql", self._parameters())
        before = self._before(bool(self._mariadb))
        return ConnectorXStream(uri, _sql.generate(select, self.dialect), before, self.settings.fetchsize)

    def _before(self, is_mariadb: bool) -> list[str]:
        before = [_UTC]
        if self.settings.timeout_s:
            seconds = self.settings.timeout_s
            limit = f"max_statement_time = {seconds}" if is_mariadb else f"max_execution_time = {seconds * 1000}"
            before.append(f"SET SESSION {limit}")
        if self.settings.init:
            before.append(self.settings.init)
        return before

    def _wants_tls(self) -> bool:
        named = {name.lower(): value.lower() for name, value in self.url.parameters.items()}
        return "true" in (named.get("usessl"), named.get("requiressl"), named.get("require_ssl")) or named.get(
            "sslmode"
        ) in ("required", "verify_ca", "verify_identity")

    def _parameters(self) -> dict[str, str]:
        return {name: value for name, value in self.url.parameters.items() if name.lower() not in _PROPERTIES}

    def explain(self, error: BaseException) -> BasculeError:
        if isinstance(error, BasculeError):
            return error
        if len(error.args) == 2 and isinstance(error.args[0], int):
            code, said = error.args
        else:
            found = re.search(r"ERROR (\d{4,5}) \(\w+\): (.*)", str(error), re.DOTALL)
            code, said = (int(found[1]), found[2]) if found else (0, str(error))
        hint = _HINTS.get(code, "")
        if "Could not retrieve" in said or "Could not convert" in said or "out of range" in said:
            hint = "A value that the driver can't read, such as the date 0000-00-00: cast the column to CHAR in query"
        return BasculeError(f"{self.url}: {_sql.one_line(str(said))}{f'. {hint}' if hint else ''}")


class _Session:
    """A connection of PyMySQL."""

    def __init__(self, connection: Any, database: MySQL) -> None:
        self._connection = connection
        self._database = database
        self.is_mariadb = False
        database._sessions.add(self)

    def rows(self, sql: str, arguments: Sequence[str] | None = None) -> list[tuple[Any, ...]]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, arguments)
                return list(cursor.fetchall())
        except Exception as e:
            raise self._database.explain(e) from None

    def fields(self, sql: str) -> list[Any]:
        """The result's columns as the protocol describes them: the public description leaves out signs and charsets."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor._result.fields)
        except Exception as e:
            raise self._database.explain(e) from None

    def export_snapshot(self) -> str | None:
        return None

    def cancel(self) -> None:
        # The server notices that nobody is there; the protocol has no other way but a second connection.
        with contextlib.suppress(Exception):
            self._connection._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
