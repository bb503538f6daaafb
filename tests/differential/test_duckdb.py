"""Hints change no answer: random queries over a table, over a source without predicates, over one that uses them all."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import hypothesis
import pyarrow as pa
import pytest
from hypothesis import strategies as st

import bascule
import bascule.duckdb
from differential import source
from differential.conftest import examples
from differential.data import KINDS, Data, tables
from differential.duckdb_sql import NOT_OFFERED, OFFERED, Query, queries
from differential.predicates import KINDS as NODES
from differential.reference import MUTANTS
from differential.running import Answer, Bench, answer, call

pytestmark = [pytest.mark.filterwarnings("ignore:Arrow output"), pytest.mark.timeout(3600)]

#: Whether an expression that may fail is evaluated for a row that another predicate drops is the optimizer's choice.
MAY_FAIL = (duckdb.ConversionException, duckdb.OutOfRangeException)
#: Types that don't compare are found at bind, over a table and over a source.
NO_QUERY = (duckdb.BinderException, *MAY_FAIL)


@st.composite
def cases(draw: st.DrawFn, shape: str, of: pa.DataType | None = None) -> tuple[Data, list[Query], bool]:
    """A table, queries over it, and how the source is called (running.call)."""
    data = draw(tables(of))
    return data, draw(st.lists(queries(data, shape), min_size=3, max_size=3)), draw(st.booleans())


def sources(bench: Bench, folder: Path, by_name: bool, **options: str) -> dict[str, str]:
    """Each way to read the table through a source; the first has no predicates."""
    hinted = {"folder": str(folder), **options}
    for executor in ("inprocess", "process"):
        table = bascule.table("differential.source:Claims", hinted, executor=executor)
        bascule.duckdb.register(bench.con, f"table_{executor}", table)
    return {
        "no hints": call("Plain", by_name, folder=str(folder)),
        "in-process": call("Hinted", by_name, **hinted),
        "in-process, planned": call("Planned", by_name, **hinted),
        "process": call("Planned", by_name, **hinted, bascule_executor="process"),
        "a table": "table_inprocess",
        "a table, process": "table_process",
    }


def expected_of(bench: Bench, query: Query, table: str) -> Answer | None:
    """The answer over the table; None where there is none."""
    try:
        return answer(bench.con, query.over(table))
    except NO_QUERY:
        return None


@pytest.fixture(scope="module")
def reached() -> Counter[tuple[str, str]]:
    """The (kind, type) pairs that reached a source in this module's tests, in-process or, behind "process ", in a worker."""
    return Counter()


@pytest.mark.parametrize("shape", [*OFFERED, *NOT_OFFERED])
def test_hints_change_no_answer(shape, bench, reached, tmp_path):
    record = tmp_path / "record"
    offered, errors, run_queries = 0, 0, 0

    @examples(shape, 9)
    @hypothesis.given(cases(shape))
    def run(case):
        nonlocal offered, errors, run_queries
        data, of_shape, by_name = case
        with bench.table(data) as (table, folder):
            ways = sources(bench, folder, by_name, record=str(record))
            for query in of_shape:
                run_queries += 1
                expected = expected_of(bench, query, table)
                if expected is None:
                    errors += 1
                    continue
                source.arrived.clear()
                for way, reference in ways.items():
                    try:
                        got = answer(bench.con, query.over(reference))
                    except MAY_FAIL:
                        errors += 1
                        break
                    difference = expected.difference(got)
                    assert not difference, f"{way}: {difference}; hints: {source.arrived}"
                offered += any(source.arrived)
                for filters in source.arrived:
                    reached.update(source.kinds(filters, data.schema))

    run()
    in_workers = [tuple(pair) for line in lines_of(record) for pair in json.loads(line)]
    reached.update((f"process {kind}", type_) for kind, type_ in in_workers)
    assert errors < 0.1 * run_queries + 2
    if shape in OFFERED:
        assert offered, "no query of this shape brought its source a predicate"
    else:
        # Move it to the other shapes: hints are to be tried wherever there are any.
        assert not offered


