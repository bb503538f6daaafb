"""The reference evaluator against DuckDB, and each way for a source to be wrong about predicates against both.

Predicates are trees (``bascule.filters``), handed to the class as a bridge would hand them: no pushdown is in between.
"""

from __future__ import annotations

import hypothesis
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from bascule import filters as f
from differential.conftest import examples
from differential.data import KINDS, Data, tables
from differential.duckdb_sql import filter_sql
from differential.predicates import KINDS as NODES
from differential.predicates import trees
from differential.reference import MUTANTS, Reference, Truth
from differential.running import Bench
from differential.source import Hinted, Planned, kinds

pytestmark = [pytest.mark.filterwarnings("ignore:Arrow output"), pytest.mark.timeout(3600)]

#: The type of which DuckDB does not keep the values: its intervals have microseconds.
CUT = pa.duration("ns")


@st.composite
def cases(draw: st.DrawFn, of: pa.DataType | None = None) -> tuple[Data, list[f.Filter]]:
    """A table, and predicates over it."""
    data = draw(tables(of))
    columns = tuple(column for column in data.columns if column.type != CUT)
    return data, draw(st.lists(trees(columns), min_size=5, max_size=10))


def said_by_duckdb(bench: Bench, table: str, predicates: list[f.Filter]) -> list[list[Truth]]:
    """What DuckDB says of each row, in the order of their ids."""
    said = ", ".join(f"{filter_sql(tree)} AS t{i}" for i, tree in enumerate(predicates))
    answer = bench.con.execute(f"SELECT {said} FROM {table} ORDER BY id").to_arrow_reader().read_all()
    return [column.to_pylist() for column in answer.columns]


@pytest.mark.parametrize("type_", [type_ for type_ in KINDS if type_ != CUT], ids=str)
def test_the_reference_says_of_each_row_what_duckdb_says(type_, bench):
    """True, false or NULL; so it is right below a NOT too."""
    seen: set[tuple[str, str]] = set()

    @examples(str(type_), 12)
    @hypothesis.given(cases(type_))
    def run(case):
        data, said = case
        batch = data.table().combine_chunks()
        with bench.table(data) as (table, _):
            for tree, expected in zip(said, said_by_duckdb(bench, table, said), strict=True):
                got = [truth for b in batch.to_batches() for truth in Reference().evaluate(tree, b)]
                assert got == expected, tree
                seen.update(kinds([tree], data.schema))

    run()
    assert {"EqualTo", "LessThan", "In"} & {kind for kind, of in seen if of == str(type_)}
    assert {"And", "Or", "Not"} <= {kind for kind, _ in seen}


@pytest.mark.parametrize("source", [Hinted, Planned])
def test_a_source_gives_the_rows_of_which_all_predicates_are_true(source, bench):
    @examples(source.__name__, 40)
    @hypothesis.given(cases())
    def run(case):
        data, said = case
        with bench.table(data) as (table, folder):
            options = {"folder": str(folder)}
            both = tuple(said[:2])
            expected = bench.con.execute(
                f"SELECT id FROM {table} WHERE {' AND '.join(map(filter_sql, both))} ORDER BY id"
            )
            assert [(i,) for i in ids_of(source(), options, both)] == expected.fetchall()

    run()


def ids_of(instance: Hinted, options: dict[str, str], filters: tuple[f.Filter, ...]) -> list[int]:
    """The ids of the rows that the class gives, asked as the bridge asks."""
    plans = isinstance(instance, Planned)
    specs = instance.plan_partitions(options, **({"filters": filters} if plans else {}))
    batches = [batch for spec in specs for batch in instance.read_partition(spec, options, filters=filters)]
    return sorted(i for batch in batches for i in batch.column("id").to_pylist())


class Found(Exception):
    """A difference: what a run over mutants is for."""


def finds(bench: Bench, name: str) -> str:
    """Looks for a difference between DuckDB and a mutant; what it is, or ""."""

    @examples(name, 2000, shrink=False)
    @hypothesis.given(cases(MUTANTS[name].of))
    def run(case):
        data, said = case
        batches = data.table().combine_chunks().to_batches()
        with bench.table(data) as (table, _):
            for tree, expected in zip(said, said_by_duckdb(bench, table, said), strict=True):
                kept = [truth is True for b in batches for truth in MUTANTS[name]().evaluate(tree, b)]
                right = [truth is True for truth in expected]
                lost = any(r and not k for r, k in zip(right, kept, strict=True))
                if lost if MUTANTS[name].loses else kept != right:
                    raise Found(f"{tree}: {kept} instead of {right}")

    try:
        run()
    except Found as e:
        return str(e)
    return ""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_found(name, bench):
    """One that ``loses`` by a row that it drops; the others, which hints may be but claims may not, by a row that they keep."""
    assert finds(bench, name)


def test_the_kinds_are_all_that_there_are():
    leaves = {c for c in vars(f).values() if isinstance(c, type) and issubclass(c, f.Filter)}
    assert leaves - {f.Filter, f.Comparison, f.StringPredicate} == set(NODES)
