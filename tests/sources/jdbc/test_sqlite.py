"""SQLite: what a column holds is what is read, or an error that shows the value."""

from __future__ import annotations

import datetime
import sqlite3
import subprocess
import sys
import threading
import time

import duckdb
import pyarrow as pa
import pytest

import bascule
from bascule import BasculeError
from bascule.sources.jdbc import JDBCArrowDataSource, _sqlite
from bascule.sources.jdbc._database import Settings
from bascule.sources.jdbc._sqlite import SQLite
from bascule.sources.jdbc._url import parse
from sources.jdbc.reading import only, parts, table

DRIVERS = ["adbc", "connectorx", "sqlite3"]


@pytest.fixture
def lite(tmp_path):
    """A database, and how to run SQL in it: on a connection that is closed again."""
    file = tmp_path / "a b.db"

    def run(sql, *rows):
        db = sqlite3.connect(file)
        if rows:
            db.executemany(sql, rows)
        else:
            db.executescript(sql)
        db.commit()
        db.close()

    run.url = f"jdbc:sqlite:{file}"
    run.file = file
    return run


#: A column's declaration, its values, the Arrow type, the values read (None: as they are).
DECLARED = {
    "INTEGER": ([1, None, -(2**63), 2**63 - 1], pa.int64(), None),
    "UNSIGNED BIG INT": ([7], pa.int64(), None),
    "REAL": ([1.5, None, 1e300, -0.0], pa.float64(), None),
    "DOUBLE PRECISION": ([2], pa.float64(), [2.0]),
    "TEXT": (["a", None, "", "ü'\""], pa.string(), None),
    "VARCHAR(10)": ([5], pa.string(), ["5"]),
    "BLOB": ([b"\x00\xff", None, b""], pa.binary(), None),
    "NUMERIC": ([1, 1.5, None], pa.float64(), [1.0, 1.5, None]),
    "DECIMAL(10, 2)": ([10.25, 3], pa.float64(), [10.25, 3.0]),
    "BOOLEAN": ([1, 0, None], pa.bool_(), [True, False, None]),
    "DATE": (["2020-01-31", None], pa.date32(), [datetime.date(2020, 1, 31), None]),
    "TIMESTAMP": (
        ["2020-01-31 01:02:03.5", "2020-01-31T01:02:03", "2020-01-31"],
        pa.timestamp("us"),
        [
            datetime.datetime(2020, 1, 31, 1, 2, 3, 500000),
            datetime.datetime(2020, 1, 31, 1, 2, 3),
            datetime.datetime(2020, 1, 31),
        ],
    ),
    "DATETIME": ([1580428800, None], pa.float64(), [1580428800.0, None]),
    "UUID": (["a23e4567"], pa.string(), None),
    "": ([1, None, 2], pa.int64(), None),
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("kind", DECLARED)
def test_a_declaration_says_the_type(lite, kind, driver):
    values, found, read = DECLARED[kind]
    lite(f"CREATE TABLE t (i INTEGER, x {kind})")
    lite("INSERT INTO t VALUES (?, ?)", *enumerate(values))
    got = table(["x"], url=lite.url, dbtable="t", driver=driver)
    assert got.schema.field("x").type == found
    assert got.column("x").to_pylist() == (values if read is None else read)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("sql", "kind", "value"),
    [
        ("i + 1", pa.int64(), 2),
        ("i * 0.5", pa.float64(), 0.5),
        ("'x' || i", pa.string(), "x1"),
        ("count(*) OVER ()", pa.int64(), 1),
        ("NULL", pa.string(), None),
        ("x'00'", pa.binary(), b"\x00"),
    ],
)
def test_an_expression_is_what_its_first_rows_hold(lite, sql, kind, value, driver):
    lite("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1)")
    got = table(url=lite.url, query=f"SELECT {sql} AS x FROM t", driver=driver)
    assert (got.schema.types, got.column(0).to_pylist()) == ([kind], [value])