def lines_of(path: Path) -> Iterator[str]:
    if path.exists():
        with path.open() as file:
            yield from file


def test_every_kind_of_predicate_reached_the_source(reached, bench, tmp_path):
    """In the tests above, of which this is the sum; what chance left out is looked for."""
    if not reached:
        pytest.fail("run it with the tests above")
    names = {kind.__name__ for kind in NODES}
    missing = (names | {f"process {name}" for name in names}) - {kind for kind, _ in reached}
    for kind in sorted(missing):
        executor, _, name = kind.rpartition(" ")
        assert name in brought(bench, tmp_path / kind, executor or "inprocess", name), f"{kind} reached no source"


def brought(bench: Bench, record: Path, executor: str, name: str) -> set[str]:
    """The kinds of random queries' predicates, until one is called ``name``. ``record``: where sources say them."""

    @examples(f"kind {executor} {name}", 400, shrink=False)
    @hypothesis.given(cases("tree", pa.string()))
    def run(case):
        data, of_shape, by_name = case
        with bench.table(data) as (_, folder):
            source_call = call("Planned", by_name, folder=str(folder), record=str(record), bascule_executor=executor)
            for query in of_shape:
                with contextlib.suppress(*NO_QUERY):
                    answer(bench.con, query.over(source_call))
        if name in kinds_in(record):
            raise Found

    with contextlib.suppress(Found):
        run()
    return kinds_in(record)


def kinds_in(record: Path) -> set[str]:
    return {kind for line in lines_of(record) for kind, _ in json.loads(line)}


#: Types whose values DuckDB does not keep (date64's time of day, nanoseconds of durations) or that predicates have no literals of.
NO_COMPARISON = {pa.date64(), *map(pa.duration, ("s", "ms", "us", "ns")), pa.uuid()}


@pytest.mark.parametrize("type_", KINDS, ids=str)
def test_predicates_of_a_type_reach_the_source(type_, bench):
    """And change no answer. Of some types only whether they are NULL."""
    arrived: set[str] = set()

    @examples(f"type {type_}", 6)
    @hypothesis.given(cases("tree", type_))
    def run(case):
        data, of_shape, by_name = case
        with bench.table(data) as (table, folder):
            for query in of_shape:
                expected = answer(bench.con, query.over(table))
                source.arrived.clear()
                difference = expected.difference(
                    answer(bench.con, query.over(call("Hinted", by_name, folder=str(folder))))
                )
                assert not difference, f"{difference}; hints: {source.arrived}"
                for filters in source.arrived:
                    arrived.update(kind for kind, of in source.kinds(filters, data.schema) if of == str(type_))

    run()
    assert bool(arrived - {"IsNull", "IsNotNull"}) == (type_ not in NO_COMPARISON)


class Found(Exception):
    """A difference: what a run over mutants is for."""


#: A mutant that loses rows only by predicates that DuckDB never has: NOT (x < 5) is x >= 5 before it is offered.
NEVER_SEEN = ("LessOrEqualForLess",)


@pytest.mark.parametrize("name", [name for name, mutant in MUTANTS.items() if mutant.loses and name not in NEVER_SEEN])
def test_a_mutant_of_the_source_is_found(name, bench):
    """A source that drops what it must keep; what it only keeps DuckDB drops itself (test_trees has those)."""

    @examples(f"mutant {name}", 1500, shrink=False)
    @hypothesis.given(cases("tree", MUTANTS[name].of))
    def run(case):
        data, of_shape, by_name = case
        with bench.table(data) as (table, folder):
            for query in of_shape:
                expected = expected_of(bench, query, table)
                try:
                    got = answer(bench.con, query.over(call("Hinted", by_name, folder=str(folder), mutant=name)))
                except NO_QUERY:
                    continue
                if expected is not None and expected.difference(got):
                    raise Found(query)

    with pytest.raises(Found):
        run()
