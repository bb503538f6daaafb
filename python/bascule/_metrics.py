"""What scans did, and what classes count of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from bascule._native import Scan

__all__ = ["Exported", "clear_cache", "metrics_of", "report_metric", "scan_rows", "scans"]


def report_metric(name: str, value: float = 1) -> bool:
    """Counts something of a class's own, for the scan that it runs for: requests, bytes over the network.

    Called in ``plan_partitions`` and ``read_partition``, on the thread that Bascule calls them on. Values of one name
    are added up over a scan. Elsewhere it does nothing.

    Args:
        name: of the count, 1 to 128 bytes.
        value: added to it.

    Returns:
        Whether it was counted: False outside of a scan, and beyond 64 names.

    Raises:
        ValueError: the name has another length.

    Example:
        >>> report_metric("requests")  # no scan runs here
        False
    """
    from bascule import _native

    return _native.report_metric(name, value)


def scans() -> pa.Table:
    """The scans of this process, the newest first: those that run, and the last hundred. docs/metrics.md tells of
    the columns.

    Example:
        >>> scans().column_names[:4]
        ['scan', 'source', 'executor', 'state']
    """
    import pyarrow as pa

    from bascule import _native

    return pa.Table.from_batches([pa.record_batch(Exported(*_native.scans()))])


def scan_rows(*numbers: int) -> dict[int, dict[str, Any]]:
    """Rows of :func:`scans` by their numbers, as far as they are kept."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kept = scans()
    wanted = kept.filter(pc.is_in(kept["scan"], pa.array(numbers, pa.int64())))
    return {row["scan"]: row for row in wanted.to_pylist()}


def metrics_of(scan: Scan) -> dict[str, Any]:
    """What one scan did so far: its row of :func:`scans`."""
    import pyarrow as pa

    (row,) = pa.record_batch(Exported(*scan.metrics())).to_pylist()
    return dict(row)


def clear_cache() -> None:
    """Forgets what was kept of sources because of ``bascule_cache_ttl``: schemas, statistics, partitions. In this
    process and in workers, when the next source is opened.

    Example:
        >>> clear_cache()
    """
    from bascule import _native

    _native.clear_cache()


class Exported:
    """Capsules of a record batch, to be taken once."""

    def __init__(self, schema: object, array: object) -> None:
        self._capsules = schema, array

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        return self._capsules
