"""MariaDB: types, what goes wrong. MySQL speaks the same protocol, and was not tried."""

from __future__ import annotations

import datetime
import threading
import time
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

import bascule
from bascule import BasculeError
from bascule.sources.jdbc import JDBCArrowDataSource
from sources.jdbc.reading import only, parts, table

UTC = datetime.UTC

#: A column's type, a value as SQL, the Arrow type, the value.
TYPES = {
    "tinyint": ("-128", pa.int8(), -128),
    "tinyint unsigned": ("255", pa.uint8(), 255),
    "boolean": ("true", pa.int8(), 1),
    "smallint": ("-32768", pa.int16(), -32768),
    "smallint unsigned": ("65535", pa.uint16(), 65535),
    "mediumint": ("-8388608", pa.int32(), -8388608),
    "mediumint unsigned": ("16777215", pa.uint32(), 16777215),
    "int": ("-2147483648", pa.int32(), -(2**31)),
    "int unsigned": ("4294967295", pa.uint32(), 2**32 - 1),
    "bigint": ("-9223372036854775808", pa.int64(), -(2**63)),
    "bigint unsigned": ("18446744073709551615", pa.uint64(), 2**64 - 1),
    "float": ("1.5", pa.float32(), 1.5),
    "double": ("1e300", pa.float64(), 1e300),
    "decimal(18,2)": ("-12345.67", pa.decimal128(18, 2), Decimal("-12345.67")),
    "decimal(5,1) unsigned": ("1.5", pa.decimal128(5, 1), Decimal("1.5")),
    "decimal(5,0)": ("42", pa.decimal128(5, 0), Decimal("42")),
    "decimal(40,5)": (
        "12345678901234567890123456789012345.12345",
        pa.decimal256(40, 5),
        Decimal("12345678901234567890123456789012345.12345"),
    ),
    "date": ("'1000-01-01'", pa.date32(), datetime.date(1000, 1, 1)),
    "datetime(6)": ("'2020-01-02 03:04:05.000006'", pa.timestamp("us"), datetime.datetime(2020, 1, 2, 3, 4, 5, 6)),
    "timestamp(6) null": (
        "'2020-01-02 03:04:05.000006'",
        pa.timestamp("us", "UTC"),
        datetime.datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    ),
    "time(6)": ("'23:59:59.999999'", pa.time64("us"), datetime.time(23, 59, 59, 999999)),
    "year": ("2020", pa.int16(), 2020),
    "char(3)": ("'ä'", pa.string(), "ä"),
    "varchar(10)": ("'it''s'", pa.string(), "it's"),
    "longtext": ("'text'", pa.string(), "text"),
    "enum('a','b')": ("'b'", pa.string(), "b"),
    "set('x','y')": ("'x,y'", pa.string(), "x,y"),
    "json": ("'{\"a\": 1}'", pa.string(), '{"a": 1}'),
    "uuid": (
        "'123e4567-e89b-12d3-a456-426655440000'",
        pa.string(),
        "123e4567-e89b-12d3-a456-426655440000",
    ),
    "blob": ("x'ff00'", pa.binary(), b"\xff\x00"),
    "varbinary(4)": ("x'01'", pa.binary(), b"\x01"),
    "binary(2)": ("x'0100'", pa.binary(), b"\x01\x00"),
    "bit(10)": ("b'1000000001'", pa.uint64(), 513),
    "bit(1)": ("b'1'", pa.uint64(), 1),
}


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_is_read_as_it_is(maria, kind):
    sql, found, value = TYPES[kind]
    maria.run(
        "SET time_zone = '+00:00'; CREATE TABLE t (i int, x " + kind + f"); INSERT INTO t VALUES (1, {sql}), (2, NULL)"
    )
    got = table(["x"], url=maria.url(), dbtable="t")
    assert got.schema.field("x").type == found
    assert got.column("x").to_pylist() == [value, None]


@pytest.mark.parametrize(
    ("kind", "sql", "message"),
    [
        ("time", "'-00:00:01'", "column 'x' has a value that is no time64[us]: it is below zero, or a day and more"),
        ("time", "'24:00:00'", "column 'x' has a value that is no time64[us]"),
        ("time", "'838:59:59'", "column 'x' has a value that is no time64[us]"),
        ("date", "'0000-00-00'", "such as the date 0000-00-00: cast the column to CHAR in query"),
        ("datetime", "'0000-00-00 00:00:00'", "such as the date 0000-00-00"),
    ],
)
def test_a_value_that_no_arrow_type_holds_is_an_error_not_another_value(maria, kind, sql, message):
    maria.run(f"SET sql_mode = ''; CREATE TABLE t (x {kind}); INSERT INTO t VALUES ({sql})")
    with pytest.raises(BasculeError) as caught:
        table(url=maria.url(), dbtable="t")
    assert message in str(caught.value)


def test_custom_schema(maria):
    maria.run("SET sql_mode = ''; CREATE TABLE t (b boolean, d date); INSERT INTO t VALUES (1, '0000-00-00')")
    found = table(url=maria.url(), dbtable="t", customSchema="b BOOLEAN, d STRING")
    assert found.to_pylist() == [{"b": True, "d": "0000-00-00"}]
    with pytest.raises(BasculeError, match="neither 0 nor 1"):
        table(url=maria.url(), query="SELECT 2 AS b", customSchema="b BOOLEAN")


