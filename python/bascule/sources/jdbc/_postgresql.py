"""PostgreSQL, by ADBC (the default: it streams, so memory stays flat) or ConnectorX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from sqlglot import exp

from bascule import BasculeError, Statistics
from bascule.filters._sql import Kind, SqlColumn
from bascule.sources.jdbc import _partitions, _sql, _types
from bascule.sources.jdbc._adbc import AdbcSession, AdbcStream
from bascule.sources.jdbc._connectorx import ConnectorXStream
from bascule.sources.jdbc._database import CONNECT_TIMEOUT_S, Column, Database, Settings, Stream, connect_again, needs
from bascule.sources.jdbc._idle import Idle
from bascule.sources.jdbc._partitions import Kind as PartitionKind
from bascule.sources.jdbc._url import Url

_KINDS = {
    "int2": _partitions.INTEGER,
    "int4": _partitions.INTEGER,
    "int8": _partitions.INTEGER,
    "numeric": _partitions.DECIMAL,
    "float4": _partitions.FLOAT,
    "float8": _partitions.FLOAT,
    "date": _partitions.DATE,
    "timestamp": _partitions.TIMESTAMP,
    "timestamptz": _partitions.INSTANT,
}
#: As predicates see them; strings apart.
_COMPARED = {
    "bool": Kind.BOOLEAN,
    "int2": Kind.INTEGER,
    "int4": Kind.INTEGER,
    "int8": Kind.INTEGER,
    "float4": Kind.REAL,
    "float8": Kind.FLOAT,
    "numeric": Kind.DECIMAL,
    "bpchar": Kind.LOOSE,  # spaces at the end don't count, and are read
    "bytea": Kind.BINARY,
    "uuid": Kind.UUID,
    "date": Kind.DATE,
    "timestamp": Kind.TIMESTAMP,
    "timestamptz": Kind.INSTANT,
    "time": Kind.TIME,
}
#: Types that the driver reads as they are, and in one-dimensional arrays.
_PLAIN = frozenset(
    [
        "bool",
        "int2",
        "int4",
        "int8",
        "float4",
        "float8",
        "text",
        "varchar",
        "bpchar",
        "name",
        "bytea",
        "uuid",
        "json",
        "jsonb",
        "interval",
    ]
)
#: Types with values beyond Arrow's, which the driver would let wrap: the least that is too small and the least
#: that is too great.
_LIMITS = {
    "date": ("-infinity", "infinity"),
    "timestamp": ("-infinity", "294247-01-01"),
    "timestamptz": ("-infinity", "294247-01-01 00:00:00+00"),
    "time": (None, "24:00:00"),
}
#: Connection properties of the JDBC driver, in libpq's words; None: of no use here.
_PROPERTIES = {
    "ssl": None,
    "applicationname": "application_name",
    "connecttimeout": "connect_timeout",
    "logintimeout": "connect_timeout",
    "currentschema": "options",
    "sockettimeout": None,
    "preparethreshold": None,
    "rewritebatchedinserts": None,
    "defaultrowfetchsize": None,
    "stringtype": None,
    "loggerlevel": None,
    "tcpkeepalive": None,
    "readonly": None,
    "targetservertype": None,
    "loadbalancehosts": None,
    "binarytransfer": None,
    "autosave": None,
    "escapesyntaxcallmode": None,
}
_BATCH_BYTES = 4 << 20
_LOCK_TIMEOUT_MS = 10_000
_PASSING = re.compile(
    r"Connection refused|starting up|shutting down|too many clients|remaining connection slots|Connection reset"
    r"|server closed the connection",
    re.IGNORECASE,
)
_UNREACHABLE = "Check the host and the port, and that the server runs and takes connections from here"
_HINTS = {
    "28P01": "Check the options user and password",
    "28000": "Check the options user and password, and the server's pg_hba.conf",
    "3D000": "Check the database's name at the end of the URL",
    "42P01": 'Check dbtable or query; names with capitals or spaces are quoted: "My Table"',
    "42703": "Check the columns that query or predicates name",
    "55P03": "Another session waits to change the table (ALTER, TRUNCATE, VACUUM FULL), which it can't before this scan "
    "ends; run the query again",
    "57014": "The statement was cancelled; queryTimeout is the seconds that it may take, 0 for any",
    "57P01": "The server ended the connection while it was read; run the query again",
}


#: The same, where the driver hands on the words alone: while rows come.
_SAID = {
    "due to statement timeout": _HINTS["57014"],
    "due to lock timeout": _HINTS["55P03"],
    "terminating connection": _HINTS["57P01"],
    "server closed the connection": _HINTS["57P01"],
    "password authentication failed": _HINTS["28P01"],
    "no password supplied": _HINTS["28P01"],
    "could not translate host name": _UNREACHABLE,
    "Connection refused": _UNREACHABLE,
    "timeout expired": _UNREACHABLE,
}


class PostgreSQL(Database):
    dialect = "postgres"
    drivers = ("adbc", "connectorx")
    label = "PostgreSQL"

    def __init__(self, url: Url, settings: Settings) -> None:
        super().__init__(url, settings)
        self._idle = Idle(self)

    def describe(self, source: exp.Expr) -> list[Column]:
        sql = _sql.generate(_sql.select([exp.Star()], source), self.dialect)
        with self.session() as session:
            with session.cursor() as cursor:
                try:
                    schema = cursor.adbc_execute_schema(sql)
                except Exception as e:
                    raise self.explain(e) from None
            text = self._text_kind(session)
        columns = [(self._column(field), field) for field in schema]
        return [replace(column, compared=self._compared(column, field, text)) for column, field in columns]

    def _text_kind(self, session: _Session) -> Kind:
        """How strings compare. Where no collation takes two strings for one, it needs not be looked up by column."""
        try:
            ((encoding, folds),) = session.rows(
                "SELECT current_setting('server_encoding'), EXISTS (SELECT 1 FROM pg_collation WHERE NOT collisdeterministic)"
            )
        except BasculeError:
            return Kind.OTHER  # a server older than any that is supported
        if encoding != "UTF8":
            return Kind.OTHER  # bytes have another order, and some texts no bytes
        return Kind.FOLDED if folds else Kind.TEXT

    def _compared(self, column: Column, field: pa.Field, text: Kind) -> SqlColumn | None:
        kind = (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
        name = _sql.column(field.name)
        if kind in ("text", "varchar"):
            return SqlColumn(text)
        if kind == "oid":  # compared with a number beyond its own, it would be an error
            return SqlColumn(Kind.INTEGER, column.sql)
        if kind in _COMPARED and not (kind == "numeric" and column.type == pa.string()):
            return SqlColumn(_COMPARED[kind])
        if kind == "name" or (column.type == pa.string() and kind not in _PLAIN):
            # As it is read: the text that PostgreSQL writes.
            as_text = _sql.cast(name, "text", self.dialect)
            return SqlColumn(Kind.OTHER if text is Kind.OTHER else Kind.FOLDED, as_text, strict=True)
        return None

    def _column(self, field: pa.Field) -> Column:
        metadata = field.metadata or {}
        kind = metadata.get(b"POSTGRESQL:type", b"").decode()
        column = _sql.column(field.name)
        as_text = _sql.cast(column, "text", self.dialect)
        item = kind.removeprefix("_")
        if kind == "numeric":
            size = int(metadata.get(b"POSTGRESQL:typmod", b"-1"))
            return Column(field.name, _numeric(size), as_text, _KINDS[kind])
        if kind == "oid":
            return Column(field.name, pa.int64(), _sql.cast(column, "bigint", self.dialect), _partitions.INTEGER)
        if self.driver == "connectorx" and kind in ("uuid", "json", "jsonb"):
            # It knows these itself, and writes JSON anew.
            raw = exp.func("UUID_SEND", column, dialect=self.dialect) if kind == "uuid" else as_text
            return Column(field.name, field.type, raw)
        if kind in _PLAIN or kind in _LIMITS:
            return Column(field.name, field.type, self._guarded(column, field.name, kind), _KINDS.get(kind))
        if kind.startswith("_"):
            plain = item in _PLAIN or item in _LIMITS
            what = column if plain else _sql.cast(column, "_text", self.dialect)
            found = field.type if plain else pa.list_(pa.string())
            return Column(field.name, found, self._one_dimension(what, field.name, kind if plain else "_text", item))
        # Enums, ranges, networks, shapes, composites, money, ...: the text that PostgreSQL writes and reads.
        return Column(field.name, pa.string(), as_text)

    def _guarded(self, column: exp.Expr, name: str, kind: str) -> exp.Expr:
        if kind not in _LIMITS:
            return column
        low, high = _LIMITS[kind]
        within: exp.Expr = exp.LT(this=column.copy(), expression=_sql.cast(_sql.text(high), kind, self.dialect))
        if low is not None:
            above = exp.GT(this=column.copy(), expression=_sql.cast(_sql.text(low), kind, self.dialect))
            within = exp.and_(above, within)
        return self._or_fail(within, column, f"column {name} has a value that no Arrow {kind} holds: ", kind)

    def _one_dimension(self, what: exp.Expr, name: str, kind: str, item: str) -> exp.Expr:
        """An array of one dimension alone: the driver would flatten others. No value that Arrow lacks in it."""
        flat: exp.Expr = exp.LTE(
            this=exp.func(
                "COALESCE", exp.func("ARRAY_NDIMS", what.copy(), dialect=self.dialect), exp.Literal.number(1)
            ),
            expression=exp.Literal.number(1),
        )
        for limit in filter(None, _LIMITS.get(item, ())):
            edge = exp.Any(this=exp.paren(what.copy()))
            literal = _sql.cast(_sql.text(limit), item, self.dialect)
            compare = exp.EQ if limit.startswith("-") else exp.LTE
            flat = exp.and_(flat, exp.not_(compare(this=literal, expression=edge)))
        return self._or_fail(
            exp.func("COALESCE", flat, exp.true()),
            what,
            f"column {name} has a value that no Arrow list of {item} holds: ",
            kind,
        )

    def _or_fail(self, holds: exp.Expr, what: exp.Expr, message: str, kind: str) -> exp.Expr:
        """``what`` where ``holds``; else a cast that fails in the database with ``message`` and the value."""
        said = exp.DPipe(this=_sql.text(message), expression=_sql.cast(what.copy(), "text", self.dialect))
        return exp.Case(ifs=[exp.If(this=holds, true=what.copy())], default=_sql.cast(said, kind, self.dialect))

    def session(self) -> _Session:
        return _Session(self)

    def statistics(self, source: exp.Expr) -> Statistics | None:
        """What ANALYZE or VACUUM last found. Not of a parent, which is counted without its children."""
        if not _sql.is_table(source):
            return None
        with self.session() as session:
            rows = session.rows(
                "SELECT reltuples::float8, relkind::text, relpages, pg_relation_size(oid) FROM pg_class "
                "WHERE relkind IN ('r', 'm', 'p') AND NOT (relkind = 'r' AND relhassubclass) "
                f"AND oid = {_sql.generate(self._regclass(source), self.dialect)}"
            )
        if not rows or rows[0][0] < 0 or (rows[0][0] == 0 and rows[0][2] == 0):
            return None  # never analyzed
        return Statistics(int(rows[0][0]), total_bytes=None if rows[0][1] == "p" else int(rows[0][3]))

    def _regclass(self, source: exp.Expr) -> exp.Expr:
        bare = source.copy()
        bare.set("alias", None)
        return exp.func("TO_REGCLASS", _sql.text(_sql.generate(bare, self.dialect)), dialect=self.dialect)

    def stream(
        self, select: exp.Select, columns: Sequence[Column], snapshot: str | None, parameters: Sequence[pa.Scalar]
    ) -> Stream:
        sql = _sql.generate(select, self.dialect)
        if self.driver == "connectorx":
            before = ["SET default_transaction_read_only = on", *self._before()]
            return ConnectorXStream(self._uri(), sql, before, self.settings.fetchsize)

        def connect() -> Any:
            connection = self.connect()
            try:
                with connection.cursor() as cursor:
                    # Without a snapshot each statement takes its own, once it has its locks: REPEATABLE READ would take
                    # one before, and see an empty table behind a TRUNCATE that it waited for.
                    level = "REPEATABLE READ" if snapshot else "READ COMMITTED"
                    cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level} READ ONLY")
                    if snapshot:
                        cursor.execute(_sql_set_snapshot(snapshot))
                        # Behind who waits to change the table, who waits for the planning session, who waits for us.
                        cursor.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
            except BaseException:
                connection.close()
                raise
            return connection

        options = {"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)}
        return AdbcStream(connect, sql, options, give_back=self._idle.give_back)

    def own_ranges(self, session: Any, source: exp.Expr, n: int) -> list[exp.Expr | None] | None:
        """Ranges of ctid, the place of a row: each a range of the table's pages."""
        if not _sql.is_table(source):
            return None
        name = self._regclass(source)
        rows = session.rows(
            "SELECT relkind::text, pg_relation_size(oid) / current_setting('block_size')::int8 FROM pg_class "
            f"WHERE oid = {_sql.generate(name, self.dialect)}"
        )
        if not rows or rows[0][0] not in ("r", "m"):
            return None
        pages = int(rows[0][1])
        cuts = sorted({pages * i // n for i in range(1, n)} - {0})
        column = exp.column("ctid")
        edges = [_sql.cast(_sql.text(f"({page},0)"), "tid", self.dialect) for page in cuts]
        made: list[exp.Expr | None] = []
        for low, high in zip([None, *edges], [*edges, None], strict=True):
            parts = [
                compare(this=column.copy(), expression=edge.copy())
                for compare, edge in ((exp.GTE, low), (exp.LT, high))
                if edge is not None
            ]
            made.append(exp.and_(*parts) if parts else None)
        return made

    def finite(self, column: exp.Expr, kind: PartitionKind) -> exp.Expr | None:
        if kind is _partitions.INTEGER:
            return None
        if kind is _partitions.DECIMAL:
            return exp.NEQ(this=column.copy(), expression=_sql.cast(_sql.text("NaN"), "numeric", self.dialect))
        return exp.and_(
            exp.GT(this=column.copy(), expression=_sql.text("-infinity")),
            exp.LT(this=column.copy(), expression=_sql.text("infinity")),
        )

    # ---- connections ----

    def _parameters(self) -> dict[str, str]:
        found = {"connect_timeout": str(CONNECT_TIMEOUT_S), "application_name": "bascule"}
        for name, value in self.url.parameters.items():
            known = _PROPERTIES.get(name.lower(), name)
            if name.lower() == "ssl" and value.lower() in ("", "true"):
                found.setdefault("sslmode", "require")
            elif name.lower() == "currentschema":
                quoted = ",".join('"' + part.strip().strip('"').replace('"', '""') + '"' for part in value.split(","))
                path = re.sub(r"([\\ ])", r"\\\1", quoted)
                found["options"] = f"{found.get('options', '')} -csearch_path={path}".strip()
            elif known is not None:
                found[known] = value
        return found

    def _uri(self) -> str:
        return self.url.uri("postgresql", self._parameters())

    def _before(self) -> list[str]:
        before = []
        if self.settings.timeout_s:
            before.append(f"SET statement_timeout = '{self.settings.timeout_s}s'")
        if self.settings.init:
            before.append(self.settings.init)
        return before

    def connect(self) -> Any:
        """A connection: the one that was given back, or a new one."""
        return self._idle.take(_is_well) or self._connect()

    def close(self) -> None:
        self._idle.close()

    def _connect(self) -> Any:
        driver = needs("adbc_driver_postgresql.dbapi")
        try:
            connection = connect_again(lambda: driver.connect(self._uri()), lambda e: bool(_PASSING.search(str(e))))
        except Exception as e:
            raise self.explain(e) from None
        try:
            with connection.cursor() as cursor:
                for statement in self._before():
                    cursor.execute(statement)
            connection.commit()
        except Exception as e:
            connection.close()
            raise self.explain(e) from None
        return connection

    def explain(self, error: BaseException) -> BasculeError:
        if isinstance(error, BasculeError):
            return error
        text = str(error)
        details = {name: value.decode("utf-8", "replace") for name, value in getattr(error, "details", None) or []}
        said = details.get("PG_DIAG_MESSAGE_PRIMARY") or _message_of(text)
        more = details.get("PG_DIAG_MESSAGE_DETAIL") or details.get("PG_DIAG_MESSAGE_HINT")
        state = details.get("PG_DIAG_SQLSTATE") or getattr(error, "sqlstate", None) or _state_of(text)
        hint = _HINTS.get(state or "", "") or next((h for words, h in _SAID.items() if words in said), "")
        if guarded := re.search(r'"(column .* has a value that no Arrow .*)"', said):
            said, more, hint = guarded[1], None, "Name the column STRING in customSchema, or cast it in query"
        if "snapshot" in said and state in ("22023", "42704", "55000"):
            hint = "The session that planned the partitions is gone; set snapshot to off"
        elif re.search(r'database ".*" does not exist', said):
            hint = _HINTS["3D000"]
        return BasculeError(
            f"{self.url}: {_sql.one_line(said)}{f' ({_sql.one_line(more)})' if more else ''}{f'. {hint}' if hint else ''}"
        )


class _Session(AdbcSession):
    def __init__(self, database: PostgreSQL) -> None:
        super().__init__(database)
        self._idle = database._idle
        self._exports = database.driver == "adbc"
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY")
                # Held open while partitions are read, however long the server lets sessions idle.
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                cursor.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
        except Exception as e:
            self.close()
            raise database.explain(e) from None

    def close(self) -> None:
        self._idle.give_back(self.connection)

    def export_snapshot(self) -> str | None:
        if not self._exports:
            return None
        try:
            return str(self.rows("SELECT pg_export_snapshot()")[0][0])
        except BasculeError as e:
            raise BasculeError(f"{e}. A snapshot for all partitions can't be had; set snapshot to off") from None


def _is_well(connection: Any) -> None:
    """Raises where the server has ended it meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()
    connection.rollback()


def _sql_set_snapshot(name: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f-]+", name):
        raise BasculeError("a partition's snapshot has a name that PostgreSQL never gives")
    return f"SET TRANSACTION SNAPSHOT '{name}'"


def _numeric(typmod: int) -> pa.DataType:
    if typmod < 4:
        return pa.string()  # of any size: no decimal holds them all
    scale = (typmod - 4) & 0x7FF
    return _types.decimal((typmod - 4) >> 16 & 0xFFFF, (scale ^ 1024) - 1024)


def _message_of(text: str) -> str:
    found = re.search(r"(?:ERROR|FATAL|PANIC):\s+(.+?)(?:\n|$)", text)
    if found:
        detail = re.search(r"DETAIL:\s+(.+?)(?:\n|$)", text)
        return found[1] + (f" ({detail[1]})" if detail else "")
    found = re.search(r"Failed to connect: ([^?]+?)(?:\n|$)", text)
    return found[1] if found else text


def _state_of(text: str) -> str | None:
    found = re.search(r"SQLSTATE: (\w{5})", text)
    return found[1] if found else None