MISFITS = {
    "INTEGER": ("late", "column 'x' is int64, by its declaration or its first rows, but a row holds a text: 'late'"),
    "REAL": (9007199254740993, None),
    "TEXT": (b"\xff", "column 'x' is string, by its declaration or its first rows, but a row holds a blob: b'\\xff'"),
    "BLOB": ("text", "column 'x' is binary, by its declaration or its first rows, but a row holds a text: 'text'"),
    "NUMERIC": (2**53 + 1, "column 'x' is double, by its declaration or its first rows, but a row holds an integer"),
    "BOOLEAN": (2, "column 'x' is bool, by its declaration or its first rows, but a row holds an integer: 2"),
    "DATE": (5, "column 'x' is date32[day], by its declaration or its first rows, but a row holds an integer: 5"),
    "DATE ": ("soon", "column 'x' has a value that is no date32[day]: Failed to parse string: 'soon'"),
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("kind", MISFITS)
@pytest.mark.parametrize("after", [0, 100_000])
def test_a_value_that_does_not_fit_is_an_error_that_shows_it(lite, kind, after, driver):
    value, message = MISFITS[kind]
    fits = {"TEXT": "a", "BLOB": b"a", "DATE": "2020-01-01"}.get(kind.strip(), 1)
    lite(f"CREATE TABLE t (x {kind})")
    lite("INSERT INTO t VALUES (?)", *[(fits,)] * max(after, 2000), (value,))
    if message is None:  # SQLite itself made a double of it
        assert only(url=lite.url, dbtable="t", driver=driver)[-1] == float(value)
        return
    with pytest.raises(BasculeError) as caught:
        table(url=lite.url, dbtable="t", driver=driver)
    assert message in str(caught.value)
    assert "customSchema" in str(caught.value)
    takes = "BINARY" if isinstance(value, bytes) else "STRING"
    got = only(url=lite.url, dbtable="t", customSchema=f"X {takes}", driver=driver)
    assert len(got) == max(after, 2000) + 1


def test_custom_types(lite):
    lite(
        "CREATE TABLE t (d DECIMAL(10, 2), i INTEGER, n INTEGER, f TEXT); INSERT INTO t VALUES (10.1, 5, 1, '2020-01-01')"
    )
    got = table(url=lite.url, dbtable="t", customSchema="d DECIMAL(10, 2), i SMALLINT, n DOUBLE, f DATE")
    assert got.schema.types == [pa.decimal128(10, 2), pa.int16(), pa.float64(), pa.date32()]
    assert str(got.column("d")[0].as_py()) == "10.10"
    with pytest.raises(BasculeError, match="column 'i' has a value that is no int8"):
        table(url=lite.url, query="SELECT 300 AS i", customSchema="i TINYINT")


def test_null_rows_come_first_and_the_type_is_kept(lite):
    lite("CREATE TABLE t (i INTEGER, r REAL, x TEXT, b BLOB)")
    lite("INSERT INTO t VALUES (?, ?, ?, ?)", *[(None,) * 4] * 70_000, (1, 1.5, "a", b"b"))
    got = table(url=lite.url, dbtable="t")
    assert got.num_rows == 70_001
    assert got.slice(70_000).to_pylist() == [{"i": 1, "r": 1.5, "x": "a", "b": b"b"}]
    assert got.schema.types == [pa.int64(), pa.float64(), pa.string(), pa.binary()]


def test_names_are_taken_as_they_are(lite):
    names = ['a"b', "a b", "select", "ä; DROP TABLE t", "`q`", "%s {} $1", "rowid", "[x]", ""]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    lite(f'CREATE TABLE "my ""odd"" table" ({", ".join(f"{q} INTEGER" for q in quoted)})')
    lite(f'INSERT INTO "my ""odd"" table" VALUES ({", ".join("?" * len(names))})', range(len(names)))
    given = {"url": lite.url, "dbtable": '"my ""odd"" table"'}
    assert table(**given).to_pylist() == [{name: i for i, name in enumerate(names)}]
    for i, name in enumerate(names):
        assert table([name], **given).to_pylist() == [{name: i}]
    assert len(parts(**given, numPartitions=4)) == 1


def test_a_view_and_a_table_without_rowids_are_one_partition(lite):
    lite(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, x TEXT) WITHOUT ROWID; INSERT INTO t VALUES (1, 'a'), (2, 'b'), (9, 'c')"
    )
    lite("CREATE VIEW v AS SELECT * FROM t")
    for name in ("t", "v"):
        assert [p.num_rows for p in parts(url=lite.url, dbtable=name, numPartitions=3)] == [3]
        assert [p.num_rows for p in parts(url=lite.url, dbtable=name, numPartitions=3, partitionColumn="k")] == [
            2,
            0,
            1,
        ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "sqlite:nothing.db"}, "sqlite:nothing.db: there is no such file (looked for /"),
        ({"dbtable": "missing"}, "no such table: missing. Check dbtable or query"),
        ({"query": "SELECT missing FROM t"}, "no such column: missing. Check dbtable or query"),
        ({"queryTimeout": "5"}, "option 'queryTimeout' can't be kept: SQLite has no such limit"),
        ({"partitionColumn": "x"}, "option 'partitionColumn' is 'x', a column of string"),
    ],
)
def test_a_mistake_is_told_with_its_mend(lite, change, message):
    lite("CREATE TABLE t (x TEXT)")
    options = {"url": lite.url, "dbtable": "t", **change}
    if "query" in change:
        del options["dbtable"]
    with pytest.raises(BasculeError) as caught:
        table(**options)
    assert message in str(caught.value)


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "x.db").write_bytes(b"this is no database, but long enough to be read as one" * 100)
    with pytest.raises(BasculeError, match="file is not a database"):
        table(url=f"sqlite:{tmp_path}/x.db", dbtable="t")


