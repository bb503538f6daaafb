"""Where the file is that a host without Python LOADs; no engine is needed to ask."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from bascule.errors import BasculeError

__all__ = ["extension_path"]

_NAME = "bascule.duckdb_extension"


def extension_path() -> Path:
    """The file that DuckDB loads in a host without Python: ``LOAD '<path>'``.

    It is built with ``bascule._native`` and installed beside it.

    Raises:
        BasculeError: it is not there.

    Example:
        >>> extension_path().name
        'bascule.duckdb_extension'
    """
    spec = importlib.util.find_spec("bascule._native")
    folder = Path(spec.origin if spec and spec.origin else __file__).parent
    path = folder / _NAME
    if not path.is_file():
        raise BasculeError(
            f"{_NAME} is not in {folder}, where this bascule ({Path(__file__).parent}) would have it: it was not built "
            "or not installed with it. Install bascule again: pip install --force-reinstall bascule"
        )
    return path
