"""Modules whose source has changed since a worker process imported them: it lives long, and must not run old code.

Looked at are the modules that are no part of the interpreter and not installed: what people edit. Once one has
changed all of them are imported again, since they import each other.
"""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
import time
from pathlib import Path

from bascule import _locate

# Module -> its file, and the file's time and size; None: it may be older than the file.
_edited: dict[str, tuple[str, tuple[int, int] | None]] = {}
_others: set[str] = set()
_noted_at = 0.0

_INSTALLED = tuple(
    {
        *(sysconfig.get_path(kind) + os.sep for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
        str(Path(__file__).parent) + os.sep,
    }
)


def begin() -> None:
    """What is imported now stays."""
    global _noted_at
    _others.update(sys.modules)
    _noted_at = time.time()


def note() -> None:
    """Remembers the state of what was imported since the last call."""
    global _noted_at
    since = _noted_at - 0.02  # the clock of files is coarser
    _noted_at = time.time()
    for name, module in list(sys.modules.items()):
        if name in _others or name in _edited:
            continue
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py") or file.startswith(_INSTALLED):
            _others.add(name)
            continue
        state = _state(file)
        # Changed since the last look, before or after it was read.
        _edited[name] = (file, None if state is None or state[0] >= since * 1e9 else state)


def refresh() -> None:
    """Drops what was imported, where some of it has changed, so that it is imported again."""
    note()
    if all(state is not None and _state(file) == state for file, state in _edited.values()):
        return
    for name in _edited:
        sys.modules.pop(name, None)
    _edited.clear()
    _locate.forget_files()
    importlib.invalidate_caches()


def identity(cls: type) -> str:
    """Tells a class, just imported, from what it becomes once its file is edited; empty for what is installed."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if not isinstance(file, str) or file.startswith(_INSTALLED):
        return ""
    state = _state(file)
    return "" if state is None else f"{file}:{state[0]}:{state[1]}"


def _state(file: str) -> tuple[int, int] | None:
    try:
        stat = os.stat(file)  # noqa: PTH116
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
