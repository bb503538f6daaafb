"""The source `files` beside pyarrow.dataset over the same objects; and its memory over ten times the data."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import bascule
from bench.measure import Case, Figure, alternate, check, memory_growth, ratios, scaled, stopwatch
from bench.sources import wide_batch

SOURCE = "bascule.sources.files:FilesDataSource"
YEARS = range(2019, 2027)


def parquet(quick: bool) -> Case:
    """Scans of all of it, of one column, of one folder; memory."""
    n_batches, n = (4, 3) if quick else (16, 15)
    with tempfile.TemporaryDirectory() as folder:
        rows = _write(Path(folder), n_batches)
        ours = bascule.table(SOURCE, path=folder, num_partitions=8)
        theirs = ds.dataset(folder, partitioning="hive")
        names = wide_batch(1).schema.names

        def sides(
            table: Callable[[], pa.Table | pa.RecordBatchReader],
            other: Callable[[], pa.Table | pa.RecordBatchReader],
            n_rows: int,
        ) -> tuple[list[float], list[float]]:
            def timed(read: Callable[[], pa.Table | pa.RecordBatchReader]) -> Callable[[], float]:
                def run() -> float:
                    seconds, seen = stopwatch(lambda: sum(batch.num_rows for batch in read()))
                    check("rows", seen, n_rows)
                    return seconds

                return run

            a, b = alternate(n, timed(table), timed(other))
            return a, b

        one_year = ours.where(pc.field("year") == YEARS[0])
        figures = []
        for name, (a, b) in {
            "all nine columns": sides(
                lambda: ours.select(names).to_reader(ordered=False), lambda: theirs.to_batches(columns=names), rows
            ),
            "one column": sides(
                lambda: ours.select("i0").to_reader(ordered=False), lambda: theirs.to_batches(columns=["i0"]), rows
            ),
            "one of eight folders": sides(
                lambda: one_year.select(names).to_reader(ordered=False),
                lambda: theirs.to_batches(columns=names, filter=pc.field("year") == YEARS[0]),
                rows // len(YEARS),
            ),
        }.items():
            figures.append(Figure(name, "x", ratios(a, b), 1.2, scaled(a, 1e3), scaled(b, 1e3), "ms"))
    with tempfile.TemporaryDirectory() as few, tempfile.TemporaryDirectory() as many:
        small, large = ((folder, _write(Path(folder), n_batches * n)) for folder, n in ((few, 1), (many, 10)))
        figures.append(memory_growth("files: peak memory over ten times the data", 1.2, _read, small, large))
    setup = (
        f"{rows / 1e6:.0f} M rows of nine columns in eight Parquet files of {n_batches} row groups in hive folders on a local disk, in the page cache; "
        f"8 partitions, all batches taken. {n} runs in turn. Memory: the peak of a process that takes all batches"
    )
    return Case("Parquet files beside pyarrow.dataset", setup, figures, ("files", "pyarrow.dataset"))


def _write(folder: Path, n_batches: int) -> int:
    batch = wide_batch(1 << 16)
    for year in YEARS:
        (folder / f"year={year}").mkdir()
        with pq.ParquetWriter(folder / f"year={year}" / "part.parquet", batch.schema) as out:
            for _ in range(n_batches):
                out.write_batch(batch)
    return len(YEARS) * n_batches * batch.num_rows


def _read(folder: str, rows: int) -> None:
    table = bascule.table(SOURCE, path=folder, num_partitions=8)
    check("rows", sum(batch.num_rows for batch in table.to_reader()), rows)
