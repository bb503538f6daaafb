"""Tables of texts: rich's on a terminal, plain aligned columns on a pipe.

A cell is a text, or None for NULL.
"""

from __future__ import annotations

import itertools
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

__all__ = ["aligned", "draw", "show"]

Row = Sequence[str | None]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_GAP = "  "
_LEAST_WIDTH = 8
_TYPE_WIDTH = 24


def show(
    names: Sequence[str], rows: Sequence[Row], *, right: Collection[int] = (), colours: Mapping[str, str] | None = None
) -> None:
    """Prints a table on stdout, every word of it: on a terminal wide cells are wrapped.

    Args:
        names: the columns' names.
        rows: the cells, as many in each row as there are names.
        right: the columns whose cells end at the right.
        colours: rich's styles of cells by their texts, on a terminal.
    """
    if not sys.stdout.isatty():
        for line in aligned(names, rows, right=right):
            click.echo(line)
        return
    from rich.text import Text

    table = _table()
    for i, name in enumerate(names):
        table.add_column(Text(name, "bold"), justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(cell, colours or {}) for cell in row))
    _print(table)


def aligned(names: Sequence[str], rows: Sequence[Row], *, right: Collection[int] = ()) -> Iterator[str]:
    """The lines of a plain table: the names, then a line for each row, without colours and never cut."""
    cells = [[_visible(name) for name in names], *([_visible(c) for c in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = [
            _padding(cell, width) + cell if i in right else cell + _padding(cell, width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield _GAP.join(padded).rstrip()


def draw(names: Sequence[str], types: Sequence[str], rows: Sequence[Row], *, right: Collection[int] = ()) -> list[int]:
    """Draws a table of data on the terminal, a line for each row: wide cells are cut, unless there is a single row, and
    columns that find no room are left out of the middle.

    Args:
        names, rows, right: as for :func:`show`.
        types: what stands under the names.

    Returns:
        The columns shown.
    """
    from rich.text import Text

    heads = [(_visible(name), _cut(_visible(kind), _TYPE_WIDTH)) for name, kind in zip(names, types, strict=True)]
    cells = [[_visible(cell) for cell in row] for row in rows]
    shown, cap = _fit([max(map(_width, (*column, *head))) for head, *column in zip(heads, *cells, strict=True)])
    gap = next((at for at, (a, b) in enumerate(itertools.pairwise(shown), 1) if b != a + 1), len(shown))
    table, one = _table(), len(rows) == 1
    for at, i in enumerate(shown):
        if at == gap:
            table.add_column("…", style="dim")
        name, kind = heads[i]
        table.add_column(
            Text.assemble((name, "bold"), "\n", (kind, "dim")),
            justify="right" if i in right else "left",
            max_width=cap,
            no_wrap=not one,
            overflow="fold" if one else "ellipsis",
        )
    for row in rows:
        texts = [_text(row[i], {}) for i in shown]
        table.add_row(*texts[:gap], *(["…"] if gap < len(shown) else []), *texts[gap:])
    _print(table)
    return shown


def _table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.ROUNDED, border_style="dim")


def _text(cell: str | None, colours: Mapping[str, str]) -> Text:
    from rich.text import Text

    return Text("NULL", "dim") if cell is None else Text(_visible(cell), colours.get(cell, ""))


def _print(table: Table) -> None:
    from rich.console import Console

    Console(width=_room()).print(table)


def _room() -> int:
    return shutil.get_terminal_size().columns


def _fit(natural: Sequence[int]) -> tuple[list[int], int]:
    """The columns that find room, from both ends, and the width that none may exceed.

    Args:
        natural: the width of each column, uncut.
    """
    room, n = _room(), len(natural)

    def cost(columns: Sequence[int], cap: int) -> int:
        return 1 + sum(min(natural[i], cap) + 3 for i in columns) + (4 if len(columns) < n else 0)

    keep = max(1, min(n, room // 4))  # a column takes four at least
    shown = [*range(keep - keep // 2), *range(n - keep // 2, n)]
    while keep > 1 and cost(shown, _LEAST_WIDTH) > room:
        keep -= 1
        shown = [*range(keep - keep // 2), *range(n - keep // 2, n)]
    cap = min(max(natural), room)
    while cap > _LEAST_WIDTH and cost(shown, cap) > room:
        cap -= 1
    return shown, cap


def _visible(cell: str | None) -> str:
    """A cell on one line, without what a terminal would obey."""
    if cell is None:
        return "NULL"
    return _CONTROLS.sub(lambda found: _NAMED.get(found[0], repr(found[0])[1:-1]), cell)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padding(text: str, width: int) -> str:
    return " " * (width - _width(text))
