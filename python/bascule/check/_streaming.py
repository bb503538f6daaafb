"""The check of a class that can be read as a stream: what its offsets say, and what lies between them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pyarrow as pa

from bascule import _offsets
from bascule._offsets import Question
from bascule.check._base import Broken, Check, Findings, Skip, check, counted
from bascule.check._rows import KEPT_BYTES, KEPT_ROWS, Rows
from bascule.check._subject import Subject

#: So many micro-batches are followed of a class that divides what is there.
_MOST = 20


@check(
    "stream",
    "Where initial_offset and latest_offset are there, micro-batches have the same rows each time, and each row once.",
    ("batches", "elsewhere"),
)
def stream(subject: Subject, findings: Findings) -> None:
    if not any(callable(getattr(subject.cls, method, None)) for method in _offsets.NEEDED):
        raise Skip("it has no offsets: it is read as a table alone")
    with subject.attempt("as a stream"):
        subject.instance.offset(_offsets.METHODS[Question.INITIAL], "", "")
    first, last = _asked(subject, Question.INITIAL), _asked(subject, Question.LATEST)
    if (further := _asked(subject, Question.LATEST, last)) != last:
        findings.warnings.append(
            f"{subject.label}: latest_offset without start returned {last}, and asked on from there {further}: without start it "
            "says where all ends that there is. (Or the source grew meanwhile)"
        )
    whole = _rows(subject, first, last)
    findings.notes.append(f"{counted(whole.n_rows, 'row')} from {first} to {last}")
    if difference := whole.compare(_between(subject, first, last)):
        raise Broken(
            f"{subject.label}: the micro-batch from {first} to {last} has other rows when it is read again: "
            f"{difference.text}. After a crash an engine reads it again: its rows must be what the offsets say, not what is new"
        )
    if n := sum(batch.num_rows for batch in _between(subject, last, last)):
        raise Broken(
            f"{subject.label}: the micro-batch from {last} to {last} has {counted(n, 'row')}, and should have none: its "
            "rows are those from start, before end"
        )
    _divided(subject, first, last, whole, findings)


def _asked(subject: Subject, question: Question, start: str = "", end: str = "") -> str:
    method = _offsets.METHODS[question]
    with subject.attempt(method):
        return subject.instance.offset(method, start, end)


def _between(subject: Subject, start: str, end: str) -> Iterator[pa.RecordBatch]:
    plan = subject.core.plan(start=start, end=end)
    scan = plan.scan()
    for i in range(plan.partition_count):
        yield from subject.batches(scan.partition(i))


def _rows(subject: Subject, start: str, end: str) -> Rows:
    rows = Rows(0, complete=True)
    keeps = True
    for batch in _between(subject, start, end):
        rows.n_rows += batch.num_rows
        keeps = keeps and rows.kept_bytes + batch.nbytes <= KEPT_BYTES and rows.n_rows <= KEPT_ROWS
        if keeps and batch.num_rows:
            rows.keep(batch)
        if subject.spent():
            raise Skip("not compared: the time was used up while the first micro-batch was read")
    return rows


def _divided(subject: Subject, first: str, last: str, whole: Rows, findings: Findings) -> None:
    """Several micro-batches have the rows of the one that they are parts of."""
    ends = [first]
    while ends[-1] != last and len(ends) <= _MOST:
        ends.append(_asked(subject, Question.LATEST, ends[-1], last))
        if ends[-1] in ends[:-1]:
            raise Broken(
                f"{subject.label}: latest_offset, asked for a micro-batch from {ends[-2]} and not beyond {last}, returned "
                f"{ends[-1]}, where the stream has been: a query that reads what is there would not end"
            )
    if ends[-1] != last:
        findings.notes.append(f"its {_MOST} first micro-batches end at {ends[-1]}; the rest was not followed")
        return
    if len(ends) < 3:
        return
    parts = (batch for start, end in itertools.pairwise(ends) for batch in _between(subject, start, end))
    difference = whole.compare(parts)
    if difference is not None and not difference.order:
        raise Broken(
            f"{subject.label}: {counted(len(ends) - 1, 'micro-batch')} from {first} to {last} have other rows than that "
            f"one: {difference.text}. The rows of a micro-batch are those from start, before end"
        )


CHECKS: tuple[Check, ...] = (stream,)
