"""Checks of what a class claims to do of a query: its predicates, its limit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from bascule._hints import Hints
from bascule.check._base import Broken, Check, Findings, Skip, check, counted
from bascule.check._facts import false_facts
from bascule.check._predicates import Request
from bascule.check._pushed import Asked, Pushed, lost_of, pushed, sample_of, surplus_of, takes_keyword, worded
from bascule.check._reading import first_read
from bascule.check._rows import bag_of
from bascule.check._subject import Subject
from bascule.filters import _wire, filter_table

_SOME_CLAIMED = 8  # asked again in other ways
_SOME_LIMITED = 3  # asked with a limit
_MANY = 1_000  # rows, of a limit where not all was read


@check(
    "filters",
    "Where `filters` is taken, a read with predicates gives every row for which they are true.",
    ("read_again", "plan_again"),
)
def filters(subject: Subject, findings: Findings) -> None:
    if not takes_keyword(subject, "filters"):
        raise Skip("no method takes `filters`: an engine reads all and drops what a query does not want")
    if false_facts(subject):
        raise Skip("it needs 'partition_facts', which failed")
    found = pushed(subject)
    if found.lost:
        raise Broken(found.lost)
    _was_tried(subject, found)
    _note(found, findings)
    if found.asked and not found.dropped:
        findings.warnings.append(
            f"{subject.label}: all rows came whatever the predicates, tried were {found.tried:,}: `filters` is taken and not "
            "used. Drop what they don't select where that is cheap, or don't take it"
        )


def _was_tried(subject: Subject, found: Pushed) -> None:
    """Raises Skip where no predicate was."""
    if not found.of:
        raise Skip("no column has a name of its own and a type that has literals")
    if not found.tried:
        _in_time(subject)


def _note(found: Pushed, findings: Findings) -> None:
    tried = f"{found.tried:,} of {found.of:,} reads, {found.stopped}" if found.stopped else f"{found.tried:,} reads"
    findings.notes.append(f"tried were {tried}; {found.dropped:,} gave fewer rows than all")
    if found.sample.partitions is not None:
        findings.notes.append(
            f"compared are {counted(found.sample.table.num_rows, 'row')} of {counted(len(found.sample.partitions), 'partition')}"
        )
    if found.elsewhere:
        findings.notes.append(
            f"{counted(found.elsewhere, 'read')} could not be compared: plan_partitions cut the table at other places, and "
            "not all of it was read before"
        )


@check(
    "claims",
    "Where push_filters is there, reads apply exactly the predicates that it does not return.",
    ("read_again", "plan_again"),
)
def claims(subject: Subject, findings: Findings) -> None:
    if not callable(getattr(subject.cls, "push_filters", None)):
        raise Skip("it has no push_filters: engines check each row again")
    if false_facts(subject):
        raise Skip("it needs 'partition_facts', which failed")
    found = pushed(subject)
    if found.lost:
        raise Skip("it needs 'filters', which failed")
    if found.claim_error:
        raise Broken(found.claim_error)
    _was_tried(subject, found)
    if not takes_keyword(subject, "filters"):
        findings.warnings.append(
            f"{subject.label}.push_filters is there, but neither plan_partitions nor read_partition takes `filters`: it can "
            "claim none. Take them: `*, filters=()`"
        )
        return
    if found.surplus:
        raise Broken(_where_applied(subject, found, *found.surplus))
    claimed = [asked for asked in found.asked if asked.all_claimed]
    n = sum(bool(asked.claimed) for asked in found.asked)
    findings.notes.append(
        f"of {counted(found.tried, 'read')}, {len(claimed):,} were claimed as a whole, {n - len(claimed):,} in part"
    )
    telling = [asked for asked in claimed if asked.expected.num_rows] or claimed
    for asked in telling[:_SOME_CLAIMED]:
        if subject.spent():
            break
        _again(subject, found, asked)
        _without_its_columns(subject, found, asked)


def _where_applied(subject: Subject, found: Pushed, text: str, request: Request) -> str:
    """The failure, and whether it is one where the instance was asked before."""
    assert found.source is not None
    table = found.sample.read(found.source, request)
    if table is None or surplus_of(subject, found.claim(request), table):
        return text
    return (
        f"{text}\nIt applies them where push_filters was called on the same instance before: other queries and worker "
        "processes don't call it. Apply what `filters` of the read says"
    )


def _again(subject: Subject, found: Pushed, asked: Asked) -> None:
    """Reads on an instance whose ``push_filters`` was asked for other predicates meanwhile."""
    assert found.source is not None
    other = next((o.request for o in reversed(found.asked) if o.request != asked.request), None)
    if other is None:
        return
    found.claim(other)
    table = found.sample.read(found.source, asked.request)
    if table is None:
        return
    text = lost_of(subject, asked.request, asked.expected, filter_table(asked.request, table))
    text = text or surplus_of(subject, asked.claimed, table)
    if text:
        raise Broken(
            f"{text}\nBefore, push_filters was asked for {subject.shown(worded(other))} on the same instance: it only answers, one instance "
            "serves several queries at once. Keep nothing of it on self"
        )


def _without_its_columns(subject: Subject, found: Pushed, asked: Asked) -> None:
    """Reads other columns than those of the predicates, as engines do that don't look again."""
    read = {name for filter in asked.request for name in filter.columns}
    names = subject.schema.names
    columns = [name for name in names if name not in read and names.count(name) == 1][:2]
    if not columns or not takes_keyword(subject, "columns"):
        return
    table = found.sample.read(subject.core, asked.request, columns)
    if table is None or bag_of(table) == bag_of(asked.expected.select(columns)):
        return
    raise Broken(
        subject.shown(
            f"{subject.label}: read with filters={worded(asked.request)} and columns={columns!r}, it gave "
            f"{counted(table.num_rows, 'row')} instead of {asked.expected.num_rows:,}, or others. push_filters claims them, "
            "and a predicate may be of columns that are not asked for: apply it before they are dropped"
        )
    )


