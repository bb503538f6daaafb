"""What every database is asked, whichever driver answers."""

from __future__ import annotations

import importlib
import logging
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

import pyarrow as pa
from sqlglot import exp
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from bascule import BasculeError, OptionError, Statistics
from bascule.filters._sql import Kind as Compared
from bascule.filters._sql import SqlColumn
from bascule.sources.jdbc import _sql
from bascule.sources.jdbc._partitions import Kind
from bascule.sources.jdbc._url import Url

T = TypeVar("T")

log = logging.getLogger("bascule.sources.jdbc")

#: Seconds that a connection may take, where the URL says nothing else.
CONNECT_TIMEOUT_S = 10
CONNECT_ATTEMPTS = 3


@dataclass(frozen=True)
class Column:
    """A column of what is read.

    Attributes:
        type: as declared.
        sql: what is selected for it; ``convert`` makes its values ``type``.
        kind: as a column to partition by; None where it can't be one.
        compared: as predicates see it; None: of its values nothing is asked.
    """

    name: str
    type: pa.DataType
    sql: exp.Expr
    kind: Kind | None = None
    compared: SqlColumn | None = None


@dataclass(frozen=True)
class Settings:
    """The options that hold for each connection."""

    driver: str | None = None
    init: str | None = None
    timeout_s: int = 0
    fetchsize: int | None = None


class Stream(Protocol):
    """The rows of a statement, on a connection of its own."""

    def open(self) -> None:
        """Connects, and runs the statement. Waits for both."""

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...
    def cancel(self) -> None:
        """Ends it soon, while it opens too; from any thread. May wait for the server."""

    def close(self) -> None:
        """Gives the connection back."""


class Session(Protocol):
    """A connection for questions with short answers."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]: ...
    def export_snapshot(self) -> str | None:
        """A name under which other connections see what this one sees, while it is open; None: it can't."""

    def cancel(self) -> None:
        """Ends what is being asked; from any thread."""

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...


class Database(ABC):
    """A database by its URL. Opens connections, holds none."""

    dialect: str
    #: The first is the default.
    drivers: tuple[str, ...]
    label: str
    #: Where the driver can bind parameters and streams what it then reads.
    binds = False

    def __init__(self, url: Url, settings: Settings) -> None:
        self.url = url
        self.settings = settings
        self.driver = settings.driver or self.drivers[0]
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        if self.driver not in self.drivers:
            raise OptionError(
                f"option 'driver' is '{self.driver}', but {self.label} is read by {' or '.join(self.drivers)}"
            )

    @abstractmethod
    def describe(self, source: exp.Expr) -> list[Column]:
        """The columns of what is read."""

    @abstractmethod
    def session(self) -> Session:
        """A connection, for the caller to close."""

    def cancel(self) -> None:
        """Ends what the open sessions ask."""
        for session in list(self._sessions):
            session.cancel()

    def close(self) -> None:
        """Lets go of what is kept between statements."""
        return

    @abstractmethod
    def stream(
        self, select: exp.Select, columns: Sequence[Column], snapshot: str | None, parameters: Sequence[pa.Scalar]
    ) -> Stream:
        """What reads; it does nothing before it is opened.

        Args:
            parameters: those of ``select``, in order; none where the database doesn't ``binds``.
        """

    def comparable(self, source: exp.Expr, columns: Sequence[Column]) -> dict[str, SqlColumn]:
        """The columns as predicates see them; asked once, when there is a predicate."""
        found: dict[str, SqlColumn] = {}
        for column in columns:
            known = column.compared or SqlColumn(Compared.OTHER)
            bare = self.column(source, column.name)
            found[column.name] = replace(known, compared=known.compared or bare, bare=bare)
        return found

    def statistics(self, source: exp.Expr) -> Statistics | None:
        """What the catalog says of the table's size; None: nothing, or it is no table."""
        return None

    def own_ranges(self, session: Session, source: exp.Expr, n: int) -> list[exp.Expr | None] | None:
        """Conditions that part a table into ``n`` by where its rows lie; None: it can't."""
        return None

    def finite(self, column: exp.Expr, kind: Kind) -> exp.Expr | None:
        """What holds for the values that bounds can be made of; None: for all."""
        return None

    def as_text(self, what: exp.Expr) -> exp.Expr:
        return _sql.cast(what, "text" if self.dialect != "mysql" else "char", self.dialect)

    def column(self, source: exp.Expr, name: str) -> exp.Expr:
        """A column of what is read, by its exact name."""
        return _sql.column(name)

    def selected_as(self, source: exp.Expr, column: Column, kind: pa.DataType) -> exp.Expr:
        """What is selected for a column that customSchema gives another type."""
        return self.as_text(self.column(source, column.name)) if kind == pa.string() else column.sql

    @abstractmethod
    def explain(self, error: BaseException) -> BasculeError:
        """A driver's error, in words: where, what the database said, what to do."""


def needs(module: str) -> Any:
    """A driver's module; a missing one is an error that says what to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        if e.name is None or not (module == e.name or module.startswith(e.name + ".")):
            raise
        raise BasculeError(f"this needs {module}, which is not installed: pip install 'bascule[jdbc]'") from None


def connect_again(connect: Callable[[], T], is_passing: Callable[[BaseException], bool]) -> T:
    """Connects; a refusal that may pass is tried again, twice."""
    return Retrying(
        stop=stop_after_attempt(CONNECT_ATTEMPTS),
        wait=wait_exponential(multiplier=0.2, max=2),
        retry=retry_if_exception(is_passing),
        reraise=True,
    )(connect)
