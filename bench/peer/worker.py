"""vgi-python's worker: one table function over a batch in a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from vgi import Worker
from vgi.arguments import Arg
from vgi.catalog import Catalog, Schema
from vgi.table_function import TableFunctionGenerator, bind_fixed_schema, init_single_worker
from vgi_rpc import ArrowSerializableDataclass

with pa.OSFile(os.environ["BENCH_BATCH"]) as file:
    BATCH = pa.ipc.open_file(pa.BufferReader(file.read())).get_batch(0)


@dataclass(frozen=True)
class Arguments:
    n: Annotated[int, Arg(0, doc="Batches", ge=0)]


@dataclass
class State(ArrowSerializableDataclass):
    left: int


@init_single_worker
@bind_fixed_schema
class Batches(TableFunctionGenerator[Arguments, State]):
    """The batch, `n` times."""

    FunctionArguments = Arguments
    FIXED_SCHEMA: ClassVar[pa.Schema] = BATCH.schema

    class Meta:
        name = "batches"
        description = "The batch, n times"

    @classmethod
    def initial_state(cls, params: Any) -> State:
        return State(left=params.args.n)

    @classmethod
    def process(cls, params: Any, state: State, out: Any) -> None:
        if state.left == 0:
            out.finish()
            return
        state.left -= 1
        out.emit(BATCH)


class Bench(Worker):
    catalog = Catalog(name="bench", schemas=[Schema(path=["main"], functions=[Batches])])


if __name__ == "__main__":
    Bench().run()
