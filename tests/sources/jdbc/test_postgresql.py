"""PostgreSQL: types, partitions at one moment, what goes wrong."""

from __future__ import annotations

import datetime
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

import bascule
from bascule import BasculeError
from bascule.sources.jdbc import JDBCArrowDataSource, _postgresql
from sources.jdbc.reading import only, parts, table

UTC = datetime.UTC
LIST = pa.list_

#: SQL of a value, the Arrow type that it is read as, the value.
TYPES = {
    "true": (pa.bool_(), True),
    "1::int2": (pa.int16(), 1),
    "-2147483648": (pa.int32(), -(2**31)),
    "9223372036854775807": (pa.int64(), 2**63 - 1),
    "1.5::float4": (pa.float32(), 1.5),
    "'-Infinity'::float8": (pa.float64(), float("-inf")),
    "'-1.50'::numeric(10, 2)": (pa.decimal128(10, 2), Decimal("-1.50")),
    "12345678901234567890123456789012345.678::numeric(38, 3)": (
        pa.decimal128(38, 3),
        Decimal("12345678901234567890123456789012345.678"),
    ),
    "0.1234567890123456789012345678901234567891::numeric(40, 40)": (
        pa.decimal256(40, 40),
        Decimal("0.1234567890123456789012345678901234567891"),
    ),
    "1.10::numeric": (pa.string(), "1.10"),
    "'NaN'::numeric": (pa.string(), "NaN"),
    "1200::hundreds": (pa.string(), "1200"),
    "'a''b\"ü'::text": (pa.string(), "a'b\"ü"),
    "'a'::varchar(3)": (pa.string(), "a"),
    "'a'::char(3)": (pa.string(), "a  "),
    "'\\x00ff'::bytea": (pa.binary(), b"\x00\xff"),
    "date '0001-01-01'": (pa.date32(), datetime.date(1, 1, 1)),
    "timestamp '2020-01-02 03:04:05.000006'": (pa.timestamp("us"), datetime.datetime(2020, 1, 2, 3, 4, 5, 6)),
    "timestamptz '2020-01-02 03:04:05+02'": (
        pa.timestamp("us", "UTC"),
        datetime.datetime(2020, 1, 2, 1, 4, 5, tzinfo=UTC),
    ),
    "time '23:59:59.999999'": (pa.time64("us"), datetime.time(23, 59, 59, 999999)),
    "timetz '01:02:03+01'": (pa.string(), "01:02:03+01"),
    "interval '1 month -2 days 3.5 s'": (
        pa.month_day_nano_interval(),
        pa.MonthDayNano([1, -2, 3_500_000_000]),
    ),
    "'123e4567-e89b-12d3-a456-426655440000'::uuid": (pa.uuid(), uuid.UUID("123e4567-e89b-12d3-a456-426655440000")),
    '\'{"b": 1,  "a": 2}\'::json': (pa.json_(), '{"b": 1,  "a": 2}'),
    '\'{"b": 1,  "a": 2}\'::jsonb': (pa.json_(), '{"a": 2, "b": 1}'),
    "'sad'::mood": (pa.string(), "sad"),
    "4294967295::oid": (pa.int64(), 2**32 - 1),
    "'12.34'::money": (pa.string(), "$12.34"),
    "inet '10.0.0.1/8'": (pa.string(), "10.0.0.1/8"),
    "'08:00:2b:01:02:03'::macaddr": (pa.string(), "08:00:2b:01:02:03"),
    "int4range(1, 5)": (pa.string(), "[1,5)"),
    "point '(1,2)'": (pa.string(), "(1,2)"),
    "B'101'": (pa.string(), "101"),
    "row(1, 'a')": (pa.string(), "(1,a)"),
    "7::positive": (pa.int32(), 7),
    "array[1, NULL, 3]": (LIST(pa.int32()), [1, None, 3]),
    "'{}'::int8[]": (LIST(pa.int64()), []),
    "array['a', NULL]": (LIST(pa.string()), ["a", None]),
    "array[1.5, 2]::numeric(5, 2)[]": (LIST(pa.string()), ["1.50", "2.00"]),
    "array['sad', 'ok']::mood[]": (LIST(pa.string()), ["sad", "ok"]),
    "array[date '2020-01-01']": (LIST(pa.date32()), [datetime.date(2020, 1, 1)]),
    "array['{}'::jsonb]": (LIST(pa.json_()), ["{}"]),
    "NULL": (pa.string(), None),
}


