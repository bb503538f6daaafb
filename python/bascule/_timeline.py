"""Who waited for whom in scans: their spans of time, in words and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bascule import _native
from bascule._metrics import Exported, scan_rows, scans
from bascule._timeline_picture import fragment, page, picture
from bascule._timeline_spans import ScanTimeline, takings_of
from bascule.errors import BasculeError

__all__ = ["Timeline", "spans_of", "timeline"]

#: What sources made of tables are called.
_WRAPPERS = ("bascule._table_source:", "bascule._composed:")


class Timeline:
    """The spans of time of one or several scans: in a notebook a picture, as a file a page that needs nothing else.

    Made by :meth:`bascule.Scan.timeline` and :func:`bascule.timeline`.
    """

    def __init__(self, scans: list[ScanTimeline]) -> None:
        self.scans = scans

    def __repr__(self) -> str:
        return "\n".join(f"{scan.title()}\n  " + "\n  ".join([*scan.facts(), *scan.words()]) for scan in self.scans)

    def _repr_html_(self) -> str:
        return fragment(self.scans)

    def to_html(self) -> str:
        """A whole page."""
        return page(self.scans)

    def save(self, path: str | Path) -> None:
        """Writes the page; as ``.svg`` the picture alone.

        Raises:
            BasculeError: the file has another suffix or can't be written, or a picture has more than one scan.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in (".html", ".htm", ".svg"):
            raise BasculeError(f"a timeline is written as .html or .svg, not {path.name}")
        if suffix == ".svg" and len(self.scans) != 1:
            raise BasculeError(f"{len(self.scans)} scans are a page, not one picture: write them as .html")
        text = picture(self.scans[0], whole=True) if suffix == ".svg" else self.to_html()
        try:
            path.write_text(text, "utf-8")
        except OSError as e:
            raise BasculeError(f"the timeline can't be written to {path}: {e.strerror}") from None


def timeline(*numbers: int) -> Timeline:
    """Who waited for whom in some scans of this process, by their numbers in :func:`bascule.scans`; without any in the newest.

    Raises:
        BasculeError: there is no such scan, or not any more.

    Example:
        >>> import bascule
        >>> numbers = bascule.table("testsources:Numbers").to_arrow()
        >>> print(bascule.timeline())  # doctest: +ELLIPSIS
        testsources:Numbers, in-process: done after ...
    """
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"a scan is a number of bascule.scans(), got {number!r}")
    chosen = numbers or (_newest(),)
    rows = scan_rows(*chosen)
    for number in chosen:
        if number not in rows:
            raise BasculeError(f"there is no scan {number}, or not any more: bascule.scans() has the last hundred")
    return Timeline([ScanTimeline(rows[number], spans_of(number), takings_of(number)) for number in chosen])


def _newest() -> int:
    """The newest that read something; of a table that goes into an engine as a source, the table's own."""
    rows = scans().select(["scan", "source", "batches"]).to_pylist()
    if not rows:
        raise BasculeError("this process has read nothing yet: there is no timeline")
    inner = [row for row in rows if not row["source"].startswith(_WRAPPERS)]
    read = [row for row in inner if row["batches"]] or [row for row in rows if row["batches"]] or rows
    return int(max(row["scan"] for row in read))


def spans_of(number: int) -> list[dict[str, Any]]:
    """The spans of a scan."""
    import pyarrow as pa

    return pa.record_batch(Exported(*_native.timeline(number))).to_pylist()  # type: ignore[no-any-return]
