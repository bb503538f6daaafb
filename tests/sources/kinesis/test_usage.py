"""As users and engines meet it."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import bascule
from bascule import OptionError, check
from bascule.check import Limits
from bascule.sources.kinesis import KinesisDataSource
from sources.kinesis.reading import EXECUTORS, SOURCE, Direct, numbered, options, table

SCHEMA = "id BIGINT, name VARCHAR"


def filled(kinesis, shards=2, n=30):
    kinesis.create("s", shards)
    kinesis.put("s", [(f"key {i}", b'{"id": %d, "name": "n%d"}' % (i, i % 3)) for i in range(n)])
    kinesis.split("s", "shardId-000000000000")
    kinesis.put("s", [(f"key {i}", b'{"id": %d, "name": "n%d"}' % (i, i % 3)) for i in range(n, 2 * n)])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_duckdb_reads_it(kinesis, con, executor):
    filled(kinesis)
    given = ", ".join(f"{name} := '{value}'" for name, value in options(kinesis).items())
    source = (
        f"FROM python('kinesis', {given}, format := 'json', schema := '{SCHEMA}', bascule_executor := '{executor}')"
    )
    assert con.execute(f"SELECT count(*), sum(data.id), count(DISTINCT shard_id) {source}").fetchall() == [
        (60, 1770, 4)
    ]
    key, number = con.execute(f"SELECT partition_key, sequence_number {source} WHERE data.id = 42").fetchone()
    assert key == "key 42"
    assert con.execute(f"SELECT data.name {source} WHERE sequence_number = '{number}'").fetchall() == [("n0",)]
    assert len(con.execute(f"SELECT * {source} LIMIT 4").fetchall()) == 4
    recent = "approximate_arrival_timestamp > now() - INTERVAL 1 HOUR"
    assert con.execute(f"SELECT count(*) {source} WHERE {recent}").fetchone() == (60,)


def test_its_stream_checks_and_the_others_pass(kinesis):
    filled(kinesis, shards=1, n=10)
    given = options(kinesis, format="json", schema=SCHEMA, max_records=4, hashed_keys="true", arrival_slack="60")
    report = check.run(KinesisDataSource, given, Limits(max_seconds=40))
    statuses = {result.id: (result.status, result.reasons) for result in report.results if result.status != "ok"}
    assert {name for name, (status, _) in statuses.items() if status != "skipped"} == set(), statuses
    assert "stream" not in statuses


def test_a_source_that_reads_too_little_fails_the_checks(kinesis, monkeypatch):
    from bascule.sources.kinesis._shards import Shards

    filled(kinesis)
    right = Shards.between
    seen = []

    def once(self, *arguments, **more):
        for records in right(self, *arguments, **more):
            seen.append(1)
            yield records[: -1 if len(seen) > 6 else None]

    monkeypatch.setattr(Shards, "between", once)
    report = check.run(KinesisDataSource, options(kinesis), Limits(max_seconds=10))
    assert {result.id for result in report.results if result.status == "failed"}


def test_the_command_line_checks_it(kinesis):
    filled(kinesis, n=5)
    given = [item for name, value in options(kinesis).items() for item in ("-o", f"{name}={value}")]
    done = subprocess.run(
        [sys.executable, "-m", "bascule", "check", "kinesis", "--max-seconds", "3", *given],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "canary-secret" not in done.stdout + done.stderr


def test_polars_reads_it(kinesis):
    import polars as pl

    filled(kinesis)
    made = table(kinesis, format="json", schema=SCHEMA)
    found = (
        made.to_polars().filter(pl.col("partition_key") == "key 7").select(pl.col("data").struct.field("id")).collect()
    )
    assert found["id"].to_list() == [7]


def test_a_pickled_partition_is_read_in_another_process_without_listing(kinesis):
    kinesis.create("s", 2)
    kinesis.put("s", numbered(0, 20))
    partitions = table(kinesis).partitions()
    kinesis.requests.clear()
    code = """
        import pickle, sys
        partitions = pickle.load(sys.stdin.buffer)
        print(sorted(int(v) for p in partitions for v in p.to_reader().read_all()["data"].to_pylist()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], input=pickle.dumps(partitions), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == str(list(range(20)))
    assert set(kinesis.operations) == {"GetShardIterator", "GetRecords"}


def test_a_spec_has_no_secret(kinesis):
    filled(kinesis)
    given = Direct(kinesis, session_token="canary-token")
    assert b"canary" not in pickle.dumps(given.plan())


def test_an_instance_that_was_closed_reads_again(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 5))
    direct = Direct(kinesis)
    for _ in range(2):
        assert direct.read(direct.plan()) == list(range(5))
        direct.source.close()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "option 'stream' is missing"),
        ({"start": "soon"}, "option 'start' is 'soon', expected TRIM_HORIZON, LATEST, a time with a zone"),
        ({"format": "avro"}, "option 'format' is 'avro', expected one of binary, string, json"),
        ({"max_records": "0"}, "option 'max_records' is '0', expected an integer of at least 1"),
        ({"timeout": "0"}, "option 'timeout' is '0', expected a number above 0"),
        ({"arrival_slack": "inf"}, "option 'arrival_slack' is 'inf', expected a number of seconds, 0 or more"),
        ({"bad_records": "drop"}, "expected one of fail, skip, null"),
        ({"stresm": "s"}, "unknown option 'stresm': did you mean 'stream'?"),
        ({"schema": "id NOPE", "format": "json"}, "option 'schema'"),
    ],
)
def test_an_option_that_does_not_fit_is_an_error(given, message):
    with pytest.raises(OptionError) as caught:
        KinesisDataSource().infer_schema({"stream": "s", **given} if given else {})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("module", "given"),
    [
        ("botocore", {}),
        ("tenacity", {}),
        ("sqlglot", {"format": "json", "schema": "id BIGINT"}),
        ("google.protobuf", {"deaggregate": "true"}),
    ],
)
def test_a_missing_library_says_what_to_install(module, given):
    code = f"""
        import sys
        sys.modules["{module}"] = None
        from bascule.sources.kinesis import KinesisDataSource
        try:
            KinesisDataSource().infer_schema({{"stream": "s", "region": "eu-central-1", **{given!r}}})
        except Exception as e:
            print(type(e).__name__, e)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("BasculeError ")
    assert f"needs {module.rpartition('.')[2]}, which is not installed: pip install 'bascule[kinesis]'" in done.stdout


def test_the_module_imports_nothing_heavy():
    code = """
        import sys, bascule.sources.kinesis
        print(sorted({"botocore", "boto3", "tenacity", "sqlglot", "google.protobuf", "httpx", "duckdb", "polars"} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_options_are_documented():
    page = (Path(__file__).parents[3] / "docs" / "kinesis.md").read_text("utf-8")
    missing = [option.name for option in KinesisDataSource.OPTIONS if not re.search(rf"`{option.name}(`| :=)", page)]
    assert missing == []


def test_the_short_name_is_it():
    assert bascule.table("kinesis", stream="s").schema == bascule.table(SOURCE, stream="s").schema
