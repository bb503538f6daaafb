"""How a relation is parted: each row in exactly one partition."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import Any

from sqlglot import exp

from bascule import BasculeError, OptionError
from bascule.sources.jdbc import _partitions, _sql
from bascule.sources.jdbc._database import Column, Session
from bascule.sources.jdbc._partitions import Kind
from bascule.sources.jdbc._read import interruptible
from bascule.sources.jdbc._relation import Relation

#: Where a partition column is named and no number.
DEFAULT_PARTITIONS = 4


class Spec(dict[str, Any]):
    """A partition: ``where``, an SQL condition or None, ``snapshot``, its name or None, and the bounds of its column.

    The session that the snapshot lives in is open as long as one of the plan's specs is there: to the end of the
    scan. A pickled copy is a plain dict.
    """

    held: _Held | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class _Held:
    """A session that is closed when nobody has this any more."""

    def __init__(self, session: Session) -> None:
        weakref.finalize(self, session.close)


def plan(relation: Relation, portable: bool) -> list[dict[str, Any]]:
    """The specs, as the options want them; ``portable``: for readers who outlive this process."""
    return interruptible(lambda: _plan(relation, portable), relation.database.cancel)


def _plan(relation: Relation, portable: bool) -> list[dict[str, Any]]:
    options = relation.options
    if options["predicates"]:
        _refuse(options, "predicates", "partitionColumn", "lowerBound", "upperBound", "numPartitions")
        return _specs(
            relation, [_sql.condition(text, relation.dialect) for text in options["predicates"]], True, portable
        )
    if not options["partitionColumn"]:
        _refuse(options, "no partitionColumn", "lowerBound", "upperBound")
    return _specs(relation, None, bool(options["partitionColumn"]), portable)


def _specs(
    relation: Relation, given: list[exp.Expr | None] | None, stays: bool, portable: bool
) -> list[dict[str, Any]]:
    """``given`` conditions, or ranges. Those of a column stay what they are while rows are changed, others don't."""
    options = relation.options
    n = options["numPartitions"] or (DEFAULT_PARTITIONS if options["partitionColumn"] else 1)
    if given is None and n == 1:
        return [Spec(where=None, snapshot=None)]
    session = relation.database.session()
    name = None
    try:
        ranges, name = _parted(relation, session, given, n, portable)
    finally:
        if name is None:
            session.close()
    held = _Held(session) if name is not None else None
    if name is None and not stays and relation.dialect == "postgres":
        ranges = _Ranges([None])  # a row that is updated changes its place: it would be read twice, or never
    made: list[dict[str, Any]] = []
    for i, condition in enumerate(ranges.where):
        spec = Spec(where=None if condition is None else _sql.generate(condition, relation.dialect), snapshot=name)
        if ranges.bounds is not None:
            spec["bascule_bounds"] = {ranges.column: ranges.bounds[i]}
        spec.held = held
        made.append(spec)
    return made


def _parted(
    relation: Relation, session: Session, given: list[exp.Expr | None] | None, n: int, portable: bool
) -> tuple[_Ranges, str | None]:
    """The conditions, and the snapshot that they are true in; None: each partition has its own."""
    if relation.dialect == "postgres":
        # Locks what is read until the scan ends, as any open SELECT does, before a snapshot is taken: emptied or
        # rewritten meanwhile, a table would lose rows in an older snapshot, or move them.
        session.rows(_sql.generate(_sql.select([exp.Literal.number(1)], relation.source).limit(0), relation.dialect))
    ranges = _Ranges(given) if given else _ranges(relation, session, n)
    wanted = relation.options["snapshot"] == "on" and not portable and len(ranges.where) > 1
    return ranges, session.export_snapshot() if wanted else None


@dataclass(frozen=True)
class _Ranges:
    """Conditions, one for each partition, and where a column parts them its values in each."""

    where: list[exp.Expr | None]
    column: str = ""
    bounds: list[tuple[Any, Any]] | None = None


