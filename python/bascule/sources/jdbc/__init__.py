"""Tables and queries of databases, as ``python('jdbc', url := ..., dbtable := ...)``.

The options are those of Spark's JDBC source. PostgreSQL, MySQL and MariaDB, SQLite; by URL also what
ConnectorX knows beside them, untested. See docs/jdbc.md for types, drivers and partitions.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from bascule import ArrowBatchDataSource, Option, Statistics, declared
from bascule.filters import Filter
from bascule.sources.jdbc._database import log
from bascule.sources.jdbc._plan import DEFAULT_PARTITIONS, plan
from bascule.sources.jdbc._relation import Relation

__all__ = ["JDBCArrowDataSource"]


#: Options of Spark's JDBC source that change no row, which jobs may have.
_IGNORED = [
    "isolationLevel",
    "batchsize",
    "truncate",
    "cascadeTruncate",
    "createTableOptions",
    "createTableColumnTypes",
    "hint",
    "pushDownAggregate",
    "pushDownLimit",
    "pushDownOffset",
    "pushDownTableSample",
    "preferTimestampNTZ",
    "keytab",
    "principal",
    "refreshKrb5Config",
    "connectionProvider",
]


def _conditions(text: str) -> list[str]:
    """a JSON list of SQL conditions, ["year < 2020", "year >= 2020"]"""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(item, str) and item.strip() for item in found):
        raise ValueError(_conditions.__doc__)
    return found


class JDBCArrowDataSource(ArrowBatchDataSource):
    """A table or a query of a database.

    Example:
        >>> import sqlite3, tempfile
        >>> file = tempfile.NamedTemporaryFile(suffix=".db")
        >>> with sqlite3.connect(file.name) as db:
        ...     _ = db.executescript("CREATE TABLE users (id INTEGER, name TEXT); INSERT INTO users VALUES (1, 'Ann')")
        >>> options = {"url": f"jdbc:sqlite:{file.name}", "dbtable": "users"}
        >>> source = JDBCArrowDataSource()
        >>> [spec] = source.plan_partitions(options)
        >>> next(source.read_partition(spec, options)).to_pylist()
        [{'id': 1, 'name': 'Ann'}]
    """

    OPTIONS = (
        Option("url", required=True, doc="jdbc:postgresql://host:5432/db, mysql://host/db, sqlite:/path; jdbc: may be left out"),
        Option("dbtable", doc="a table's name, or what may stand in a FROM clause"),
        Option("query", doc="a SELECT, in the place of dbtable"),
        Option("user"),
        Option("password", secret=True),
        Option("partitionColumn", doc="a column of numbers, dates or timestamps whose ranges are the partitions"),
        Option("lowerBound", doc="where the ranges begin; looked up where it is not given. No row is left out"),
        Option("upperBound", doc="where the ranges end; the same"),
        Option("numPartitions", int, minimum=1, doc=f"how many partitions at most; 1, with partitionColumn {DEFAULT_PARTITIONS}"),
        Option("partitionBounds", choices=("range", "quantile"), default="range", doc="ranges of equal width, or of equal numbers of rows"),
        Option("predicates", _conditions, doc="the partitions as a JSON list of SQL conditions, which must not overlap"),
        Option("fetchsize", int, minimum=0, doc="the most rows in a batch; 0: what is best"),
        Option("sessionInitStatement", doc="SQL to run on each connection first"),
        Option("queryTimeout", int, default=0, minimum=0, doc="the most seconds that a statement may take; 0: any"),
        Option("driver", doc="adbc or connectorx; the default is in docs/jdbc.md. Names of Java classes are ignored"),
        Option("customSchema", doc="types of columns, amount DECIMAL(38, 10), note STRING"),
        Option("pushDownPredicate", bool, default=True, doc="whether the database is told the query's predicates"),
        Option("snapshot", choices=("on", "off"), default="on", doc="PostgreSQL: all partitions see the table at one moment"),
        *(Option(name, doc="Spark's; ignored, with a warning") for name in _IGNORED),
    )  # fmt: skip

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._relation: Relation | None = None

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        """The columns of the table or query, as docs/jdbc.md says for each type."""
        return pa.schema([(column.name, column.type) for column in self._opened(options).columns])

    def plan_partitions(self, options: Mapping[str, str], *, portable: bool = False) -> list[dict[str, Any]]:
        """One spec for each range or predicate: its SQL condition, and the snapshot that it is read in: none where the
        session that it lives in would be gone (``portable``).
        """
        return plan(self._opened(options), portable)

    def push_filters(self, filters: Sequence[Filter], options: Mapping[str, str]) -> list[Filter]:
        """Those that the database doesn't mean the same by: docs/jdbc.md has the table. The others, each read applies."""
        relation = self._opened(options)
        return relation.unclaimed(filters) if relation.options["pushDownPredicate"] else list(filters)

    def statistics(self, options: Mapping[str, str]) -> Statistics | None:
        """What the database's catalog estimates of a table; None of a query, or what was never analyzed."""
        return self._opened(options).statistics()

    def read_partition(
        self,
        partition_spec: dict[str, Any],
        options: Mapping[str, str],
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of one partition, on a connection of its own; ``columns`` alone are asked for.

        ``filters`` go into the SQL as far as the database means the same by them, ``limit`` where all of them do.
        """
        relation = self._opened(options)
        filters = filters if relation.options["pushDownPredicate"] else ()
        return relation.read(partition_spec["where"], partition_spec["snapshot"], columns, filters, limit)

    def close(self) -> None:
        """Closes the connection that is kept between two statements."""
        if self._relation is not None:
            self._relation.database.close()

    def _opened(self, options: Mapping[str, str]) -> Relation:
        # Each instance serves one source: the first call describes it for all.
        with self._lock:
            if self._relation is None:
                typed = declared(options, self.OPTIONS).typed
                if ignored := [name for name in _IGNORED if typed[name] is not None]:
                    log.warning("Spark's options %s have no meaning here, and are ignored", ", ".join(ignored))
                # An empty text is none, as jobs for Spark and Sail write it.
                self._relation = Relation.open({name: None if v == "" else v for name, v in typed.items()})
            return self._relation
