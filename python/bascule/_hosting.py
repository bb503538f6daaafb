"""What a Python process tells the worker processes that it hosts."""

from __future__ import annotations

import sys


def workers_of() -> tuple[str | None, str]:
    """The interpreter of worker processes, this one's; and what they import from, an entry of ``sys.path`` a line.

    An entry of no text, the working directory, stays one. Entries that are no text, or have a line's end in them,
    are for this process alone.
    """
    path = [entry for entry in sys.path if isinstance(entry, str) and "\n" not in entry]
    return sys.executable or None, "\n".join(path)