@pytest.fixture(scope="module")
def typed(postgres):
    """A database with types of its own."""
    database = postgres.create_database()
    database.run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    database.run("CREATE DOMAIN hundreds AS numeric(3, -2)")
    database.run("CREATE DOMAIN positive AS int CHECK (value > 0)")
    yield database
    database.drop()


@pytest.mark.parametrize("sql", TYPES)
def test_a_type_is_read_as_it_is(typed, sql):
    kind, value = TYPES[sql]
    query = f"SELECT x FROM (SELECT {sql} AS x) AS t RIGHT JOIN (VALUES (1), (2)) AS v (g) ON g = 1 ORDER BY g"
    found = table(url=typed.url(), query=query)
    assert found.schema.field("x").type == kind
    assert found.column("x").to_pylist() == [value, None]


def test_all_types_at_once_go_through_duckdb(typed):
    names = {f"c{i}": sql for i, sql in enumerate(TYPES) if TYPES[sql][0] != pa.decimal256(40, 40)}
    query = "SELECT " + ", ".join(f"{sql} AS {name}" for name, sql in names.items())
    with bascule.connect() as con:
        row = con.sql("FROM python('jdbc', url := ?, query := ?)", params=[typed.url(), query]).to_arrow_table()
    for name, sql in names.items():
        kind, value = TYPES[sql]
        if kind != pa.month_day_nano_interval():
            assert row.column(name).to_pylist() == [str(value) if kind == pa.uuid() else value], sql


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("timestamp 'infinity'", "column x has a value that no Arrow timestamp holds: infinity"),
        ("timestamp '294276-12-31'", "no Arrow timestamp holds: 294276-12-31 00:00:00"),
        ("timestamptz '-infinity'", "no Arrow timestamptz holds: -infinity"),
        ("date '-infinity'", "column x has a value that no Arrow date holds: -infinity"),
        ("time '24:00'", "no Arrow time holds: 24:00:00"),
        ("array[[1, 2], [3, 4]]", "no Arrow list of int4 holds: {{1,2},{3,4}}"),
        ("array[timestamp 'infinity']", "no Arrow list of timestamp holds: {infinity}"),
        ("array[timestamp '-infinity']", "no Arrow list of timestamp holds: {-infinity}"),
        ("array[['a'], ['b']]::text[]", "no Arrow list of text holds: {{a},{b}}"),
        ("'NaN'::numeric(5, 2)", "column 'x' has a value that is no decimal128(5, 2): The string 'NaN'"),
        ("interval '10000000 hours'", "would overflow when converting to nanoseconds"),
    ],
)
def test_a_value_that_no_arrow_type_holds_is_an_error_not_another_value(pg, sql, message):
    with pytest.raises(BasculeError) as caught:
        table(url=pg.url(), query=f"SELECT {sql} AS x")
    assert message in str(caught.value)


def test_custom_schema_reads_what_has_no_arrow_type(pg):
    found = table(
        url=pg.url(),
        query="SELECT timestamp 'infinity' AS t, 1.10::numeric AS n, 'NaN'::numeric(5, 2) AS d, array[[1], [2]] AS a, 7 AS i",
        customSchema="T STRING, n DECIMAL(38, 10), d DOUBLE, a STRING, i SMALLINT",
    )
    assert found.schema.types == [pa.string(), pa.decimal128(38, 10), pa.float64(), pa.string(), pa.int16()]
    assert [found.column(i)[0].as_py() for i in (0, 1, 3, 4)] == ["infinity", Decimal("1.10"), "{{1},{2}}", 7]
    assert found.column(2)[0].as_py() != found.column(2)[0].as_py(), "NaN"
    with pytest.raises(BasculeError, match=r"column 'n' has a value that is no decimal128\(5, 1\)"):
        table(url=pg.url(), query="SELECT 1.15::numeric AS n", customSchema="n DECIMAL(5, 1)")
    with pytest.raises(BasculeError, match="names the column 'm', which is not among n"):
        table(url=pg.url(), query="SELECT 1 AS n", customSchema="m INT")


HOSTILE = ['a"b', "a b", "select", "ä; DROP TABLE t", "A", "a", "%s {} $1", "x" * 63, "'q'", "a\\b"]


