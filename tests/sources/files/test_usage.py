"""The source as a class of the contract, in engines, and flat in memory."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bascule
from bascule.check import run

SOURCE = "bascule.sources.files:FilesDataSource"


@pytest.fixture
def lake(tmp_path):
    for year in (2025, 2026):
        (tmp_path / f"year={year}").mkdir()
        rows = {
            "id": range(year, year + 300),
            "x": [None if i % 7 == 0 else i / 3 for i in range(300)],
            "s": [f"n{i % 9}" for i in range(300)],
        }
        pq.write_table(pa.table(rows), tmp_path / f"year={year}" / "a.parquet", row_group_size=50)
    return tmp_path


@pytest.mark.parametrize("options", [{}, {"num_partitions": "5"}, {"num_partitions": "1"}], ids=str)
def test_it_passes_every_check(lake, options):
    failed = [result for result in run(SOURCE, {"path": str(lake), **options}).results if result.status == "failed"]
    assert not failed, [(result.id, result.reasons) for result in failed]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_lines_pass_every_check(tmp_path, kind):
    lines = (
        ["id,s", *(f"{i},é{i}" for i in range(200))]
        if kind == "csv"
        else [f'{{"id": {i}, "s": "é{i}"}}' for i in range(200)]
    )
    (tmp_path / f"t.{kind}").write_text("\n".join(lines))
    options = {"path": str(tmp_path), "num_partitions": "7", "newlines_in_values": "false"}
    failed = [result for result in run(SOURCE, options).results if result.status == "failed"]
    assert not failed, [(result.id, result.reasons) for result in failed]


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_by_its_short_name_in_engines(lake, executor):
    table = bascule.table("files", path=lake, num_partitions=4, executor=executor)
    found = (
        table.to_polars()
        .filter((pl.col("year") == 2026) & (pl.col("id") < 2030))
        .select(pl.col("id").sum())
        .collect()
        .item()
    )
    assert found == sum(range(2026, 2030))
    con = bascule.connect()
    query = f"SELECT year, count(*), count(x) FROM python('files', path := '{lake}/**/*.parquet', bascule_executor := '{executor}') GROUP BY year ORDER BY year"
    assert con.sql(query).fetchall() == [(2025, 300, 257), (2026, 300, 257)]
    assert table.to_duckdb(con).filter("s = 'n3' AND year = 2025").count("*").fetchall() == [(33,)]


WRITE = """
import sys
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
folder, n, kind = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
batch = pa.record_batch({"id": range(100_000), "s": [f"text {i % 1000}" for i in range(100_000)]})
for f in range(2):
    if kind == "parquet":
        with pq.ParquetWriter(folder / f"{f}.parquet", batch.schema) as out:
            for _ in range(n):
                out.write_batch(batch)
    else:
        with open(folder / f"{f}.csv", "w") as out:
            out.write("id,s\\n")
            for _ in range(n):
                out.writelines(f"{i},text {i % 1000}\\n" for i in range(100_000))
"""
READ = """
import re, sys
import bascule
table = bascule.table("files", path=sys.argv[1], num_partitions=4, newlines_in_values=False, block_bytes=1 << 18)
assert sum(batch.num_rows for batch in table.to_reader(max_bytes=4 << 20)) == 2 * int(sys.argv[2]) * 100_000
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_memory_does_not_grow_with_the_data(tmp_path, kind):
    """Once all that is read ahead is there, from some 100 MB on."""
    peaks = []
    for n in (40, 160):
        folder = tmp_path / str(n)
        folder.mkdir()
        subprocess.run([sys.executable, "-c", WRITE, str(folder), str(n), kind], check=True)
        command = [sys.executable, "-c", READ, str(folder), str(n)]
        # How far ahead threads read depends on who else runs.
        found = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
        peaks.append(min(map(int, found)))
    assert peaks[1] < 1.2 * peaks[0], [peak // 1024 for peak in peaks]
