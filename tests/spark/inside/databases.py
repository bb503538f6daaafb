"""The source ``jdbc`` in each deployment, as jobs for Spark's and Sail's own use it. PostgreSQL's URL is in BASCULE_SPARK_POSTGRES."""

from __future__ import annotations

import os
import sqlite3
import uuid

import pytest

ROWS = 100


@pytest.fixture(scope="module")
def postgres():
    url = os.environ.get("BASCULE_SPARK_POSTGRES")
    if not url:
        pytest.skip("no PostgreSQL is to be had")
    return url


@pytest.fixture
def sqlite(tmp_path):
    path = tmp_path / "my.db"
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE numbers (id INTEGER PRIMARY KEY, half REAL)")
        con.executemany("INSERT INTO numbers VALUES (?, ?)", [(i, i / 2) for i in range(ROWS)])
    return f"jdbc:sqlite:{path}"


def jdbc(engine, url, **options):
    # In Spark the format of that name is its own.
    reader = engine.session.read.format("jdbc" if engine.is_sail else "python")
    reader = reader if engine.is_sail else reader.option("python_class", "jdbc")
    return reader.options(url=url, **options).load()


def ids(frame):
    return sorted(row.id for row in frame.select("id").collect())


@pytest.mark.parametrize("executor", ["inprocess", "process"])
@pytest.mark.parametrize(
    "options",
    [
        {"partitionColumn": "id", "lowerBound": "10", "upperBound": "60", "numPartitions": "4"},
        {"partitionColumn": "id", "numPartitions": "3"},
        {"numPartitions": "4"},
        {"predicates": '["id < 30", "id >= 30"]'},
    ],
    ids=str,
)
def test_a_table_of_postgresql_in_partitions(engine, postgres, options, executor):
    frame = jdbc(engine, postgres, dbtable="numbers", bascule_executor=executor, **options)
    assert ids(frame) == list(range(ROWS))
    assert ids(frame.where("id >= 50 AND half < 30")) == list(range(50, 60))


def test_uuids_are_texts_that_compare(engine, postgres):
    frame = jdbc(engine, postgres, dbtable="numbers")
    assert ids(frame.where(f"u = '{uuid.UUID(int=7)}'")) == [7]
    assert frame.where("id = 7").select("u").collect() == [(str(uuid.UUID(int=7)),)]


def test_a_column_that_spark_lacks_is_left_out_by_a_given_schema(engine, postgres):
    frame = engine.session.read.format("python").option("python_class", "jdbc").option("url", postgres)
    with pytest.raises(Exception, match="Spark has no type for column 'at', which is time64"):
        frame.option("dbtable", "times").load().collect()
    assert frame.option("dbtable", "times").schema("id int").load().collect() == [(1,)]


@pytest.mark.parametrize("fetchsize", ["0", "7"])
def test_options_that_jobs_have(engine, sqlite, fetchsize):
    frame = jdbc(
        engine,
        sqlite,
        dbtable="numbers",
        query="",
        user="",
        password="",
        lowerBound="",
        fetchsize=fetchsize,
        pushDownPredicate="false",
        isolationLevel="NONE",
        driver="org.sqlite.JDBC",
        batchsize="1000",
    )
    assert ids(frame.where("id > 97")) == [98, 99]


def test_a_plan_that_fails_leaves_the_file_usable(engine, sqlite):
    for _ in range(3):
        with pytest.raises(Exception, match=r"lowerBound"):
            jdbc(
                engine,
                sqlite,
                dbtable="numbers",
                partitionColumn="id",
                lowerBound="9",
                upperBound="1",
                numPartitions="2",
            ).collect()
        assert ids(jdbc(engine, sqlite, dbtable="numbers", numPartitions="3")) == list(range(ROWS))


def test_a_sql_table_over_a_class_that_declares_its_options(engine, sqlite):
    what = "TABLE" if engine.is_sail else "TEMPORARY VIEW"
    engine.session.sql(
        f"CREATE {what} from_jdbc USING python OPTIONS (python_class 'jdbc', url '{sqlite}', dbtable 'numbers')"
    )
    assert engine.session.sql("SELECT count(*), sum(id) FROM from_jdbc").collect() == [(ROWS, 4950)]
