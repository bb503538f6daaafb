"""SQLite, by ADBC (the default), ConnectorX or Python's own module.

A column of SQLite holds values of any type, and the drivers take the first rows for all. So each
column is selected with a guard that fails at a value that is not of the declared type, and a first
row, dropped again, tells the driver the types.

Two SQLite libraries in one process must not open one file: each undoes the other's locks, and maps
what the other cuts (https://www.sqlite.org/howtocorrupt.html, 2.2.1). ADBC and ConnectorX bring
their own. So a file that this process has open otherwise, as a notebook does by sqlite3, is read
by Python's module.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pyarrow as pa
from sqlglot import exp

from bascule import BasculeError, OptionError, Statistics
from bascule.filters._sql import Kind, SqlColumn
from bascule.sources.jdbc import _partitions, _sql
from bascule.sources.jdbc._adbc import AdbcSession, AdbcStream
from bascule.sources.jdbc._connectorx import BATCH_ROWS, ConnectorXStream
from bascule.sources.jdbc._database import Column, Database, Session, Settings, Stream, needs
from bascule.sources.jdbc._url import Url

#: Rows that tell the type of a column that declares none.
_SAMPLE_ROWS = 1000
_BUSY_TIMEOUT_MS = 10_000
_CLOSING_S = 2.0
_MARK = "bascule_first_row"
#: The descriptors that ADBC has open for us, by path.
_opened: dict[Path, set[int]] = {}
#: A session may be closed, and so be forgotten, by a collection of garbage while this thread has it.
_opening = threading.RLock()


_COMPARED = {
    pa.bool_(): Kind.BOOLEAN,
    pa.int64(): Kind.INTEGER,
    pa.float64(): Kind.FLOAT,
    pa.date32(): Kind.DATE,
    pa.timestamp("us"): Kind.TIMESTAMP,
    pa.binary(): Kind.BINARY,
}


class SQLite(Database):
    dialect = "sqlite"
    drivers = ("adbc", "connectorx", "sqlite3")
    label = "SQLite"

    def __init__(self, url: Url, settings: Settings) -> None:
        super().__init__(url, settings)
        self._path = Path(self.url.database.removeprefix("file:").partition("?")[0]).expanduser().resolve()
        if self.settings.timeout_s:
            raise OptionError("option 'queryTimeout' can't be kept: SQLite has no such limit")
        if settings.driver is None and _is_open_otherwise(self._path):
            self.driver = "sqlite3"
        # What is read, to look for a value that does not fit.
        self._source: exp.Expr | None = None
        self._columns: dict[str, Column] = {}
        self._is_utf8 = False
        self._as_text: set[str] = set()  # what customSchema makes text of

    def describe(self, source: exp.Expr) -> list[Column]:
        self._source = source
        with self.session() as session:
            # A view knows what its columns were declared as.
            view = f"CREATE TEMP VIEW bascule_view AS {_sql.generate(_sql.select([exp.Star()], source), self.dialect)}"
            session.rows(view)
            columns = "SELECT name, type FROM pragma_table_xinfo('bascule_view', 'temp') ORDER BY cid"
            declared = [(name, kind) for name, kind in session.rows(columns)]
            held = self._held(session, [name for name, kind in declared if _is_vague(kind)])
            session.rows("DROP VIEW temp.bascule_view")
            self._is_utf8 = session.rows("PRAGMA encoding")[0][0] == "UTF-8"
        return [self._column(source, name, kind, held.get(name, set())) for name, kind in declared]

    def column(self, source: exp.Expr, name: str) -> exp.Expr:
        # With its table's name: alone, SQLite takes a quoted name that no column has for a text.
        table = source.args.get("alias")
        return exp.column(exp.to_identifier(name, quoted=True), table=(table or source).this.copy())

    def _held(self, session: Session, names: list[str]) -> dict[str, set[str]]:
        """The storage classes in the first rows, by column."""
        found: dict[str, set[str]] = {name: set() for name in names}
        if not names:
            return found
        view = exp.to_table("bascule_view")
        kinds: list[exp.Expr] = [exp.func("TYPEOF", self.column(view, n), dialect=self.dialect) for n in names]
        sample = _sql.select(kinds, view).limit(_SAMPLE_ROWS)
        for row in session.rows(_sql.generate(sample, self.dialect)):
            for name, held in zip(names, row, strict=True):
                if held != "null":
                    found[name].add(held)
        return found

    def _column(self, source: exp.Expr, name: str, declared: str, held: set[str]) -> Column:
        kind = _declared_type(declared, held)
        column = self.column(source, name)
        guard = self._guard(column, kind)
        number = {pa.int64(): _partitions.INTEGER, pa.float64(): _partitions.FLOAT, pa.date32(): _partitions.DATE}
        part = number.get(kind, _partitions.TIMESTAMP if kind == pa.timestamp("us") else None)
        return Column(name, kind, guard, part, self._compared(column, kind, declared))

    def _compared(self, column: exp.Expr, kind: pa.DataType, declared: str) -> SqlColumn:
        if kind == pa.string():
            # In UTF-16 bytes have another order, and the comparison of its own collation is what is left.
            how = Kind.TEXT if self._is_utf8 else Kind.LOOSE
            # Of another affinity, the column would make numbers of a text it is compared with.
            return SqlColumn(how, self.as_text(column) if _is_vague(declared) else None)
        return SqlColumn(_COMPARED[kind])

    def selected_as(self, source: exp.Expr, column: Column, kind: pa.DataType) -> exp.Expr:
        name = self.column(source, column.name)
        if pa.types.is_integer(kind):
            return self._guard(name, pa.int64())
        if pa.types.is_floating(kind):
            return self._guard(name, pa.float64())
        if kind == pa.string():
            self._as_text.add(column.name)
        if kind == pa.binary():
            self._as_text.add(column.name)
            return _sql.cast(name, "blob", self.dialect)
        return self._in_full(name) if kind == pa.string() or pa.types.is_decimal(kind) else self._guard(name, kind)

    def _in_full(self, column: exp.Expr) -> exp.Expr:
        """A value as text; a real as the shortest that means it: SQLite's own text of reals has 15 digits."""
        held = exp.func("TYPEOF", column.copy(), dialect=self.dialect)
        texts = [exp.func("PRINTF", _sql.text(f"%!.{n}g"), column.copy(), dialect=self.dialect) for n in (15, 16, 17)]
        same = [
            exp.EQ(this=_sql.cast(text.copy(), "real", self.dialect), expression=column.copy()) for text in texts[:2]
        ]
        real = exp.Case(ifs=[exp.If(this=s, true=text) for s, text in zip(same, texts, strict=False)], default=texts[2])
        is_real = exp.EQ(this=held, expression=_sql.text("real"))
        return exp.Case(ifs=[exp.If(this=is_real, true=real)], default=self.as_text(column))

    def _guard(self, column: exp.Expr, kind: pa.DataType) -> exp.Expr:
        """The column where its values are of ``kind``, else an error of SQLite: integer overflow."""
        held = exp.func("TYPEOF", column.copy(), dialect=self.dialect)
        ifs = [exp.If(this=self._fits(column, kind), true=column.copy())]
        if kind == pa.float64():
            real = _sql.cast(column.copy(), "real", self.dialect)
            back = exp.EQ(this=_sql.cast(real.copy(), "integer", self.dialect), expression=column.copy())
            whole = exp.EQ(this=held.copy(), expression=_sql.text("integer"))
            ifs.append(exp.If(this=exp.and_(whole, back), true=real))
        # Of the column, lest SQLite compute it once and for all rows.
        one = exp.Paren(this=exp.GT(this=exp.func("LENGTH", held), expression=exp.Literal.number(0)))
        least = exp.Sub(this=exp.Neg(this=exp.Literal.number(2**63 - 1)), expression=one)
        return exp.Case(ifs=ifs, default=exp.func("ABS", least))

    def _fits(self, column: exp.Expr, kind: pa.DataType) -> exp.Expr:
        if kind == pa.bool_():
            numbers = [exp.Literal.number(0), exp.Literal.number(1)]
            return exp.or_(
                exp.In(this=column.copy(), expressions=numbers), exp.Is(this=column.copy(), expression=exp.null())
            )
        storage = {pa.int64(): "integer", pa.float64(): "real", pa.binary(): "blob"}.get(kind, "text")
        held = exp.func("TYPEOF", column.copy(), dialect=self.dialect)
        return exp.In(this=held, expressions=[_sql.text(storage), _sql.text("null")])

    def session(self) -> Session:
        if not self._path.is_file():
            raise BasculeError(
                f"{self.url}: there is no such file (looked for {self._path}). A relative path starts at the "
                "working directory"
            )
        return _PythonSession(self) if self.driver == "sqlite3" else _AdbcSession(self)

    @property
    def binds(self) -> bool:  # type: ignore[override]
        return self.driver != "connectorx"

    def statistics(self, source: exp.Expr) -> Statistics | None:
        """What ANALYZE last found."""
        if not _sql.is_table(source) or source.args.get("db"):
            return None
        named = exp.EQ(this=exp.func("LOWER", exp.column("tbl")), expression=exp.func("LOWER", _sql.text(source.name)))
        with self.session() as session:
            select = _sql.select([exp.column("stat")], exp.to_table("sqlite_stat1"), named)
            rows = session.rows(_sql.generate(select, self.dialect))
        # Of a partial index, its rows alone: the most are the table's.
        return Statistics(max(int(str(row[0]).split()[0]) for row in rows)) if rows else None

    def stream(
        self, select: exp.Select, columns: Sequence[Column], snapshot: str | None, parameters: Sequence[pa.Scalar]
    ) -> Stream:
        if self.settings.init and self.driver == "connectorx":
            raise OptionError("option 'sessionInitStatement' needs the driver adbc for SQLite")
        self._columns |= {column.name: column for column in columns}
        rows = self.settings.fetchsize or BATCH_ROWS
        if self.driver == "sqlite3":
            return _PythonStream(self, _sql.generate(select, self.dialect), columns, rows, parameters)
        first: list[exp.Expr] = [exp.alias_(exp.Literal.number(1), _MARK, quoted=True)]
        first += [exp.alias_(_example(column.type), column.name, quoted=True) for column in columns]
        rest = select.copy()
        rest.set("expressions", [exp.alias_(exp.null(), _MARK, quoted=True), *rest.expressions])
        union = exp.union(exp.select(*first), rest, distinct=False)
        if limit := rest.args.pop("limit", None):
            # Of the whole, as SQLite has it; the first row is one more.
            union = union.limit(int(limit.expression.name) + 1)
        sql = _sql.generate(union, self.dialect)
        if self.driver == "connectorx":
            return _WithoutFirstRow(ConnectorXStream(f"sqlite://{quote(str(self._path))}", sql))
        options = {"adbc.sqlite.query.batch_rows": str(rows)}
        return _WithoutFirstRow(AdbcStream(self.connect, sql, options, parameters, self.forget))

    def connect(self) -> Any:
        """A connection of ADBC's library."""
        driver = needs("adbc_driver_sqlite.dbapi")
        with _opening:
            before = _descriptors(self._path)
            # ConnectorX closes its own on a thread, some time after its read has ended.
            until = time.monotonic() + _CLOSING_S
            while self.driver == "connectorx" and before - _opened.get(self._path, set()) and time.monotonic() < until:
                time.sleep(0.01)
                before = _descriptors(self._path)
            if before - _opened.get(self._path, set()):
                raise BasculeError(
                    f"{self.url}: this process has opened the file by another SQLite library meanwhile, such as sqlite3: "
                    "close it there, or run the query again"
                )
            connection = driver.connect(self.uri(), autocommit=True)
            with contextlib.suppress(Exception), connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
                cursor.execute("PRAGMA schema_version")  # opens the file; what is wrong with it is said later
                cursor.fetchall()
            ours = _opened.get(self._path, set())
            _opened[self._path] = (ours & before) | (_descriptors(self._path) - before)
        try:
            with connection.cursor() as cursor:
                if self.settings.init:
                    cursor.execute(self.settings.init)
        except BaseException:
            connection.close()
            raise
        return connection

    def forget(self) -> None:
        """After a connection was closed: its descriptor's number may be another's next."""
        with _opening:
            _opened[self._path] = _opened.get(self._path, set()) & _descriptors(self._path)

    def connect_python(self) -> sqlite3.Connection:
        """A connection of Python's library."""
        connection = sqlite3.connect(
            self.uri(), uri=True, timeout=_BUSY_TIMEOUT_MS / 1000, check_same_thread=False, isolation_level=None
        )
        if self.settings.init:
            connection.execute(self.settings.init)
        return connection

    def uri(self) -> str:
        """The file, read only: reading creates none."""
        return f"file:{quote(str(self._path))}?mode=ro"

    def own_ranges(self, session: Any, source: exp.Expr, n: int) -> list[exp.Expr | None] | None:
        """Ranges of the rowid."""
        if not _sql.is_table(source):
            return None
        try:
            names = {row[1].lower() for row in session.rows(_sql.generate(_pragma(source), self.dialect))}
            (name,) = [name for name in ("rowid", "_rowid_", "oid") if name not in names][:1]
            column = exp.column(name)
            bounds = _sql.select([exp.Min(this=column), exp.Max(this=column.copy())], source)
            ((low, high),) = session.rows(_sql.generate(bounds, self.dialect))
        except (BasculeError, ValueError):
            return None  # a view, or a table without rowids
        if low is None:
            return None
        kind = _partitions.INTEGER
        cuts = _partitions.even_cuts(kind.number(str(low)), kind.number(str(high)), n, kind)
        return _partitions.conditions(column, cuts, kind, self.dialect)

    def explain(self, error: BaseException) -> BasculeError:
        if isinstance(error, BasculeError):
            return error
        said = re.sub(r"^(\w+: )?(\[SQLite\] )?(Failed to \w+ query: )?", "", _sql.one_line(str(error)))
        said = re.split(r" query: (?:CREATE|SELECT|PRAGMA)", said)[0]
        if ("integer overflow" in said or "Type mismatch" in said or "Invalid column type" in said) and self._source:
            said = self._misfit() or said
        hint = ""
        if "locked" in said:
            hint = ". Another program writes to it; try again"
        elif "no such table" in said or "no such column" in said:
            hint = '. Check dbtable or query; names with spaces are quoted: "my table"'
        elif "not a database" in said:
            hint = ". Check the path"
        return BasculeError(f"{self.url}: {said}{hint}")

    def _misfit(self) -> str | None:
        """The first value that is not of its column's type, looked for when a guard has failed."""
        assert self._source is not None
        with contextlib.suppress(Exception), self.session() as session:
            for column in self._columns.values():
                if not isinstance(column.sql, exp.Case):
                    continue  # read as text, which takes all
                name = _sql.column(column.name)
                fits = self._fits(name, column.type)
                if column.type == pa.float64():
                    real = _sql.cast(_sql.cast(name.copy(), "real", self.dialect), "integer", self.dialect)
                    fits = exp.or_(fits, exp.EQ(this=real, expression=name.copy()))
                held = exp.func("TYPEOF", name.copy(), dialect=self.dialect)
                odd = _sql.select([held, name.copy()], self._source, exp.not_(exp.paren(fits))).limit(1)
                for kind, value in session.rows(_sql.generate(odd, self.dialect)):
                    return (
                        f"column '{column.name}' is {column.type}, by its declaration or its first rows, but a row "
                        f"holds {'an' if kind == 'integer' else 'a'} {kind}: {repr(value)[:60]}. Name a type that "
                        f"takes it: customSchema := '{column.name} {'BINARY' if kind == 'blob' else 'STRING'}'"
                    )
        return None


