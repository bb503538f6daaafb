"""Bascule: one Python class, a table in every engine.

Write a class with ``infer_schema``, ``plan_partitions`` and ``read_partition``
(:class:`ArrowBatchDataSource`) and read it as a table. ``import bascule`` imports no engine; an
engine's adapter is the module of its name, as ``bascule.duckdb``.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from bascule._extension import extension_path
from bascule._metrics import clear_cache, report_metric, scans
from bascule.contract import ArrowBatchDataSource, Option, Statistics
from bascule.errors import BasculeError, ContractError, MismatchError, OptionError, SourceNotFoundError
from bascule.options import Options, declared

if TYPE_CHECKING:
    import duckdb

    from bascule._composed import MemoryDataSource, concat, map_batches
    from bascule._scan import Scan
    from bascule._source_function import source
    from bascule._table import Partition, Table, table
    from bascule._timeline import Timeline, timeline

__version__ = "0.1.0"
__all__ = [
    "ArrowBatchDataSource",
    "BasculeError",
    "ContractError",
    "MemoryDataSource",
    "MismatchError",
    "Option",
    "OptionError",
    "Options",
    "Partition",
    "Scan",
    "SourceNotFoundError",
    "Statistics",
    "Table",
    "Timeline",
    "clear_cache",
    "concat",
    "connect",
    "declared",
    "extension_path",
    "map_batches",
    "report_metric",
    "scans",
    "source",
    "table",
    "timeline",
]

# These need more of the package than a class that only imports the contract does.
_LATER = {
    "MemoryDataSource": "_composed",
    "Partition": "_table",
    "Scan": "_scan",
    "Table": "_table",
    "Timeline": "_timeline",
    "concat": "_composed",
    "map_batches": "_composed",
    "source": "_source_function",
    "table": "_table",
    "timeline": "_timeline",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"bascule.{_LATER[name]}"), name)


def connect(*args: Any, **kwargs: Any) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection whose database knows ``python(...)``.

    ``import bascule.duckdb`` and ``duckdb.connect(...)`` in one; the arguments are those of
    ``duckdb.connect``.

    Raises:
        BasculeError: no DuckDB of the version that this bascule works with is installed.

    Example:
        >>> con = connect()
        >>> con.execute("SELECT DISTINCT function_type FROM duckdb_functions() WHERE function_name = 'python'").fetchall()
        [('table',)]
    """
    with warnings.catch_warnings():
        # It would advise to do what is being done.
        warnings.filterwarnings("ignore", "duckdb's default connection", UserWarning)
        from bascule import duckdb as adapter

    return adapter.connect(*args, **kwargs)