def test_names_are_taken_as_they_are(pg):
    quoted = ['"' + name.replace('"', '""') + '"' for name in HOSTILE]
    pg.run(f'CREATE TABLE "My ""odd"" table" AS SELECT {", ".join(f"{i} AS {q}" for i, q in enumerate(quoted))}')
    found = table(url=pg.url(), dbtable='"My ""odd"" table"')
    assert found.to_pylist() == [{name: i for i, name in enumerate(HOSTILE)}]
    for i, name in enumerate(HOSTILE):
        assert table([name], url=pg.url(), dbtable='"My ""odd"" table"').to_pylist() == [{name: i}]
        assert parts(url=pg.url(), dbtable='"My ""odd"" table"', partitionColumn=name)[0].num_rows in (0, 1)


def test_both_drivers_read_the_same(typed):
    typed.run("DROP TABLE IF EXISTS same")
    typed.run(
        "CREATE TABLE same AS SELECT g AS i, g * 0.5::float8 AS f, (g / 100.0)::numeric(12, 2) AS n, 'n' || g AS s, "
        "date '2020-01-01' + g AS d, timestamp '2020-01-01' + g * interval '1 s' AS t, g % 3 = 0 AS b, "
        "CASE WHEN g % 5 > 0 THEN md5(g::text)::uuid END AS u, ('{\"a\":' || g || '}')::jsonb AS j FROM generate_series(1, 1000) g"
    )
    by = {d: table(url=typed.url(), dbtable="same", driver=d) for d in ("adbc", "connectorx")}
    assert by["adbc"].schema == by["connectorx"].schema
    assert by["adbc"].sort_by("i").to_pylist() == by["connectorx"].sort_by("i").to_pylist()


# ---- one moment ----


@pytest.mark.parametrize(
    "more",
    [{"numPartitions": 4}, {"numPartitions": 4, "partitionColumn": "i"}, {"predicates": '["i < 500", "i >= 500"]'}],
)
def test_all_partitions_see_the_table_at_one_moment(pg, more):
    pg.run("CREATE TABLE t AS SELECT g AS i, 0 AS version FROM generate_series(0, 999) g")
    given = {"url": pg.url(), "dbtable": "t", **{k: str(v) for k, v in more.items()}}
    source = JDBCArrowDataSource()
    source.infer_schema(given)
    specs = source.plan_partitions(given)
    assert len(specs) > 1
    found = list(source.read_partition(specs[0], given))
    # Rows change their place, leave and come, and are another's.
    pg.run("UPDATE t SET version = 1")
    pg.run("DELETE FROM t WHERE i % 2 = 0")
    pg.run("INSERT INTO t SELECT g, 2 FROM generate_series(0, 5000) g")
    pg.run("VACUUM t")
    for spec in specs[1:]:
        found += source.read_partition(spec, given)
    rows = pa.Table.from_batches(found).to_pylist()
    assert sorted(row["i"] for row in rows) == list(range(1000))
    assert {row["version"] for row in rows} == {0}


OURS = "FROM pg_stat_activity WHERE application_name = 'bascule' AND datname = current_database()"


def sessions(database) -> int:
    return int(database.run(f"SELECT count(*) {OURS}")[0])


def idle_sessions(database) -> int:
    """Those that hold a transaction open."""
    return int(database.run(f"SELECT count(*) {OURS} AND state <> 'idle'")[0])


def wait_until(holds) -> bool:
    for _ in range(100):
        if holds():
            return True
        time.sleep(0.05)
    return False


def wait_for_no_session(database) -> bool:
    return wait_until(lambda: idle_sessions(database) == 0)


def test_the_snapshot_is_held_as_long_as_the_scan(pg):
    pg.run("CREATE TABLE t AS SELECT g AS i FROM generate_series(0, 999) g")
    given = {"url": pg.url(), "dbtable": "t", "numPartitions": "3"}
    source = JDBCArrowDataSource()
    first, second = source.plan_partitions(given), source.plan_partitions(given)
    assert first[0]["snapshot"] != second[0]["snapshot"]
    assert idle_sessions(pg) == 2
    del first
    assert wait_until(lambda: idle_sessions(pg) == 1)
    assert sum(b.num_rows for spec in second for b in source.read_partition(spec, given)) == 1000
    second.clear()
    assert wait_for_no_session(pg)
    assert sessions(pg) == 1  # kept for the next statement
    source.close()
    assert wait_until(lambda: sessions(pg) == 0)


