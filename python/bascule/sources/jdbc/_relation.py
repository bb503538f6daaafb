"""What is read: a database, a table or query in it, and its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from sqlglot import exp

from bascule import BasculeError, OptionError, Statistics
from bascule.filters import Filter
from bascule.filters._sql import SqlColumn
from bascule.sources.jdbc import _pushdown, _sql, _types
from bascule.sources.jdbc._database import Column, Database, Settings, log
from bascule.sources.jdbc._duckdb import DuckDB
from bascule.sources.jdbc._mysql import MySQL
from bascule.sources.jdbc._other import Other
from bascule.sources.jdbc._postgresql import PostgreSQL
from bascule.sources.jdbc._read import interruptible, read_ahead
from bascule.sources.jdbc._sqlite import SQLite
from bascule.sources.jdbc._url import parse

_DATABASES: dict[str, type[Database]] = {"postgresql": PostgreSQL, "mysql": MySQL, "sqlite": SQLite, "duckdb": DuckDB}


@dataclass(frozen=True)
class Relation:
    """Described once for an instance of the source; holds no connection."""

    database: Database
    source: exp.Expr
    columns: list[Column]
    options: Mapping[str, Any]

    @classmethod
    def open(cls, options: Mapping[str, Any]) -> Relation:
        """Asks the database for the columns.

        Args:
            options: the typed values of the declared options.

        Raises:
            OptionError, BasculeError: the options don't fit, or the database can't be asked. Says what to do.
        """
        url = parse(options["url"], options["user"], options["password"])
        settings = Settings(
            _driver(options["driver"]), options["sessionInitStatement"], options["queryTimeout"], options["fetchsize"]
        )
        database = _DATABASES.get(url.scheme, Other)(url, settings)
        source = _sql.relation(options["dbtable"], options["query"], database.dialect)
        columns = interruptible(lambda: database.describe(source), database.cancel)
        if not columns:
            raise BasculeError(f"{url}: what is read has no columns")
        seen: set[str] = set()
        for column in columns:
            if column.name in seen:
                raise BasculeError(
                    f"{url}: two columns have the name '{column.name}': give one another in option 'query'"
                )
            seen.add(column.name)
        return cls(database, source, _customized(database, source, columns, options["customSchema"]), options)

    @property
    def dialect(self) -> str:
        return self.database.dialect

    def column(self, name: str) -> Column | None:
        """By its name, or where none has it by the name in another case."""
        folded = [c for c in self.columns if c.name.casefold() == name.casefold()]
        return next((c for c in folded if c.name == name), folded[0] if len(folded) == 1 else None)

    @cached_property
    def comparable(self) -> dict[str, SqlColumn]:
        """The columns as predicates see them. May ask the catalog."""
        return interruptible(lambda: self.database.comparable(self.source, self.columns), self.database.cancel)

    def unclaimed(self, filters: Sequence[Filter]) -> list[Filter]:
        """Those that a read's SQL doesn't hold exactly."""
        return _pushdown.unclaimed(filters, self.database, self.comparable) if filters else []

    def statistics(self) -> Statistics | None:
        """What the catalog says; None where it can't be asked."""
        try:
            return interruptible(lambda: self.database.statistics(self.source), self.database.cancel)
        except Exception as e:  # an estimate is not worth a failure
            log.info("%s: no statistics: %s", self.database.url, e)
            return None

    def select(self, columns: Sequence[Column], where: Sequence[exp.Expr]) -> exp.Select:
        expressions: list[exp.Expr] = [exp.alias_(c.sql.copy(), c.name, quoted=True) for c in columns]
        return _sql.select(expressions, self.source, exp.and_(*where) if where else None)

    def read(
        self,
        where: str | None,
        snapshot: str | None,
        names: Sequence[str] | None,
        filters: Sequence[Filter] = (),
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a partition; of the columns ``names`` alone, and one at least.

        Args:
            filters: left out as far as the database would mean something else by them.
            limit: kept where all ``filters`` are.
        """
        asked = None if names is None else set(names)
        columns = [c for c in self.columns if asked is None or c.name in asked] or self.columns[:1]
        pushed = _pushdown.push(filters, self.database, self.comparable) if filters else _pushdown.Pushed()
        own = [] if where is None else [exp.paren(_sql.as_written(where), copy=False)]
        select = self.select(columns, [*own, *pushed.conditions])
        if limit is not None and pushed.is_exact:
            select = select.limit(limit)
        schema = pa.schema([(c.name, c.type) for c in columns])
        stream = self.database.stream(select, columns, snapshot, pushed.parameters)
        batches = read_ahead(stream, self.database.explain)
        try:
            for batch in batches:
                arrays = [_types.convert(a, c.type, c.name) for a, c in zip(batch.columns, columns, strict=True)]
                made = pa.RecordBatch.from_arrays(arrays, schema=schema)
                rows = self.options["fetchsize"] or max(made.num_rows, 1)
                for start in range(0, made.num_rows, rows):
                    yield made.slice(start, rows)
        finally:
            batches.close()


def _driver(name: str | None) -> str | None:
    if name is not None and "." in name:
        log.warning(
            "option 'driver' is the Java class %s, which is ignored: drivers here are adbc and connectorx", name
        )
        return None
    return None if name is None else name.lower()


def _customized(database: Database, source: exp.Expr, columns: list[Column], text: str | None) -> list[Column]:
    if text is None:
        return columns
    types = _types.custom_schema(text)
    unknown = [name for name in types if name not in {c.name.casefold() for c in columns}]
    if unknown:
        raise OptionError(
            f"option 'customSchema' names the column '{unknown[0]}', which is not among {', '.join(c.name for c in columns)}"
        )
    return _pushdown.customized(database, source, columns, types)
