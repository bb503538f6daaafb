"""bascule_workers: how many partitions of a query are read at a time."""

from __future__ import annotations

import pytest

import bascule

SOURCE = """
import time

import pyarrow as pa

SCHEMA = pa.schema({"began": pa.float64(), "ended": pa.float64()})


class Timed:
    def infer_schema(self, options):
        return SCHEMA

    def plan_partitions(self, options):
        return [{}] * 2

    def read_partition(self, spec, options):
        began = time.monotonic()
        time.sleep(0.01)
        yield pa.record_batch([[began], [time.monotonic()]], schema=SCHEMA)
"""


@pytest.fixture
def overlaps(tmp_path):
    (tmp_path / "timed.py").write_text(SOURCE)
    with bascule.connect(config={"threads": 2}) as con:

        def at_once(n_workers: int) -> bool:
            call = f"python('{tmp_path}/timed.py:Timed', bascule_executor := 'process', bascule_workers := {n_workers})"
            # Not the rows themselves: a result in order keeps DuckDB from reading on in the second partition.
            return con.execute(f"SELECT max(began) < min(ended) FROM {call}").fetchone() == (True,)

        at_once(2)
        yield at_once


def test_one_worker_reads_one_partition_after_the_other(overlaps):
    # Another worker is warm, and both threads ask at the same time: often, for one to meet the other in the act.
    assert not any(overlaps(1) for _ in range(100))


def test_two_workers_read_two_partitions_at_once(overlaps):
    assert any(overlaps(2) for _ in range(5))
