"""Reads with predicates, compared with the rows of the first read: once for all checks that need them."""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bascule._hints import Hints, takes
from bascule._native import Source
from bascule.check._base import Broken, Skip, counted
from bascule.check._predicates import Request, requests
from bascule.check._reading import first_read
from bascule.check._rows import Rows, bag_of, values_of
from bascule.check._subject import CORE_ERRORS, Subject
from bascule.errors import BasculeError
from bascule.filters import And, Filter, Not, Or, StringPredicate, _wire, filter_table
from bascule.filters._arrow import to_arrow

__all__ = ["Asked", "Pushed", "Sample", "lost_of", "pushed", "sample_of", "surplus_of", "takes_keyword", "worded"]

_ROWS = 50_000  # of a sample, in whole partitions: at least one
_SECONDS = 8.0  # for all reads with predicates
_SHOWN = 6  # columns of an example


@dataclass
class Sample:
    """Rows of the first read.

    Args:
        partitions: those whose rows they are, by their specs, pickled; None: of all.
        table: the rows.
    """

    subject: Subject
    partitions: list[bytes] | None
    table: pa.Table

    def read(
        self,
        source: Source,
        request: Request,
        columns: list[str] | None = None,
        limit: int | None = None,
    ) -> pa.Table | None:
        """The rows of these partitions, read with hints; None where a plan cuts the table at other places.

        Raises:
            Broken: the read failed; the message names the predicates.
        """
        subject, data = self.subject, _wire.dump(request)
        try:
            plan = source.plan(columns, data if request else None, limit)
            wanted = self._wanted(data, columns, limit, plan.partition_count)
            if wanted is None:
                return None
            scan, schema = plan.scan(), pa.schema(plan)
            found = [batch for i in wanted for batch in subject.batches(scan.partition(i))]
        except (Broken, *CORE_ERRORS) as e:
            how = f"filters={worded(request)}" if request else f"limit={limit}"
            advice = ". A predicate that a read can't use is left out of it, not an error" if request else ""
            raise Broken(subject.shown(f"{e}\nIt was read with {how}{advice}")) from None
        return _comparable(pa.Table.from_batches(found, schema))

    def _wanted(self, data: bytes, columns: list[str] | None, limit: int | None, n: int) -> list[int] | None:
        if self.partitions is None:
            return list(range(n))
        hints = Hints(None if columns is None else tuple(columns), data, limit)
        specs = [pickle.dumps(spec) for spec in self.subject.instance.plan(hints, demand=False).specs]
        known = {pickle.dumps(spec) for spec in self.subject.specs}
        if len(specs) != n or not known.issuperset(specs):
            return None
        return [i for i, spec in enumerate(specs) if spec in self.partitions]


def sample_of(subject: Subject) -> Sample:
    """The rows that reads are compared with. Raises Skip where there are none."""
    found = first_read(subject)
    whole = [rows for rows in found.rows if rows.complete and rows.kept_rows == rows.n_rows]
    schema = pa.schema(found.plan)
    everything = len(whole) == found.plan.partition_count
    if not everything or sum(rows.n_rows for rows in whole) > _ROWS:
        n = 0
        specs = [pickle.dumps(spec) for spec in subject.specs]
        some: list[Rows] = []
        names: list[bytes] = []
        for rows in whole:
            if some and n + rows.n_rows > _ROWS:
                break
            if rows.partition < len(specs) and specs.count(specs[rows.partition]) == 1:
                some.append(rows)
                names.append(specs[rows.partition])
                n += rows.n_rows
        # Where no spec has a place of its own, all is read each time.
        if some or not everything:
            whole, everything = some, len(some) == found.plan.partition_count
    if not any(rows.n_rows for rows in whole):
        raise Skip(
            "no row was read"
            if not any(rows.n_rows for rows in found.rows)
            else "no partition was read to its end and kept: read more (--max-seconds), or give options that make it smaller"
        )
    table = pa.Table.from_batches([batch for rows in whole for batch in rows.batches(None)], schema)
    return Sample(subject, None if everything else names, _comparable(table))


