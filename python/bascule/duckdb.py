"""The DuckDB adapter: ``FROM python('pkg.mod:Class', option := 'value')``.

``import bascule.duckdb`` makes the table function ``python`` known to every DuckDB database that
this process opens afterwards. The work is in C (engines/duckdb); here is what must be true before
it may be registered, because DuckDB refuses to open any database after a failed registration.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from bascule import _native
from bascule.errors import BasculeError

_EXTRA = "pip install 'bascule[duckdb]'"

try:
    import _duckdb
    import duckdb
except ModuleNotFoundError as e:
    raise BasculeError(f"bascule.duckdb needs DuckDB {_native.duckdb_version}, which is not installed: {_EXTRA}") from e

__all__ = ["connect"]

# Which copy of bascule registered itself, kept where every copy finds it.
_MARK = "__bascule__"


def connect(*args: Any, **kwargs: Any) -> duckdb.DuckDBPyConnection:
    """``duckdb.connect``, whose database knows ``python(...)``.

    Raises:
        BasculeError: the database was opened in this process before this module's import, so that
            DuckDB gives back the one that is open.
    """
    connection = duckdb.connect(*args, **kwargs)
    if not _knows_python(connection):
        connection.close()
        raise BasculeError(
            "this database was opened before `import bascule.duckdb`, and is still open: DuckDB gives it back as it is, "
            "without python(...). Close its connections first, or import bascule.duckdb before opening it"
        )
    return connection


def _knows_python(connection: duckdb.DuckDBPyConnection) -> bool:
    """Looks the function up, on a cursor of its own: an unfinished result of the connection stays."""
    with connection.cursor() as cursor:
        found = cursor.execute(
            "SELECT 1 FROM duckdb_functions() WHERE function_name = 'python' AND function_type = 'table'"
        )
        return bool(found.fetchall())


def _register() -> None:
    found, ours = duckdb.__version__, _native.duckdb_version
    if found != ours:
        raise BasculeError(
            f"this bascule works with DuckDB {ours} only (its C API is bound to the version), but {found} is installed "
            f"in {Path(duckdb.__file__).parent}: {_EXTRA}"
        )
    here = str(Path(__file__).parent)
    other = getattr(_duckdb, _MARK, None)
    if other is not None and other != here:
        raise BasculeError(
            f"another copy of bascule has registered python(...) in this process: {other}. This one is {here}. "
            "Keep one of them on sys.path, and restart Python"
        )
    _native.register_duckdb(_duckdb.__file__)
    if other is None:
        setattr(_duckdb, _MARK, here)
        _check_default_connection()


def _check_default_connection() -> None:
    """Warns where ``duckdb.sql`` was used before: its database was opened too early to know ``python``."""
    if _knows_python(duckdb.default_connection()):
        return
    warnings.warn(
        "duckdb's default connection (duckdb.sql, duckdb.query, ...) was opened before `import bascule.duckdb`, so its "
        "database does not know python(...). Use `con = bascule.connect()`, or make a new default with "
        "`duckdb.set_default_connection(bascule.connect())`, or import bascule.duckdb first",
        stacklevel=4,
    )


_register()
