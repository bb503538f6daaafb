"""Counts lines of C."""

from __future__ import annotations

import re
from pathlib import Path

# Strings are matched so that a comment's beginning within one is none.
_TOKEN = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)


def count(text: str) -> tuple[int, int]:
    """Lines in all, and those that hold more than blanks and comments.

    Example:
        >>> count('/* a\\n b */\\nint x; // x\\n\\nchar *s = "/*";\\n')
        (5, 2)
    """

    def without(match: re.Match[str]) -> str:
        token = match[0]
        return "\n" * token.count("\n") + " " if token.startswith(("//", "/*")) else token

    code = _TOKEN.sub(without, text)
    return len(text.splitlines()), sum(1 for line in code.splitlines() if line.strip())


def count_files(directory: Path) -> dict[str, tuple[int, int]]:
    """:func:`count` of each C file right below a directory, by its name."""
    return {path.name: count(path.read_text("utf-8")) for path in sorted(directory.glob("*.[ch]"))}
