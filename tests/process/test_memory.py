"""A long scan takes as much memory as a short one, in the host and in the workers."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

import bascule
from bascule import _native
from process.beside import workers

MIB = 1 << 20
#: One partition of ``batches`` batches of 1 MiB.
SOURCE = "process.sources_of_size:Large"


def resident(pid: int | str) -> int:
    """MiB of a process that are in memory, shared ones too."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.M)[1]) >> 10


def mapped() -> int:
    """MiB of shared memory that this process has mapped."""
    total = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "/memfd:" in line:
            begin, end = (int(x, 16) for x in line.split()[0].split("-"))
            total += end - begin
    return total // MIB


@pytest.mark.parametrize("readahead", ["8MiB", "64MiB"])
def test_what_is_read_ahead_is_bounded(readahead):
    """Of a scan of 3 GiB, pulled as fast as it comes."""
    _native.end_workers()
    bound = int(readahead.removesuffix("MiB"))
    options = {"bascule_executor": "process", "bascule_workers": "1", "bascule_readahead": readahead, "batches": "3000"}
    scan = _native.Source(SOURCE, options).plan().scan()
    reader = pa.RecordBatchReader.from_stream(scan.partition(0))
    n, most, before = 0, 0, resident("self")
    for batch in reader:
        n += batch.num_rows
        del batch
        if n % (200 * 131072) == 0:
            (worker,) = workers()
            most = max(most, mapped(), resident(worker) - 150)
    assert n == 3000 * 131072
    assert most <= bound + 64, f"{most} MiB"
    assert resident("self") - before <= bound + 64


def test_an_aggregate_of_more_than_memory_may_hold():
    con = bascule.connect(config={"threads": 2, "memory_limit": "200MB"})
    before = resident("self")
    sql = f"SELECT count(*), sum(n) FROM python('{SOURCE}', bascule_executor := 'process', batches := 2000)"
    assert con.execute(sql).fetchall() == [(2000 * 131072, 2000 * sum(range(131072)))]
    assert resident("self") - before < 400
