"""Checks of what a class says of its rows without reading: statistics, facts of partitions, what a query must restrict."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from bascule._hints import rows_of
from bascule._locate import a
from bascule.check._base import Broken, Check, Findings, Skip, check, counted, listed
from bascule.check._reading import FirstRead, first_read
from bascule.check._rows import Rows, bag_of
from bascule.check._shape import specs_differ
from bascule.check._subject import Subject
from bascule.contract import Statistics
from bascule.errors import BasculeError, ContractError, describe
from bascule.filters import EqualTo, Filter, GreaterThan, LessThan, filter_table

_FAR = 10  # an estimate that is so many times off is told


@check(
    "statistics", "statistics returns a bascule.Statistics or None, and an exact number of rows is exact.", ("batches",)
)
def statistics(subject: Subject, findings: Findings) -> None:
    instance = subject.instance
    if not instance.has_statistics():
        raise Skip("it has no statistics()")
    try:
        said = instance.object.statistics(instance.options)
    except Exception as e:
        findings.warnings.append(
            subject.shown(
                f"{describe(e, f'{subject.label}: statistics', subject.secrets())}. It changes no result, so engines go on without: "
                "return None where the size isn't known"
            )
        )
        return
    if said is None:
        findings.notes.append("it says nothing of its size")
        return
    _check_numbers(subject, said)
    found = first_read(subject)
    n_rows, n_bytes = sum(rows.n_rows for rows in found.rows), sum(read.n_bytes for read in found.reads)
    whole = _is_whole(found)
    if said.exact and said.num_rows is None:
        findings.warnings.append(
            f"{subject.label}: statistics are exact, but num_rows is None: say how many, or exact=False"
        )
    if said.exact and said.num_rows is not None and (said.num_rows != n_rows if whole else said.num_rows < n_rows):
        raise Broken(
            f"{subject.label}: statistics say exactly {counted(said.num_rows, 'row')}, but {n_rows:,} were read"
            f"{'' if whole else ', and that was not all'}. Count them, or say exact=False"
        )
    if not whole:
        findings.notes.append("not compared: not all was read")
        return
    for what, number, read in (("num_rows", said.num_rows, n_rows), ("total_bytes", said.total_bytes, n_bytes)):
        if number is not None and not max(read, 1) / _FAR <= max(number, 1) <= max(read, 1) * _FAR:
            findings.notes.append(f"{what} is {number:,}, read were {read:,}: an optimizer plans by it")


def _check_numbers(subject: Subject, said: Any) -> None:
    if not isinstance(said, Statistics):
        raise Broken(f"{subject.label}: statistics returned {a(said)}, expected a bascule.Statistics or None")
    for name, number in (("num_rows", said.num_rows), ("total_bytes", said.total_bytes)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
            raise Broken(
                f"{subject.label}: statistics returned {name} = {number!r}, which is no number of at least 0: an int, or None "
                "where it isn't known"
            )


def _is_whole(found: FirstRead) -> bool:
    return len(found.reads) == found.plan.partition_count and all(rows.complete for rows in found.rows)


# ---- facts of partitions ----


@check(
    "partition_facts",
    "bascule_rows and bascule_bounds of a partition spec are true of its rows.",
    ("plan_again", "batches"),
)
def partition_facts(subject: Subject, findings: Findings) -> None:
    specs = subject.specs
    if not any("bascule_rows" in spec or "bascule_bounds" in spec for spec in specs):
        raise Skip("no spec has bascule_rows or bascule_bounds")
    if failures := false_facts(subject):
        findings.failures.append(failures[0])
        if len(failures) > 1:
            findings.notes.append(f"so it is with {counted(len(failures) - 1, 'other fact')}")
        return
    columns = {name for spec in specs for name in spec.get("bascule_bounds") or {}}
    said = sum("bascule_rows" in spec for spec in specs)
    findings.notes.append(
        f"of {counted(len(specs), 'partition')}, {said:,} say how many rows they have"
        + (f"; bounds are of {listed(sorted(columns))}" if columns else "")
    )
    for name in sorted(columns):
        if reason := _unused(subject, name):
            findings.warnings.append(reason)


def false_facts(subject: Subject) -> list[str]:
    """What specs say of their partitions and is not so, in words."""
    found = first_read(subject)
    failures: list[str] = []
    by_number = {rows.partition: rows for rows in found.rows}
    for i, spec in enumerate(subject.specs):
        try:
            said = rows_of(spec, i)
        except ContractError as e:
            failures.append(f"{subject.label}: plan_partitions {e}")
            continue
        rows = by_number.get(i)
        where = f"{subject.label}, partition {i}: "
        if rows is not None and said >= 0 and (said != rows.n_rows if rows.complete else said < rows.n_rows):
            failures.append(
                f"{where}its spec says bascule_rows = {said:,}, but {rows.n_rows:,} were read"
                f"{'' if rows.complete else ', and that was not all'}. A count is answered from it: say the exact number, or "
                "leave it out"
            )
        bounds = spec.get("bascule_bounds")
        if bounds is not None:
            failures += [where + text for text in _false_bounds(subject, bounds, rows)]
    return [subject.shown(text) for text in failures]


def _false_bounds(subject: Subject, bounds: Any, rows: Rows | None) -> list[str]:
    if not isinstance(bounds, dict):
        return [f"bascule_bounds is {a(bounds)}, expected a dict of column: (min, max)"]
    failures = []
    for name, ends in bounds.items():
        if subject.schema.names.count(name) != 1:
            failures.append(
                f"bascule_bounds are of {name!r}, which is no column: write names of infer_schema ({', '.join(subject.schema.names):.200})"
            )
        elif not isinstance(ends, (tuple, list)) or len(ends) != 2:
            failures.append(f"the bascule_bounds of {name!r} are {ends!r:.100}, expected a pair (min, max)")
        elif rows is not None and (value := _outside(rows, name, ends)):
            failures.append(
                f"it has the value {value:.80} in column {name!r}, but bascule_bounds say ({ends[0]!r:.80}, {ends[1]!r:.80}). "
                "A query for it does not read the partition: say the least and the greatest value, both included, or leave "
                "the column out"
            )
    return failures


def _outside(rows: Rows, name: str, ends: Any) -> str | None:
    """A value of a column that is neither NULL nor NaN, and outside; None: there is none, as far as that can be told."""
    low, high = (None if _is_unknown(end) else end for end in ends)
    tests: list[Filter] = []
    try:
        tests += [] if low is None else [LessThan(name, low)]
        tests += [] if high is None else [GreaterThan(name, high)]
        for batch in rows.batches([name]):
            for test in tests:
                wrong = filter_table([test], pa.Table.from_batches([batch]))
                is_float = pa.types.is_floating(batch.schema.field(0).type)
                nans = filter_table([EqualTo(name, math.nan)], wrong).num_rows if is_float else 0
                if wrong.num_rows > nans:
                    return next(value for (value,) in bag_of(wrong) if value != "nan")
    except (BasculeError, TypeError, ValueError, pa.ArrowException):
        return None  # _unused says so
    return None


def _is_unknown(end: Any) -> bool:
    end = end.as_py() if isinstance(end, pa.Scalar) and not pa.types.is_temporal(end.type) else end
    return end is None or (isinstance(end, float) and math.isnan(end))


def _unused(subject: Subject, name: str) -> str | None:
    """Why bounds of a column are of no use."""
    table = subject.schema.empty_table()
    for i, spec in enumerate(subject.specs):
        for end in (spec.get("bascule_bounds") or {}).get(name, ()):
            if _is_unknown(end):
                continue
            try:
                filter_table([LessThan(name, end)], table)
            except (BasculeError, TypeError, ValueError, pa.ArrowException):
                return (
                    f"{subject.label}, partition {i}: bascule_bounds of {name!r} have {a(end)}, which is not compared with "
                    f"{subject.schema.field(name).type}: nothing is pruned by it. Use values of the column's type"
                )
    return None


# ---- required_filters ----


@check("required_filters", "required_filters is a list of lists of the schema's columns.", ("schema",))
def required_filters(subject: Subject, findings: Findings) -> None:
    required = getattr(subject.cls, "required_filters", None)
    if required is None:
        raise Skip("it has no required_filters")
    if not isinstance(required, (list, tuple)) or not all(
        isinstance(columns, (list, tuple)) and columns and all(isinstance(name, str) for name in columns)
        for columns in required
    ):
        raise Broken(
            f"{subject.label}.required_filters is {required!r:.100}, expected a list of lists of column names: [['day'], ['id']]"
        )
    names = subject.schema.names
    if unknown := sorted({name for columns in required for name in columns if name not in names}):
        raise Broken(
            f"{subject.label}.required_filters names {listed(unknown)}, which no query can restrict: the columns are {', '.join(names):.200}"
        )
    if required:
        wanted = "; or ".join(" and ".join(columns) for columns in required)
        findings.notes.append(f"a query must restrict {wanted}; these checks read without")


# ---- plans of instances that know nothing ----


@check(
    "fresh_plan", "plan_partitions returns the same on an instance whose infer_schema was not called.", ("plan_again",)
)
def fresh_plan(subject: Subject, findings: Findings) -> None:
    instance = subject.new_instance()
    with subject.attempt("__init__"):
        instance.make()
    text = ""
    try:
        specs = instance.plan(demand=False).specs
    except Exception as e:
        text = describe(e, f"{subject.label}: plan_partitions", subject.secrets())
    else:
        difference = specs_differ(subject.specs, specs)
        again = specs_differ(subject.specs, subject.instance.plan(demand=False).specs)
        if difference is not None and again is None:
            text = f"{subject.label}: plan_partitions returned other partitions: {difference}"
    if text:
        findings.warnings.append(
            subject.shown(
                f"{text}\nThat was an instance whose infer_schema had not been called, as it is where bascule_cache_ttl keeps the "
                "schema: what infer_schema sets on self is not there. Find it out in plan_partitions"
            )
        )


CHECKS: tuple[Check, ...] = (statistics, partition_facts, required_filters, fresh_plan)
