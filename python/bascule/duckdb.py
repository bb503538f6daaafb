"""The DuckDB adapter: ``FROM python('pkg.mod:Class', option := 'value')``.

``import bascule.duckdb`` makes the table function ``python`` known to every DuckDB database that
this process opens afterwards. The work is in C (engines/duckdb); here is what must be true before
it may be registered, because DuckDB refuses to open any database after a failed registration.
"""

from __future__ import annotations

import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bascule import _native
from bascule.errors import BasculeError

_EXTRA = "pip install 'bascule[duckdb]'"

try:
    import _duckdb
    import duckdb
except ModuleNotFoundError as _e:
    raise BasculeError(
        f"bascule.duckdb needs DuckDB {_native.duckdb_version}, which is not installed: {_EXTRA}"
    ) from _e

if TYPE_CHECKING:
    from bascule._table import Table

__all__ = ["connect", "register", "relation"]

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


def register(connection: duckdb.DuckDBPyConnection, name: str, table: Table) -> None:
    """Makes a table known to a connection under a name, as a temporary view of ``python(...)``: columns, predicates and
    partitions reach its class, as in SQL. No option stands in it. The view ends with the connection.

    Raises:
        BasculeError: the connection's database doesn't know ``python(...)``.

    Example:
        >>> import bascule
        >>> con = bascule.connect()
        >>> register(con, "numbers", bascule.table("testsources:Numbers"))
        >>> con.sql("SELECT p FROM numbers WHERE k = 3 ORDER BY p").fetchall()
        [(0,), (1,), (2,)]
    """
    quoted = '"' + name.replace('"', '""') + '"'
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {quoted} AS FROM {_function(connection, table)}")


def relation(table: Table, connection: duckdb.DuckDBPyConnection | None = None) -> duckdb.DuckDBPyRelation:
    """A table as a relation: of a connection, or of DuckDB's default one. Otherwise as :func:`register`."""
    connection = duckdb.default_connection() if connection is None else connection
    return connection.sql(f"FROM {_function(connection, table)}")


#: Classes that views and relations name, as long as the connection lives.
_kept: weakref.WeakKeyDictionary[duckdb.DuckDBPyConnection, list[type]] = weakref.WeakKeyDictionary()


def _function(connection: duckdb.DuckDBPyConnection, table: Table) -> str:
    """The call of ``python`` that reads a table."""
    from bascule._objects import name_of
    from bascule._table_source import source_of

    if not _knows_python(connection):
        raise BasculeError(
            "this connection's database does not know python(...): open it by bascule.connect(), or import bascule.duckdb "
            "before it is opened"
        )
    cls = source_of(table)
    _kept.setdefault(connection, []).append(cls)
    return f"python('{name_of(cls)}')"


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
