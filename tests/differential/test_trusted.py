"""What engines read that trust their predicates: the class applies what it claims, the bridge the rest.

Both must be exact, so all mutants are found here, those too that only keep what they should drop.
"""

from __future__ import annotations

import hypothesis
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from bascule import _native
from bascule import filters as f
from bascule._trusted import TrustedRead
from differential.conftest import examples
from differential.data import Data, tables
from differential.predicates import trees
from differential.reference import MUTANTS, Reference
from differential.running import Bench, rows_of

pytestmark = pytest.mark.timeout(3600)


@st.composite
def cases(draw: st.DrawFn, of: pa.DataType | None = None) -> tuple[Data, tuple[f.Filter, ...], list[str]]:
    """A table, predicates that hold together, and the columns that are asked for."""
    data = draw(tables(of))
    predicates = draw(st.lists(trees(data.columns), min_size=1, max_size=2))
    columns = draw(st.lists(st.sampled_from([c.name for c in data.columns]), min_size=1, unique=True))
    return data, tuple(predicates), columns


def read(source: str, predicates: tuple[f.Filter, ...], columns: list[str], **options: str) -> pa.Table:
    made = TrustedRead(_native.Source(f"differential.source:{source}", options), columns, list(predicates))
    return pa.Table.from_batches(list(made.batches()), made.schema)


def right(data: Data, predicates: tuple[f.Filter, ...], columns: list[str]) -> pa.Table:
    """The rows that the reference keeps."""
    reference, rows = Reference(), []
    table = data.table().combine_chunks()
    for batch in table.to_batches():
        kept = [i for i, keep in enumerate(reference.keep(predicates, batch).to_pylist()) if keep]
        rows += [batch.slice(i, 1) for i in kept]
    return pa.Table.from_batches(rows, table.schema).select(columns)


@pytest.mark.parametrize("executor", ["inprocess", "process"])
@pytest.mark.parametrize("source", ["Plain", "Hinted", "Planned", "Claims", "ClaimsSome"])
def test_a_trusted_read_gives_the_rows_of_which_all_predicates_are_true(source, executor, bench):
    @examples(f"{source} {executor}", 40)
    @hypothesis.given(cases())
    def run(case):
        data, predicates, columns = case
        with bench.table(data) as (_, folder):
            got = read(source, predicates, columns, folder=str(folder), bascule_executor=executor)
        assert got.schema.types == [data.schema.field(name).type for name in columns]
        assert rows_of(got) == rows_of(right(data, predicates, columns))

    run()


class Found(Exception):
    """A difference: what a run over mutants is for."""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_claim_is_found(name, bench: Bench):
    @examples(f"claim {name}", 2000, shrink=False)
    @hypothesis.given(cases(MUTANTS[name].of))
    def run(case):
        data, predicates, columns = case
        with bench.table(data) as (_, folder):
            got = read("Claims", predicates, ["id", *columns], folder=str(folder), mutant=name)
        if rows_of(got) != rows_of(right(data, predicates, ["id", *columns])):
            raise Found(predicates)

    with pytest.raises(Found):
        run()