def _ranges(relation: Relation, session: Session, n: int) -> _Ranges:
    name = relation.options["partitionColumn"]
    if not name:
        return _Ranges(relation.database.own_ranges(session, relation.source, n) or [None])
    found, kind = _partition_column(relation, name)
    column = relation.database.column(relation.source, found.name)
    cuts = _cuts(relation, session, column, kind, n)
    where = _partitions.conditions(column, cuts, kind, relation.dialect)
    return _Ranges(where, found.name, _partitions.bounds(cuts, kind, found.type, relation.dialect))


def _partition_column(relation: Relation, name: str) -> tuple[Column, Kind]:
    found = relation.column(name)
    if found is None:
        names = [c.name for c in relation.columns]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise OptionError(
            f"option 'partitionColumn' is '{name}', which is no column: {hint}there are {', '.join(names)}"
        )
    if found.kind is None:
        raise OptionError(
            f"option 'partitionColumn' is '{name}', a column of {found.type}: it takes numbers, dates and timestamps"
        )
    return found, found.kind


def _cuts(relation: Relation, session: Session, column: exp.Expr, kind: Kind, n: int) -> list[str]:
    given = {
        option: _partitions.parse_bound(kind, option, relation.options[option])
        for option in ("lowerBound", "upperBound")
        if relation.options[option] is not None
    }
    if len(given) == 2:
        _partitions.check_bounds(given["lowerBound"], given["upperBound"], kind)
    if relation.options["partitionBounds"] == "quantile":
        return _quantiles(relation, session, column, kind, n)
    if len(given) < 2:
        least, greatest = exp.Min(this=column.copy()), exp.Max(this=column.copy())
        texts = [relation.database.as_text(e) for e in (least, greatest)]
        select = _sql.select(list(texts), relation.source, relation.database.finite(column, kind))
        ((low, high),) = session.rows(_sql.generate(select, relation.dialect))
        if low is None:
            return []  # no rows, or none but NULLs
        given.setdefault("lowerBound", _number(relation, kind, low))
        given.setdefault("upperBound", _number(relation, kind, high))
        if given["lowerBound"] > given["upperBound"]:
            return []  # the one that was given is beyond all rows
    return _partitions.even_cuts(given["lowerBound"], given["upperBound"], n, kind)


def _quantiles(relation: Relation, session: Session, column: exp.Expr, kind: Kind, n: int) -> list[str]:
    """The least values of ``n`` groups of equally many rows."""
    dialect = relation.dialect
    ntile = exp.Window(
        this=exp.func("NTILE", exp.Literal.number(n), dialect=dialect),
        order=exp.Order(expressions=[exp.Ordered(this=column.copy())]),
    )
    there: exp.Expr = exp.not_(exp.Is(this=column.copy(), expression=exp.null()))
    finite = relation.database.finite(column, kind)
    grouped = _sql.select(
        [exp.alias_(column.copy(), "x"), exp.alias_(ntile, "t")],
        relation.source,
        there if finite is None else exp.and_(there, finite),
    )
    least = exp.Min(this=exp.column("x"))
    select = (
        exp.select(relation.database.as_text(least))
        .from_(grouped.subquery("q"))
        .group_by("t")
        .order_by(exp.column("t"))
    )
    rows = session.rows(_sql.generate(select, dialect))
    texts = [kind.text(_number(relation, kind, row[0])) for row in rows]
    return _partitions.distinct(texts[1:], kind, above=kind.number(texts[0])) if texts else []


def _number(relation: Relation, kind: Kind, text: Any) -> Any:
    try:
        return kind.number(text.decode() if isinstance(text, bytes) else str(text))
    except (ValueError, InvalidOperation, OverflowError):
        raise BasculeError(
            f"{relation.database.url}: column '{relation.options['partitionColumn']}' has the bound '{text}', from which no "
            "ranges can be made: give lowerBound and upperBound"
        ) from None


def _refuse(options: Mapping[str, Any], beside: str, *names: str) -> None:
    for name in names:
        if options[name] is not None:
            raise OptionError(f"option '{name}' has no meaning with {beside}")
