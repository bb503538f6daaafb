"""Partitions of about equal bytes: files, row groups, ranges of lines; large ones cut, small ones together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bascule.filters import Filter
from bascule.sources.files._files import Files, Found
from bascule.sources.files._formats import Parquet
from bascule.sources.files._storage import File

__all__ = ["parts_of"]

#: Small files are read by as many partitions, where there are as many files.
_AT_LEAST = 8
#: Requests for footers at a time.
_THREADS = 16


def parts_of(
    files: Files, filters: Sequence[Filter], count: bool = False, limit: int | None = None
) -> list[dict[str, Any]]:
    """The specs of all partitions.

    Args:
        count: only how many rows there are is asked: Parquet's footers are read for it.
        limit: so many of the first rows are enough.
    """
    kept = files.kept(filters)
    if limit is not None and isinstance(files.format, Parquet):
        kept = list(_first_of(files, kept, limit))
    if not kept:
        return []
    total = sum(one.file.size for one in kept)
    n = files.options["num_partitions"] or max(-(-total // files.options["partition_bytes"]), min(len(kept), _AT_LEAST))
    target = max(1, -(-total // n))
    large = [one for one in kept if count or one.file.size > target] if isinstance(files.format, Parquet) else []
    with ThreadPoolExecutor(_THREADS) as pool:
        footers = dict(zip(large, pool.map(files.row_groups, large), strict=True))
    units = [
        (weight, rows, {"of": one.of, "path": one.file.path, "size": one.file.size, "part": part})
        for one in kept
        for weight, rows, part in _cut(files, one.file, target, footers.get(one))
    ]
    table = files.spec()
    return [{**spec, "table": table} for spec in _packed(units, n)]


def _first_of(files: Files, found: Sequence[Found], limit: int) -> Iterator[Found]:
    """Those that hold the first rows."""
    for one in found:
        if limit <= 0:
            return
        yield one
        limit -= sum(rows for _, rows in files.row_groups(one))


def _cut(files: Files, file: File, target: int, groups: list[tuple[int, int]] | None) -> list[tuple[int, int, Any]]:
    """What of a file is read apart: bytes, rows (-1: unknown), and the part; None for all of it.

    Args:
        groups: bytes and rows of its row groups, where they are known.
    """
    if groups is not None:
        if len(groups) > 1 and file.size > target:
            return [(weight, rows, [i]) for i, (weight, rows) in enumerate(groups)]
        return [(file.size, sum(rows for _, rows in groups), None)]
    if file.size > target and files.splits_by_bytes(file):
        n = -(-file.size // target)
        marks = [file.size * i // n for i in range(n + 1)]
        return [(marks[i + 1] - marks[i], -1, (marks[i], marks[i + 1])) for i in range(n)]
    return [(file.size, -1, None)]


def _packed(units: list[tuple[int, int, dict[str, Any]]], n: int) -> list[dict[str, Any]]:
    """Neighbours together, to about n partitions of equal weight; row groups of one file as one part."""
    total = sum(weight for weight, _, _ in units) or 1
    packed: dict[int, list[tuple[int, dict[str, Any]]]] = {}
    before = 0
    for weight, rows, part in units:
        # By the unit's middle, so that none is begun for a sliver.
        slot = min(n - 1, (2 * before + weight) * n // (2 * total))
        before += weight
        packed.setdefault(slot, []).append((rows, part))
    return [_spec(packed[slot]) for slot in sorted(packed)]


def _spec(found: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    for _, part in found:
        last = parts[-1] if parts else None
        if (
            last is not None
            and isinstance(part["part"], list)
            and (last["of"], last["path"]) == (part["of"], part["path"])
        ):
            last["part"] = [*last["part"], *part["part"]]
        else:
            parts.append(dict(part))
    counts = [rows for rows, _ in found]
    return {"parts": parts, **({"bascule_rows": sum(counts)} if min(counts) >= 0 else {})}