def test_statements_of_one_source_share_a_connection(pg, monkeypatch):
    pg.run("CREATE TABLE t AS SELECT g AS i FROM generate_series(0, 999) g")
    pg.run("ANALYZE t")
    opened = []
    connect = _postgresql.PostgreSQL._connect
    monkeypatch.setattr(_postgresql.PostgreSQL, "_connect", lambda self: opened.append(1) or connect(self))
    given = {"url": pg.url(), "dbtable": "t"}
    source = JDBCArrowDataSource()
    source.infer_schema(given)
    assert source.statistics(given) == bascule.Statistics(1000, total_bytes=source.statistics(given).total_bytes)
    for _ in range(2):
        assert (
            sum(b.num_rows for spec in source.plan_partitions(given) for b in source.read_partition(spec, given))
            == 1000
        )
    assert len(opened) == 1
    # The server has ended it: another one is opened, and nobody sees it.
    pg.run(f"SELECT pg_terminate_backend(pid) {OURS}")
    assert sum(b.num_rows for spec in source.plan_partitions(given) for b in source.read_partition(spec, given)) == 1000
    assert len(opened) == 2
    # One that is left in the middle is not used again.
    pg.run("INSERT INTO t SELECT g FROM generate_series(0, 499999) g")
    (spec,) = source.plan_partitions(given)
    rows = source.read_partition(spec, given)
    next(rows)
    rows.close()
    assert next(iter(source.read_partition(spec, given))).num_rows > 0
    assert len(opened) == 3
    source.close()
    assert wait_until(lambda: sessions(pg) == 0)


def test_two_reads_at_once_have_a_connection_each(pg):
    pg.run("CREATE TABLE t AS SELECT g AS i FROM generate_series(0, 999) g")
    given = {"url": pg.url(), "dbtable": "t"}
    source = JDBCArrowDataSource()
    (spec,) = source.plan_partitions(given)
    first, second = source.read_partition(spec, given), source.read_partition(spec, given)
    assert next(first).num_rows + next(second).num_rows > 0
    assert sum(b.num_rows for b in first) + sum(b.num_rows for b in second) >= 0
    source.close()
    assert wait_until(lambda: sessions(pg) == 0)


@pytest.mark.parametrize("how", ["TRUNCATE t", "VACUUM FULL t", "DROP TABLE t"])
def test_who_empties_or_rewrites_the_table_waits_for_the_scan(pg, how, monkeypatch):
    """No row is lost, and nobody waits for ever: partitions that begin behind the waiting one fail."""
    monkeypatch.setattr(_postgresql, "_LOCK_TIMEOUT_MS", 500)
    pg.run("CREATE TABLE t AS SELECT g AS i FROM generate_series(0, 4999) g")
    given = {"url": pg.url(), "dbtable": "t", "numPartitions": "3"}
    source = JDBCArrowDataSource()
    source.infer_schema(given)
    specs = source.plan_partitions(given)
    first = source.read_partition(specs[0], given)
    n = next(first).num_rows
    waiting = threading.Thread(target=pg.run, args=(how,))
    waiting.start()
    time.sleep(0.3)
    with pytest.raises(BasculeError, match="Another session waits to change the table"):
        list(source.read_partition(specs[1], given))
    assert waiting.is_alive()
    assert n + sum(b.num_rows for b in first) > 1000
    specs.clear()
    waiting.join(10)
    assert not waiting.is_alive()


RELOAD = "BEGIN; TRUNCATE t; INSERT INTO t SELECT g FROM generate_series(0, 499) g; SELECT pg_sleep(1); COMMIT"


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"numPartitions": 3},
        {"partitionColumn": "i", "numPartitions": 3},
        {"partitionColumn": "i", "numPartitions": 3, "lowerBound": 0, "upperBound": 900},
        {"predicates": '["i < 100", "i >= 100"]'},
    ],
)
def test_a_table_that_is_reloaded_meanwhile_has_its_old_rows_or_its_new_ones(pg, more):
    pg.run("CREATE TABLE t AS SELECT g AS i FROM generate_series(0, 999) g")
    given = {"url": pg.url(), "dbtable": "t", **{k: str(v) for k, v in more.items()}}
    source = JDBCArrowDataSource()
    source.infer_schema(given)
    reload = threading.Thread(target=pg.run, args=(RELOAD,))
    reload.start()
    time.sleep(0.4)
    found = [b for spec in source.plan_partitions(given) for b in source.read_partition(spec, given)]
    reload.join()
    assert sorted(i for b in found for i in b.column(0).to_pylist()) == list(range(500))