class _AdbcSession(AdbcSession):
    def __init__(self, database: SQLite) -> None:
        super().__init__(database)
        self._forget = database.forget

    def close(self) -> None:
        super().close()
        self._forget()


class _PythonSession:
    def __init__(self, database: SQLite) -> None:
        self._database = database
        try:
            self._connection = database.connect_python()
        except sqlite3.Error as e:
            raise database.explain(e) from None
        database._sessions.add(self)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql).fetchall()
        except sqlite3.Error as e:
            raise self._database.explain(e) from None

    def export_snapshot(self) -> str | None:
        return None

    def cancel(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _PythonStream:
    """A statement of Python's module: slower, a Python object for each value."""

    def __init__(
        self, database: SQLite, sql: str, columns: Sequence[Column], rows: int, parameters: Sequence[pa.Scalar]
    ) -> None:
        self._database, self._sql, self._columns, self._rows = database, sql, columns, rows
        self._parameters = [parameter.as_py() for parameter in parameters]
        self._connection: sqlite3.Connection | None = None
        self._cancelled = False

    def open(self) -> None:
        self._connection = self._database.connect_python()
        if self._cancelled:
            raise BasculeError("cancelled")
        self._cursor = self._connection.execute(self._sql, self._parameters)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        types = [_held_as(column.type) for column in self._columns]
        names = [column.name for column in self._columns]
        while rows := self._cursor.fetchmany(self._rows):
            values = zip(*rows, strict=True)
            yield pa.RecordBatch.from_arrays([pa.array(v, t) for v, t in zip(values, types, strict=True)], names)

    def cancel(self) -> None:
        self._cancelled = True
        if self._connection is not None:
            self._connection.interrupt()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class _WithoutFirstRow:
    """A stream whose first row told the driver the types, and whose first column says which it is."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def open(self) -> None:
        self._stream.open()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        first = True
        for batch in self._stream:
            if first:
                if batch.num_rows == 0:
                    continue
                if batch.column(0)[0].as_py() != 1:
                    raise BasculeError("SQLite gave the rows of a UNION ALL in another order than ever before")
                batch, first = batch.slice(1), False
            batch.validate(full=True)  # the driver hands on texts that are no UTF-8
            yield batch.select(range(1, batch.num_columns))

    def cancel(self) -> None:
        self._stream.cancel()

    def close(self) -> None:
        self._stream.close()


def _bare(declared: str) -> str:
    return re.sub(r"\(.*\)", "", declared.upper()).strip()


def _is_vague(declared: str) -> bool:
    """True where the declaration alone says no type: the first rows are asked."""
    # BLOB is also what newer libraries call a view's column without a type.
    words = ("INT", "CHAR", "CLOB", "TEXT", "REAL", "FLOA", "DOUB", "BOOL")
    return not any(word in _bare(declared) for word in words)


def _declared_type(declared: str, held: set[str]) -> pa.DataType:
    """SQLite's rules of affinity, and the names for what it has no type of its own for."""
    bare = _bare(declared)
    if bare in ("BOOLEAN", "BOOL"):
        return pa.bool_()
    if bare == "DATE" and held <= {"text"}:
        return pa.date32()
    if bare in ("DATETIME", "TIMESTAMP") and held <= {"text"}:
        return pa.timestamp("us")
    if "INT" in bare:
        return pa.int64()
    if any(word in bare for word in ("CHAR", "CLOB", "TEXT")):
        return pa.string()
    if "BLOB" in bare and held <= {"blob"}:
        return pa.binary()
    if any(word in bare for word in ("REAL", "FLOA", "DOUB")):
        return pa.float64()
    if bare and "BLOB" not in bare and not held & {"text", "blob"}:
        return pa.float64()  # NUMERIC, DECIMAL(10, 2): stored as integers and reals
    # No declaration, or one that the rows don't follow: what they hold.
    return {frozenset({"integer"}): pa.int64(), frozenset({"blob"}): pa.binary()}.get(
        frozenset(held), pa.float64() if held and held <= {"integer", "real"} else pa.string()
    )


def _held_as(kind: pa.DataType) -> pa.DataType:
    """The Arrow type of the storage class in which values of ``kind`` are selected."""
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    return pa.binary() if kind == pa.binary() else pa.string()


def _example(kind: pa.DataType) -> exp.Expr:
    """A value of that storage class."""
    return {
        pa.int64(): exp.Literal.number(0),
        pa.float64(): exp.Literal.number("0.5"),
        pa.binary(): exp.HexString(this="00"),
        pa.string(): _sql.text(""),
    }[_held_as(kind)]


def _descriptors(path: Path) -> set[int]:
    """The descriptors of this process that are of the file; none where the system can't tell (no /proc)."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        file = path.stat()
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.path.samestat(link.stat(), file):
                    found.add(int(link.name))
    return found


def _is_open_otherwise(path: Path) -> bool:
    """True if this process has the file open, but for what ADBC has open for us."""
    with _opening:
        return bool(_descriptors(path) - _opened.get(path, set()))


def _pragma(source: exp.Expr) -> exp.Select:
    """The columns of a table, hidden ones too."""
    call = exp.func("PRAGMA_TABLE_XINFO", _sql.text(source.name), dialect="sqlite")
    return exp.select("*").from_(exp.Table(this=call))