def test_reading_neither_makes_nor_changes_a_file(lite, tmp_path):
    lite("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1)")
    before = lite.file.read_bytes()
    assert only(url=lite.url, dbtable="t") == [1]
    with pytest.raises(BasculeError):
        table(url=f"sqlite:{tmp_path}/new.db", dbtable="t")
    assert lite.file.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a b.db"]


GROW = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=30)
end = time.monotonic() + 3
while time.monotonic() < end:
    db.execute("INSERT INTO t VALUES (-1)")
    db.commit()
"""
COUNT = (
    "SELECT count(*), count(DISTINCT i) FROM python('jdbc', url := ?, dbtable := 't', numPartitions := 4) WHERE i >= 0"
)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_table_that_another_process_writes_to_is_read(lite, mode):
    lite(f"PRAGMA journal_mode = {mode}; CREATE TABLE t (i INTEGER)")
    lite("INSERT INTO t VALUES (?)", *[(i,) for i in range(100_000)])
    writer = subprocess.Popen([sys.executable, "-c", GROW, str(lite.file)])
    with bascule.connect(config={"threads": 2}) as con:
        while writer.poll() is None:
            assert con.execute(COUNT, [lite.url]).fetchall() == [(100_000, 100_000)]
    assert writer.returncode == 0
    lite("PRAGMA integrity_check")


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_file_that_this_process_has_open_is_read_by_the_same_library(lite, mode):
    """Two libraries would undo each other's locks, and one's map of a WAL ends the process."""
    lite(f"PRAGMA journal_mode = {mode}; CREATE TABLE t (i INTEGER)")
    lite("INSERT INTO t VALUES (?)", *[(i,) for i in range(100_000)])
    db = sqlite3.connect(lite.file, check_same_thread=False)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            db.execute("INSERT INTO t VALUES (-1)")
            db.commit()
            time.sleep(0.001)

    db.execute("SELECT count(*) FROM t").fetchall()
    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert SQLite(parse(lite.url), Settings()).driver == "sqlite3"
        with bascule.connect(config={"threads": 2}) as con:
            for _ in range(3):
                assert con.execute(COUNT, [lite.url]).fetchall() == [(100_000, 100_000)]
    finally:
        stop.set()
        thread.join()
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    assert SQLite(parse(lite.url), Settings()).driver == "adbc"


def test_a_file_that_is_opened_after_a_read_is_seen_too(lite):
    """The number of a closed descriptor is the next one's."""
    lite("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1)")
    assert only(url=lite.url, dbtable="t") == [1]
    db = sqlite3.connect(lite.file)
    db.execute("SELECT * FROM t").fetchall()
    assert SQLite(parse(lite.url), Settings()).driver == "sqlite3"
    db.close()


def test_a_file_that_is_opened_between_the_schema_and_the_read_is_an_error(lite):
    lite("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1)")
    given = {"url": lite.url, "dbtable": "t"}
    source = JDBCArrowDataSource()
    (spec,) = source.plan_partitions(given)
    db = sqlite3.connect(lite.file)
    db.execute("SELECT * FROM t").fetchall()
    with pytest.raises(BasculeError, match="has opened the file by another SQLite library meanwhile"):
        list(source.read_partition(spec, given))
    db.close()