def _comparable(table: pa.Table) -> pa.Table:
    """The rows in types that pyarrow can filter: views as what they view, and what it can't filter at all as text."""
    for i, described in enumerate(table.schema):
        column = table.column(i)
        if pa.types.is_string_view(described.type):
            column = column.cast(pa.large_string())
        elif pa.types.is_binary_view(described.type):
            column = column.cast(pa.large_binary())
        elif not _is_filtered(described.type):
            column = pa.chunked_array([[[text] for text in values_of(column)]], _OPAQUE)
        else:
            continue
        table = table.set_column(i, described.name, column)
    return table


#: Of a column that is compared as text, and that nothing is asked of.
_OPAQUE = pa.list_(pa.string(), 1)


@lru_cache(maxsize=256)
def _is_filtered(type_: pa.DataType) -> bool:
    if "_view" in str(type_):
        return False  # within a list it fails for some rows only
    try:
        pa.table({"x": pa.nulls(1, type_)}).filter(pc.scalar(True))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return False
    return True


def takes_keyword(subject: Subject, keyword: str) -> bool:
    """Does one of the methods take it?"""
    return any(keyword in takes(getattr(subject.cls, method)) for method in ("plan_partitions", "read_partition"))


@dataclass
class Asked:
    """One read with predicates that lost nothing.

    Args:
        expected: the rows that it is to give.
        got: how many rows it gave.
        claimed: those of its predicates that ``push_filters`` did not return.
    """

    request: Request
    expected: pa.Table
    got: int
    claimed: Request = ()

    @property
    def all_claimed(self) -> bool:
        return self.claimed == self.request


@dataclass
class Pushed:
    """What reads with predicates gave.

    Args:
        sample: the rows that they are compared with.
        tried, of: requests that were read, of how many.
        elsewhere: so many could not be compared.
        stopped: why not all were tried; "" where they were.
        lost: the first failure of a hint: a row is gone. Nothing is tried after it.
        claim_error: what ``push_filters`` did wrong.
        surplus: the first failure of a claim, and its request: a row is there.
        source: whose ``push_filters`` was asked; reads that are compared come of another.
    """

    sample: Sample
    of: int
    asked: list[Asked] = field(default_factory=list)
    tried: int = 0
    elsewhere: int = 0
    stopped: str = ""
    lost: str = ""
    claim_error: str = ""
    surplus: tuple[str, Request] | None = None
    source: Source | None = None

    @property
    def dropped(self) -> int:
        """How many reads gave less than all rows."""
        return sum(asked.got < self.sample.table.num_rows for asked in self.asked)

    def claim(self, request: Request) -> Request:
        """Those of the predicates that are claimed."""
        if self.source is None:
            return ()
        claims = self.source.claim(_wire.dump(request), len(request))
        return tuple(filter for filter, exact in zip(request, claims, strict=True) if exact)


def pushed(subject: Subject) -> Pushed:
    """Reads with predicates of every kind, once."""
    if subject.pushed is None:
        subject.pushed = _pushed(subject)
    return subject.pushed


def _pushed(subject: Subject) -> Pushed:
    sample = sample_of(subject)
    # Engines ask for the parts of an AND one by one.
    wanted = [tuple(part for filter in request for part in filter.conjuncts()) for request in requests(sample.table)]
    found = Pushed(sample, len(wanted))
    if callable(getattr(subject.cls, "push_filters", None)):
        found.source = subject.open()
    begun = time.monotonic()
    for request in wanted:
        if time.monotonic() - begun > _SECONDS or subject.spent():
            found.stopped = "then the time was used up"
            break
        _ask(subject, found, request)
        if found.lost:
            break
    return found


def _ask(subject: Subject, found: Pushed, request: Request) -> None:
    sample = found.sample
    try:
        table = sample.read(subject.core, request)
        found.tried += 1
        if table is None:
            found.elsewhere += 1
            return
        expected: pa.Table = filter_table(request, sample.table)
        found.lost = lost_of(subject, request, expected, filter_table(request, table))
    except Broken as e:
        found.lost = str(e)
        return
    if found.lost:
        return
    asked = Asked(request, expected, table.num_rows)
    found.asked.append(asked)
    if found.claim_error or found.surplus:
        return
    try:
        asked.claimed = found.claim(request)
    except BasculeError as e:
        found.claim_error = subject.shown(str(e))
        return
    if text := surplus_of(subject, asked.claimed, table):
        found.surplus = text, request


# ---- rows that are gone, and rows that are there ----