def test_a_reader_that_is_left_open_does_not_keep_the_process(pg):
    code = """
        import sys
        from bascule.sources.jdbc import JDBCArrowDataSource
        given = {"url": sys.argv[1], "query": "SELECT g, repeat('x', 1000) FROM generate_series(1, 1000000) g"}
        source = JDBCArrowDataSource()
        batches = source.read_partition(source.plan_partitions(given)[0], given)
        print(next(batches).num_rows > 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), pg.url()], capture_output=True, text=True, timeout=30, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_connectorx_changes_nothing_either(pg):
    pg.run("CREATE TABLE t (i int)")
    pg.run("CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING i'")
    with pytest.raises(BasculeError, match="read-only transaction"):
        table(url=pg.url(), query="SELECT writes() AS x", driver="connectorx")


def test_a_schema_of_the_url_is_a_name_alone(pg):
    pg.run('CREATE SCHEMA "My Schema"')
    pg.run('CREATE TABLE "My Schema".t AS SELECT 7 AS i')
    assert only(url=pg.url() + "?currentSchema=My%20Schema", dbtable="t") == [7]
    with pytest.raises(BasculeError, match='relation "t" does not exist'):
        only(url=pg.url() + "?currentSchema=x%20-cstatement_timeout=7", dbtable="t")


def test_a_snapshot_that_is_gone_is_an_error_that_says_so(pg):
    pg.run("CREATE TABLE t AS SELECT g AS i FROM generate_series(0, 999) g")
    given = {"url": pg.url(), "dbtable": "t", "numPartitions": "3"}
    source = JDBCArrowDataSource()
    specs = [dict(spec) for spec in source.plan_partitions(given)]
    assert wait_for_no_session(pg)
    with pytest.raises(BasculeError, match="set snapshot to off"):
        list(source.read_partition(specs[0], given))


def test_specs_for_elsewhere_have_no_snapshot_and_leave_no_session(pg):
    pg.run("CREATE TABLE t AS SELECT g AS i FROM generate_series(0, 999) g")
    given = {"url": pg.url(), "dbtable": "t", "partitionColumn": "i", "numPartitions": "3"}
    source = JDBCArrowDataSource()
    specs = source.plan_partitions(given, portable=True)
    assert [spec["snapshot"] for spec in specs] == [None] * 3
    assert wait_for_no_session(pg)
    assert sum(b.num_rows for spec in specs for b in source.read_partition(spec, given)) == 1000
    assert len(JDBCArrowDataSource().plan_partitions({**given, "partitionColumn": ""}, portable=True)) == 1
    source.close()


def test_without_a_snapshot_places_of_rows_are_no_partitions(pg):
    pg.run("CREATE TABLE t AS SELECT g AS i FROM generate_series(0, 999) g")
    assert len(parts(url=pg.url(), dbtable="t", numPartitions=4, snapshot="off")) == 1
    assert len(parts(url=pg.url(), dbtable="t", numPartitions=4, snapshot="off", partitionColumn="i")) == 4
    pg.run("CREATE VIEW v AS TABLE t")
    assert len(parts(url=pg.url(), dbtable="v", numPartitions=4)) == 1, "a view has no places"


# ---- through DuckDB ----


def test_the_connections_are_as_many_as_partitions_and_none_is_left(pg):
    pg.run("CREATE TABLE t AS SELECT g AS i, repeat('x', 500) AS x FROM generate_series(0, 49999) g")
    with bascule.connect(config={"threads": 2}) as con:
        sql = "FROM python('jdbc', url := ?, dbtable := 't', numPartitions := 6)"
        for end in ("", " LIMIT 1"):
            rows = con.execute(f"SELECT i {sql}{end}", [pg.url()]).fetchall()
            assert len(rows) == (1 if end else 50000)
            assert wait_for_no_session(pg), end
        with pytest.raises(duckdb.Error, match="division by zero"):
            con.execute("FROM python('jdbc', url := ?, query := 'SELECT 1 / (i - 40000) AS z FROM t')", [pg.url()])
        assert wait_for_no_session(pg)


def test_an_interrupt_ends_a_slow_statement(pg):
    with bascule.connect() as con:
        timer = threading.Timer(0.7, con.interrupt)
        timer.start()
        started = time.monotonic()
        with pytest.raises(duckdb.InterruptException):
            con.execute("FROM python('jdbc', url := ?, query := 'SELECT pg_sleep(60)::text AS x')", [pg.url()])
        assert time.monotonic() - started < 10
    assert wait_for_no_session(pg)


def test_only_asked_columns_are_asked_for(pg):
    pg.run("CREATE TABLE t AS SELECT 1 AS a, 1 / g AS b FROM generate_series(1, 3) g")
    pg.run("CREATE VIEW v AS SELECT a, 1 / (b - b) AS b FROM t")
    with bascule.connect() as con:
        assert con.execute("SELECT sum(a) FROM python('jdbc', url := ?, dbtable := 'v')", [pg.url()]).fetchall() == [
            (3,)
        ]
        with pytest.raises(duckdb.Error, match="division by zero"):
            con.execute("SELECT sum(b) FROM python('jdbc', url := ?, dbtable := 'v')", [pg.url()])


# ---- options ----


def test_fetchsize_is_the_most_rows_of_a_batch(pg):
    given = {"url": pg.url(), "query": "SELECT generate_series(1, 1000) AS i", "fetchsize": "300"}
    source = JDBCArrowDataSource()
    (spec,) = source.plan_partitions(given)
    assert [b.num_rows for b in source.read_partition(spec, given)] == [300, 300, 300, 100]


def test_the_session_is_prepared_first(pg):
    assert only(
        url=pg.url(), query="SELECT current_setting('my.note')", sessionInitStatement="SET my.note = 'hello'"
    ) == ["hello"]
    with pytest.raises(BasculeError, match="unrecognized configuration parameter"):
        table(url=pg.url(), query="SELECT 1", sessionInitStatement="SET nonsense = 1")


def test_a_statement_may_take_no_longer_than_it_is_told(pg):
    with pytest.raises(BasculeError, match=r"statement timeout.*queryTimeout is the seconds"):
        table(url=pg.url(), query="SELECT pg_sleep(30)::text AS x", queryTimeout=1)


def test_reading_changes_nothing(pg):
    pg.run("CREATE TABLE t (i int)")
    pg.run("CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING i'")
    with pytest.raises(BasculeError, match="read-only transaction"):
        table(url=pg.url(), query="SELECT writes() AS x")


def test_a_java_driver_s_name_is_ignored_with_a_word(pg, caplog):
    assert only(url=pg.url(), query="SELECT 1 AS x", driver="org.postgresql.Driver") == [1]
    assert "org.postgresql.Driver, which is ignored" in caplog.text


# ---- what goes wrong ----


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "postgresql://127.0.0.1:1/x"}, "127.0.0.1:1/x: connection to server at \"127.0.0.1\", port 1 failed: Connection refused. Check the host"),
        ({"url": "postgresql://no.such.host.invalid/x"}, "could not translate host name \"no.such.host.invalid\""),
        ({"password": "canary-wrong"}, "password authentication failed for user \"postgres\". Check the options user and password"),
        ({"database": "nothing"}, "database \"nothing\" does not exist. Check the database's name"),
        ({"dbtable": "nothing"}, "relation \"nothing\" does not exist. Check dbtable or query"),
        ({"query": "SELECT nothing FROM pg_class"}, "column \"nothing\" does not exist. Check the columns"),
        ({"query": "SELECT 1 AS a, 2 AS a"}, "two columns have the name 'a'"),
        ({"partitionColumn": "relnam"}, "is 'relnam', which is no column: did you mean 'relname'?"),
        ({"partitionColumn": "relname"}, "a column of string: it takes numbers, dates and timestamps"),
        ({"partitionColumn": "relpages", "lowerBound": "9", "upperBound": "1"}, "option 'lowerBound' (9) is beyond 'upperBound' (1)"),
        ({"partitionColumn": "relpages", "lowerBound": "soon"}, "option 'lowerBound' is 'soon', but the partition column is a integer"),
        ({"numPartitions": "0"}, "option 'numPartitions' is '0', expected an integer of at least 1"),
        ({"numPartitions": "-3"}, "option 'numPartitions' is '-3'"),
        ({"lowerBound": "1"}, "option 'lowerBound' has no meaning with no partitionColumn"),
        ({"predicates": "relpages < 5"}, "option 'predicates' is 'relpages < 5', expected a JSON list of SQL conditions"),
        ({"predicates": '["relpages <"]'}, "option 'predicates' is no SQL of postgres"),
        ({"driver": "odbc"}, "option 'driver' is 'odbc', but PostgreSQL is read by adbc or connectorx"),
        ({"dbtabel": "x"}, "unknown option 'dbtabel': did you mean 'dbtable'?"),
        ({"url": "oracel://h/x"}, "names a database that is not known: oracel"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_mend(pg, change, message):
    options = {"url": pg.url(), "dbtable": "pg_class", **change}
    if "query" in change:
        del options["dbtable"]
    if database := options.pop("database", None):
        options["url"] = options["url"].rpartition("/")[0] + f"/{database}"
    with pytest.raises(bascule.BasculeError) as caught:
        table(**options)
    said = str(caught.value)
    assert message in said
    assert "canary" not in said
    with bascule.connect() as con, pytest.raises(duckdb.Error) as caught:
        con.execute(
            "SELECT * FROM python('jdbc', options := map_from_entries(?))",
            [[{"k": k, "v": v} for k, v in options.items()]],
        )
    assert message in str(caught.value)
    assert "canary" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_odd_passwords_work_in_an_option_and_quoted_in_the_url(own_postgres):
    for i, password in enumerate(["p@ss/w:rd", "a b?c#d", "%41ü", "'\"\\", "$1 {x}"]):
        own_postgres.add_user(f"ann{i}", password)
        url = f"jdbc:postgresql://{own_postgres.host}:{own_postgres.port}/postgres"
        assert only(url=url, query="SELECT current_user::text AS x", user=f"ann{i}", password=password) == [f"ann{i}"]
        assert only(url=own_postgres.url(f"ann{i}", password, "postgres"), query="SELECT 1 AS x") == [1]


def slow_rows(n: int) -> str:
    return f"SELECT g AS i, repeat('x', 1000) AS x FROM generate_series(1, {n}) g"


def test_a_server_that_dies_in_mid_read_is_an_error_and_read_again_after_its_restart(own_postgres):
    given = {"url": own_postgres.url(database="postgres"), "query": slow_rows(3_000_000)}
    source = JDBCArrowDataSource()
    (spec,) = source.plan_partitions(given)
    batches = source.read_partition(spec, given)
    assert next(batches).num_rows > 0
    own_postgres.crash()
    with pytest.raises(BasculeError) as caught:
        for _ in batches:
            pass
    assert "server closed the connection" in str(caught.value)
    assert "run the query again" in str(caught.value)
    with pytest.raises(BasculeError, match="Check the host and the port"):
        list(source.read_partition(spec, given))
    own_postgres.restart()
    given["query"] = slow_rows(10)
    assert table(**given).num_rows == 10


def test_a_session_that_is_ended_in_mid_read_is_an_error(pg, postgres):
    given = {"url": pg.url(), "query": slow_rows(3_000_000)}
    source = JDBCArrowDataSource()
    (spec,) = source.plan_partitions(given)
    batches = source.read_partition(spec, given)
    next(batches)
    postgres.kill_backends()
    with pytest.raises(BasculeError, match=r"terminating connection|server closed the connection"):
        for _ in batches:
            pass


def test_a_server_that_is_slow_to_start_is_waited_for(own_postgres):
    own_postgres.stop()
    threading.Timer(0.3, own_postgres.restart).start()
    assert only(url=own_postgres.url(database="postgres"), query="SELECT 1 AS x") == [1]


def test_a_server_that_hangs_can_be_interrupted(own_postgres):
    given = {"url": own_postgres.url(database="postgres"), "query": slow_rows(3_000_000)}
    source = JDBCArrowDataSource()
    (spec,) = source.plan_partitions(given)
    batches = source.read_partition(spec, given)
    next(batches)
    own_postgres.pause()
    started = time.monotonic()
    batches.close()
    assert time.monotonic() - started < 10
    own_postgres.resume()
