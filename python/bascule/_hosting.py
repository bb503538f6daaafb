"""What a Python process tells the worker processes that it hosts."""

from __future__ import annotations

import os
import sys


def workers_of() -> tuple[str | None, str, bytes]:
    """What worker processes see of this one.

    Returns:
        The interpreter; what it imports from, an entry of ``sys.path`` a line, where entries that are no text, or have
        a line's end in them, are left out; the environment, ``NAME=value`` with a NUL after each but the last.
    """
    path = [entry for entry in sys.path if isinstance(entry, str) and "\n" not in entry]
    environment = b"\0".join(name + b"=" + value for name, value in os.environb.items())
    return sys.executable or None, "\n".join(path), environment