def lost_of(subject: Subject, request: Request, expected: pa.Table, got: pa.Table) -> str:
    """Which rows a read lost, in words; "" for none. Both tables hold rows for which the predicates are true, alone."""
    if _equal(expected, got):
        return ""
    wanted, found = bag_of(expected), bag_of(got)
    lost = wanted - found
    what = f"read with filters={worded(request)}, it"
    if lost:
        row = next(iter(lost))
        return subject.shown(
            f"{subject.label}: {what} lost {counted(lost.total(), 'row')} of the {expected.num_rows:,} for which that is true: "
            f"{_example(expected.schema, row, request)}. Return every row that is wanted, more are allowed: leave out a "
            f"predicate that is not translated exactly{_hint_of_loss(expected, request, row)}"
        )
    more = found - wanted
    if not more:
        return ""
    return subject.shown(
        f"{subject.label}: {what} gave {counted(more.total(), 'row')} that a read without does not have, or not so often: "
        f"{_example(got.schema, next(iter(more)), request)}. A predicate selects rows: it changes and repeats none"
    )


def surplus_of(subject: Subject, claimed: Request, table: pa.Table) -> str:
    """Which rows contradict a claim, in words; "" for none."""
    for filter in claimed:
        said = to_arrow(filter, table.schema).expression
        assert said is not None  # requests() made it
        wrong = table.filter(~said | said.is_null())
        if wrong.num_rows:
            row = next(iter(bag_of(wrong.slice(0, 1))))
            return subject.shown(
                f"{subject.label}: push_filters claims {filter!r}, but a read with it gave {counted(wrong.num_rows, 'row')} for "
                f"which it is not true: {_example(table.schema, row, (filter,))}. Engines don't look again: return from "
                f"push_filters what a read does not apply exactly{_hint_of_surplus(wrong, filter, row)}"
            )
    return ""


def worded(request: Request) -> str:
    """Predicates as SQL."""
    return f"[{', '.join(map(repr, request))}]"


def _equal(expected: pa.Table, got: pa.Table) -> bool:
    """Are they the same rows in the same order? False where it isn't told quickly."""
    if expected.num_rows != got.num_rows:
        return False
    return all(_same_column(x, y) for x, y in zip(expected.columns, got.columns, strict=True))


def _same_column(x: pa.ChunkedArray, y: pa.ChunkedArray) -> bool:
    if x.equals(y):
        return True
    if not pa.types.is_floating(x.type):
        return False
    x, y = (column.cast(pa.float64()) for column in (x, y))
    return bool(pc.is_nan(x).equals(pc.is_nan(y)) and _without_nan(x).equals(_without_nan(y)))


def _without_nan(column: pa.ChunkedArray) -> Any:
    return pc.if_else(pc.is_nan(column), 0.0, column)


def _example(schema: pa.Schema, row: tuple[str, ...], request: Sequence[Filter]) -> str:
    """A row, those columns first that the predicates read."""
    read = [name for filter in request for name in filter.columns]
    order = sorted(range(len(row)), key=lambda i: (schema.names[i] not in read, i))[:_SHOWN]
    shown = ", ".join(f"{schema.names[i]}={row[i]:.60}" for i in order)
    return f"({shown}{', …' if len(order) < len(row) else ''})"


def _hint_of_loss(table: pa.Table, request: Request, row: tuple[str, ...]) -> str:
    read = {name for filter in request for name in filter.columns}
    if any(name in read and value == "nan" for name, value in zip(table.schema.names, row, strict=True)):
        return ". NaN equals itself and is greater than every other number"
    if any(_has_not(filter) for filter in request):
        return ". Under NOT a superset is a loss: negate only what is exact, NULL included"
    return ""


def _hint_of_surplus(table: pa.Table, filter: Filter, row: tuple[str, ...]) -> str:
    values = [value for name, value in zip(table.schema.names, row, strict=True) if name in filter.columns]
    if "None" in values:
        return ". A comparison with NULL is NULL, which is not true, and so is NOT of it"
    if "nan" in values:
        return ". NaN equals itself and is greater than every other number"
    if isinstance(filter, StringPredicate) or any(value.startswith(("'", '"')) for value in values):
        return ". Text is compared byte by byte: letter case and trailing spaces count, % and _ are themselves"
    return ""


def _has_not(filter: Filter) -> bool:
    if isinstance(filter, (And, Or)):
        return any(map(_has_not, filter.children))
    return isinstance(filter, Not)
