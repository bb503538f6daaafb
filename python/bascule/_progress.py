"""A progress bar for batches that are read: tqdm's, in a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bascule.errors import BasculeError

if TYPE_CHECKING:
    import pyarrow as pa

    from bascule._trusted import TrustedRead

__all__ = ["check_installed", "with_bar"]


def check_installed() -> None:
    """Raises BasculeError where there is no tqdm."""
    if find_spec("tqdm") is None:
        raise BasculeError("progress=True needs tqdm, which is not installed here: pip install 'bascule[progress]'")


def with_bar(batches: Iterator[pa.RecordBatch], label: str, read: TrustedRead) -> Iterator[pa.RecordBatch]:
    """The same batches. The bar is of rows where it is known how many there are, else of partitions."""
    from tqdm.auto import tqdm

    n_rows, n_partitions, n = read.row_count, read.partition_count, 0
    if n_rows is not None:
        total, unit = n_rows if read.limit is None else min(n_rows, read.limit), " rows"
    else:
        total, unit = n_partitions, " partitions"
    with tqdm(total=total, unit=unit, unit_scale=n_rows is not None, desc=label, dynamic_ncols=True) as bar:
        for batch in batches:
            yield batch
            n += batch.num_rows
            if n_rows is not None:
                bar.update(batch.num_rows)
            else:
                bar.set_postfix_str(f"{n:,} rows", refresh=False)
                bar.update(round(read.progress * n_partitions) - bar.n)
        if n_rows is None:
            bar.update(round(read.progress * n_partitions) - bar.n)
