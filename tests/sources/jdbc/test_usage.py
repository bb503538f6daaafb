"""The usage of the design that Bascule grew out of, and the deprecated spelling."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import textwrap
from decimal import Decimal

import duckdb
import pytest

import bascule
from bascule._native import Source
from bascule.filters import EqualTo
from bascule.sources.jdbc import JDBCArrowDataSource
from bascule.sources.jdbc._database import Settings
from bascule.sources.jdbc._other import Other
from bascule.sources.jdbc._url import parse
from servers import ServerError
from sources.jdbc.reading import parts


@pytest.fixture
def users(pg):
    pg.run("CREATE TABLE users AS SELECT g AS id, 'user ' || g AS name FROM generate_series(1, 3) g")
    with contextlib.suppress(ServerError):  # the server is the test run's
        pg.server.add_user("admin", "secret")
    pg.run("GRANT SELECT ON users TO admin")
    return pg


ROWS = [(1, "user 1"), (2, "user 2"), (3, "user 3")]


def test_the_former_module_s_name_means_ours(users, con):
    sql = f"""
        FROM python(
            python_module := 'pysail.read.arrow_datasource',
            python_class := 'JDBCArrowDataSource',
            url := 'jdbc:postgresql://{users.server.host}:{users.server.port}/{users.name}',
            dbtable := 'users',
            user := 'admin',
            password := 'secret')
        ORDER BY id"""
    assert con.execute(sql.replace("user :=", '"user" :=')).fetchall() == ROWS


def test_a_module_of_that_name_goes_before_ours(tmp_path, monkeypatch):
    package = tmp_path / "pysail" / "read"
    package.mkdir(parents=True)
    (package / "arrow_datasource.py").write_text(
        textwrap.dedent("""
        import pyarrow as pa
        class JDBCArrowDataSource:
            def infer_schema(self, options): return pa.schema([("theirs", pa.int64())])
            def plan_partitions(self, options): return []
            def read_partition(self, spec, options): yield
        """)
    )
    code = """
        import pyarrow as pa
        from bascule._native import Source
        print(pa.schema(Source("", {"python_module": "pysail.read.arrow_datasource", "python_class": "JDBCArrowDataSource"})).names)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert done.stdout == "['theirs']\n"


def test_the_deprecated_spelling_has_the_same_rows_and_one_warning(users):
    code = f"""
        import bascule
        con = bascule.connect()
        old = "FROM jdbc(url := '{users.url()}', dbtable := 'users')"
        assert con.execute(old).fetchall() == con.execute(old).fetchall()
        with con.cursor() as other:
            assert len(other.execute("SELECT * " + old).fetchall()) == 3
        print(con.execute(old).fetchall() == con.execute(old.replace("jdbc(", "python('jdbc', ")).fetchall())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert done.stderr == (
        "the table function jdbc(...) is deprecated, write python('jdbc', ...) instead: the same options, the same rows\n"
    )


def test_the_deprecated_spelling_takes_options_by_name_alone(con):
    with pytest.raises(Exception, match=r"jdbc\(\) takes options by name"):
        con.execute("FROM jdbc('postgresql://localhost/x')")


def test_the_short_name_is_installed(tmp_path):
    file = tmp_path / "x.db"
    with sqlite3.connect(file) as db:
        db.executescript("CREATE TABLE t (i INTEGER)")
    db.close()
    assert Source("jdbc", {"url": f"sqlite:{file}", "dbtable": "t"}).label == "jdbc"


def test_a_password_is_in_no_text(users, caplog):
    """A canary, in each place where a password may stand, in what is said when the server is asked wrongly."""
    host, port = users.server.host, users.server.port
    for options in (
        {"url": f"postgresql://admin:canary@{host}:{port}/x"},
        {"url": f"postgresql://{host}:{port}/x?user=admin&password=canary"},
        {"url": f"postgresql://{host}:{port}/x", "user": "admin", "password": "canary"},
        {"url": "postgresql://admin:canary@no.such.host.invalid/x"},
        {"url": "mysql://admin:canary@127.0.0.1:1/x"},
        {"url": "nonsense://admin:canary@host/x"},
        {"url": f"postgresql://admin:ca/canary@{host}:{port}/x"},
    ):
        with bascule.connect() as con, pytest.raises(duckdb.Error) as caught:
            con.execute(
                "FROM python('jdbc', options := map_from_entries(?))",
                [[{"k": k, "v": v} for k, v in {**options, "dbtable": "t"}.items()]],
            )
        assert "canary" not in str(caught.value).partition("\nLINE 1")[0], options
    assert "canary" not in caplog.text


def test_a_file_of_duckdb_is_read(tmp_path):
    file = tmp_path / "x.duckdb"
    with duckdb.connect(str(file)) as db:
        db.execute("CREATE TABLE t AS SELECT i, i * 1.5::DECIMAL(9, 2) AS d, [i] AS l FROM range(10) r (i)")
    for more, sizes in (({}, [10]), ({"partitionColumn": "i", "numPartitions": 2}, [5, 5])):
        found = parts(url=f"duckdb:{file}", dbtable="t", **more)
        assert [p.num_rows for p in found] == sizes
        assert sum(v for p in found for v in p.column("d").to_pylist()) == Decimal("67.5")
    with pytest.raises(bascule.BasculeError, match="missing"):
        parts(url=f"duckdb:{file}", dbtable="missing")
    with pytest.raises(bascule.BasculeError, match="there is no such file"):
        parts(url=f"duckdb:{file}x", dbtable="t")


def test_a_file_that_duckdb_writes_is_left_alone(tmp_path):
    """A second instance in one process would lose what the first has in its log."""
    file = tmp_path / "x.duckdb"
    with duckdb.connect(str(file)) as db:
        db.execute("CREATE TABLE t AS SELECT 1 AS i")
        db.execute("CHECKPOINT")
        db.execute("INSERT INTO t VALUES (2)")
        before = file.read_bytes()
        with pytest.raises(bascule.BasculeError, match="open elsewhere"):
            parts(url=f"duckdb:{file}", dbtable="t")
        assert file.read_bytes() == before
        assert db.execute("SELECT count(*) FROM t").fetchall() == [(2,)]


@pytest.mark.parametrize("scheme", ["oracle", "mssql", "redshift", "trino", "clickhouse"])
def test_what_was_never_tested_says_so(scheme, caplog):
    database = Other(parse(f"{scheme}://host/x"), Settings())
    assert "never tested by Bascule" in caplog.text
    assert database.driver == "connectorx"


def test_options_of_sparks_that_jobs_have(users, caplog):
    jobs = {"query": "", "user": "", "lowerBound": "", "fetchsize": "0", "isolationLevel": "NONE", "batchsize": "7"}
    source, options = JDBCArrowDataSource(), {"url": users.url(), "dbtable": "users", **jobs}
    (spec,) = source.plan_partitions(options)
    assert sum(batch.num_rows for batch in source.read_partition(spec, options)) > 0
    assert "Spark's options isolationLevel, batchsize have no meaning here, and are ignored" in caplog.text


def test_predicates_are_kept_from_the_database(users):
    options = {"url": users.url(), "dbtable": "users"}
    for push, left in (("true", []), ("FALSE", [EqualTo("id", 1)])):
        source = JDBCArrowDataSource()
        given = {**options, "pushDownPredicate": push}
        assert source.push_filters([EqualTo("id", 1)], given) == left
        (spec,) = source.plan_partitions(given)
        rows = sum(batch.num_rows for batch in source.read_partition(spec, given, filters=(EqualTo("id", 1),)))
        assert (rows == 1) == (push == "true")
        source.close()