# ---- limit ----


@check("limit", "Where `limit` is taken, a read gives as many rows as it allows, or all.", ("read_again", "plan_again"))
def limit(subject: Subject, findings: Findings) -> None:
    if not takes_keyword(subject, "limit"):
        raise Skip("no method takes `limit`: reads are ended when there are enough rows")
    sample = sample_of(subject)
    if sample.partitions is not None:
        known = sum(rows.n_rows for rows in first_read(subject).rows)
        for n in sorted({1, min(known, _MANY)}):
            _limited(subject, (), known, n, enough=True)
        findings.notes.append(
            "not all was read and kept: limits were tried for the number of rows alone, without predicates"
        )
        return
    n_rows = sample.table.num_rows
    _in_time(subject)
    _limited(subject, (), n_rows, 0)
    counts = [_limited(subject, (), n_rows, n) for n in sorted({1, max(1, n_rows // 2), n_rows, n_rows + 1})]
    table = sample.read(subject.core, (), limit=max(1, n_rows // 2))
    if table is not None and (strange := bag_of(table) - bag_of(sample.table)):
        raise Broken(
            subject.shown(
                f"{subject.label}: read with limit={max(1, n_rows // 2):,}, it gave {counted(strange.total(), 'row')} that a read without "
                f"does not have, or not so often: ({', '.join(next(iter(strange)))}). Which rows they are is free, but they are rows of "
                "the table"
            )
        )
    if n_rows > 1 and counts[0] == n_rows:
        findings.warnings.append(
            f"{subject.label}: limit=1 gave all {n_rows:,} rows: `limit` is taken and not used. Read less where that is cheap, or "
            "don't take it"
        )
    if not takes_keyword(subject, "filters") or false_facts(subject):
        return
    found = pushed(subject)
    if found.lost or found.claim_error or found.surplus:
        findings.notes.append("limits with predicates were not tried: another check of these failed")
        return
    claimed = (asked for asked in found.asked if asked.all_claimed and 1 < asked.expected.num_rows < n_rows)
    for asked in itertools.islice(claimed, _SOME_LIMITED):
        if subject.spent():
            return
        for n in (1, asked.expected.num_rows):
            _limited(subject, asked.request, asked.expected.num_rows, n)


def _in_time(subject: Subject) -> None:
    if subject.spent():
        raise Skip(f"the {subject.limits.max_seconds:g} s are used up: give more, or read fewer partitions")


def _limited(subject: Subject, request: Request, n_rows: int, n: int, enough: bool = False) -> int:
    """How many rows a read with a limit gives, of ``n_rows`` without. Raises Broken where they are too few.

    enough: reads no further when there are as many as it allows.
    """
    instance = subject.instance
    with subject.attempt(f"plan_partitions with limit={n}"):
        plan = instance.plan(Hints(data=_wire.dump(request), limit=n), demand=False)
    got = 0
    for i in range(len(plan.specs)):
        if enough and got >= n:
            break
        with subject.attempt(f"read_partition with limit={n}", i):
            items = plan.read(i)
            for rows in _rows_in(items):
                got += rows
                if enough and got >= n:
                    instance.end(items)
                    break
    if got < min(n, n_rows):
        how = f" and filters={worded(request)}" if request else ""
        raise Broken(
            subject.shown(
                f"{subject.label}: read with limit={n:,}{how}, all partitions together gave {counted(got, 'row')}, but there are "
                f"{n_rows:,}. Give {min(n, n_rows):,} or more: a partition doesn't know what others give"
                + (", and the limit is of the rows that the predicates select: apply them first" if request else "")
            )
        )
    return got


def _rows_in(items: Iterator[Any]) -> Iterator[int]:
    for item in items:
        if isinstance(item, (pa.RecordBatch, pa.Table)):
            yield item.num_rows
        elif hasattr(item, "__arrow_c_stream__"):
            yield sum(batch.num_rows for batch in pa.RecordBatchReader.from_stream(item))
        else:
            yield len(pa.array(item))


CHECKS: tuple[Check, ...] = (filters, claims, limit)
