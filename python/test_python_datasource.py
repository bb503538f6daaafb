"""Verifies that JDBCArrowDataSource implements the interface, shows how it is used, documents the
interface for custom data sources. Needs no engine and no server:

    python python/test_python_datasource.py

It is ``bascule check`` of a SQLite file that it makes; ``bascule check SOURCE`` does the same for any class.
"""

from __future__ import annotations

import importlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = "bascule.sources.jdbc:JDBCArrowDataSource"
ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / ".venv" / "bin" / "python"


def make_orders(path: Path) -> None:
    """A table of a thousand orders in a SQLite file."""
    rows = [(i, f"item {i % 7}", i % 10 + 1, None if i % 50 == 0 else i / 4) for i in range(1, 1001)]
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL, amount INTEGER, price REAL)")
    connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()


def arguments(database: Path) -> list[str]:
    """Those of ``bascule check`` for the table, read in four partitions."""
    options = {"url": f"sqlite:{database}", "dbtable": "orders", "partitionColumn": "id", "numPartitions": "4"}
    return [SOURCE, *(text for name, value in options.items() for text in ("-o", f"{name}={value}"))]


def main() -> int:
    """Runs the check in this interpreter, or in that of the repository's .venv. Returns its exit code."""
    if Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
        del sys.path[0]  # the sources, without what is built of them
    try:
        importlib.import_module("bascule.check")
        from bascule.cli import main as bascule_command
    except ImportError as e:
        if not BUILT.exists() or Path(sys.prefix).resolve() == BUILT.parents[1]:
            print(f"{sys.executable} can't import bascule ({e}): run `make build` first", file=sys.stderr)
            return 2
        os.execv(BUILT, [str(BUILT), __file__, *sys.argv[1:]])
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "orders.db"
        make_orders(database)
        try:
            bascule_command(["check", *arguments(database), *sys.argv[1:]])
        except SystemExit as e:
            return e.code if isinstance(e.code, int) else 1


def test_jdbc_implements_the_interface() -> None:
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SELECT * FROM python('{SOURCE}'" in done.stdout


if __name__ == "__main__":
    sys.exit(main())