def test_a_column_that_is_gone_is_an_error_not_its_name(lite):
    """SQLite takes a quoted name that no column has for a text."""
    lite("CREATE TABLE t (i INTEGER, name TEXT); INSERT INTO t VALUES (1, 'a')")
    given = {"url": lite.url, "dbtable": "t"}
    source = JDBCArrowDataSource()
    (spec,) = source.plan_partitions(given)
    lite("ALTER TABLE t DROP COLUMN name")
    with pytest.raises(BasculeError, match=r"no such column: t\.name"):
        list(source.read_partition(spec, given))


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_real_as_text_means_the_same_real(lite, driver):
    reals = [0.1, 0.1 + 0.2, 123456789.123456789, 1e300, 10.1, 5e-324, -2.5]
    lite("CREATE TABLE t (x REAL)")
    lite("INSERT INTO t VALUES (?)", *[(r,) for r in reals])
    got = only(url=lite.url, dbtable="t", customSchema="x STRING", driver=driver)
    assert [float(x) for x in got] == reals
    assert got[0] == "0.1"
    assert got[4] == "10.1"


@pytest.mark.parametrize("driver", DRIVERS)
def test_text_that_is_none_is_an_error(lite, driver):
    lite("CREATE TABLE t (x TEXT)")
    lite("INSERT INTO t VALUES (?)", ("a",))
    lite("INSERT INTO t VALUES (CAST(x'ff' AS TEXT))")
    with pytest.raises(BasculeError, match=r"(?i)utf-?8"):
        table(url=lite.url, dbtable="t", driver=driver)


def test_what_adbc_has_open_for_us_is_no_other_library(lite):
    lite("CREATE TABLE t (i INTEGER)")
    lite("INSERT INTO t VALUES (?)", *[(i,) for i in range(200_000)])
    given = {"url": lite.url, "dbtable": "t", "fetchsize": "1000"}
    source = JDBCArrowDataSource()
    (spec,) = source.plan_partitions(given)
    batches = source.read_partition(spec, given)
    next(batches)
    assert SQLite(parse(lite.url), Settings()).driver == "adbc"
    assert table(**given).num_rows == 200_000
    batches.close()


def test_through_duckdb_in_parallel_and_interrupted(lite):
    lite("CREATE TABLE t (i INTEGER, x TEXT)")
    lite("INSERT INTO t VALUES (?, ?)", *[(i, f"row {i}") for i in range(50_000)])
    with bascule.connect(config={"threads": 2}) as con:
        sql = "FROM python('jdbc', url := ?, dbtable := 't', numPartitions := 5)"
        assert con.execute(f"SELECT count(*), sum(i), max(x) {sql}", [lite.url]).fetchall() == [
            (50_000, sum(range(50_000)), "row 9999")
        ]
        endless = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT max(i) AS m FROM c"
        timer = threading.Timer(0.5, con.interrupt)
        timer.start()
        with pytest.raises(duckdb.InterruptException):
            con.execute("FROM python('jdbc', url := ?, query := ?, customSchema := 'm BIGINT')", [lite.url, endless])


def test_a_session_that_garbage_collection_closes_waits_for_nobody(lite, monkeypatch):
    """The collection may run on the thread that just looks whose the open files are."""
    lite("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1)")
    database = SQLite(parse(f"sqlite:{lite.file}"), Settings("adbc"))
    session, looked = database.session(), []
    inner = _sqlite._descriptors

    def looking(path):
        if not looked:
            looked.append(path)
            session.close()
        return inner(path)

    monkeypatch.setattr(_sqlite, "_descriptors", looking)
    thread = threading.Thread(target=_sqlite._is_open_otherwise, args=(database._path,), daemon=True)
    thread.start()
    thread.join(20)
    assert looked
    assert not thread.is_alive()


def test_a_plan_that_fails_leaves_no_session(lite):
    lite("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1), (2)")
    source = JDBCArrowDataSource()
    bounds = {"partitionColumn": "i", "lowerBound": "9", "upperBound": "1", "numPartitions": "2"}
    with pytest.raises(BasculeError, match="lowerBound"):
        source.plan_partitions({"url": f"sqlite:{lite.file}", "dbtable": "t", **bounds})
    assert not _sqlite._opened.get(lite.file.resolve())