def test_timestamps_are_instants_whatever_the_servers_zone(maria):
    maria.run("CREATE TABLE t (x timestamp null)")
    maria.run("SET time_zone = '+05:30'; INSERT INTO t VALUES ('2020-01-02 05:30:00')")
    assert only(url=maria.url(), dbtable="t") == [datetime.datetime(2020, 1, 2, tzinfo=UTC)]


def test_names_are_taken_as_they_are(maria):
    names = ["a`b", "a b", "select", "ä; DROP TABLE t", 'a"b', "%s {} $1", "'q'", "a\\b"]
    quoted = ["`" + name.replace("`", "``") + "`" for name in names]
    maria.run(f"CREATE TABLE `my ``odd`` table` AS SELECT {', '.join(f'{i} AS {q}' for i, q in enumerate(quoted))}")
    found = table(url=maria.url(), dbtable="`my ``odd`` table`")
    assert found.to_pylist() == [{name: i for i, name in enumerate(names)}]
    for name in names:
        assert len(parts(url=maria.url(), dbtable="`my ``odd`` table`", partitionColumn=name)) == 1


def test_options_hold_for_each_connection(maria):
    assert only(url=maria.url(), query="SELECT @note", sessionInitStatement="SET @note = 'hello'") == ["hello"]
    with pytest.raises(BasculeError, match="queryTimeout is the seconds"):
        table(url=maria.url(), query="SELECT SLEEP(5) AS x FROM seq_1_to_3", queryTimeout=1)


def test_odd_passwords_work_in_an_option_and_quoted_in_the_url(mariadb):
    for i, password in enumerate(["p@ss/w:rd", "a b?c#d", "%41ü", "'\"x"]):
        mariadb.add_user(f"ann{i}", password)
        where = f"jdbc:mysql://{mariadb.host}:{mariadb.port}/"
        assert only(url=where, query="SELECT 1 AS x", user=f"ann{i}", password=password) == [1]
        assert only(url=mariadb.url(f"ann{i}", password), query="SELECT 1 AS x") == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "mysql://127.0.0.1:1/x"}, "Can't connect to MySQL server on '127.0.0.1' ([Errno 111] Connection refused). Check the host"),
        ({"password": "canary-wrong"}, "Access denied for user 'root'@"),
        ({"database": "nothing"}, "Unknown database 'nothing'. Check the database's name"),
        ({"dbtable": "nothing"}, "nothing' doesn't exist. Check dbtable or query"),
        ({"query": "SELECT nothing"}, "Unknown column 'nothing'"),
        ({"url": "mysql://127.0.0.1:1/x?sslMode=REQUIRED"}, "asks for TLS, which ConnectorX can't be told"),
        ({"driver": "adbc"}, "option 'driver' is 'adbc', but MySQL is read by connectorx"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_mend(maria, change, message):
    options = {"url": maria.url(), "dbtable": "t", **change}
    if "query" in change:
        del options["dbtable"]
    if database := options.pop("database", None):
        options["url"] = options["url"].rpartition("/")[0] + f"/{database}"
    maria.run("CREATE TABLE t (x int)")
    with pytest.raises(BasculeError) as caught:
        table(**options)
    assert message in str(caught.value)
    assert "canary" not in str(caught.value)


def test_an_error_in_mid_stream_is_an_error_of_the_query(maria):
    """ConnectorX panics, with an exception that is no Exception."""
    maria.run("CREATE TABLE t AS SELECT seq AS i FROM seq_1_to_200000")
    query = "SELECT i, CASE WHEN i > 150000 THEN (SELECT 1 UNION SELECT 2) ELSE 1 END AS x FROM t"
    with pytest.raises(BasculeError, match="Subquery returns more than 1 row"):
        table(url=maria.url(), query=query)
    with bascule.connect() as con:
        with pytest.raises(duckdb.Error, match="Subquery returns more than 1 row"):
            con.execute("SELECT sum(x) FROM python('jdbc', url := ?, query := ?)", [maria.url(), query])
        assert con.execute("SELECT sum(i) FROM python('jdbc', url := ?, dbtable := 't')", [maria.url()]).fetchall() == [
            (200000 * 200001 // 2,)
        ]


def test_a_server_that_dies_in_mid_read_is_an_error_and_read_again_after_its_restart(own_mariadb):
    query = "SELECT seq, REPEAT('x', 500) AS x, SLEEP(0.0001) AS z FROM seq_1_to_1000000"
    own_mariadb.create_database("d")
    given = {"url": own_mariadb.url(database="d"), "query": query}
    source = JDBCArrowDataSource()
    (spec,) = source.plan_partitions(given)
    crash = threading.Timer(1.0, own_mariadb.crash)
    crash.start()
    with pytest.raises(BasculeError):
        for _ in source.read_partition(spec, given):
            pass
    crash.join()
    with pytest.raises(BasculeError, match="Check the host and the port"):
        table(url=own_mariadb.url(), query="SELECT 1 AS x")
    own_mariadb.restart()
    assert only(url=own_mariadb.url(), query="SELECT 1 AS x") == [1]


@pytest.mark.parametrize("query", ["SELECT SLEEP(30) AS x", "SELECT SLEEP(30) AS x UNION SELECT 1"])
def test_an_interrupt_does_not_wait_for_the_statement(maria, query):
    with bascule.connect() as con:
        timer = threading.Timer(0.7, con.interrupt)
        timer.start()
        started = time.monotonic()
        with pytest.raises(duckdb.InterruptException):
            con.execute("FROM python('jdbc', url := ?, query := ?)", [maria.url(), query])
        assert time.monotonic() - started < 15
