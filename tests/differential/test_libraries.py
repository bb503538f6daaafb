"""Libraries over a table: random predicates, in each library's own words, answer as over the same rows in its memory.

What the library pushes may reach a class that drops all that it may (differential.source): a predicate that is said to it wrongly
loses rows, or keeps too many where the class claims it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import datafusion
import hypothesis
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import strategies as st

import bascule
import bascule.datafusion
from bascule import filters as f
from differential import source
from differential.conftest import examples
from differential.data import Data, tables
from differential.library_expressions import Arrow, DataFusion, Polars
from differential.predicates import trees
from differential.reference import MUTANTS
from differential.running import rows_of

pytestmark = pytest.mark.timeout(3600)

SOURCES = ("Plain", "Hinted", "Planned", "Claims", "ClaimsSome")
#: What a library says of an expression that it has no kernel for, over its own rows too.
CANT = (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException, NotImplementedError)
#: Predicates that DataFusion pushes and we must refuse, and constants that its own bridge to pyarrow fails on.
REFUSALS = ("be said exactly", "filter rows by", "unsupported operand type(s)")
_folders = count()


@st.composite
def cases(draw: st.DrawFn, of: pa.DataType | None = None) -> tuple[Data, f.Filter, list[str]]:
    """A table, a predicate, and the columns that are asked for."""
    data = draw(tables(of))
    columns = draw(st.lists(st.sampled_from([c.name for c in data.columns]), min_size=1, unique=True))
    return data, draw(trees(data.columns)), columns


@contextmanager
def written(data: Data, folder: Path) -> Iterator[Path]:
    folder = folder / str(next(_folders))
    data.write(folder)
    try:
        yield folder
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def by_polars(engine: str) -> Callable[..., pa.Table]:
    def run(table: bascule.Table | pa.Table, predicate: f.Filter, columns: list[str]) -> pa.Table:
        frame = table.to_polars() if isinstance(table, bascule.Table) else pl.from_arrow(table).lazy()  # type: ignore[union-attr]
        return frame.filter(Polars().of(predicate)).select(columns).collect(engine=engine).to_arrow()  # type: ignore[call-overload]

    return run


def by_datafusion(table: bascule.Table | pa.Table, predicate: f.Filter, columns: list[str]) -> pa.Table:
    ctx = datafusion.SessionContext()
    if isinstance(table, bascule.Table):
        bascule.datafusion.register(ctx, "t", table)
    else:
        ctx.register_record_batches("t", [table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]])
    named = [DataFusion().column(name) for name in columns]
    frame = ctx.table("t").filter(DataFusion().of(predicate)).select(*named)
    return pa.Table.from_batches(frame.collect(), frame.schema())


def by_arrow(table: bascule.Table | pa.Table, predicate: f.Filter, columns: list[str]) -> pa.Table:
    expression = Arrow().of(predicate)
    if isinstance(table, bascule.Table):
        return table.where(expression).select(columns).to_arrow()
    return table.filter(expression).select(columns)


def overflows(data: Data) -> bool:
    """Whether Polars, which has no seconds, makes other moments of some."""
    most = (2**63 - 1) // 1000
    seconds = [c for c in data.columns if pa.types.is_temporal(c.type) and getattr(c.type, "unit", "") == "s"]
    return any(value is not None and abs(value) > most for column in seconds for value in column.pool)


LIBRARIES: dict[str, Callable[..., pa.Table]] = {
    "polars": by_polars("in-memory"),
    "polars-streaming": by_polars("streaming"),
    "datafusion": by_datafusion,
    "pyarrow": by_arrow,
}


def expected_of(run: Callable[..., pa.Table], data: Data, predicate: f.Filter, columns: list[str]) -> Any:
    """The rows over the library's own memory; None where it has no answer."""
    try:
        return rows_of(run(data.table(), predicate, columns))
    except CANT:
        return None
    except Exception as e:
        if not str(e).startswith("DataFusion error"):  # they have no class of their own
            raise
        return None


@pytest.mark.parametrize("executor", ["inprocess", "process"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_answers_as_over_its_own_memory(library, executor, tmp_path):
    run = LIBRARIES[library]
    seen: Counter[str] = Counter()

    @examples(f"{library} {executor}", 120)
    @hypothesis.given(cases(), st.sampled_from(SOURCES))
    def tried(case, name):
        data, predicate, columns = case
        expected = expected_of(run, data, predicate, columns)
        if expected is None or (library.startswith("polars") and overflows(data)):
            seen["no answer"] += 1
            return
        source.arrived.clear()
        with written(data, tmp_path) as folder:
            table = bascule.table(f"differential.source:{name}", folder=folder, executor=executor)
            try:
                got = rows_of(run(table, predicate, columns))
            except Exception as e:
                if not any(words in str(e) for words in REFUSALS):
                    raise
                seen["refused"] += 1
                return
        seen["answers"] += 1
        seen["pushed"] += any(source.arrived)
        missing, more = expected - got, got - expected
        assert not missing, f"{name}: {missing.total()} rows are missing: {list(missing)[:3]}; pushed: {source.arrived}"
        assert not more, f"{name}: {more.total()} rows are too many: {list(more)[:3]}; pushed: {source.arrived}"

    tried()
    assert seen["answers"] > seen["no answer"] + seen["refused"]
    if executor == "inprocess":
        assert seen["pushed"] > seen["answers"] / 8


class Found(Exception):
    """A difference: what a run over mutants is for."""


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", [name for name, mutant in MUTANTS.items() if mutant.loses][:4])
def test_a_mutant_of_the_source_is_found(library, name, tmp_path):
    """What is said to a class is what it is asked by: one that evaluates it wrongly gives another answer."""
    run = LIBRARIES[library]

    @examples(f"{library} {name}", 1500, shrink=False)
    @hypothesis.given(cases(MUTANTS[name].of))
    def tried(case):
        data, predicate, columns = case
        expected = expected_of(run, data, predicate, columns)
        if expected is None:
            return
        with written(data, tmp_path) as folder:
            table = bascule.table("differential.source:Hinted", folder=folder, mutant=name)
            try:
                got = rows_of(run(table, predicate, columns))
            except Exception:
                return
        if got != expected:
            raise Found(predicate)

    with pytest.raises(Found):
        tried()
